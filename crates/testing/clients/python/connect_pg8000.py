"""Connects to PostgreSQL with pg8000, which takes Python's own SSLContext."""

import ssl
import sys

import pg8000.dbapi

WHO_AM_I = (
    "select current_user, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"
)


def context(mode, root, certificate, key):
    if mode == "disable":
        return False
    made = ssl.create_default_context(cafile=root)
    # Python takes CRLs from the same file, and does not look at them unless told to.
    with open(root) as file:
        if "X509 CRL" in file.read():
            made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if certificate:
        made.load_cert_chain(certificate, key)
    return made


def connect(host, port, role, database, *files):
    connection = pg8000.dbapi.connect(
        role,
        host=host,
        port=int(port),
        database=database,
        timeout=10,
        ssl_context=context(*files),
    )
    cursor = connection.cursor()
    cursor.execute(WHO_AM_I)
    return cursor.fetchone()


try:
    print("ok", *connect(*sys.argv[1:]), sep="\t")
except Exception as refused:
    print(refused)
    raise

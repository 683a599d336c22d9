"""Connects to PostgreSQL with psycopg2, which brings a libpq and an OpenSSL of its own."""

import sys

import psycopg2

WHO_AM_I = (
    "select current_user, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"
)
WORDS = ["host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"]


def connect(arguments):
    settings = {word: value for word, value in zip(WORDS, arguments) if value}
    connection = psycopg2.connect(connect_timeout=10, **settings)
    cursor = connection.cursor()
    cursor.execute(WHO_AM_I)
    return cursor.fetchone()


try:
    print("ok", *connect(sys.argv[1:]), sep="\t")
except Exception as refused:
    print(refused)
    raise

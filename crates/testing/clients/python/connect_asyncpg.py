"""Connects to PostgreSQL with asyncpg."""

import asyncio
import sys
from urllib.parse import urlencode

import asyncpg

WHO_AM_I = (
    "select current_user, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"
)
WORDS = ["host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"]


async def connect(arguments):
    settings = {word: value for word, value in zip(WORDS, arguments) if value}
    connection = await asyncpg.connect("postgresql://?" + urlencode(settings), timeout=10)
    row = await connection.fetchrow(WHO_AM_I)
    await connection.close()
    return row


try:
    print("ok", *asyncio.run(connect(sys.argv[1:])), sep="\t")
except Exception as refused:
    print(refused)
    raise

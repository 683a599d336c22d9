#!/bin/sh
# A certificate for each role that may log in, superusers apart, straight from PostgreSQL's own list.
# Needs PGPKI_HOME, and a psql that gets in (PGHOST, PGPORT, PGUSER).
#
#   every-role.sh DIR
set -eu
psql -XAtq -d postgres -c 'SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper' |
    pgpki issue-client --from - --out "$1"

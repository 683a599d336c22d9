#!/bin/sh
# For cron: renew what is due, and let PostgreSQL read it where something was renewed.
# Needs PGPKI_HOME, PGDATA, and pg_ctl in the PATH. Prints nothing on most days.
set -u
report=$(pgpki rotate)
status=$?
if [ -n "$report" ]; then
    printf '%s\n' "$report"
    pg_ctl reload --silent -D "$PGDATA" || exit 5
fi
exit $status

#!/bin/sh
# For cron: renew what is due, and let PostgreSQL read it where something was renewed.
# Needs PGPKI_HOME, PGDATA, and pg_ctl in the PATH. Prints nothing on most days.
set -u
report=$(pgpki rotate)
status=$?
[ -z "$report" ] || printf '%s\n' "$report"
case $report in
*renewed*) pg_ctl reload --silent -D "$PGDATA" || exit 5 ;;
esac
exit $status

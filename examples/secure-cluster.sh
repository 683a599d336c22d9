#!/bin/sh
# A running cluster gets TLS, refuses everything else, and wants a certificate and a password from every role.
# Needs PGPKI_HOME and PGDATA; run it as root or as the cluster's own user.
#
#   secure-cluster.sh INSTALLATION HOST...
set -eu
install=$1
shift
pgpki init --no-root-passphrase --install "$install" --pgdata "$PGDATA" \
    --require-tls --with-password --client-certs all -- "$@"
pgpki rotate --dry-run

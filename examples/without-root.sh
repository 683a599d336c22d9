#!/bin/sh
# Everything in one directory, without root and without PostgreSQL: to look around.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PGPKI_HOME="$dir/pki"

pgpki init --no-root-passphrase --owner "$(id -u):$(id -g)" --install "$dir/tls" localhost 127.0.0.1
pgpki issue-client alice bob --out "$dir/hand-over"
pgpki inspect
pgpki inspect "$dir/hand-over/alice"

//! A cluster as Debian's tools make it, with the README's own words.

use pgpki_testing::run;

use crate::machine::{Machine, text};

/// A cluster 15/main, or of whichever version is there, on a machine that has no other. It is
/// stopped however this ends.
const SCRIPT: &str = r#"
set -eu
pgpki=$1
for place in etc/postgresql var/log/postgresql run/postgresql; do
    mount -t tmpfs -o uid=$(id -u postgres),mode=755 tmpfs "/$place"
done
install -d -o postgres /var/lib/postgresql
version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
pg_createcluster "$version" main >/dev/null
port=$(pg_lsclusters -h | cut -d ' ' -f 3 | head -n 1)
trap 'pg_ctlcluster --skip-systemctl-redirect "$version" main stop -m immediate || true' EXIT
pg_ctlcluster --skip-systemctl-redirect "$version" main start

"$pgpki" init localhost --no-root-passphrase --cluster "$version/main" --require-tls
"$pgpki" issue-client alice --out /root/hand-over >/dev/null
runuser -u postgres -- psql -qp "$port" -c 'create role alice login'
"$pgpki" configure --require-tls --client-certs alice
alice=/root/hand-over/alice
psql -XAt "host=localhost port=$port user=alice dbname=postgres sslmode=verify-full sslrootcert=$alice/root.crt \
    sslcert=$alice/postgresql.crt sslkey=$alice/postgresql.key" -c "select 'hello ' || current_user"
"$pgpki" doctor
"$pgpki" rotate --force
pg_ctlcluster --skip-systemctl-redirect "$version" main stop
"$pgpki" rotate --force
"$pgpki" configure --remove
! grep -rq pgpki /etc/postgresql
pg_ctlcluster --skip-systemctl-redirect "$version" main start
"#;

#[test]
fn the_only_cluster_of_a_debian_machine() {
    let machine = Machine::new();
    let program = machine.path("/pgpki");
    let mut script = machine.command(["sh", "-c", SCRIPT, "sh"]);
    let said = text(run(script.arg(program)));
    for part in [
        "/main/conf.d/pgpki.conf\n",
        "serves what is installed",
        "hello alice",
        "/main at localhost:",
        "/main is not running",
        "removed ",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    let doctor = said.split("server ").nth(1).unwrap();
    assert!(
        !doctor.contains("warning") && !doctor.contains("error"),
        "{said}"
    );
}

//! With a real server: who was revoked after the backup stays out.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pgpki_testing::{Cluster, Owner, run};

use crate::fixture::{DONE, PASSPHRASE, ends, secret};

fn pgpki(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgpki"));
    command
        .args(line.split(' '))
        .current_dir(dir)
        .env("PGPKI_HOME", dir.join("pki"));
    command
}

fn connect(cluster: &Cluster, role: &str) -> Output {
    let folder = cluster.dir().join("out").join(role);
    let file = |name: &str| folder.join(name).display().to_string();
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user={role} dbname=postgres sslmode=verify-full \
         sslrootcert={} sslcert={} sslkey={}",
        cluster.port(),
        file("root.crt"),
        file("postgresql.crt"),
        file("postgresql.key"),
    );
    cluster.psql(&conninfo, "select current_user")
}

#[track_caller]
fn is_in(cluster: &Cluster, role: &str) {
    let output = connect(cluster, role);
    assert!(output.status.success(), "{output:?}\n{}", cluster.log());
}

#[track_caller]
fn is_out(cluster: &Cluster, role: &str) {
    let output = connect(cluster, role);
    assert!(!output.status.success(), "{role} came in: {output:?}");
}

#[test]
fn alice_does_not_come_back_to_life() {
    let mut cluster = Cluster::builder().create().unwrap();
    let dir = cluster.dir().to_owned();
    let Owner { uid, gid, .. } = *cluster.owner();
    let tls = dir.join("tls").display().to_string();
    secret(&dir.join("pass"), PASSPHRASE);
    let init = format!(
        "init localhost 127.0.0.1 --no-root-passphrase --install {tls} --owner {uid}:{gid}"
    );
    run(&mut pgpki(&dir, &init));
    run(&mut pgpki(&dir, "issue-client alice bob carol --out out"));
    cluster.set_conf(format!(
        "ssl = on\n\
         ssl_cert_file = '{tls}/current/server.crt'\n\
         ssl_key_file = '{tls}/current/server.key'\n\
         ssl_ca_file = '{tls}/current/root.crt'\n\
         ssl_crl_file = '{tls}/current/root.crl'\n"
    ));
    cluster.set_hba("local all all trust\nhostssl all all all cert");
    cluster.start().unwrap();
    for role in ["alice", "bob", "carol"] {
        cluster.create_role(role, None, true);
        is_in(&cluster, role);
    }
    run(&mut pgpki(&dir, "backup --passphrase-file pass pki.age"));
    let (status, said) = ends(&mut pgpki(&dir, "revoke alice"));
    assert_eq!(status, Some(DONE), "{said}");
    is_out(&cluster, "alice");

    fs::remove_dir_all(dir.join("pki")).unwrap();
    run(&mut pgpki(&dir, "restore --passphrase-file pass pki.age"));
    for line in ["rotate", "rotate --force", "revoke bob"] {
        let (status, said) = ends(&mut pgpki(&dir, line));
        assert_eq!(status, Some(DONE), "{line}: {said}");
        if line == "rotate" {
            is_out(&cluster, "alice");
            is_in(&cluster, "bob");
        }
        is_in(&cluster, "carol");
    }
    is_out(&cluster, "bob");
    // The certificate that alice has had is out for good, whatever she has now.
    cluster.restart().unwrap();
    is_out(&cluster, "bob");
    is_in(&cluster, "carol");
}

//! A forced rotation: new files on both sides, and those who still have the old ones go on.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::served::{Served, copy, decimal, serial_in_ledger};

const OWN_SERIAL: &str = "select client_serial from pg_stat_ssl where pid = pg_backend_pid()";

#[test]
fn a_forced_rotation_renews_both_sides_and_locks_nobody_out() {
    let mut served = Served::new("");
    let alice = served.client("alice", &[]);
    let copied = served.scene.path("copied");
    copy(&alice, &copied);
    let old_serial = serial_in_ledger(&served.scene, "alice");
    let served_before = certificate_served(&served);

    served.scene.pgpki("rotate --force");
    served.cluster.reload().unwrap();

    let new_serial = serial_in_ledger(&served.scene, "alice");
    assert_ne!(new_serial, old_serial);
    assert_ne!(certificate_served(&served), served_before);
    for name in ["postgresql.crt", "postgresql.key"] {
        assert_ne!(
            fs::read(alice.join(name)).unwrap(),
            fs::read(copied.join(name)).unwrap(),
            "{name}"
        );
    }
    for (folder, serial) in [(&alice, new_serial), (&copied, old_serial)] {
        let connection = served.conninfo(folder, "alice", &[]);
        assert_eq!(served.connects(&connection, OWN_SERIAL), decimal(&serial));
    }
    served.cluster.restart().unwrap();
    served.connects(&served.conninfo(&alice, "alice", &[]), "select 1");
}

/// The leaf that the server sends, PEM.
fn certificate_served(served: &Served) -> String {
    let address = format!("127.0.0.1:{}", served.cluster.port());
    let output =
        pgpki_testing::openssl(["s_client", "-starttls", "postgres", "-connect", &address]);
    let text = String::from_utf8(output.stdout).unwrap();
    let begin = text.find("-----BEGIN CERTIFICATE-----").expect(&text);
    let end = text.find("-----END CERTIFICATE-----").expect(&text);
    text[begin..end].to_owned()
}

#[test]
fn a_session_outlives_the_rotation() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    let mut served = Served::new("");
    let alice = served.client("alice", &[]);
    let mut psql = served.cluster.psql_command();
    psql.args(["-XAtq", "-d", &served.conninfo(&alice, "alice", &[])])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut session = psql.spawn().unwrap();
    let mut input = session.stdin.take().unwrap();
    let mut output = BufReader::new(session.stdout.take().unwrap());
    let mut ask = |sql: &str| {
        writeln!(input, "{sql};").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        answer
    };
    let before = ask("select pg_backend_pid()");
    served.scene.pgpki("rotate --force");
    served.cluster.reload().unwrap();
    assert_eq!(ask("select pg_backend_pid()"), before);
    drop(input);
    assert!(session.wait().unwrap().success());
}

#[test]
fn a_copied_folder_is_all_that_a_user_needs() {
    let served = Served::new("");
    let alice = served.client("alice", &[]);
    let home = served.scene.path("alice's home");
    fs::create_dir(&home).unwrap();
    let folder = home.join(".postgresql");
    copy(&alice, &folder);
    let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("postgresql.key"), 0o600);

    let port = served.cluster.port();
    let connection =
        format!("host=localhost port={port} dbname=postgres user=alice sslmode=verify-full");
    let mut psql = served.cluster.psql_command();
    psql.env("HOME", &home)
        .args(["-XAtq", "-c", "select current_user", "-d", &connection]);
    let output = pgpki_testing::run(&mut psql);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "alice\n");
}

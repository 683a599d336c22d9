//! What is printed for people, to the letter.

use crate::fixture::{EVERYTHING, Stage};
use crate::stage::{LongSession, says, serial_of};

/// The text with what differs from run to run taken out.
fn plain(stage: &Stage, said: &str) -> String {
    let (data, tls) = (stage.cluster.data_dir(), stage.scene.tls());
    let port = stage.cluster.port().to_string();
    let said = said.replace(tls.to_str().unwrap(), "TLS");
    said.replace(data.to_str().unwrap(), "DATA")
        .replace(&port, "PORT")
}

#[test]
fn a_few_lines_say_it_all() {
    let stage = Stage::configured(&EVERYTHING);
    let folder = stage.client("alice");
    let alice = stage.conninfo(&folder, "alice", &[]);
    let serial = serial_of(&folder.join("postgresql.crt"));
    let _sessions = ["one", "two"].map(|name| LongSession::begin(&stage, &alice, name));
    let said = plain(&stage, &says(&stage, 0, &["alice"]));
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("revoked  client alice  until 20"),
        "{said}"
    );
    assert!(lines[0].ends_with(&serial), "{said}");
    assert_eq!(
        lines[1..],
        [
            "enforced  TLS: by DATA at 127.0.0.1:PORT, which was seen to refuse what its CRL lists",
            "ended  2 sessions of alice on DATA",
        ],
        "{said}"
    );
    stage.client("bob");
    let said = plain(&stage, &says(&stage, 1, &["bob", "--no-reload"]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[1..],
        [
            "not enforced  TLS: not reloaded, as asked",
            "  A server that has not loaded this CRL accepts it: reload or start it, then run revoke again to have it proven",
            "meanwhile  ALTER ROLE \"bob\" NOLOGIN;  keeps that role out, whatever it comes with; sessions that are left go on",
        ],
        "{said}"
    );
}

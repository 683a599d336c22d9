//! The end of a change of roots: refused while somebody depends on the old one, who is named.

use std::time::Duration;

use pgpki_testing::{await_that, run};

use crate::stage::{DONE, FINDINGS, REFUSED, Stage, files};

const FINISH: [&str; 3] = ["rotate", "--root", "--finish"];
const DRY: [&str; 4] = ["rotate", "--root", "--finish", "--dry-run"];

#[test]
fn a_session_and_certificates_of_the_old_root_are_named_and_keep_it() {
    let stage = Stage::new();
    let old = stage.copied(&stage.client("alice"), "old");
    let mut session = stage.session(&stage.own("alice", &old));
    stage.rotate(DONE, &["--root"]);

    let before = (stage.home(), files(&stage.scene.tls()));
    let pid = session.pid.to_string();
    for (args, status) in [(&DRY[..], FINDINGS), (&FINISH, REFUSED)] {
        let said = stage.says(status, args);
        for named in [
            "session  alice on ",
            &format!("process {pid}"),
            "issuing CA 1",
            "certificate  client alice  until ",
        ] {
            assert!(said.contains(named), "{named:?} is not in {said}");
        }
        assert_eq!((stage.home(), files(&stage.scene.tls())), before, "{said}");
    }
    let left = stage.left(FINDINGS);
    assert_eq!(left["dry_run"], true);
    let alice = &left["sessions"][0];
    assert_eq!(alice["role"], "alice");
    assert_eq!(alice["pid"], session.pid);
    assert_eq!(left["certificates"].as_array().unwrap().len(), 1, "{left}");
    let refused = stage.json(REFUSED, &[&FINISH[..], &["--json"]].concat());
    assert_eq!(refused["dry_run"], false);
    assert_eq!(refused["certificates"], left["certificates"]);

    // Without its certificate the session is what is left.
    stage.supersede_what_is_left(&["--keep-sessions"]);
    let left = stage.left(FINDINGS);
    assert_eq!(left["certificates"].as_array().unwrap().len(), 0, "{left}");
    assert_eq!(left["sessions"][0]["pid"], session.pid);
    let said = stage.says(REFUSED, &FINISH);
    assert!(said.contains(&format!("process {pid}")), "{said}");
    assert!(said.contains("pg_terminate_backend"), "{said}");
    assert_eq!(session.ask("select 'alive'"), "alive");
    drop(session);
    await_that("the session is over", Duration::from_secs(10), || {
        let sessions = "select count(*) from pg_stat_activity where usename = 'alice'";
        stage.cluster.sql(sessions) == "0"
    });

    let said = stage.says(DONE, &DRY);
    assert!(said.contains("pgpki rotate --root --finish"), "{said}");
    let said = stage.says(DONE, &FINISH);
    assert!(said.contains("finished"), "{said}");
    assert_eq!(stage.roots().len(), 1);
    stage.is_settled();
}

/// Certificates end by themselves as well.
#[test]
fn a_certificate_that_has_ended_keeps_nothing() {
    let stage = Stage::since("-2d");
    // Of a day, but for the last three seconds.
    stage.cluster.create_role("alice", None, true);
    let args = ["issue-client", "--out", "clients", "alice", "--days", "1"];
    run(&mut stage.scene.command_at("-86397s", args));
    stage.rotate(DONE, &["--root"]);
    await_that("the old one ends", Duration::from_secs(60), || {
        let output = stage.scene.command(DRY).output().unwrap();
        output.status.success()
    });
    stage.says(DONE, &FINISH);
    stage.is_settled();
}

#[test]
fn a_server_elsewhere_keeps_the_old_root() {
    let stage = Stage::new();
    stage
        .scene
        .pgpki("issue-server standby.example.com --out servers/standby");
    stage.rotate(DONE, &["--root"]);
    let said = stage.says(REFUSED, &FINISH);
    assert!(
        said.contains("certificate  server standby.example.com"),
        "{said}"
    );
    stage.supersede_what_is_left(&["--no-reload"]);
    stage.says(DONE, &["rotate"]);
    stage.says(DONE, &FINISH);
}

#[test]
fn without_a_change_there_is_nothing_to_finish_and_nothing_to_undo() {
    let stage = Stage::new();
    let before = stage.home();
    let undo = ["rotate", "--root", "--undo"];
    for args in [&FINISH[..], &DRY, &undo] {
        let said = stage.says(REFUSED, args);
        assert!(
            said.contains("there is only \"localhost root CA 1\""),
            "{said}"
        );
        assert!(said.contains("Begin with: pgpki rotate --root"), "{said}");
    }
    assert_eq!(stage.home(), before);
}

#[test]
fn a_second_new_root_is_refused() {
    let stage = Stage::new();
    stage.rotate(DONE, &["--root"]);
    let before = (stage.home(), files(&stage.scene.tls()));
    let again = ["rotate", "--root"];
    let dry = ["rotate", "--root", "--dry-run"];
    for args in [&again[..], &dry] {
        let said = stage.says(REFUSED, args);
        assert!(
            said.contains("root CA 2\" is already taking over from"),
            "{said}"
        );
        assert!(said.contains("--undo"), "{said}");
    }
    assert_eq!((stage.home(), files(&stage.scene.tls())), before);
}

/// The authority has retired the root, and then could not tell a server: that is not "nothing has changed".
#[test]
fn a_server_that_does_not_hear_of_the_end_is_told_by_the_next_run() {
    let stage = Stage::new();
    stage.rotate(DONE, &["--root"]);
    let tls = stage.scene.tls();
    let moved = stage.scene.path("moved");
    std::fs::rename(&tls, &moved).unwrap();
    std::fs::write(&tls, "in the way").unwrap();
    let report = stage.rotate(FINDINGS, &["--root", "--finish"]);
    assert_eq!(report["root"], "finished", "{report}");
    std::fs::remove_file(&tls).unwrap();
    std::fs::rename(&moved, &tls).unwrap();
    assert_eq!(stage.roots().len(), 2);
    stage.says(DONE, &["rotate"]);
    assert_eq!(stage.roots().len(), 1);
    stage.is_settled();
}

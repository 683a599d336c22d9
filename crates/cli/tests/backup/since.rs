//! What happened after the backup is not undone by it, as far as this machine shows it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pgpki_testing::{Scene, run};

use crate::fixture::{
    FINDINGS, back_up, crls, ends, is_sound, issuing_crl, ledger, lose_home, restore, scene,
    serial_of,
};

/// Nobody runs a server here, so that revoking says that nobody enforces it.
fn revoke(scene: &Scene, who: &str) {
    let output = scene.command(["revoke", who]).output().unwrap();
    assert_eq!(output.status.code(), Some(FINDINGS), "{output:?}");
}

fn count(scene: &Scene, sql: &str) -> i64 {
    let ledger = ledger(&scene.home());
    ledger.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn who_was_revoked_stays_revoked_and_numbers_grow() {
    let scene = scene();
    back_up(&scene, "pki.age");
    let alice = serial_of(&scene.path("out/alice/postgresql.crt"));
    let bob = serial_of(&scene.path("out/bob/postgresql.crt"));
    revoke(&scene, "alice");
    let published = issuing_crl(&scene);
    assert_eq!(published.revoked, [&*alice]);
    lose_home(&scene);

    let report = restore(&scene, "pki.age");
    assert!(
        report.contains(&format!("revoked since: {alice}  client alice\n")),
        "{report}"
    );
    // Nothing that is installed has to change for it.
    assert_eq!(scene.pgpki("rotate"), "");
    assert_eq!(issuing_crl(&scene).number, published.number);
    revoke(&scene, "bob");
    let next = issuing_crl(&scene);
    assert!(
        next.number > published.number,
        "{next:?} after {published:?}"
    );
    let mut expected = vec![alice, bob];
    expected.sort();
    let mut revoked = next.revoked;
    revoked.sort();
    assert_eq!(revoked, expected);
}

#[test]
fn numbers_grow_with_a_clock_that_is_behind() {
    let scene = scene();
    back_up(&scene, "pki.age");
    let bob = serial_of(&scene.path("out/bob/postgresql.crt"));
    // By a clock that is a month ahead of the one that everything else goes by.
    let output = scene
        .command_at("+30d", ["revoke", "alice"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(FINDINGS), "{output:?}");
    let published = issuing_crl(&scene);
    lose_home(&scene);
    restored_with_a_wrong_clock(&mut scene.command(RESTORE));
    revoke(&scene, "bob");
    let next = issuing_crl(&scene);
    assert!(
        next.number > published.number,
        "{next:?} after {published:?}"
    );
    assert_eq!(next.revoked.len(), 2);
    assert!(next.revoked.contains(&bob));
}

const RESTORE: [&str; 4] = ["restore", "--passphrase-file", "pass", "pki.age"];

#[track_caller]
fn restored_with_a_wrong_clock(restore: &mut Command) {
    let (status, said) = ends(restore);
    assert_eq!(status, Some(FINDINGS), "{said}");
    assert!(said.contains("this machine's clock is behind"), "{said}");
}

/// The number of the next CRL, on a machine where nothing is installed.
#[track_caller]
fn next_number(scene: &Scene, when: &str, role: &str) -> u64 {
    let issue = ["issue-client", "--out", "new", role];
    run(&mut scene.command_at(when, issue));
    let output = scene
        .command_at(when, ["revoke", "--json", role])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["crls"][0]["number"].as_u64().unwrap()
}

/// The home and everything that was installed is lost, and the clock of the new machine is behind the last CRL.
#[test]
fn no_number_is_used_twice_on_a_machine_that_knows_nothing() {
    let scene = scene();
    back_up(&scene, "pki.age");
    let published = next_number(&scene, "+30d", "carol");
    let elsewhere = |when: &str, number: u32| {
        lose_home(&scene);
        for gone in ["tls", "out", "new"] {
            let _ = fs::remove_dir_all(scene.path(gone));
        }
        run(&mut scene.command_at(when, RESTORE));
        let next = next_number(&scene, when, &format!("dave{number}"));
        // Who is named has not been revoked again: it is the same CRL.
        let output = scene
            .command_at(when, ["revoke", "--json", &format!("dave{number}")])
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["crls"][0]["number"], next, "{report}");
        next
    };
    let first = elsewhere("+1d", 1);
    assert!(first > published, "{first} after {published}");
    // The same backup once more: neither do those repeat that came of the first.
    let second = elsewhere("+2d", 2);
    assert!(second > first, "{second} after {first}");
    // A backup of what was restored.
    scene.pgpki("backup --force --passphrase-file pass pki.age");
    let third = next_number(&scene, "+3d", "erin");
    assert!(third > second);
    assert!(elsewhere("+3d", 3) > third);
}

#[test]
fn a_clock_that_is_behind_the_backup_is_told() {
    let scene = scene();
    back_up(&scene, "pki.age");
    let published = next_number(&scene, "+0d", "carol");
    lose_home(&scene);
    fs::remove_dir_all(scene.tls()).unwrap();
    // As of a machine without a battery.
    restored_with_a_wrong_clock(&mut scene.command_at("@2000-01-01 00:00:00", RESTORE));
    assert!(next_number(&scene, "+0d", "dave") > published);
}

#[test]
fn two_lines_of_a_ledger_are_joined() {
    let scene = scene();
    scene.pgpki("issue-server localhost --install tls2 --owner 0:0");
    back_up(&scene, "pki.age");
    let alice = serial_of(&scene.path("out/alice/postgresql.crt"));
    let bob = serial_of(&scene.path("out/bob/postgresql.crt"));
    // One installation has heard of alice alone, the other of bob alone.
    revoke(&scene, "alice");
    run(std::process::Command::new("cp")
        .args(["-a"])
        .args([scene.path("tls2"), scene.path("kept")]));
    lose_home(&scene);
    fs::rename(scene.tls(), scene.path("tls-away")).unwrap();
    fs::rename(scene.path("tls2"), scene.path("tls2-away")).unwrap();
    restore(&scene, "pki.age");
    fs::rename(scene.path("tls-away"), scene.tls()).unwrap();
    revoke(&scene, "bob");
    assert_eq!(issuing_crl(&scene).revoked, [&*bob]);
    let last = issuing_crl(&scene).number;
    lose_home(&scene);
    fs::remove_dir_all(scene.path("tls2-away")).unwrap();
    fs::rename(scene.path("kept"), scene.path("tls2")).unwrap();

    restore(&scene, "pki.age");
    scene.pgpki("rotate");
    let joined = issuing_crl(&scene);
    assert!(joined.number > last, "{joined:?}");
    let mut revoked = joined.revoked;
    revoked.sort();
    let mut expected = [alice, bob];
    expected.sort();
    assert_eq!(revoked, expected);
}

#[test]
fn certificates_that_were_issued_since_are_known_again() {
    let scene = scene();
    back_up(&scene, "pki.age");
    scene.pgpki("issue-client carol --out out");
    scene.pgpki("rotate --force");
    let of = |name: &str| serial_of(&scene.path(name));
    let there = [
        of("out/alice/postgresql.crt"),
        of("out/bob/postgresql.crt"),
        of("out/carol/postgresql.crt"),
        of("tls/current/server.crt"),
    ];
    lose_home(&scene);
    let report = restore(&scene, "pki.age");
    for serial in &there {
        assert!(report.contains(&**serial), "{serial} is not in {report}");
    }
    is_sound(&scene.home());
    // They are in their places, known, and not due.
    assert_eq!(scene.pgpki("rotate"), "");
    let listed = scene.pgpki("inspect --all --json");
    assert!(
        there.iter().all(|serial| listed.contains(&**serial)),
        "{listed}"
    );
    let carol = "SELECT count(*) FROM places WHERE path LIKE '%/out/carol'";
    assert_eq!(count(&scene, carol), 1);
    // And they can be revoked by their role.
    revoke(&scene, "carol");
    assert_eq!(issuing_crl(&scene).revoked, [&*there[2]]);
}

#[test]
fn what_somebody_else_put_there_is_not_believed() {
    let (scene, other) = (scene(), crate::fixture::scene());
    back_up(&scene, "pki.age");
    lose_home(&scene);
    // Another authority with the same names, and a role that has another one's certificate.
    for name in ["root.crl", "root.crt", "server.crt"] {
        let from = other.tls().join("current").join(name);
        let to = scene.tls().join("current").join(name);
        let bytes = fs::read(from).unwrap();
        fs::write(to, bytes).unwrap();
    }
    run(&mut {
        let mut cp = std::process::Command::new("cp");
        cp.arg("-a")
            .args([scene.path("out/alice"), scene.path("out/dave")]);
        cp
    });
    let foreign = fs::read(other.path("out/bob/postgresql.crt")).unwrap();
    fs::write(scene.path("out/bob/postgresql.crt"), foreign).unwrap();
    let report = restore(&scene, "pki.age");
    for stranger in ["tls", "out/bob"] {
        let line = format!(
            "not in the ledger, from a CA that it does not know: {}",
            scene.path(stranger).display()
        );
        assert!(report.contains(&line), "{line}\n{report}");
    }
    assert!(!report.contains("dave"), "{report}");
    assert!(!report.contains("newer CRL"), "{report}");
    assert_eq!(count(&scene, "SELECT count(*) FROM cas"), 2);
    assert_eq!(count(&scene, "SELECT count(*) FROM certificates"), 5);
    // The server gets its credential again.
    scene.pgpki("rotate");
    assert!(crls(&scene).iter().all(|crl| crl.revoked.is_empty()));
    let issued = serial_of(&scene.tls().join("current/server.crt"));
    assert!(scene.pgpki("inspect --all --json").contains(&issued));
}

#[test]
fn on_another_machine_there_is_nothing_to_look_at() {
    let scene = scene();
    back_up(&scene, "pki.age");
    lose_home(&scene);
    fs::remove_dir_all(scene.tls()).unwrap();
    fs::remove_dir_all(scene.path("out")).unwrap();
    let home = scene.path("elsewhere/pki").display().to_string();
    let report = scene.pgpki(&format!(
        "restore --passphrase-file pass --home {home} pki.age"
    ));
    assert!(report.contains("0 places of its ledger"), "{report}");
    assert!(
        report.contains(&format!("pgpki rotate --dry-run --home {home}")),
        "{report}"
    );
    for place in ["tls", "out/alice", "out/bob"] {
        let line = format!("is not here: {}", scene.path(place).display());
        assert!(report.contains(&line), "{report}");
    }
    scene.pgpki(&format!(
        "issue-server localhost 127.0.0.1 --install tls --owner 0:0 --home {home}"
    ));
    assert!(scene.tls().join("current/server.key").exists());
    scene.pgpki(&format!("issue-client carol --out new --home {home}"));
}

#[test]
fn what_could_not_be_looked_at_is_a_finding() {
    let scene = scene();
    back_up(&scene, "pki.age");
    lose_home(&scene);
    fs::set_permissions(scene.tls(), PermissionsExt::from_mode(0o755)).unwrap();
    let output = scene
        .command(["restore", "--passphrase-file", "pass", "pki.age"])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(FINDINGS), "{report}");
    let line = format!("could not be looked at: {}", scene.tls().display());
    assert!(report.contains(&line), "{report}");
    is_sound(&scene.home());
}

//! Runs that are killed anywhere, and runs at once: PostgreSQL starts, ledger and CRL agree, and the
//! next run enforces what was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use pgpki_testing::{append, replace, run};
use serde_json::Value;

use crate::fixture::{EVERYTHING, POISON, Stage, the_server};
use crate::stage::{copied, installed_crls, installed_revocations, is_refused, revoke, serial_of};

/// What the ledger says of every client's certificate: whether it was revoked.
fn ledger(stage: &Stage) -> BTreeMap<String, bool> {
    let listed: Value = serde_json::from_str(&stage.scene.pgpki("inspect --all --json")).unwrap();
    let certificates = listed["certificates"].as_array().unwrap().iter();
    let clients = certificates.filter(|it| it["profile"] == "client");
    clients
        .map(|it| {
            (
                it["serial"].as_str().unwrap().to_owned(),
                it["status"] == "revoked",
            )
        })
        .collect()
}

/// The CRLs' numbers, by their CAs.
fn numbers(stage: &Stage) -> BTreeMap<String, u128> {
    let crls = installed_crls(stage).into_iter();
    crls.map(|crl| (crl.issuer, crl.number)).collect()
}

/// Checks what a killed run has left, and what the next one makes of it.
fn is_made_up_for(
    stage: &mut Stage,
    role: &str,
    before: &BTreeMap<String, u128>,
    attempt: usize,
) -> bool {
    let folder = stage.scene.path("clients").join(role);
    let (serial, conninfo) = (
        serial_of(&folder.join("postgresql.crt")),
        stage.conninfo(&folder, role, &[]),
    );
    if attempt.is_multiple_of(5) {
        stage.cluster.restart().unwrap();
        // Whatever was killed, the CRLs there are whole.
        installed_crls(stage);
    }
    let is_recorded = ledger(stage)[&serial];
    match attempt % 2 {
        0 => assert_eq!(stage.rotate(0, &[])["version"], 1),
        _ => {
            let report = revoke(stage, 0, &[role]);
            let list = if is_recorded { "already" } else { "revoked" };
            assert_eq!(report[list][0]["serial"], *serial, "{report}");
        }
    }
    let is_revoked = is_recorded || attempt % 2 == 1;
    let revoked = installed_revocations(stage);
    assert_eq!(
        revoked.contains(&serial),
        is_revoked,
        "{role}: ledger and CRL differ"
    );
    let ledger = ledger(stage)
        .into_iter()
        .filter(|(_, is_revoked)| *is_revoked);
    let ledger: Vec<String> = ledger.map(|(serial, _)| serial).collect();
    assert_eq!(revoked, ledger);
    for (issuer, number) in numbers(stage) {
        assert!(number >= before[&issuer], "{issuer} went back");
    }
    match is_revoked {
        true => is_refused(stage, &conninfo),
        false => stage.connects(&conninfo),
    }
    is_recorded
}

fn roles(stage: &Stage, number: usize) -> Vec<String> {
    let roles: Vec<String> = (0..number).map(|it| format!("r{it}")).collect();
    let create: Vec<String> = roles
        .iter()
        .map(|role| format!("create role {role} login;"))
        .collect();
    stage.cluster.sql(&create.concat());
    let args = ["issue-client", "--out", "clients"];
    run(&mut stage
        .scene
        .command(args.iter().copied().chain(roles.iter().map(|it| &**it))));
    roles
}

#[test]
fn at_a_hundred_moments() {
    let mut stage = Stage::configured(&EVERYTHING);
    let roles = roles(&stage, 101);
    // How long one takes when nothing happens to it.
    let began = Instant::now();
    revoke(&stage, 0, &[&roles[100]]);
    let whole = began.elapsed();
    let (mut recorded, mut killed) = (0, 0);
    for (attempt, role) in roles[..100].iter().enumerate() {
        let before = numbers(&stage);
        let mut revoke = stage.scene.command(["revoke", role]);
        let mut child = revoke
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(whole.mul_f64(attempt as f64 / 100.0));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));
        recorded += usize::from(is_made_up_for(&mut stage, role, &before, attempt));
    }
    assert!(killed > 30, "only {killed} were killed");
    assert!(recorded > 5, "only {recorded} had come so far");
    stage.ledger_agrees();
}

/// What was recorded and no more comes to the servers with the next rotation, and the sessions with the next revoke.
#[test]
fn rotate_says_that_a_session_may_go_on() {
    let stage = Stage::configured(&EVERYTHING);
    roles(&stage, 1);
    assert_eq!(stage.scene.pgpki("rotate"), "");
    let killed = with_fault(&stage, "r0", "renameat", "signal=KILL:when=1");
    assert_eq!(killed.signal(), Some(9));
    let said = stage.scene.pgpki("rotate");
    assert!(said.contains("may still have a session"), "{said}");
    assert_eq!(stage.scene.pgpki("rotate"), "");
}

/// Runs revoke with a fault at one call, and returns how it ended.
fn with_fault(stage: &Stage, role: &str, call: &str, fault: &str) -> ExitStatus {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e"]);
    strace.arg(format!("trace={call}")).arg("-e");
    strace.arg(format!("inject={call}:{fault}"));
    strace
        .arg(env!("CARGO_BIN_EXE_pgpki"))
        .args(["revoke", role]);
    strace.env("PGPKI_HOME", stage.scene.home());
    strace.output().unwrap().status
}

/// The calls after which other files are on disk than before, and by which the server is told.
const CALLS: [&str; 7] = [
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "fsync",
    "fdatasync",
    "kill",
];

#[test]
fn at_every_call_that_changes_something() {
    let mut stage = Stage::configured(&EVERYTHING);
    let roles = roles(&stage, 120);
    let mut roles = roles.iter().enumerate();
    let (mut kills, mut failures) = (0, 0);
    for call in CALLS {
        let mut calls = 0;
        for number in 1.. {
            let (attempt, role) = roles.next().unwrap();
            let before = numbers(&stage);
            let status = with_fault(&stage, role, call, &format!("signal=SIGKILL:when={number}"));
            let is_killed = status.signal() == Some(9) || status.code() == Some(137);
            is_made_up_for(&mut stage, role, &before, attempt);
            if !is_killed {
                break;
            }
            calls = number;
        }
        kills += calls;
        for number in 1..=calls {
            let (attempt, role) = roles.next().unwrap();
            let before = numbers(&stage);
            let status = with_fault(&stage, role, call, &format!("error=EIO:when={number}"));
            match status.code() {
                // What failed was no more than tidying up.
                Some(0) => {
                    let folder = stage.scene.path("clients").join(role);
                    is_refused(&stage, &stage.conninfo(&folder, role, &[]));
                }
                Some(1 | 5 | 6) => failures += 1,
                _ => panic!("{call} {number}: {status}"),
            }
            is_made_up_for(&mut stage, role, &before, attempt);
        }
    }
    assert!(
        kills > 8 && failures > 3,
        "only {kills} kills and {failures} failures"
    );
    stage.ledger_agrees();
}

/// Killed as it is about to tell the server, which then cannot load what is new, and serves what it served before.
#[test]
fn a_rotation_does_not_take_a_refused_reload_for_one() {
    let mut stage = Stage::configured(&EVERYTHING);
    let folder = copied(&stage, &stage.client("alice"));
    let alice = stage.conninfo(&folder, "alice", &[]);
    let before = numbers(&stage);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=kill", "-e"]);
    strace.arg("inject=kill:signal=SIGKILL:when=1");
    strace
        .arg(env!("CARGO_BIN_EXE_pgpki"))
        .args(["revoke", "alice"]);
    strace.env("PGPKI_HOME", stage.scene.home());
    assert!(!strace.status().unwrap().success());
    let published = numbers(&stage);
    assert_ne!(published, before, "it is published");
    stage.connects(&alice);
    let sound = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    for _ in 0..2 {
        let report = stage.rotate(5, &[]);
        assert_eq!(the_server(&report)["outcome"], "failed", "{report}");
        assert_eq!(
            numbers(&stage),
            published,
            "the older CRLs are not put back"
        );
    }
    replace(stage.conf(), sound);
    stage.cluster.restart().unwrap();
    is_refused(&stage, &alice);
    assert_eq!(stage.rotate(0, &[])["places"], serde_json::json!([]));
    is_refused(&stage, &alice);
    stage.ledger_agrees();
}

/// Two revocations at a time, and somebody who issues.
#[test]
fn side_by_side_with_others() {
    let stage = Stage::configured(&EVERYTHING);
    let roles = roles(&stage, 20);
    let before = numbers(&stage);
    let shared = &stage;
    thread::scope(|scope| {
        for half in roles[..16].chunks(8) {
            scope.spawn(move || {
                for role in half {
                    revoke(shared, 0, &[role]);
                }
            });
        }
        scope.spawn(|| {
            for number in 0..10 {
                let out = format!("issue-client --out others{number} other{number}");
                shared.scene.pgpki(&out);
            }
        });
    });
    let revoked = installed_revocations(&stage);
    let serial = |role: &String| {
        serial_of(
            &stage
                .scene
                .path("clients")
                .join(role)
                .join("postgresql.crt"),
        )
    };
    let mut expected: Vec<String> = roles[..16].iter().map(serial).collect();
    expected.sort();
    assert_eq!(revoked, expected);
    let grown = numbers(&stage)
        .iter()
        .filter(|(issuer, number)| **number >= before[*issuer] + 16)
        .count();
    assert_eq!(grown, 1, "one for each of the sixteen");
    let folder = |role: &String| copied(&stage, &stage.scene.path("clients").join(role));
    is_refused(&stage, &stage.conninfo(&folder(&roles[0]), &roles[0], &[]));
    stage.connects(&stage.conninfo(&folder(&roles[19]), &roles[19], &[]));
    stage.ledger_agrees();
}

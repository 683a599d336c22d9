//! Processes side by side.

use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

use pgpki_testing::{Scene, openssl};

use crate::authority::{self, assert_no_leftovers, assert_whole, certificates, issued_to};

const PROCESSES: usize = 32;

/// Starts a command line, split at spaces.
fn start(scene: &Scene, line: &str) -> Child {
    scene
        .command(line.split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts all of them before it waits for the first; each must succeed.
#[track_caller]
fn all_succeed(scene: &Scene, lines: impl IntoIterator<Item = String>) -> Vec<Output> {
    let lines: Vec<String> = lines.into_iter().collect();
    let running: Vec<Child> = lines.iter().map(|line| start(scene, line)).collect();
    let ended: Vec<Output> = running
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    let failures: Vec<String> = ended
        .iter()
        .zip(&lines)
        .filter(|(output, _)| !output.status.success())
        .map(|(output, line)| {
            let stderr = String::from_utf8_lossy(&output.stderr);
            format!("{line}: {}\n{stderr}", output.status)
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} failed\n{}",
        failures.len(),
        lines.len(),
        failures.join("\n")
    );
    ended
}

#[test]
fn different_roles_into_one_directory() {
    let scene = authority::new();
    all_succeed(
        &scene,
        (0..PROCESSES).map(|n| format!("issue-client role{n} --out clients")),
    );
    let certificates = certificates(&scene);
    assert_eq!(certificates.len(), 3 + PROCESSES);
    for n in 0..PROCESSES {
        let role = format!("role{n}");
        assert_eq!(issued_to(&certificates, &role), 1, "{role}");
        assert_whole(&scene.path("clients").join(&role), &role, &certificates);
    }
    assert_no_leftovers(&scene.path(""));
    assert!(!scene.path("clients/.pgpki").exists());
}

#[test]
fn different_roles_into_different_directories() {
    let scene = authority::new();
    all_succeed(
        &scene,
        (0..PROCESSES).map(|n| format!("issue-client role{n} --out deep/er/clients{n}")),
    );
    let certificates = certificates(&scene);
    assert_eq!(certificates.len(), 3 + PROCESSES);
    for n in 0..PROCESSES {
        let (role, folder) = (format!("role{n}"), format!("deep/er/clients{n}/role{n}"));
        assert_eq!(issued_to(&certificates, &role), 1, "{role}");
        assert_whole(&scene.path(folder), &role, &certificates);
    }
    assert_no_leftovers(&scene.path(""));
}

#[test]
fn one_role_into_different_directories() {
    let scene = authority::new();
    all_succeed(
        &scene,
        (0..PROCESSES).map(|n| format!("issue-client alice --out clients{n}")),
    );
    let certificates = certificates(&scene);
    assert_eq!(issued_to(&certificates, "alice"), PROCESSES);
    for n in 0..PROCESSES {
        let folder = scene.path(format!("clients{n}/alice"));
        assert_whole(&folder, "alice", &certificates);
    }
}

/// Each gets a certificate and replaces the folder; the last one's is there in the end.
#[test]
fn one_role_into_one_directory() {
    let scene = authority::new();
    all_succeed(
        &scene,
        (0..PROCESSES).map(|_| "issue-client alice --out clients".to_owned()),
    );
    let certificates = certificates(&scene);
    assert_eq!(issued_to(&certificates, "alice"), PROCESSES);
    assert_whole(&scene.path("clients/alice"), "alice", &certificates);
    let in_use = certificates
        .iter()
        .filter(|it| it["subject"] == "alice" && it["status"] == "valid");
    assert_eq!(in_use.count(), 1);
    assert_no_leftovers(&scene.path(""));
    scene.pgpki("rotate --force");
    assert_whole(
        &scene.path("clients/alice"),
        "alice",
        &self::certificates(&scene),
    );
}

#[test]
fn rotations_side_by_side_take_turns() {
    let scene = authority::new();
    let roles: Vec<String> = (0..40).map(|n| format!("role{n}")).collect();
    scene.pgpki(&format!("issue-client {} --out clients", roles.join(" ")));
    let lines = ["rotate --force"; 4].map(str::to_owned);
    all_succeed(&scene, lines);
    let certificates = certificates(&scene);
    for role in &roles {
        assert_eq!(issued_to(&certificates, role), 1 + 4, "{role}");
        assert_whole(&scene.path("clients").join(role), role, &certificates);
    }
    assert_eq!(
        std::fs::read_link(scene.tls().join("current"))
            .unwrap()
            .to_str(),
        Some("g0005")
    );
    assert_no_leftovers(&scene.path(""));
}

#[test]
fn a_rotation_says_whom_it_waits_for() {
    let scene = authority::new();
    // A lock of our own, which ends when we say so.
    let home = std::fs::File::open(scene.home()).unwrap();
    home.lock().unwrap();
    let mut rotation = start(&scene, "rotate --force");
    let mut said = String::new();
    let mut stderr = BufReader::new(rotation.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    let us = format!("pgpki: waiting for process {} (", std::process::id());
    assert!(said.starts_with(&us), "{said}");
    home.unlock().unwrap();
    let output = rotation.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn rotations_among_those_who_issue() {
    let scene = authority::new();
    scene.pgpki("issue-client first --out clients");
    let issuing = (0..PROCESSES / 2).map(|n| format!("issue-client role{n} --out clients"));
    let rotating = (0..2).map(|_| "rotate --force".to_owned());
    let (before, after): (Vec<_>, Vec<_>) = issuing.enumerate().partition(|(n, _)| n % 2 == 0);
    let lines = before.into_iter().map(|(_, line)| line);
    all_succeed(
        &scene,
        lines
            .chain(rotating)
            .chain(after.into_iter().map(|(_, line)| line)),
    );
    let certificates = certificates(&scene);
    for n in 0..PROCESSES / 2 {
        let role = format!("role{n}");
        assert!(issued_to(&certificates, &role) >= 1, "{role}");
        assert_whole(&scene.path("clients").join(&role), &role, &certificates);
    }
    assert_eq!(issued_to(&certificates, "first"), 3);
    assert_no_leftovers(&scene.path(""));
    let key = scene.tls().join("current/server.key").display().to_string();
    let certificate = scene.tls().join("current/server.crt").display().to_string();
    assert_eq!(
        openssl(["pkey", "-pubout", "-in", &key]).stdout,
        openssl(["x509", "-noout", "-pubkey", "-in", &certificate]).stdout
    );
}

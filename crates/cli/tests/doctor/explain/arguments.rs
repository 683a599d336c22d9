//! How the text comes in and how it goes out.

use std::io::Write as _;
use std::process::Stdio;

use pgpki_testing::Scene;

fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

#[test]
fn from_standard_input() {
    let scene = scene();
    let mut command = scene.command(["doctor", "--explain", "-"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let text = b"psql: error: SSL error: tlsv1 alert unknown ca \x1b[2J\xff\n";
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "[client-issuer-unknown]",
        "cause",
        "check",
        "fix",
        "docs/findings.md#crl-missing",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn what_is_not_known_is_said_to_be_so() {
    let scene = scene();
    let output = scene
        .command(["doctor", "--explain", "disk full"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("not known") && said.contains("LC_ALL=C"),
        "{said}"
    );
    super::explained("disk full", &[]);
}

#[test]
fn nothing_to_explain() {
    let scene = scene();
    for text in ["", " \n"] {
        let said = scene.fails_with(4, &mut scene.command(["doctor", "--explain", text]));
        assert!(said.contains("no message"), "{said}");
    }
}

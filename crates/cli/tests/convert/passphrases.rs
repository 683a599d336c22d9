//! Where passphrases come from, and where they never go.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgpki_testing::{Scene, await_that, run};

use crate::fixture::{
    BAD_INPUT, OTHER, PASSPHRASE, USAGE, openssl, public_half, refuses, secret, with_credential,
};

const TO_PKCS12: &str = "convert alice.key alice.crt --to pkcs12";

#[test]
fn without_a_terminal_the_flags_are_named() {
    let scene = with_credential("p256");
    for line in [
        format!("{TO_PKCS12} --out x.p12"),
        "convert alice.key --to pem --encrypt --out x".to_owned(),
    ] {
        let said = refuses(&scene, USAGE, &line);
        assert!(said.contains("x"), "{said}");
        assert!(said.contains("--new-passphrase-file FILE"), "{said}");
        assert!(said.contains("--generate-passphrase"), "{said}");
    }
}

#[test]
fn one_that_is_generated_is_shown_once() {
    let scene = with_credential("p256");
    let line = format!("{TO_PKCS12} --generate-passphrase --out a.p12");
    let mut shown = Vec::new();
    for _ in 0..2 {
        let output = run(&mut scene.command(format!("{line} --force").split(' ')));
        let said = String::from_utf8(output.stderr).unwrap();
        let passphrase = said
            .strip_prefix("Passphrase of a.p12: ")
            .unwrap()
            .trim_end();
        assert_eq!(passphrase.len(), 34, "{said}");
        assert!(
            !String::from_utf8(output.stdout)
                .unwrap()
                .contains(passphrase)
        );
        secret(&scene.path("shown"), passphrase);
        openssl(
            &scene,
            "pkcs12 -in a.p12 -passin file:shown -nodes -out a.pem",
        );
        assert_eq!(
            public_half(&scene, "a.pem", ""),
            public_half(&scene, "alice.key", "")
        );
        shown.push(passphrase.to_owned());
    }
    assert_ne!(shown[0], shown[1]);
}

/// To standard output goes the key alone.
#[test]
fn one_that_is_generated_is_not_mixed_with_the_key() {
    let scene = with_credential("p256");
    let line = "convert alice.key --to pkcs8 --generate-passphrase --out -";
    let output = run(&mut scene.command(line.split(' ')));
    let said = String::from_utf8(output.stderr).unwrap();
    let passphrase = said
        .strip_prefix("Passphrase of standard output: ")
        .unwrap();
    fs::write(scene.path("k"), &output.stdout).unwrap();
    assert_eq!(
        public_half(&scene, "k", passphrase.trim_end()),
        public_half(&scene, "alice.key", "")
    );
}

/// One that nobody has seen opens nothing, so nothing is made.
#[test]
fn one_that_cannot_be_shown() {
    let scene = with_credential("p256");
    let line = format!("{TO_PKCS12} --generate-passphrase --out a.p12");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = scene
        .command(line.split(' '))
        .stderr(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(5));
    assert!(!scene.path("a.p12").exists());
}

#[test]
fn files_without_a_passphrase() {
    let scene = with_credential("p256");
    secret(&scene.path("empty"), "");
    secret(&scene.path("line"), "\nsecret");
    for name in ["empty", "line", "missing"] {
        for flag in ["--passphrase-file", "--new-passphrase-file"] {
            let said = refuses(
                &scene,
                BAD_INPUT,
                &format!("convert alice.key --to pkcs8 {flag} {name} --out x"),
            );
            assert!(said.contains(name), "{said}");
        }
    }
}

/// Runs the program on a terminal, at which somebody answers the prompts one by one. Returns the exit
/// status and what the terminal showed.
fn typed(scene: &Scene, line: &str, answers: &[&str]) -> (Option<i32>, String) {
    let screen = tempfile::NamedTempFile::new().unwrap();
    let line = format!("'{}' {line}", env!("CARGO_BIN_EXE_pgpki"));
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &line])
        .arg(screen.path())
        .current_dir(scene.path(""))
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    let shown =
        || String::from_utf8_lossy(&fs::read(screen.path()).unwrap_or_default()).into_owned();
    for (number, answer) in answers.iter().enumerate() {
        // Typed once it is asked for: whatever comes earlier is echoed, or thrown away.
        await_that("a prompt", Duration::from_secs(20), || {
            let asked = ["Passphrase of", "New passphrase", "The same"];
            let asked = asked.iter().map(|prompt| shown().matches(prompt).count());
            asked.sum::<usize>() > number
        });
        writeln!(keyboard, "{answer}").unwrap();
    }
    let status = script.wait().unwrap();
    drop(keyboard);
    (status.code(), shown())
}

#[test]
fn at_a_terminal_one_is_asked_for() {
    let scene = with_credential("p256");
    let line = format!("{TO_PKCS12} --out a.p12");
    let (status, screen) = typed(&scene, &line, &[PASSPHRASE, PASSPHRASE]);
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains("New passphrase for a.p12: "), "{screen}");

    let answers = [PASSPHRASE, OTHER, OTHER];
    let line = "convert a.p12 --to pkcs8 --encrypt --out a.key";
    let (status, screen) = typed(&scene, line, &answers);
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains("Passphrase of a.p12: "), "{screen}");
    assert_eq!(
        public_half(&scene, "a.key", OTHER),
        public_half(&scene, "alice.key", "")
    );

    let (status, screen) = typed(&scene, "convert a.p12 --to pkcs8 --out x", &[OTHER]);
    assert_eq!(status, Some(BAD_INPUT), "{screen}");
    let line = format!("{TO_PKCS12} --out x");
    let (status, screen) = typed(&scene, &line, &[PASSPHRASE, OTHER]);
    assert_eq!(status, Some(BAD_INPUT), "{screen}");
    assert!(screen.contains("the two passphrases differ"), "{screen}");
    let (status, screen) = typed(&scene, &line, &[""]);
    assert_eq!(status, Some(BAD_INPUT), "{screen}");
    assert!(!scene.path("x").exists());
}

/// A terminal is no place for what is not text.
#[test]
fn at_a_terminal_there_is_no_binary() {
    let scene = with_credential("p256");
    let (status, screen) = typed(&scene, "convert alice.crt --to der", &[]);
    assert_eq!(status, Some(USAGE), "{screen}");
    assert!(screen.contains("no text for a terminal"), "{screen}");
}

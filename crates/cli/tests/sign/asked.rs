//! A person at a terminal decides; nobody at all lets it be signed.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgpki_testing::await_that;

use crate::stage::{REFUSED, Stage};

/// Runs a shell's command line on a terminal, at which somebody answers the one question. Returns the exit status and
/// what the terminal showed.
fn typed(stage: &Stage, line: &str, answer: &str) -> (Option<i32>, String) {
    let screen = tempfile::NamedTempFile::new().unwrap();
    let line = format!("'{}' {line}", env!("CARGO_BIN_EXE_pgpki"));
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &line])
        .arg(screen.path())
        .current_dir(stage.path(""))
        .env("PGPKI_HOME", stage.scene.home())
        .env("SHELL", "/bin/sh")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    let shown =
        || String::from_utf8_lossy(&fs::read(screen.path()).unwrap_or_default()).into_owned();
    await_that("the question", Duration::from_secs(30), || {
        shown().contains("[y/N]")
    });
    keyboard.write_all(answer.as_bytes()).unwrap();
    let status = script.wait().unwrap();
    (status.code(), shown())
}

const LINE: &str =
    "sign requests/alice/postgresql.csr requests/bob/postgresql.csr --trust-request --out signed";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.request(&["alice"]);
    stage.request(&["bob"]);
    stage
}

#[test]
fn no_is_no() {
    // Also an answer that is none, and an end of input.
    for answer in ["n\n", "\n", "no\n", "yess\n", "\u{4}"] {
        let stage = stage();
        let before = stage.state();
        let (status, screen) = typed(&stage, LINE, answer);
        assert_eq!(status, Some(REFUSED), "{answer:?} {screen}");
        assert!(screen.contains("nothing was signed"), "{screen}");
        assert!(stage.state() == before, "{screen}");
    }
}

#[test]
fn yes_is_yes() {
    for answer in ["y\n", "Yes\n"] {
        let stage = stage();
        let (status, screen) = typed(&stage, LINE, answer);
        assert_eq!(status, Some(0), "{screen}");
        for role in ["alice", "bob"] {
            let asked = screen.find("Sign 2 requests?").expect(&screen);
            let shown = screen.find(&format!("is to be   role {role}")).unwrap();
            assert!(shown < asked, "{screen}");
            assert!(stage.path("signed").join(role).exists(), "{screen}");
        }
    }
}

/// A question that goes into a file would never be answered.
#[test]
fn the_question_goes_where_it_is_seen() {
    let stage = stage();
    let (status, screen) = typed(&stage, &format!("{LINE} > log"), "y\n");
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains("is to be   role alice"), "{screen}");
    let log = fs::read_to_string(stage.path("log")).unwrap();
    assert!(!log.contains("[y/N]") && log.contains("until"), "{log}");
}

/// Nobody is asked about what cannot be done; and while somebody thinks, others go on.
#[test]
fn the_authority_is_not_kept_waiting() {
    let stage = stage();
    let screen = tempfile::NamedTempFile::new().unwrap();
    let line = format!("'{}' {LINE}", env!("CARGO_BIN_EXE_pgpki"));
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &line])
        .arg(screen.path())
        .current_dir(stage.path(""))
        .env("PGPKI_HOME", stage.scene.home())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    await_that("the question", Duration::from_secs(30), || {
        fs::read_to_string(screen.path()).is_ok_and(|text| text.contains("[y/N]"))
    });
    stage.scene.pgpki("rotate --force");
    // Meanwhile somebody else takes the name.
    fs::create_dir_all(stage.path("signed/bob/mine")).unwrap();
    writeln!(keyboard, "y").unwrap();
    assert_eq!(script.wait().unwrap().code(), Some(REFUSED));
    assert!(stage.issued_to("alice").is_empty());
    assert!(!stage.path("signed/alice").exists());
}

/// The names were given: there is nothing to ask. And without a terminal there is nobody to ask.
#[test]
fn nothing_is_asked() {
    let stage = stage();
    let request = stage.path("requests/alice/postgresql.csr");
    let said = stage.sign(&request, &["--trust-request"]);
    assert!(!said.contains("[y/N]"), "{said}");
    assert!(stage.path("signed/alice/postgresql.crt").exists());
}

//! Where the passphrase of a key comes from, and in which order.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pgpki_testing::{Owner, Scene, await_that, run};

use crate::stage::{BAD_INPUT, DONE, Stage, USAGE, ends_with, secret};

const ISSUE: [&str; 4] = ["issue-client", "alice", "--out", "clients"];
const COMMAND: &str = "--issuing-passphrase-command";
const FILE: &str = "--issuing-passphrase-file";

/// A directory as systemd makes one for a unit, with a passphrase for the issuing key.
fn credentials(stage: &Stage, passphrase: &str) -> PathBuf {
    let directory = stage.scene.path(format!("credentials of {passphrase}"));
    fs::create_dir_all(&directory).unwrap();
    let text = fs::read_to_string(stage.scene.path(passphrase)).unwrap();
    secret(&directory.join("pgpki.issuing-passphrase"), text.trim_end());
    directory
}

fn with_credentials(stage: &Stage, passphrase: &str, more: &[&str]) -> Command {
    let mut command = stage.command(&[&ISSUE[..], more].concat());
    command.env("CREDENTIALS_DIRECTORY", credentials(stage, passphrase));
    command
}

#[test]
fn a_file_then_a_command_then_a_credential() {
    let stage = Stage::encrypted();
    stage.ends(DONE, &[&ISSUE[..], &[FILE, "right"]].concat());
    stage.ends(DONE, &[&ISSUE[..], &[COMMAND, "cat right"]].concat());
    ends_with(DONE, &mut with_credentials(&stage, "right", &[]));
    // What was named counts, whatever else there is.
    ends_with(
        DONE,
        &mut with_credentials(&stage, "wrong", &[FILE, "right"]),
    );
    ends_with(
        DONE,
        &mut with_credentials(&stage, "wrong", &[COMMAND, "cat right"]),
    );
    ends_with(
        BAD_INPUT,
        &mut with_credentials(&stage, "right", &[FILE, "wrong"]),
    );
    ends_with(
        BAD_INPUT,
        &mut with_credentials(&stage, "right", &[COMMAND, "cat wrong"]),
    );
    stage.ends(
        USAGE,
        &[&ISSUE[..], &[FILE, "right", COMMAND, "cat right"]].concat(),
    );
    // A unit may have other credentials; then it is as if there were none.
    let mut other = stage.command(&ISSUE);
    other.env("CREDENTIALS_DIRECTORY", stage.scene.path(""));
    let said = ends_with(USAGE, &mut other);
    for way in [
        FILE,
        COMMAND,
        "$CREDENTIALS_DIRECTORY/pgpki.issuing-passphrase",
    ] {
        assert!(said.contains(way), "{way}: {said}");
    }
    // No variable holds one.
    let mut variable = stage.command(&ISSUE);
    variable.env("PGPKI_ISSUING_PASSPHRASE", "correct horse");
    ends_with(USAGE, &mut variable);
}

/// Which of them is wrong is said, and never what it is.
#[test]
fn a_wrong_one_is_named() {
    let stage = Stage::encrypted();
    let wrong = |command: &mut Command, origin: &str| {
        let said = ends_with(BAD_INPUT, command);
        assert!(said.contains("issuing/g0001/ca.key: the passphrase does not open the key"));
        assert!(said.contains(&format!("it is {origin}")), "{said}");
    };
    let directory = credentials(&stage, "wrong");
    let credential = format!("the credential {}/pgpki", directory.display());
    for signing in [&ISSUE[..], &["rotate", "--issuing"]] {
        let file = [signing, &[FILE, "wrong"]].concat();
        wrong(&mut stage.command(&file), "the first line of wrong");
        let command = [signing, &[COMMAND, "cat wrong"]].concat();
        let printed = format!("the first line that {COMMAND} prints");
        wrong(&mut stage.command(&command), &printed);
        let mut unit = stage.command(signing);
        wrong(unit.env("CREDENTIALS_DIRECTORY", &directory), &credential);
    }
    let stage = Stage::with(&["--root-passphrase-file", "right"]);
    let root = "--root-passphrase-command";
    let mut rotate = stage.command(&["rotate", "--issuing", root, "cat wrong"]);
    let said = ends_with(BAD_INPUT, &mut rotate);
    assert!(said.contains("root/g0001/ca.key: the passphrase does not open the key"));
    assert!(
        said.contains(&format!("the first line that {root} prints")),
        "{said}"
    );
    let forced = ["rotate", "--force", "--json", FILE, "wrong"];
    let stage = Stage::encrypted();
    let report = stage.unchanged(BAD_INPUT, &forced);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let reason = report["places"][0]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("it is the first line of wrong"),
        "{reason}"
    );
}

#[test]
fn every_command_that_signs_takes_it() {
    let stage = Stage::encrypted();
    stage.ends(DONE, &["request", "bob", "--out", "requests"]);
    for signing in [
        &ISSUE[..],
        &["issue-server", "db2", "--out", "servers"],
        &[
            "sign",
            "requests/bob/postgresql.csr",
            "--role",
            "bob",
            "--out",
            "signed",
        ],
        &["rotate", "--issuing"],
    ] {
        let said = stage.unchanged(USAGE, signing);
        assert!(said.contains("the issuing key's passphrase"), "{said}");
        stage.unchanged(BAD_INPUT, &[signing, &[FILE, "wrong"]].concat());
        stage.ends(DONE, &[signing, &[FILE, "right"]].concat());
    }
    let revoke = ["revoke", "alice"];
    stage.unchanged(USAGE, &revoke);
    stage.unchanged(BAD_INPUT, &[&revoke[..], &[FILE, "wrong"]].concat());
    // No server on this machine uses it, which is a finding; the certificate is revoked.
    let said = stage.ends(
        crate::stage::FINDINGS,
        &[&revoke[..], &[FILE, "right"]].concat(),
    );
    assert!(said.contains("revoked"), "{said}");
}

#[test]
fn a_command_that_gives_none() {
    let stage = Stage::encrypted();
    for (command, why) in [
        ("cat right; exit 3", "ended with exit status: 3"),
        ("no-such-program 2>/dev/null", "ended with exit status: 127"),
        ("true", "its first line is empty"),
        ("echo; cat right", "its first line is empty"),
        ("yes \"$(cat right)\"", "printed more than 4096 bytes"),
        ("cat wrong", "does not open the key"),
    ] {
        let said = stage.unchanged(BAD_INPUT, &[&ISSUE[..], &[COMMAND, command]].concat());
        assert!(said.contains(why), "{command}: {said}");
    }
    // It gets no input of ours, and is not asked twice.
    let script = "cat >input; echo asked >>count; cat right";
    let mut issue = stage.command(&[
        "issue-client",
        "--from",
        "-",
        "--out",
        "clients",
        COMMAND,
        script,
    ]);
    let mut issue = issue.stdin(Stdio::piped()).spawn().unwrap();
    issue
        .stdin
        .take()
        .unwrap()
        .write_all(b"carol\ndave\n")
        .unwrap();
    assert!(issue.wait().unwrap().success());
    assert!(stage.scene.path("clients/dave").exists());
    assert_eq!(fs::read(stage.scene.path("input")).unwrap(), b"");
    assert_eq!(fs::read(stage.scene.path("count")).unwrap(), b"asked\n");
}

#[test]
fn the_roots_command() {
    let stage = Stage::with(&["--root-passphrase-command", "cat right"]);
    assert!(stage.openssl_opens("root", 1, "right") && stage.is_encrypted("root", 1));
    let rotate = ["rotate", "--issuing"];
    let said = stage.unchanged(USAGE, &rotate);
    assert!(said.contains("--root-passphrase-command"), "{said}");
    let with = |command| [&rotate[..], &["--root-passphrase-command", command]].concat();
    stage.unchanged(BAD_INPUT, &with("cat wrong"));
    stage.ends(DONE, &with("cat right"));
    let credentials = stage.scene.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(
        stage.scene.path("right"),
        credentials.join("pgpki.root-passphrase"),
    )
    .unwrap();
    let mut rotate = stage.command(&rotate);
    ends_with(DONE, rotate.env("CREDENTIALS_DIRECTORY", credentials));
}

/// A person is asked once, for whatever is signed.
#[test]
fn a_person_is_asked_once() {
    let stage = Stage::encrypted();
    let typed = |passphrase: &str| {
        let program = env!("CARGO_BIN_EXE_pgpki");
        let line = format!("'{program}' issue-client alice bob --out clients");
        let screen = stage.scene.path(format!("screen of {passphrase}"));
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", &line]);
        script.arg(&screen).current_dir(stage.scene.path(""));
        script
            .env("PGPKI_HOME", stage.scene.home())
            .env("SHELL", "/bin/sh");
        let script = script.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut script = script.spawn().unwrap();
        let shown = || String::from_utf8_lossy(&fs::read(&screen).unwrap_or_default()).into_owned();
        await_that("a prompt", Duration::from_secs(20), || {
            shown().contains("Passphrase of the issuing key: ")
        });
        // Nobody else has to wait for a person who thinks.
        let begun = Instant::now();
        let mut other = stage.command(&["issue-client", "carol", "--out", "others", FILE, "right"]);
        run(&mut other);
        assert!(begun.elapsed() < Duration::from_secs(20));
        let mut keyboard = script.stdin.take().unwrap();
        writeln!(keyboard, "{passphrase}").unwrap();
        let status = script.wait().unwrap();
        (status.code(), shown())
    };
    let (status, screen) = typed("incorrect horse");
    assert_eq!(status, Some(BAD_INPUT), "{screen}");
    assert!(screen.contains("it is what was typed"), "{screen}");
    assert!(!stage.scene.path("clients").exists());
    let (status, screen) = typed("correct horse");
    assert_eq!(status, Some(DONE), "{screen}");
    assert_eq!(screen.matches("Passphrase").count(), 1, "{screen}");
    assert!(!screen.contains("correct horse"), "{screen}");
    assert!(stage.scene.path("clients/bob/postgresql.crt").exists());
}

/// In a group of its own, which is not the terminal's, it would be stopped at the first thing that it reads there, and nobody would
/// see why.
#[test]
fn a_command_that_asks_at_the_terminal_is_told_that_there_is_none() {
    let stage = Stage::encrypted();
    let screen = stage.scene.path("screen");
    let program = env!("CARGO_BIN_EXE_pgpki");
    let line = format!("'{program}' issue-client alice --out clients {COMMAND} 'cat /dev/tty'");
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", &line]);
    script.arg(&screen).current_dir(stage.scene.path(""));
    script
        .env("PGPKI_HOME", stage.scene.home())
        .env("SHELL", "/bin/sh");
    let script = script.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut script = script.spawn().unwrap();
    let keyboard = script.stdin.take().unwrap();
    let status = script.wait().unwrap();
    drop(keyboard);
    let shown = String::from_utf8_lossy(&fs::read(&screen).unwrap()).into_owned();
    assert_eq!(status.code(), Some(BAD_INPUT), "{shown}");
    assert!(shown.contains("/dev/tty: No such device"), "{shown}");
    assert!(!shown.contains("took longer"), "{shown}");
}

/// Whoever thinks better of it at the prompt goes on at a terminal that shows what he types.
#[test]
fn a_terminal_is_not_left_silent() {
    let stage = Stage::encrypted();
    let (screen, modes) = (stage.scene.path("screen"), stage.scene.path("modes"));
    let program = env!("CARGO_BIN_EXE_pgpki");
    // The shell gets the signal as well.
    let line = format!("trap : INT; '{program}' issue-client alice --out clients; stty -a >modes");
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--command", &line]);
    script.arg(&screen).current_dir(stage.scene.path(""));
    script
        .env("PGPKI_HOME", stage.scene.home())
        .env("SHELL", "/bin/sh");
    let script = script.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut script = script.spawn().unwrap();
    await_that("a prompt", Duration::from_secs(20), || {
        let shown = fs::read(&screen).unwrap_or_default();
        String::from_utf8_lossy(&shown).contains("Passphrase of the issuing key: ")
    });
    let mut keyboard = script.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    script.wait().unwrap();
    let modes = fs::read_to_string(modes).unwrap();
    let modes: Vec<&str> = modes.split([' ', ';', '\n']).collect();
    assert!(modes.contains(&"echo"), "{modes:?}");
    assert!(!stage.scene.path("clients").exists());
}

/// `init` from a unit: the root's key is encrypted with the credential, and the issuing key only where that is said.
#[test]
fn a_credential_for_a_new_root() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    fs::create_dir(scene.path("credentials")).unwrap();
    for name in ["root", "issuing"] {
        let file = format!("credentials/pgpki.{name}-passphrase");
        secret(&scene.path(file), "correct horse");
    }
    let owner = Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let mut init = scene.command(["init", "localhost", "--install", "tls", "--owner", &owner]);
    ends_with(
        DONE,
        init.env("CREDENTIALS_DIRECTORY", scene.path("credentials")),
    );
    let key = |whose: &str| {
        let file = scene.home().join(whose).join("g0001/ca.key");
        fs::read_to_string(file).unwrap().contains("ENCRYPTED")
    };
    assert!(key("root") && !key("issuing"));
}

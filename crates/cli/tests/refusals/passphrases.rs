//! The root key's passphrase: from a file, or from a person.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use pgpki_testing::{Owner, Scene, openssl, run};

use crate::refusal::{Refusal, empty_scene, enormous, fifo, refuses, secret};

const BAD_INPUT: i32 = 4;

/// The name of a file, and how it comes to be.
type BadFile = (&'static str, fn(&Path));

/// Files that hold no passphrase.
const BAD_FILES: [BadFile; 8] = [
    ("missing", |_| {}),
    ("empty", |path| secret(path, "")),
    ("only-a-newline", |path| secret(path, "\n")),
    ("empty-first-line", |path| secret(path, "\nsecret\n")),
    ("carriage-return", |path| secret(path, "\r\n")),
    ("directory", |path| fs::create_dir(path).unwrap()),
    ("fifo", fifo),
    ("enormous", enormous),
];

#[test]
fn files_without_a_passphrase() {
    let new = empty_scene();
    let old = authority_that_is_due();
    for (name, arrange) in BAD_FILES {
        let init = [
            "init",
            "localhost",
            "--install",
            "tls",
            "--root-passphrase-file",
            name,
        ];
        let rotate = ["rotate", "--root-passphrase-file", name];
        for (scene, args) in [(&new, &init[..]), (&old, &rotate)] {
            arrange(&scene.path(name));
            refuses(
                scene,
                &Refusal {
                    args,
                    status: BAD_INPUT,
                    says: &[name],
                },
            );
        }
    }
    assert!(!new.home().exists());
}

/// A wrong passphrase is told, and does not keep cron from renewing what it can.
#[test]
fn a_wrong_passphrase() {
    let scene = authority_that_is_due();
    secret(&scene.path("wrong"), "incorrect horse\n");
    let rotate = || {
        let line = "rotate --root-passphrase-file wrong";
        let output = scene.command(line.split(' ')).output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains("the passphrase does not open"), "{report}");
        assert!(report.contains("root/g0001/ca.key"), "{report}");
        (output.status.code(), report)
    };
    let (status, report) = rotate();
    assert_eq!(status, Some(1), "{report}");
    assert!(report.contains("renewed  server localhost"), "{report}");
    // Once there is nothing else to do, nothing changes.
    let (status, report) = rotate();
    assert_eq!(status, Some(BAD_INPUT), "{report}");
    assert!(!report.contains("renewed"), "{report}");
}

/// The issuing CA is due, and so is the server's certificate.
fn authority_that_is_due() -> Scene {
    let scene = empty_scene();
    secret(&scene.path("right"), "correct horse\n");
    let owner = Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let args = "init localhost --root-passphrase-file right --install tls --owner";
    run(&mut scene.command_at("-1460d", args.split(' ').chain([owner.as_str()])));
    scene
}

#[test]
fn a_file_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let scene = empty_scene();
    secret(&scene.path("open"), "secret\n");
    fs::set_permissions(scene.path("open"), PermissionsExt::from_mode(0o644)).unwrap();
    let owner = Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let args = "init localhost --root-passphrase-file open --install tls --owner";
    let output = run(&mut scene.command(args.split(' ').chain([owner.as_str()])));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("warning") && said.contains("open"), "{said}");
}

/// Runs `init` on a terminal, at which somebody types `lines`. Returns the exit status and what
/// the terminal showed.
fn typed(scene: &Scene, lines: &str) -> (Option<i32>, String) {
    let owner = Owner::of_new_clusters().unwrap();
    let line = format!(
        "{} init localhost --install tls --owner {}:{}",
        env!("CARGO_BIN_EXE_pgpki"),
        owner.uid,
        owner.gid
    );
    // Outside the scene, in which nothing is to be left.
    let screen = tempfile::NamedTempFile::new().unwrap();
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &line])
        .arg(screen.path())
        .current_dir(scene.path(""))
        .env("PGPKI_HOME", scene.home())
        .env("SHELL", "/bin/sh")
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    let shown = || fs::read_to_string(screen.path()).unwrap_or_default();
    for (number, line) in lines.lines().enumerate() {
        // Typed once it is asked for: whatever comes earlier is echoed, or thrown away.
        let prompts =
            || shown().matches("Passphrase").count() + shown().matches("The same").count();
        pgpki_testing::await_that("a prompt", std::time::Duration::from_secs(20), || {
            prompts() > number
        });
        writeln!(keyboard, "{line}").unwrap();
    }
    let status = script.wait().unwrap();
    drop(keyboard);
    (status.code(), shown())
}

#[test]
fn a_terminal_is_asked_twice() {
    let scene = empty_scene();
    let (status, screen) = typed(&scene, "correct horse\ncorrect horse\n");
    assert_eq!(status, Some(0), "{screen}");
    assert!(
        !screen.contains("correct horse"),
        "the passphrase was shown: {screen}"
    );
    let key = scene.home().join("root/current/ca.key");
    let key = key.to_str().unwrap();
    openssl([
        "pkey",
        "-noout",
        "-passin",
        "pass:correct horse",
        "-in",
        key,
    ]);
}

#[test]
fn two_different_answers_make_nothing() {
    for (lines, reason) in [("one\ntwo\n", "differ"), ("\n", "empty")] {
        let scene = empty_scene();
        let (status, screen) = typed(&scene, lines);
        assert_eq!(status, Some(BAD_INPUT), "{screen}");
        assert!(screen.contains(reason), "{screen}");
        assert_eq!(fs::read_dir(scene.path("")).unwrap().count(), 0);
    }
}

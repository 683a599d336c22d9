//! What a terminal changes: questions, colour, progress.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgpki_testing::{Owner, Scene, await_that, openssl};

const BAD_INPUT: i32 = 4;
const ESCAPE: char = '\x1b';

fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

/// Runs a shell's command line on a terminal, at which somebody answers the prompts one by one.
/// Returns the exit status and what the terminal showed.
fn typed(scene: &Scene, line: &str, answers: &[&str]) -> (Option<i32>, String) {
    // Outside the scene, in which nothing is to be left.
    let screen = tempfile::NamedTempFile::new().unwrap();
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", line])
        .arg(screen.path())
        .current_dir(scene.path(""))
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CI")
        .env("PGPKI_HOME", scene.home())
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
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
            shown().matches("Passphrase").count() + shown().matches("The same").count() > number
        });
        writeln!(keyboard, "{answer}").unwrap();
    }
    let status = script.wait().unwrap();
    drop(keyboard);
    (status.code(), shown())
}

/// The program, followed by a command line, as a shell has it.
fn pgpki(line: &str) -> String {
    format!("'{}' {line}", env!("CARGO_BIN_EXE_pgpki"))
}

fn init_line() -> String {
    let owner = Owner::of_new_clusters().unwrap();
    pgpki(&format!(
        "init localhost --install tls --owner {}:{}",
        owner.uid, owner.gid
    ))
}

#[test]
fn init_asks_twice() {
    for passphrase in [
        "correct horse",
        " leading and trailing ",
        "p\u{e4}ss \u{1f40e} 'quoted' \"$HOME\"",
        "x",
    ] {
        let scene = scene();
        let (status, screen) = typed(&scene, &init_line(), &[passphrase, passphrase]);
        assert_eq!(status, Some(0), "{screen}");
        assert!(screen.contains("key encrypted"), "{screen}");
        if passphrase.len() > 1 {
            assert!(!screen.contains(passphrase), "it was shown: {screen}");
        }
        let key = scene.home().join("root/current/ca.key");
        let pass = format!("pass:{passphrase}");
        openssl([
            "pkey",
            "-noout",
            "-passin",
            &pass,
            "-in",
            key.to_str().unwrap(),
        ]);
    }
}

#[test]
fn answers_that_make_nothing() {
    for (answers, reason) in [
        (&["one", "two"][..], "differ"),
        (&["one", ""], "differ"),
        (&["one", "one "], "differ"),
        (&[""], "empty"),
    ] {
        let scene = scene();
        let (status, screen) = typed(&scene, &init_line(), answers);
        assert_eq!(status, Some(BAD_INPUT), "{screen}");
        assert!(screen.contains(reason), "{screen}");
        assert_eq!(fs::read_dir(scene.path("")).unwrap().count(), 0);
    }
}

/// A flag is an answer.
#[test]
fn nothing_is_asked_with_a_flag() {
    let scene = scene();
    let (status, screen) = typed(
        &scene,
        &format!("{} --no-root-passphrase", init_line()),
        &[],
    );
    assert_eq!(status, Some(0), "{screen}");
    assert!(!screen.contains("Passphrase"), "{screen}");
}

/// What is wrong is said before anybody has to think of a passphrase.
#[test]
fn nothing_is_asked_in_vain() {
    let scene = scene();
    scene.init("");
    let (status, screen) = typed(&scene, &init_line(), &[]);
    assert_eq!(status, Some(3), "{screen}");
    assert!(!screen.contains("Passphrase"), "{screen}");
}

/// A person who has asked for another CA is asked for what opens the root's key; a wrong answer changes nothing.
#[test]
fn another_ca_is_a_matter_of_the_passphrase() {
    let scene = scene();
    let (status, screen) = typed(&scene, &init_line(), &["correct horse", "correct horse"]);
    assert_eq!(status, Some(0), "{screen}");
    for step in [
        "rotate --root",
        "rotate --issuing",
        "rotate --issuing --compromised",
    ] {
        let before = fs::read(scene.home().join("ledger.db")).unwrap();
        let (status, screen) = typed(&scene, &pgpki(step), &["battery staple"]);
        assert_eq!(status, Some(BAD_INPUT), "{screen}");
        assert_eq!(fs::read(scene.home().join("ledger.db")).unwrap(), before);
        let (status, screen) = typed(&scene, &pgpki(step), &["correct horse"]);
        assert_eq!(status, Some(0), "{screen}");
        assert!(!screen.contains("correct horse"), "it was shown: {screen}");
    }
}

#[test]
fn colour_is_for_terminals() {
    let scene = scene();
    scene.init("");
    scene.pgpki("issue-client alice --out clients");
    for line in [
        "inspect",
        "inspect --all",
        "inspect tls",
        "inspect clients/alice",
        "rotate --force",
    ] {
        let (status, screen) = typed(&scene, &pgpki(line), &[]);
        assert_eq!(status, Some(0), "{screen}");
        assert!(screen.contains(ESCAPE), "{line}: {screen:?}");
        let (_, screen) = typed(&scene, &format!("{} > report 2>&1", pgpki(line)), &[]);
        assert!(!screen.contains(ESCAPE), "{line}: {screen:?}");
        let report = fs::read_to_string(scene.path("report")).unwrap();
        assert!(
            !report.is_empty() && !report.contains(ESCAPE),
            "{line}: {report:?}"
        );
        let (_, screen) = typed(&scene, &format!("NO_COLOR=1 {}", pgpki(line)), &[]);
        assert!(!screen.contains(ESCAPE), "NO_COLOR, {line}: {screen:?}");
        let (_, screen) = typed(&scene, &format!("TERM=dumb {}", pgpki(line)), &[]);
        assert!(!screen.contains(ESCAPE), "TERM=dumb, {line}: {screen:?}");
    }
}

#[test]
fn json_has_no_colour_anywhere() {
    let scene = scene();
    scene.init("");
    for line in [
        "inspect --json",
        "inspect --all --json",
        "inspect tls --json",
        "rotate --json",
    ] {
        let (status, screen) = typed(&scene, &pgpki(line), &[]);
        assert_eq!(status, Some(0), "{screen}");
        assert!(!screen.contains(ESCAPE), "{line}: {screen:?}");
    }
}

/// README: prints nothing when nothing is due, except to a terminal.
#[test]
fn rotate_speaks_to_a_terminal() {
    let scene = scene();
    scene.init("");
    assert_eq!(scene.pgpki("rotate"), "");
    let (status, screen) = typed(&scene, &pgpki("rotate"), &[]);
    assert_eq!(status, Some(0));
    // script(1) writes a line of its own before and after.
    let said: Vec<&str> = screen
        .lines()
        .filter(|line| !line.starts_with("Script "))
        .collect();
    assert!(
        said.iter().any(|line| !line.trim().is_empty()),
        "{screen:?}"
    );
}

/// Progress begins after a second, so the clock runs faster than the work.
#[test]
fn progress_is_for_terminals() {
    let scene = scene();
    scene.init("");
    let roles: String = (0..300).map(|number| format!("role{number}\n")).collect();
    fs::write(scene.path("roles"), roles).unwrap();
    let issue = |out: &str| {
        let line = pgpki(&format!("issue-client --from roles --out {out} > report"));
        format!("faketime -f '+0d x500' {line}")
    };
    let (status, screen) = typed(&scene, &issue("one"), &[]);
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains(" of 300 certificates"), "{screen:?}");
    let (status, screen) = typed(&scene, &format!("{} 2> errors", issue("two")), &[]);
    assert_eq!(status, Some(0), "{screen}");
    assert!(!screen.contains("certificates"), "{screen:?}");
    for file in ["errors", "report"] {
        let said = fs::read_to_string(scene.path(file)).unwrap();
        assert!(
            !said.contains(ESCAPE) && said.is_empty() == (file == "errors"),
            "{said:?}"
        );
    }
    // What is over before the second is, needs none.
    let line = pgpki("issue-client alice --out three > report");
    let (_, screen) = typed(&scene, &line, &[]);
    assert!(!screen.contains("certificates"), "{screen:?}");
}

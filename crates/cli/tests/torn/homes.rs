//! Homes that are not the caller's alone, and places that he may not write to.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Output};

use pgpki_testing::as_user;

use crate::fixture::{Fixture, finish, said};
use crate::state::ended_well;

/// nobody: owns nothing here.
const STRANGER: u32 = 65_534;

const EVERY_COMMAND: [&str; 5] = [
    "rotate --force",
    "rotate --dry-run",
    "issue-client bob --out out",
    "issue-server other --out other",
    "inspect",
];

fn as_stranger(command: &Command) -> Output {
    let place = tempfile::TempDir::new().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    finish(&mut as_user(command, STRANGER, STRANGER, place.path()))
}

fn refused(fixture: &Fixture, words: &[&str]) {
    let before = fixture.tree();
    for line in EVERY_COMMAND {
        let output = finish(&mut fixture.command(line.split(' ')));
        let text = said(&output);
        assert_eq!(ended_well(&output), Ok(3), "{line}: {text}");
        for word in words {
            assert!(text.contains(word), "{line}: no {word:?} in {text}");
        }
        assert_eq!(fixture.tree(), before, "{line} has changed something");
    }
}

#[test]
fn a_home_of_somebody_else_is_refused() {
    crate::need_root();
    let fixture = Fixture::new();
    fixture.init();
    let home = fixture.path("home");
    chown(&home, Some(STRANGER), Some(STRANGER)).unwrap();
    refused(&fixture, &["chown", &home.display().to_string()]);
}

/// Whoever names the wrong directory is not told to give it away, or to close it.
#[test]
fn what_is_no_home_stays_as_it_is() {
    crate::need_root();
    let fixture = Fixture::new();
    let home = fixture.path("home");
    for (uid, mode) in [(STRANGER, 0o700), (0, 0o755)] {
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, Permissions::from_mode(mode)).unwrap();
        chown(&home, Some(uid), None).unwrap();
        for line in EVERY_COMMAND {
            let output = finish(&mut fixture.command(line.split(' ')));
            let text = said(&output);
            assert_eq!(ended_well(&output), Ok(4), "{line}: {text}");
            assert!(text.contains("is not the home of an authority"), "{text}");
            assert!(!text.contains("chown") && !text.contains("chmod"), "{text}");
        }
        fs::remove_dir(&home).unwrap();
    }
}

#[test]
fn a_home_that_others_may_enter_is_refused() {
    crate::need_root();
    for mode in [0o750, 0o705, 0o701, 0o770] {
        let fixture = Fixture::new();
        fixture.init();
        let home = fixture.path("home");
        fs::set_permissions(&home, Permissions::from_mode(mode)).unwrap();
        refused(&fixture, &["chmod", &home.display().to_string()]);
    }
}

/// An ordinary user, in places that are root's: nothing is made, and it is said where and who.
#[test]
fn what_may_not_be_written_is_named() {
    crate::need_root();
    let fixture = Fixture::new();
    let own = fixture.path("own");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(STRANGER), Some(STRANGER)).unwrap();
    let before = fixture.tree();
    for (line, place) in [
        (
            "init localhost --no-root-passphrase --home home --install own/tls",
            "home",
        ),
        (
            "init localhost --no-root-passphrase --home a/b/home --install own/tls",
            "/a",
        ),
        (
            "init localhost --no-root-passphrase --home own/home --install tls",
            "tls",
        ),
        (
            "init localhost --no-root-passphrase --home own/home --install a/b/tls",
            "/a",
        ),
    ] {
        let output = as_stranger(&fixture.command(line.split(' ')));
        let text = said(&output);
        assert_eq!(ended_well(&output), Ok(5), "{line}: {text}");
        assert!(text.contains("Permission denied"), "{line}: {text}");
        assert!(text.contains(place), "{line}: {text}");
        assert_eq!(fixture.tree(), before, "{line}");
    }
    let line = "init localhost --no-root-passphrase --home own/home --install own/tls";
    let output = as_stranger(&fixture.command(line.split(' ')));
    assert_eq!(ended_well(&output), Ok(0), "{}", said(&output));
    // The home of an ordinary user is not root's, either.
    let output = finish(&mut fixture.command(["rotate", "--home", "own/home"]));
    assert_eq!(ended_well(&output), Ok(3), "{}", said(&output));
}

/// A directory that cannot be read any more, as after a `chmod` by hand.
#[test]
fn a_closed_directory_is_an_error_and_not_a_loss() {
    crate::need_root();
    let fixture = Fixture::new();
    let own = fixture.path("own");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(STRANGER), Some(STRANGER)).unwrap();
    let run = |line: &str| {
        let mut command = fixture.command(line.split(' '));
        command.env("PGPKI_HOME", fixture.path("own/home"));
        as_stranger(&command)
    };
    let done = |line: &str| {
        let output = run(line);
        assert_eq!(ended_well(&output), Ok(0), "{line}: {}", said(&output));
    };
    done("init localhost --no-root-passphrase --install own/tls");
    done("issue-client alice --out own/out");
    for closed in ["own/tls", "own/out", "own/out/alice"] {
        let path = fixture.path(closed);
        fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
        let before = fixture.tree();
        let output = run("rotate --force");
        let text = said(&output);
        assert_eq!(ended_well(&output), Ok(1), "{closed}: {text}");
        assert!(text.contains(closed), "{closed}: {text}");
        let after = fixture.tree();
        assert_eq!(before.below(closed), after.below(closed), "{text}");
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        done("rotate --force");
    }
}

#[test]
fn a_missing_owner_is_bad_input() {
    crate::need_root();
    let fixture = Fixture::new();
    for owner in ["nosuchuser", "postgres:nosuchgroup", "4242"] {
        let mut command = fixture.command(["init", "localhost", "--no-root-passphrase"]);
        let output = finish(command.args(["--install", "tls", "--owner", owner]));
        assert_eq!(ended_well(&output), Ok(4), "{}", said(&output));
        assert!(fixture.tree().0.is_empty());
    }
}

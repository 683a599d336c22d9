//! Files of the home that are not what they should be.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pgpki_testing::Scene;

use crate::refusal::{Refusal, enormous, fifo, none, refuses, scene_with_authority, secret};

const BAD_INPUT: i32 = 4;

/// One kind of damage.
type Damage = fn(&Scene, &Path);

const DAMAGES: [(&str, Damage); 8] = [
    ("garbage", |_, file| {
        secret(file, b"\x00\xffgarbage\n".repeat(1000))
    }),
    ("empty", |_, file| secret(file, "")),
    // The last half of the settings is optional.
    ("cut to a third", |_, file| {
        let bytes = fs::read(file).unwrap();
        secret(file, &bytes[..bytes.len() / 3]);
    }),
    ("enormous", |_, file| enormous(file)),
    ("missing", |_, file| fs::remove_file(file).unwrap()),
    ("a directory", |_, file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    }),
    ("a FIFO", |_, file| {
        fs::remove_file(file).unwrap();
        fifo(file);
    }),
    ("a symlink", |scene, file| {
        let elsewhere = scene.path("elsewhere");
        fs::rename(file, &elsewhere).unwrap();
        symlink(elsewhere, file).unwrap();
    }),
];

/// Damages `file` of the home in every way, and runs `args` on each.
#[track_caller]
fn refuses_damaged(file: &str, args: &[&str]) {
    let mut problems = Vec::new();
    for (what, damage) in DAMAGES {
        let scene = scene_with_authority();
        damage(&scene, &scene.home().join(file));
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        let says: &[&str] = match (what, name) {
            // Without it the directory is no home.
            ("missing", "pgpki.toml") => &["not the home"],
            _ => &[name],
        };
        let refusal = Refusal {
            args,
            status: BAD_INPUT,
            says,
        };
        let problem = refusal.problem(&scene, Stdio::null());
        problems.extend(problem.map(|problem| format!("{file} is {what}: {problem}")));
    }
    none(problems);
}

const ISSUE: &[&str] = &["issue-client", "alice", "--out", "clients"];

#[test]
fn the_settings() {
    refuses_damaged("pgpki.toml", ISSUE);
}

#[test]
fn the_ledger() {
    refuses_damaged("ledger.db", ISSUE);
}

#[test]
fn the_ledger_when_it_is_only_read() {
    refuses_damaged("ledger.db", &["inspect"]);
}

#[test]
fn the_issuing_cas_certificate() {
    refuses_damaged("issuing/g0001/ca.crt", ISSUE);
}

#[test]
fn the_issuing_cas_key() {
    refuses_damaged("issuing/g0001/ca.key", ISSUE);
}

/// Long before anything is due, and to whoever only asks what would be done.
#[test]
fn the_issuing_cas_key_when_nothing_is_due() {
    refuses_damaged("issuing/g0001/ca.key", &["rotate"]);
    refuses_damaged("issuing/g0001/ca.key", &["rotate", "--dry-run"]);
}

#[test]
fn the_roots_certificate() {
    refuses_damaged("root/g0001/ca.crt", ISSUE);
}

#[test]
fn files_that_have_changed_places() {
    let swaps = [
        ("issuing/g0001/ca.crt", "root/g0001/ca.crt"),
        ("issuing/g0001/ca.key", "root/g0001/ca.key"),
        ("issuing/g0001/ca.crt", "issuing/g0001/ca.key"),
        ("pgpki.toml", "ledger.db"),
    ];
    let mut problems = Vec::new();
    for (one, other) in swaps {
        let scene = scene_with_authority();
        let path = |name: &str| -> PathBuf { scene.home().join(name) };
        let (first, second) = (fs::read(path(one)).unwrap(), fs::read(path(other)).unwrap());
        secret(&path(one), second);
        secret(&path(other), first);
        // Of a certificate and a key that do not match, either may be the wrong one.
        let says = match one.contains("g0001") {
            true => "/ca.",
            false => one,
        };
        let refusal = Refusal {
            args: ISSUE,
            status: BAD_INPUT,
            says: &[says],
        };
        let problem = refusal.problem(&scene, Stdio::null());
        problems.extend(problem.map(|problem| format!("{one} for {other}: {problem}")));
    }
    none(problems);
}

#[test]
fn a_leaf_in_place_of_the_issuing_ca() {
    let scene = scene_with_authority();
    let leaf = |name: &str| fs::read(scene.tls().join("current").join(name)).unwrap();
    secret(
        &scene.home().join("issuing/g0001/ca.crt"),
        leaf("server.crt"),
    );
    secret(
        &scene.home().join("issuing/g0001/ca.key"),
        leaf("server.key"),
    );
    refuses(
        &scene,
        &Refusal {
            args: ISSUE,
            status: BAD_INPUT,
            says: &["issuing/g*/ca.crt", "ledger.db"],
        },
    );
}

/// Restored from the wrong backup: each file is sound, and what would be issued is good nowhere.
#[test]
fn files_of_another_authority() {
    let cases: [(&str, &[&str]); 3] = [
        ("root", &["root/g0001/ca.crt", "root/g0001/ca.key"]),
        ("issuing", &["issuing/g0001/ca.crt", "issuing/g0001/ca.key"]),
        ("ledger.db", &["ledger.db"]),
    ];
    let other = scene_with_authority();
    let mut problems = Vec::new();
    for (what, files) in cases {
        let scene = scene_with_authority();
        for file in files {
            let bytes = fs::read(other.home().join(file)).unwrap();
            secret(&scene.home().join(file), bytes);
        }
        for args in [ISSUE, &["rotate", "--force"]] {
            let refusal = Refusal {
                args,
                status: BAD_INPUT,
                says: &[what],
            };
            problems.extend(refusal.problem(&scene, Stdio::null()));
        }
    }
    none(problems);
}

#[test]
fn a_database_that_is_no_ledger() {
    // An empty database of SQLite's own making: its header, and a page of nothing.
    let scene = scene_with_authority();
    let ledger = scene.home().join("ledger.db");
    let mut bytes = fs::read(&ledger).unwrap();
    // The application id, at offset 68 (https://www.sqlite.org/fileformat.html).
    bytes[68..72].copy_from_slice(&[0; 4]);
    secret(&ledger, &bytes);
    for args in [ISSUE, &["inspect"], &["rotate", "--force"]] {
        refuses(
            &scene,
            &Refusal {
                args,
                status: BAD_INPUT,
                says: &["ledger.db", "not a ledger"],
            },
        );
    }
}

/// Refused rather than wrong: a newer pgpki can read it.
#[test]
fn a_ledger_of_a_newer_pgpki() {
    let scene = scene_with_authority();
    let ledger = scene.home().join("ledger.db");
    let mut bytes = fs::read(&ledger).unwrap();
    // The user version, at offset 60.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    secret(&ledger, &bytes);
    for args in [ISSUE, &["inspect"], &["rotate", "--force"]] {
        refuses(
            &scene,
            &Refusal {
                args,
                status: 3,
                says: &["ledger.db", "newer pgpki", "99"],
            },
        );
    }
}

#[test]
fn settings_with_mistakes() {
    let cases = [
        ("leaf = 365", "leaf = 0", "[lifetimes] leaf"),
        ("leaf = 365", "leaf = 1e9", "leaf"),
        ("leaf = 365", "leef = 365", "leef"),
        ("\"p256\"", "\"ed25519\"", "ed25519"),
        ("# country = \"DE\"", "country = \"Germany\"", "Germany"),
        ("[lifetimes]", "[lifetimes", "lifetimes"),
    ];
    for (from, to, reason) in cases {
        let scene = scene_with_authority();
        let file = scene.home().join("pgpki.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        secret(&file, text.replace(from, to));
        refuses(
            &scene,
            &Refusal {
                args: ISSUE,
                status: BAD_INPUT,
                says: &["pgpki.toml", reason, "editor"],
            },
        );
    }
}

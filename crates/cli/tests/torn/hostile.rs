//! The owner of the installation, and of the directory that folders are put in, is hostile.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::attacker::{Attacker, Canaries, PLANTS, Plant, give, plant};
use crate::fixture::{Fixture, finish, said};
use crate::state::ended_well;
use crate::tree::{Tree, contains};

/// How often pgpki runs while somebody is at work in its directories.
const RUNS: usize = 40;

/// Whether it ended as it should: done, or with an error that names the place.
#[track_caller]
fn check_end(output: &std::process::Output, place: &str, context: &str) -> i32 {
    check_end_among(&[0, 1, 3, 5], output, place, context)
}

#[track_caller]
fn check_end_among(ends: &[i32], output: &std::process::Output, place: &str, context: &str) -> i32 {
    let status = ended_well(output).unwrap_or_else(|why| panic!("{context}: {why}"));
    assert!(ends.contains(&status), "{context}: {}", said(output));
    let text = said(output);
    assert!(
        status == 0 || text.contains(place),
        "{context}: {place} is not named in {text}"
    );
    status
}

/// Names that pgpki uses in an installation whose live generation is g0002.
const INSTALLED: [&str; 12] = [
    "current",
    "g0001",
    "g0002",
    "g0003",
    "g9999",
    "g4294967295",
    "g0002/server.key",
    "g0002/server.crt",
    "g0001/server.key",
    "server.key",
    ".new-0123456789abcdef",
    ".current-0123456789abcdef",
];

#[test]
fn whatever_the_servers_user_has_planted_root_stays_in_the_installation() {
    crate::need_root();
    let fixture = Fixture::new();
    let mut canaries = Canaries::new(&fixture);
    let (uid, tls) = (fixture.owner().uid, fixture.path("tls"));
    fixture.init();
    fixture.pgpki("issue-client alice --out out");
    fixture.pgpki("rotate --force");
    let (home, out, good) = (
        Tree::read(&fixture.path("home")),
        Tree::read(&fixture.path("out")),
        Tree::read(&tls),
    );
    for name in INSTALLED {
        for what in PLANTS {
            home.restore(&fixture.path("home"));
            out.restore(&fixture.path("out"));
            good.restore(&tls);
            plant(what, &tls.join(name), &canaries, uid);
            canaries.watch();
            let context = format!("{what:?} as {name}");
            for _ in 0..2 {
                let output = finish(&mut fixture.command(["rotate", "--force"]));
                check_end(&output, &tls.display().to_string(), &context);
                canaries.check(&[tls.clone(), fixture.path("out")], &context);
            }
            // The others get theirs, whatever one of them does.
            assert_ne!(
                Tree::read(&fixture.path("out")).file("alice/postgresql.crt"),
                out.file("alice/postgresql.crt"),
                "{context}: alice was not renewed"
            );
        }
    }
}

#[test]
fn whatever_stands_where_an_installation_is_to_be_root_stays_out_of_it() {
    crate::need_root();
    let fixture = Fixture::new();
    let mut canaries = Canaries::new(&fixture);
    let (uid, tls) = (fixture.owner().uid, fixture.path("tls"));
    for name in ["current", "g0001", "server.key", ".new-0123456789abcdef"] {
        for what in PLANTS {
            fs::create_dir(&tls).unwrap();
            fs::set_permissions(&tls, Permissions::from_mode(0o700)).unwrap();
            give(&tls, uid);
            plant(what, &tls.join(name), &canaries, uid);
            canaries.watch();
            let context = format!("{what:?} as {name}");
            let output = finish(&mut fixture.command(fixture.init_line().split(' ')));
            let status = check_end(&output, &tls.display().to_string(), &context);
            canaries.check(&[tls.clone(), fixture.path("home")], &context);
            assert_eq!(
                fixture.path("home").exists(),
                status == 0,
                "{context}: {}",
                said(&output)
            );
            for path in [&tls, &fixture.path("home")] {
                crate::tree::remove(path);
            }
        }
    }
}

#[test]
fn while_the_servers_user_swaps_everything_root_stays_in_the_installation() {
    crate::need_root();
    let fixture = Fixture::new();
    let mut canaries = Canaries::new(&fixture);
    let (uid, tls) = (fixture.owner().uid, fixture.path("tls"));
    fixture.init();
    fixture.pgpki("issue-client alice --out out");
    canaries.watch();
    let mut attacker = Attacker::start(&tls, &canaries, uid);
    let mut done = 0;
    for run in 0..RUNS {
        let output = finish(&mut fixture.command(["rotate", "--force"]));
        // 6: the attacker has swapped what had just been installed, which can be neither proven nor put back.
        let status = check_end_among(
            &[0, 1, 3, 5, 6],
            &output,
            &tls.display().to_string(),
            &format!("run {run}"),
        );
        done += usize::from(status == 0);
        canaries.check(&[tls.clone(), fixture.path("out")], &format!("run {run}"));
        assert!(said(&output).contains("client alice"), "{}", said(&output));
    }
    assert!(attacker.is_at_work(), "the attacker has stopped by himself");
    eprintln!("{done} of {RUNS} rotations came through");
    fixture.pgpki("inspect --all");
}

/// Names that pgpki uses in a directory of folders, one of which is alice's.
const ON_A_SHELF: [&str; 10] = [
    "alice",
    "bob",
    "alice/postgresql.key",
    "alice/postgresql.crt",
    "alice/notes",
    ".pgpki",
    ".pgpki/alice",
    ".pgpki/alice/g0001",
    ".pgpki.new-0123456789abcdef",
    ".pgpki/.pgpki.new-0123456789abcdef",
];

#[test]
fn whatever_is_planted_among_the_folders_root_stays_there() {
    crate::need_root();
    let fixture = Fixture::new();
    let mut canaries = Canaries::new(&fixture);
    let (uid, out) = (fixture.owner().uid, fixture.path("out"));
    fixture.init();
    fixture.pgpki("issue-client alice --out out");
    fixture.pgpki("rotate --force");
    give(&out, uid);
    let (home, good) = (Tree::read(&fixture.path("home")), Tree::read(&out));
    for name in ON_A_SHELF {
        for what in PLANTS {
            home.restore(&fixture.path("home"));
            good.restore(&out);
            plant(what, &out.join(name), &canaries, uid);
            canaries.watch();
            for line in [
                "issue-client bob --out out",
                "rotate --force",
                "issue-client alice --out out",
            ] {
                let context = format!("{what:?} as {name}: {line}");
                let output = finish(&mut fixture.command(line.split(' ')));
                check_end(&output, &out.display().to_string(), &context);
                canaries.check(std::slice::from_ref(&out), &context);
            }
        }
    }
}

#[test]
fn while_the_owner_of_the_shelf_swaps_everything_root_stays_there() {
    crate::need_root();
    let fixture = Fixture::new();
    let mut canaries = Canaries::new(&fixture);
    let (uid, out) = (fixture.owner().uid, fixture.path("out"));
    fixture.init();
    fixture.pgpki("issue-client alice --out out");
    give(&out, uid);
    canaries.watch();
    let mut attacker = Attacker::start(&out, &canaries, uid);
    let mut done = 0;
    for run in 0..RUNS {
        let line = ["rotate --force", "issue-client alice bob --out out"][run % 2];
        let output = finish(&mut fixture.command(line.split(' ')));
        let context = format!("run {run}: {line}");
        done += usize::from(check_end(&output, &out.display().to_string(), &context) == 0);
        canaries.check(std::slice::from_ref(&out), &context);
    }
    assert!(attacker.is_at_work(), "the attacker has stopped by himself");
    eprintln!("{done} of {RUNS} runs came through");
    drop(attacker);
    assert!(
        !out.join("aside-stolen").exists(),
        "he could read a key that was not his"
    );
}

/// A role's key is not for whoever puts an empty directory where the role's folder was.
#[test]
fn the_owner_of_the_shelf_is_not_given_a_roles_key() {
    crate::need_root();
    for line in ["issue-client alice --out out", "rotate --force"] {
        let fixture = Fixture::new();
        let canaries = Canaries::new(&fixture);
        let (uid, out) = (fixture.owner().uid, fixture.path("out"));
        fixture.init();
        fixture.pgpki("issue-client alice --out out");
        give(&out, uid);
        fs::rename(out.join("alice"), out.join("was-alice")).unwrap();
        plant(Plant::EmptyDir, &out.join("alice"), &canaries, uid);
        let output = finish(&mut fixture.command(line.split(' ')));
        check_end(&output, &out.display().to_string(), line);
        for (path, node, bytes) in Tree::read(&out).files() {
            assert!(
                node.uid == 0 || !contains(bytes, b"PRIVATE KEY"),
                "{line}: {} is the other user's to read",
                path.display()
            );
        }
    }
}

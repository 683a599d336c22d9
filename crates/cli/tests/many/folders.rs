//! Folders that people have moved, changed, or put things into.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use serde_json::Value;

use crate::authority::{self, assert_whole, certificates, issued_to};

#[test]
fn a_folder_that_was_moved_away_is_reported_and_not_made_again() {
    let scene = authority::new();
    scene.pgpki("issue-client alice bob --out clients");
    fs::rename(scene.path("clients/alice"), scene.path("taken")).unwrap();
    let said = scene.pgpki("rotate --force");
    let line = said
        .lines()
        .find(|line| line.contains("moved away"))
        .expect(&said);
    assert!(
        line.contains("client alice") && line.contains("clients/alice"),
        "{said}"
    );
    assert!(!scene.path("clients/alice").exists());
    let recorded = certificates(&scene);
    assert_eq!(issued_to(&recorded, "alice"), 1);
    assert_eq!(issued_to(&recorded, "bob"), 2);
    assert_whole(&scene.path("clients/bob"), "bob", &recorded);

    // The directory of all of them, too.
    fs::rename(scene.path("clients"), scene.path("elsewhere")).unwrap();
    let output = scene
        .command(["rotate", "--force", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let moved: Vec<_> = report["places"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|place| place["outcome"] == "moved-away")
        .map(|place| place["name"].as_str().unwrap())
        .collect();
    assert_eq!(moved, ["alice", "bob"], "{report}");
    assert!(!scene.path("clients").exists());

    // Asked for again, it is there again.
    scene.pgpki("issue-client alice --out clients");
    assert_whole(&scene.path("clients/alice"), "alice", &certificates(&scene));
}

#[test]
fn of_many_that_were_moved_away_some_are_named_and_what_failed_stands_behind_them() {
    let scene = authority::new();
    let roles: Vec<String> = (0..60).map(|n| format!("role{n:02}")).collect();
    let mut command = scene.command(["issue-client", "--out", "clients", "zoe"]);
    pgpki_testing::run(command.args(&roles));
    for role in &roles {
        fs::remove_dir_all(scene.path("clients").join(role)).unwrap();
    }
    let zoe = scene.path("clients/zoe/postgresql.crt");
    fs::write(zoe, "something else").unwrap();
    let said = scene.pgpki("rotate --force");
    let lines: Vec<&str> = said.lines().collect();
    let moved = |line: &&&str| line.starts_with("moved away");
    assert_eq!(lines.iter().take_while(moved).count(), 50, "{said}");
    assert_eq!(lines[50], "  … and 10 more moved away; --json names all");
    assert_eq!(lines.iter().filter(moved).count(), 50, "{said}");
    let rest = lines[51..].join("\n");
    assert!(rest.contains("left alone  client zoe"), "{said}");
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let scene = authority::new();
    scene.pgpki("issue-client alice --out clients");
    let certificate = scene.path("clients/alice/postgresql.crt");
    for content in ["not a certificate", ""] {
        fs::write(&certificate, content).unwrap();
        let said = scene.pgpki("rotate --force");
        assert!(
            said.contains("left alone") && said.contains("alice"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(&certificate).unwrap(), content);
    }
}

/// What nobody has wanted, cron tells every day.
#[test]
fn a_folder_that_nothing_renews_as_it_is_ends_in_1() {
    let scene = authority::new();
    scene.pgpki("issue-client alice --out clients");
    let alice = scene.path("clients/alice");
    let certificate = fs::read(alice.join("postgresql.crt")).unwrap();
    fs::rename(&alice, scene.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(scene.path("elsewhere"), &alice).unwrap();
    for dry_run in [&["--dry-run"][..], &[]] {
        let args = [&["rotate", "--force", "--no-reload"], dry_run].concat();
        let output = scene.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let line = "left alone  client alice";
        assert!(
            said.contains(line) && said.contains("it is a symbolic link"),
            "{said}"
        );
        assert!(said.contains("put it right"), "{said}");
    }
    let elsewhere = scene.path("elsewhere/postgresql.crt");
    assert_eq!(fs::read(elsewhere).unwrap(), certificate);
}

#[test]
fn a_users_own_files_stay_and_three_generations_are_kept() {
    let scene = authority::new();
    scene.pgpki("issue-client alice --out clients");
    let alice = scene.path("clients/alice");
    fs::write(alice.join("notes.txt"), "mine").unwrap();
    fs::set_permissions(alice.join("notes.txt"), PermissionsExt::from_mode(0o640)).unwrap();
    fs::create_dir(alice.join("more")).unwrap();
    fs::write(alice.join("more/deep"), "mine too").unwrap();
    let mut keys = vec![fs::read(alice.join("postgresql.key")).unwrap()];
    for _ in 0..5 {
        let said = scene.pgpki("rotate --force");
        assert!(!said.contains("left"), "{said}");
        keys.push(fs::read(alice.join("postgresql.key")).unwrap());
        assert_eq!(fs::read_to_string(alice.join("notes.txt")).unwrap(), "mine");
        assert_eq!(
            fs::read_to_string(alice.join("more/deep")).unwrap(),
            "mine too"
        );
        let mode = alice
            .join("notes.txt")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
    }
    keys.dedup();
    assert_eq!(keys.len(), 6, "a key was used again");

    // The live one and the two before it, in which nothing is anybody else's.
    assert_eq!(
        generations(&scene.path("clients/.pgpki/alice"), "postgresql.key"),
        [&keys[3][..], &keys[4]]
    );
    assert_eq!(names(&scene.tls()), ["current", "g0004", "g0005", "g0006"]);
    for private in ["clients/.pgpki", "clients/.pgpki/alice"] {
        let mode = scene.path(private).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{private}");
    }
}

/// The content of `file` in each generation, the oldest first.
fn generations(dir: &Path, file: &str) -> Vec<Vec<u8>> {
    names(dir)
        .iter()
        .map(|name| fs::read(dir.join(name).join(file)).unwrap())
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn one_folder_that_cannot_be_renewed_does_not_keep_the_others() {
    let scene = authority::new();
    scene.pgpki("issue-client alice bob carol --out clients");
    // Others could have put the folder of a stranger here.
    let shelf = scene.path("clients");
    std::fs::set_permissions(&shelf, PermissionsExt::from_mode(0o775)).unwrap();
    for part in [
        "bob",
        "bob/postgresql.crt",
        "bob/postgresql.key",
        "bob/root.crt",
    ] {
        chown(shelf.join(part), Some(65534), Some(65534)).unwrap();
    }
    let before = std::fs::read(shelf.join("bob/postgresql.crt")).unwrap();
    let output = scene.command(["rotate", "--force"]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    for renewed in ["client alice", "client carol", "server localhost"] {
        assert!(report.contains(&format!("renewed  {renewed}")), "{report}");
    }
    assert!(report.contains("chmod go-w"), "{report}");
    assert_eq!(
        std::fs::read(shelf.join("bob/postgresql.crt")).unwrap(),
        before
    );

    // What the hint says helps, and the folder stays bob's.
    std::fs::set_permissions(&shelf, PermissionsExt::from_mode(0o755)).unwrap();
    scene.pgpki("rotate --force");
    assert_eq!(
        std::fs::metadata(shelf.join("bob/postgresql.key"))
            .unwrap()
            .uid(),
        65534
    );
}

#[test]
fn an_installation_does_not_become_a_folder() {
    let scene = authority::new();
    let current = std::fs::read_link(scene.tls().join("current")).unwrap();
    let error = scene.fails(3, "issue-server localhost 127.0.0.1 --out tls");
    assert!(error.contains("installation"), "{error}");
    assert_eq!(
        std::fs::read_link(scene.tls().join("current")).unwrap(),
        current
    );
    let error = scene.fails(
        3,
        &format!("issue-server other --install {}", scene.tls().display()),
    );
    assert!(error.contains("localhost"), "{error}");
}

/// Also in a form that pgpki knows, and has not made here.
#[test]
fn a_key_in_another_form_is_the_users_own() {
    let scene = authority::new();
    scene.pgpki("issue-client alice --out clients");
    let own = ["postgresql.pk8", "postgresql.pem", "postgresql.p12"];
    for name in own {
        fs::write(scene.path("clients/alice").join(name), "mine").unwrap();
    }
    for _ in 0..4 {
        scene.pgpki("rotate --force");
        for name in own {
            let path = scene.path("clients/alice").join(name);
            assert_eq!(fs::read_to_string(path).unwrap(), "mine", "{name}");
        }
    }
}

#[test]
fn directories_that_are_something_else_get_no_folders() {
    let scene = authority::new();
    fs::create_dir_all(scene.path("data/base")).unwrap();
    fs::write(scene.path("data/PG_VERSION"), "15\n").unwrap();
    scene.pgpki("issue-client bob --out clients");
    scene.pgpki("request carol --out requests");
    for out in [
        "home",
        "home/root",
        "data",
        "data/base",
        "tls",
        "clients/bob",
    ] {
        for command in [
            "issue-client alice",
            "issue-client alice --format pem",
            "sign --role carol requests/carol/postgresql.csr",
        ] {
            let error = scene.fails(3, &format!("{command} --out {out}"));
            assert!(error.contains("no place for folders"), "{error}");
            assert!(error.contains(out), "{error}");
        }
        assert!(!scene.path(out).join("alice").exists());
    }
    // Not even where it was.
    fs::rename(scene.tls(), scene.path("away")).unwrap();
    let error = scene.fails(3, "issue-client alice --out tls");
    assert!(error.contains("no place for folders"), "{error}");
    assert!(!scene.tls().exists());
}

/// Cron is the only one who looks, and a server that starts finds nothing.
#[test]
fn an_installation_that_is_gone_is_told_until_it_is_made_again_or_revoked() {
    let scene = authority::new();
    fs::rename(scene.tls(), scene.path("away")).unwrap();
    let tell = |args: &[&str]| {
        let output = scene.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for args in [
        &["rotate"][..],
        &["rotate", "--dry-run"],
        &["rotate", "--force"],
    ] {
        let said = tell(args);
        assert!(said.contains("it is not there any more"), "{said}");
    }
    let said = tell(&["rotate"]);
    let again = said.lines().find_map(|line| {
        let (command, _) = line
            .trim()
            .strip_prefix("pgpki ")?
            .split_once(" makes another")?;
        Some(command.to_owned())
    });
    scene.pgpki(&again.expect(&said));
    assert_eq!(scene.pgpki("rotate"), "");
    let home = format!(" --home {}", scene.home().display());
    let named = scene.tls();
    fs::rename(&named, scene.path("away-and-back")).unwrap();
    let said = tell(&["rotate", "--home", "home"]);
    assert_eq!(said.matches(&home).count(), 2, "{said}");
    fs::rename(scene.path("away-and-back"), &named).unwrap();

    fs::rename(scene.tls(), scene.path("away-too")).unwrap();
    let said = tell(&["rotate"]);
    let (_, revoke) = said.trim_end().rsplit_once("pgpki ").expect(&said);
    // 1: there is no server left that would refuse it.
    let revoked = scene.command(revoke.split(' ')).output().unwrap();
    assert_eq!(revoked.status.code(), Some(1), "{revoked:?}");
    assert_eq!(scene.pgpki("rotate"), "");
}

//! What `rotate` makes of them, and what a change of formats leaves.

use std::fs;

use pgpki_testing::openssl;

use super::{check_modes, files, names};
use crate::served::{issue_client, scene};

#[test]
fn a_rotation_keeps_the_formats_of_a_folder() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(&scene, "alice", &["--format", "jdbc,pem,k8s-secret"]);
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let before = files(&folder);
    scene.pgpki("rotate --force --no-reload");
    let after = files(&folder);
    assert!(before.keys().eq(after.keys()), "{:?}", after.keys());
    for (name, bytes) in &before {
        let stays = ["root.crt", "notes.txt"].contains(&name.as_str());
        assert_eq!(after[name] == *bytes, stays, "{name}");
    }
    let key = folder.join("postgresql.pk8");
    let from_key = openssl([
        "pkey",
        "-inform",
        "DER",
        "-pubout",
        "-in",
        key.to_str().unwrap(),
    ]);
    let leaf = folder.join("postgresql.crt");
    let from_leaf = openssl(["x509", "-noout", "-pubkey", "-in", leaf.to_str().unwrap()]);
    assert_eq!(from_key.stdout, from_leaf.stdout);
    fs::remove_file(folder.join("notes.txt")).unwrap();
    check_modes(&folder);
}

#[test]
fn a_container_is_left_to_whoever_knows_its_passphrase() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(
        &scene,
        "alice",
        &["--format", "libpq,pkcs12", "--generate-passphrase"],
    );
    let before = files(&folder);
    for line in [
        "rotate --force --no-reload --dry-run",
        "rotate --force --no-reload",
    ] {
        let said = scene.pgpki(line);
        assert!(said.contains("left alone"), "{said}");
        assert!(
            said.contains("only a person knows its passphrase"),
            "{said}"
        );
        assert_eq!(files(&folder), before);
    }
    assert!(
        !scene.pgpki("rotate --no-reload").contains("alice"),
        "it is not due"
    );
    issue_client(
        &scene,
        "alice",
        &["--format", "pkcs12", "--generate-passphrase"],
    );
    assert_ne!(files(&folder), before);
}

#[test]
fn who_names_no_format_keeps_those_that_are_there() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(&scene, "alice", &["--format", "jdbc,pem"]);
    let before = names(&folder);
    scene.pgpki("issue-client alice --out clients");
    assert_eq!(names(&folder), before);
    let line = "issue-client bob --out clients --format pkcs12 --generate-passphrase";
    scene.pgpki(line);
    let said = scene.fails(3, "issue-client bob --out clients");
    assert!(said.contains("--format"), "{said}");
}

#[test]
fn no_file_of_a_former_format_stays() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(&scene, "alice", &["--format", "libpq,pem"]);
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let said = scene.pgpki("issue-client alice --out clients --format jdbc");
    let gone = format!(
        "{} has no postgresql.key, postgresql.pem any more",
        folder.display()
    );
    assert!(said.contains(&gone), "{said}");
    assert!(said.contains("--format libpq,jdbc,pem would"), "{said}");
    let expected = ["notes.txt", "postgresql.crt", "postgresql.pk8", "root.crt"];
    assert_eq!(names(&folder), expected);
    // Until so many generations have gone by that the former ones are removed.
    for _ in 0..4 {
        scene.pgpki("rotate --force --no-reload");
    }
    assert_eq!(names(&folder), expected);
    assert_eq!(scene.pgpki("rotate --no-reload"), "");
}

/// Whose formats all stay is told nothing.
#[test]
fn only_what_is_gone_is_told() {
    let scene = scene();
    scene.init("");
    for (format, gone) in [
        ("docker", ""),
        ("docker,pem", ""),
        ("libpq,pem", "postgresql-compose.yaml"),
        ("libpq,pem", ""),
    ] {
        let said = scene.pgpki(&format!(
            "issue-client alice bob --out clients --format {format}"
        ));
        match gone {
            "" => assert!(!said.contains("any more"), "{said}"),
            gone => assert_eq!(
                said.matches(&format!("has no {gone} any more")).count(),
                2,
                "{said}"
            ),
        }
    }
}

/// libpq takes it for an engine; what else there is in the folder is read by others.
#[test]
fn a_colon_in_the_path_of_a_key_is_told() {
    let scene = scene();
    scene.init("");
    let told = |line: &str, expected: bool| {
        let said = scene.pgpki(line);
        assert_eq!(
            said.contains("colon in its path"),
            expected,
            "{line}: {said}"
        );
    };
    told("issue-client app:rw --out clients", true);
    told("issue-client app:ro --out clients --format jdbc", false);
    told("issue-client alice --out clients", false);
    told("issue-client alice bob --out 10:30", true);
    told("request carol:x --out requests", true);
    told("request carol --out requests", false);
}

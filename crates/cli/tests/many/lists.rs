//! Roles by the thousand, from a list.

use std::fs;
use std::process::Stdio;

use pgpki_testing::run;

use crate::authority::{self, assert_no_leftovers, assert_whole, certificates, issued_to};

#[test]
fn two_thousand_roles_through_standard_input() {
    const ROLES: usize = 2000;
    let scene = authority::new();
    let roles: Vec<String> = (0..ROLES).map(|n| format!("role {n}")).collect();
    fs::write(scene.path("roles"), roles.join("\n")).unwrap();
    let issue = || {
        let list = fs::File::open(scene.path("roles")).unwrap();
        let mut command = scene.command(["issue-client", "--from", "-", "--out", "clients"]);
        String::from_utf8(run(command.stdin(Stdio::from(list))).stdout).unwrap()
    };
    let said = issue();
    assert!(said.contains("2000 roles"), "{said}");
    assert!(!said.contains("already"), "{said}");
    assert!(said.lines().count() < 20, "{said}");

    let recorded = certificates(&scene);
    assert_eq!(recorded.len(), 3 + ROLES);
    assert_eq!(fs::read_dir(scene.path("clients")).unwrap().count(), ROLES);
    for role in [&roles[0], &roles[999], &roles[1999]] {
        assert_whole(&scene.path("clients").join(role), role, &recorded);
    }

    let said = issue();
    assert!(
        said.contains("role 0 already had a certificate, which stays valid until"),
        "{said}"
    );
    assert!(said.contains("1950 more roles already had one"), "{said}");
    let recorded = certificates(&scene);
    assert_eq!(recorded.len(), 3 + 2 * ROLES);
    assert_whole(&scene.path("clients/role 7"), "role 7", &recorded);
    assert_no_leftovers(&scene.path(""));
}

#[test]
fn a_list_is_taken_line_by_line_and_each_role_once() {
    let scene = authority::new();
    fs::write(scene.path("roles"), "alice\n\n bob \ncarol\r\nalice\n").unwrap();
    let said = scene.pgpki("issue-client dave alice --from roles --out clients");
    let mut folders: Vec<_> = fs::read_dir(scene.path("clients"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, [" bob ", "alice", "carol", "dave"], "{said}");
    let recorded = certificates(&scene);
    assert_eq!(issued_to(&recorded, "alice"), 1);
}

#[test]
fn a_role_with_a_live_certificate_gets_another_and_is_told_so() {
    let scene = authority::new();
    let said = scene.pgpki("issue-client alice --out clients");
    assert!(!said.contains("already"), "{said}");
    let said = scene.pgpki("issue-client alice bob --out clients");
    assert!(said.contains("alice already had a certificate"), "{said}");
    assert!(!said.contains("bob already"), "{said}");
    assert_eq!(issued_to(&certificates(&scene), "alice"), 2);
}

#[test]
fn a_role_that_was_revoked_comes_in_again_and_is_told_of() {
    let scene = authority::new();
    scene.pgpki("issue-client alice bob --out clients");
    // No server uses the installation, which is an exit status of its own.
    let output = scene.command(["revoke", "alice"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let again = "alice was revoked before";
    let said = scene.pgpki("issue-client alice bob --out clients");
    assert!(said.contains(again), "{said}");
    assert!(said.contains("bob already had a certificate"), "{said}");
    // Now she has one that counts.
    let said = scene.pgpki("issue-client alice --out clients");
    assert!(said.contains("alice already had a certificate"), "{said}");
    assert!(!said.contains(again), "{said}");
}

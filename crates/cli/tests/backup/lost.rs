//! CAs that were made after the backup: their keys are lost, and what they have signed goes on
//! counting, or is revoked.

use std::fs;
use std::path::Path;

use pgpki_testing::{Scene, attempt};
use std::process::Command;

use crate::fixture::{BAD_INPUT, DONE, FINDINGS, back_up, ends, lose_home, restore, scene};

/// What a server that has this scene's installation makes of a client's certificate.
fn accepts(scene: &Scene, folder: &Path) -> Result<(), String> {
    let current = scene.tls().join("current");
    let certificate = folder.join("postgresql.crt");
    attempt(
        Command::new("openssl")
            .args(["verify", "-crl_check_all", "-purpose", "sslclient"])
            .args(["-CAfile".as_ref(), current.join("root.crt").as_os_str()])
            .args(["-CRLfile".as_ref(), current.join("root.crl").as_os_str()])
            .args(["-untrusted".as_ref(), certificate.as_os_str()])
            .arg(&certificate),
    )
    .map(drop)
}

/// Keeps a copy of a folder, as somebody it was handed to.
fn handed_over(scene: &Scene, role: &str) -> std::path::PathBuf {
    let to = scene.path(format!("at-{role}"));
    fs::create_dir(&to).unwrap();
    for name in ["postgresql.crt", "root.crt"] {
        fs::copy(scene.path(format!("out/{role}/{name}")), to.join(name)).unwrap();
    }
    to
}

/// Nobody runs a server here, so that it may say that nobody enforces it.
fn compromised(scene: &Scene) {
    let (status, said) = ends(&mut scene.command(["rotate", "--issuing", "--compromised"]));
    assert!(matches!(status, Some(DONE | FINDINGS)), "{said}");
    assert!(said.contains("those before it are revoked"), "{said}");
}

#[test]
fn clients_of_a_lost_issuing_ca_go_on() {
    let scene = scene();
    back_up(&scene, "pki.age");
    scene.pgpki("rotate --issuing");
    scene.pgpki("issue-client carol --out out");
    let carol = handed_over(&scene, "carol");
    let alice = handed_over(&scene, "alice");
    accepts(&scene, &carol).unwrap();
    lose_home(&scene);
    let report = restore(&scene, "pki.age");
    assert!(
        report.contains("a CA whose key is lost: localhost issuing CA 2"),
        "{report}"
    );
    scene.pgpki("rotate");
    accepts(&scene, &carol).unwrap();
    accepts(&scene, &alice).unwrap();
    accepts(&scene, &scene.path("out/carol")).unwrap();
    // The next one has a name of its own.
    scene.pgpki("rotate --issuing");
    let listed = scene.pgpki("inspect --all");
    assert!(listed.contains("issuing CA 3"), "{listed}");
    accepts(&scene, &carol).unwrap();

    // A home that knows a CA without its key is backed up and restored as well.
    back_up(&scene, "second.age");
    lose_home(&scene);
    restore(&scene, "second.age");
    assert_eq!(scene.pgpki("rotate"), "");
    accepts(&scene, &carol).unwrap();

    // One certificate of it cannot be revoked, and it is said what can be done.
    let (status, said) = ends(&mut scene.command(["revoke", "at-carol/postgresql.crt"]));
    assert_eq!(status, Some(BAD_INPUT), "{said}");
    assert!(said.contains("rotate --issuing --compromised"), "{said}");
    compromised(&scene);
    let refused = accepts(&scene, &carol).unwrap_err();
    assert!(refused.contains("certificate revoked"), "{refused}");
    accepts(&scene, &scene.path("out/carol")).unwrap();
}

#[test]
fn an_issuing_ca_that_was_revoked_since_stays_revoked() {
    let scene = scene();
    let alice = handed_over(&scene, "alice");
    back_up(&scene, "pki.age");
    compromised(&scene);
    accepts(&scene, &alice).unwrap_err();
    accepts(&scene, &scene.path("out/alice")).unwrap();
    lose_home(&scene);
    let report = restore(&scene, "pki.age");
    let line = "a CA that was revoked: localhost issuing CA 1";
    assert!(report.contains(line), "{report}");
    // Without a CA that signs, a rotation begins with one. Who must be handed something is told once more, and again
    // because there is no server that could say that it has loaded its files.
    for _ in 0..2 {
        let (status, said) = ends(&mut scene.command(["rotate"]));
        assert_eq!(status, Some(FINDINGS), "{said}");
        assert!(said.contains("  client alice  "), "{said}");
    }
    assert_eq!(scene.pgpki("rotate"), "");
    accepts(&scene, &alice).unwrap_err();
    accepts(&scene, &scene.path("out/alice")).unwrap();
    scene.pgpki("issue-client carol --out out");
    accepts(&scene, &scene.path("out/carol")).unwrap();
}

#[test]
fn a_new_root_that_is_lost_is_gone_back_from() {
    let scene = scene();
    back_up(&scene, "pki.age");
    scene.pgpki("rotate --root");
    scene.pgpki("issue-client carol --out out");
    let (alice, carol) = (handed_over(&scene, "alice"), handed_over(&scene, "carol"));
    lose_home(&scene);
    let report = restore(&scene, "pki.age");
    assert!(
        report.contains("a CA whose key is lost: localhost root CA 2"),
        "{report}"
    );
    assert!(
        report.contains("pgpki rotate --root, later --root --finish"),
        "{report}"
    );
    scene.pgpki("rotate");
    for folder in [&alice, &carol, &scene.path("out/carol")] {
        accepts(&scene, folder).unwrap();
    }
    scene.pgpki("rotate --root");
    let listed = scene.pgpki("inspect --all");
    assert!(listed.contains("root CA 3"), "{listed}");
    for folder in [&alice, &carol, &scene.path("out/carol")] {
        accepts(&scene, folder).unwrap();
    }

    // Its own key is not needed to take it out: the old root has signed it, and takes that back.
    compromised(&scene);
    for folder in [&alice, &carol] {
        let refused = accepts(&scene, folder).unwrap_err();
        assert!(refused.contains("certificate revoked"), "{refused}");
    }
    accepts(&scene, &scene.path("out/carol")).unwrap();
}

//! `rotate` from cron, where the issuing key is encrypted.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::stage::{BAD_INPUT, DONE, FINDINGS, Stage};

const INIT: [&str; 3] = ["--no-root-passphrase", "--issuing-passphrase-file", "right"];

#[test]
fn nothing_due_asks_for_nothing() {
    let stage = Stage::encrypted();
    for more in [
        &[][..],
        &["--issuing-passphrase-command", "echo asked >asked; false"],
        &["--root-passphrase-command", "echo asked >asked; false"],
    ] {
        let said = stage.unchanged(DONE, &[&["rotate"], more].concat());
        assert_eq!(said, "");
        assert!(!stage.scene.path("asked").exists());
    }
}

/// The server's certificate is due, and the CAs are not.
#[test]
fn what_is_due_waits_for_the_passphrase() {
    let stage = Stage::since("-300d", &INIT);
    let said = stage.unchanged(FINDINGS, &["rotate"]);
    assert!(said.contains("due  server localhost  ends "), "{said}");
    for way in [
        "needs the issuing key's passphrase",
        "--issuing-passphrase-file FILE",
        "--issuing-passphrase-command COMMAND",
        "pgpki.issuing-passphrase",
    ] {
        assert_eq!(said.matches(way).count(), 1, "{way}: {said}");
    }
    let json = stage.unchanged(FINDINGS, &["rotate", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["places"][0]["outcome"], "passphrase-needed", "{json}");
    let reason = json["places"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("issuing/g0001/ca.key"), "{reason}");

    let dry = |file| ["rotate", "--dry-run", "--issuing-passphrase-file", file];
    let said = stage.unchanged(FINDINGS, &["rotate", "--dry-run"]);
    assert!(said.contains("due  server localhost  ends "), "{said}");
    stage.unchanged(BAD_INPUT, &dry("wrong"));
    let said = stage.unchanged(DONE, &dry("right"));
    assert!(said.contains("would renew  server localhost"), "{said}");

    let with = |file| ["rotate", "--issuing-passphrase-file", file];
    let said = stage.unchanged(BAD_INPUT, &with("wrong"));
    assert!(
        said.contains("the passphrase does not open the key"),
        "{said}"
    );
    let said = stage.ends(DONE, &with("right"));
    assert!(said.contains("renewed  server localhost"), "{said}");
    stage.unchanged(DONE, &["rotate"]);
}

/// The issuing CA itself is due: its successor needs both passphrases, and is encrypted like it.
#[test]
fn a_ca_that_is_due_waits_for_both() {
    let init = [
        "--root-passphrase-file",
        "other",
        "--issuing-passphrase-file",
        "right",
    ];
    let stage = Stage::since("-1500d", &init);
    let root = ["--root-passphrase-file", "other"];
    let issuing = ["--issuing-passphrase-file", "right"];
    let json = |more: &[&str]| {
        let said = stage.ends(FINDINGS, &[&["rotate", "--json"], more].concat());
        serde_json::from_str::<serde_json::Value>(&said).unwrap()
    };
    for more in [&[][..], &root, &issuing] {
        let dry = json(&[more, &["--dry-run"]].concat());
        assert_eq!(dry["issuing_ca"], "passphrase-needed", "{dry}");
    }
    stage.unchanged(
        BAD_INPUT,
        &["rotate", "--dry-run", "--root-passphrase-file", "right"],
    );
    let both = [&root[..], &issuing].concat();
    let said = stage.unchanged(DONE, &[&["rotate", "--dry-run"][..], &both].concat());
    assert!(said.contains("would renew  the issuing CA"), "{said}");
    assert!(said.contains("would renew  server localhost"), "{said}");
    let report = json(&[]);
    assert_eq!(report["issuing_ca"], "passphrase-needed", "{report}");
    assert!(report["issuing_ca_reason"].is_null(), "{report}");
    assert_eq!(
        report["places"][0]["outcome"], "passphrase-needed",
        "{report}"
    );
    let report = json(&root);
    assert_eq!(report["issuing_ca"], "passphrase-needed", "{report}");
    let reason = report["issuing_ca_reason"].as_str().unwrap();
    assert!(reason.contains("the issuing key's passphrase"), "{reason}");
    // The server is renewed by the CA that there is.
    let report = json(&issuing);
    assert_eq!(report["issuing_ca"], "passphrase-needed", "{report}");
    assert_eq!(report["places"][0]["outcome"], "renewed", "{report}");
    let said = stage.ends(FINDINGS, &[&["rotate"], &root[..]].concat());
    assert!(said.contains("due  the issuing CA ends"), "{said}");
    assert!(said.contains("is to be encrypted as this one's"), "{said}");
    let said = stage.ends(DONE, &[&["rotate"], &root[..], &issuing[..]].concat());
    assert!(said.contains("renewed  the issuing CA"), "{said}");
    assert!(stage.openssl_opens("issuing", 2, "right") && stage.is_encrypted("issuing", 2));
    stage.unchanged(DONE, &["rotate"]);
}

/// A stolen issuing key was replaced, and the server could not be given what came in its place: as long as the passphrase
/// is missing, that is told, and has not come to its end.
#[test]
fn a_revoked_ca_stays_open_while_the_passphrase_is_missing() {
    let stage = Stage::encrypted();
    let right = ["--issuing-passphrase-file", "right"];
    let compromised = ["rotate", "--issuing", "--compromised"];
    fs::set_permissions(stage.scene.tls(), PermissionsExt::from_mode(0o777)).unwrap();
    let said = stage.ends(FINDINGS, &[&compromised[..], &right].concat());
    assert!(said.contains("failed  server localhost"), "{said}");
    fs::set_permissions(stage.scene.tls(), PermissionsExt::from_mode(0o700)).unwrap();
    for _ in 0..2 {
        let said = stage.unchanged(FINDINGS, &["rotate"]);
        assert!(said.contains("due  server localhost"), "{said}");
        assert!(
            said.contains("lets in whoever has a certificate of the revoked CA"),
            "{said}"
        );
    }
    let said = stage.ends(DONE, &[&["rotate"], &right[..]].concat());
    assert!(said.contains("renewed  server localhost"), "{said}");
    // Which is told to the ledger once.
    stage.ends(DONE, &["rotate"]);
    stage.unchanged(DONE, &["rotate"]);
}

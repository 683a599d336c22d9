//! Afterwards: who was revoked gets a new certificate from a person, not from cron.

use std::fs;

use crate::fixture::{EVERYTHING, Stage};
use crate::stage::{copied, installed_revocations, is_refused, revoke, serial_of};

#[test]
fn a_rotation_does_not_bring_back_who_was_revoked() {
    let stage = Stage::configured(&EVERYTHING);
    let (alice, bob) = (stage.client("alice"), stage.client("bob"));
    let old = stage.conninfo(&copied(&stage, &alice), "alice", &[]);
    let read = |name: &str| fs::read(alice.join(name)).unwrap();
    let serial = serial_of(&alice.join("postgresql.crt"));
    let bobs = serial_of(&bob.join("postgresql.crt"));
    revoke(&stage, 0, &["alice"]);
    let before = (read("postgresql.crt"), read("postgresql.key"));
    for args in [&["--force"][..], &["--issuing", "--force"]] {
        let report = stage.rotate(0, args);
        let places = report["places"].as_array().unwrap();
        let hers = |it: &&serde_json::Value| it["name"].as_str().unwrap().contains("alice");
        assert_eq!(places.iter().find(hers), None, "{args:?}");
        let after = (read("postgresql.crt"), read("postgresql.key"));
        assert_eq!(after, before, "{args:?}");
        is_refused(&stage, &old);
    }
    assert_ne!(serial_of(&bob.join("postgresql.crt")), bobs);
    assert_eq!(installed_revocations(&stage), [&*serial]);

    // Somebody lets her in again.
    stage.scene.pgpki("issue-client --out clients alice");
    let new = stage.conninfo(&alice, "alice", &[]);
    stage.connects(&new);
    is_refused(&stage, &old);
    stage.rotate(0, &["--force"]);
    stage.connects(&new);
    is_refused(&stage, &old);
    assert_eq!(installed_revocations(&stage), [serial]);
    stage.ledger_agrees();
}

#[test]
fn who_was_revoked_is_not_announced_as_next() {
    let stage = Stage::configured(&EVERYTHING);
    stage
        .scene
        .pgpki("issue-client alice --days 30 --out clients");
    stage.client("bob");
    let next = || stage.scene.pgpki("rotate --dry-run");
    assert!(next().contains("The next is client alice"), "{}", next());
    revoke(&stage, 0, &["alice"]);
    assert!(next().contains("The next is"), "{}", next());
    assert!(!next().contains("alice"), "{}", next());
}

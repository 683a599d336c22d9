//! An authority whose keys are files moves into a token.

use crate::token::pin_file;
use crate::vault::{ISSUING, REFUSED, ROOT, USAGE, Vault, connects, conninfo};

#[test]
fn the_next_root_and_the_next_issuing_ca_are_in_the_token() {
    let vault = Vault::new();
    vault.init(&["--no-root-passphrase"]);
    let cluster = vault.server();
    let alice = vault.client(&cluster, "alice", &[]);
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];

    vault.pgpki(&[&["rotate", "--root", "--root-key", ROOT][..], &pin].concat());
    assert!(vault.uri("root", 2).exists());
    let issuing = vault.scene.home().join("issuing/g0002");
    assert!(issuing.join("ca.key").exists() && !issuing.join("ca.uri").exists());
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
    // The issuing key is a file: nothing here needs the token.
    let bob = vault.client(&cluster, "bob", &[]);
    connects(&cluster, &conninfo(&cluster, "bob", &bob));

    vault.pgpki(&[&["rotate", "--issuing", "--issuing-key", ISSUING][..], &pin].concat());
    let last = vault.scene.home().join("issuing/g0003");
    assert!(last.join("ca.uri").exists() && !last.join("ca.key").exists());
    let carol = vault.client(&cluster, "carol", &pin);
    connects(&cluster, &conninfo(&cluster, "carol", &carol));
    vault.openssl_agrees("sslclient", &carol.join("postgresql.crt"));
    assert_eq!(vault.hsm.keys().len(), 2);
}

/// With one command for both, and the passphrase of the root that is left behind.
#[test]
fn from_an_encrypted_root() {
    let vault = Vault::new();
    let passphrase = crate::token::pin_file(&vault.scene, "passphrase", "correct horse");
    let passphrase = ["--root-passphrase-file", passphrase.to_str().unwrap()];
    vault.init(&passphrase);
    let (root, issuing) = (vault.with_pin(ROOT), vault.with_pin(ISSUING));
    let keys = [
        "rotate",
        "--root",
        "--root-key",
        &root,
        "--issuing-key",
        &issuing,
    ];
    vault.pgpki(&[&keys[..], &passphrase].concat());
    assert!(vault.uri("root", 2).exists() && vault.uri("issuing", 2).exists());
    vault.openssl_agrees("sslserver", &vault.scene.tls().join("current/server.crt"));
    // From now on there is no passphrase to be given, and the PIN is known.
    vault.pgpki(&["rotate", "--issuing"]);
    assert!(vault.uri("issuing", 3).exists());
}

#[test]
fn a_key_for_no_new_ca_is_a_mistake() {
    let vault = Vault::new();
    vault.init(&["--no-root-passphrase"]);
    let text = vault.ends(USAGE, &["rotate", "--issuing-key", ISSUING]);
    assert!(text.contains("--issuing"), "{text}");
    vault.ends(USAGE, &["rotate", "--root-key", ROOT]);
    assert!(vault.hsm.keys().is_empty());
}

/// `pgpki key` is for files: a key in a token is refused, and one that was in a file before it still changes.
#[test]
fn a_token_keeps_its_keys() {
    let vault = Vault::with_both(&[]);
    for act in [
        &["key", "encrypt", "root", "--generate-passphrase"][..],
        &["key", "decrypt", "issuing"],
    ] {
        let before = vault.state();
        let text = vault.ends(REFUSED, act);
        assert!(text.contains("the key is in a token"), "{text}");
        assert_eq!(vault.state(), before);
    }
    // The passphrase of an issuing key in a file is of no use to the next one in a token.
    let vault = Vault::new();
    pin_file(&vault.scene, "passphrase", "correct horse");
    let encrypted = [
        "--no-root-passphrase",
        "--issuing-passphrase-file",
        "passphrase",
    ];
    vault.init(&encrypted);
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];
    vault.pgpki(&[&["rotate", "--issuing", "--issuing-key", ISSUING][..], &pin].concat());
    vault.pgpki(&[&["issue-client", "alice", "--out", "clients"][..], &pin].concat());
    let text = vault.pgpki(&[
        "key",
        "decrypt",
        "issuing",
        "--passphrase-file",
        "passphrase",
    ]);
    assert!(text.contains("g0001/ca.key"), "{text}");
}

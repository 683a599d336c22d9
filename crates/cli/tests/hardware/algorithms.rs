//! Each kind of key, in the token from the beginning: a server starts on what it signed, a client gets in, and is kept
//! out by a CRL that it signed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::vault::{Vault, connects, conninfo, is_kept_out};

#[test]
fn p256() {
    works_with("p256", "NIST CURVE: P-256", "ecdsa-with-SHA256");
}

#[test]
fn p384() {
    works_with("p384", "NIST CURVE: P-384", "ecdsa-with-SHA384");
}

#[test]
fn rsa2048() {
    works_with(
        "rsa2048",
        "Public-Key: (2048 bit)",
        "sha256WithRSAEncryption",
    );
}

#[test]
fn rsa3072() {
    works_with(
        "rsa3072",
        "Public-Key: (3072 bit)",
        "sha256WithRSAEncryption",
    );
}

fn works_with(algorithm: &str, key: &str, signature: &str) {
    let vault = Vault::with_both(&["--key-algorithm", algorithm]);
    for store in ["root", "issuing"] {
        let text = vault.key_of(store);
        assert!(text.contains(key) && text.contains(signature), "{text}");
        let mode = vault.uri(store, 1).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    vault.no_key_is_in_the_home();
    stays_in_the_token(&vault);

    let cluster = vault.server();
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];
    let [alice, bob] = ["alice", "bob"].map(|role| vault.client(&cluster, role, &pin));
    let [of_alice, of_bob] =
        [("alice", &alice), ("bob", &bob)].map(|(role, folder)| conninfo(&cluster, role, folder));
    connects(&cluster, &of_alice);
    connects(&cluster, &of_bob);
    vault.openssl_agrees("sslserver", &vault.scene.tls().join("current/server.crt"));
    vault.openssl_agrees("sslclient", &alice.join("postgresql.crt"));

    let text = vault.pgpki(&["revoke", "bob", pin[0], pin[1]]);
    assert!(text.contains("revoked"), "{text}");
    let text = is_kept_out(&cluster, &of_bob);
    assert!(text.contains("revoked"), "{text}");
    connects(&cluster, &of_alice);
    vault.openssl_agrees("sslclient", &alice.join("postgresql.crt"));
}

/// pkcs11-tool says so of both keys, and that they do nothing but sign.
fn stays_in_the_token(vault: &Vault) {
    let keys = vault.hsm.keys();
    let mut labels: Vec<&str> = keys.iter().map(|(label, _)| &**label).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["issuing", "root"]);
    for (_, key) in &keys {
        assert!(key.contains("Usage:      sign\n"), "{key}");
        let access = "sensitive, always sensitive, never extractable, local";
        assert!(key.contains(access), "{key}");
    }
    let uri = fs::read_to_string(vault.uri("issuing", 1)).unwrap();
    assert!(uri.starts_with("pkcs11:token=vault;serial="), "{uri}");
    assert!(uri.contains(";object=issuing;id=%"), "{uri}");
}

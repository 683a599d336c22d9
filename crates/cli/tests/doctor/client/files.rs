//! Faults of the client's own files.

use std::fs;

use pgpki_testing::as_user;

use super::{Pairing, Seen, open_up};
use crate::material::{Material, Pair, set_mode, write_client};

/// Nobody, on Debian.
const NOBODY: u32 = 65_534;

#[test]
fn no_root() {
    let pairing = Pairing::new();
    fs::remove_file(pairing.file("root.crt")).unwrap();
    assert!(pairing.psql().contains("does not exist"));
    let seen = pairing.doctor();
    seen.assert(&["root-file-missing"]);
    seen.assert_file("root-file-missing", &pairing.file("root.crt"));
}

#[test]
fn a_key_that_others_may_read() {
    let pairing = Pairing::new();
    set_mode(&pairing.file("postgresql.key"), 0o644);
    assert!(pairing.psql().contains("has group or world access"));
    let seen = pairing.doctor();
    seen.assert(&["key-mode"]);
    seen.assert_file("key-mode", &pairing.file("postgresql.key"));
    // libpq lets root's key be read by a group.
    set_mode(&pairing.file("postgresql.key"), 0o640);
    assert_eq!(pairing.psql(), "");
    pairing.doctor().assert(&[]);
}

#[test]
fn a_key_that_the_user_may_not_read() {
    let pairing = Pairing::new();
    for folder in [&pairing.home, &pairing.folder()] {
        open_up(folder);
    }
    let conninfo = pairing.conninfo("sslmode=verify-full");
    let command = pairing.command(&conninfo);
    let place = pairing.material.scene.path("");
    let seen = Seen::of(&mut as_user(&command, NOBODY, NOBODY, &place));
    seen.assert(&["key-unreadable"]);
    seen.assert_file("key-unreadable", &pairing.file("postgresql.key"));
}

#[test]
fn another_ones_key() {
    let pairing = Pairing::new();
    let mixed = Pair {
        key: pairing.material.client("bob").key,
        ..pairing.material.client("alice")
    };
    pairing.take(&mixed);
    assert!(pairing.psql().contains("key values mismatch"));
    let seen = pairing.doctor();
    seen.assert(&["key-mismatch"]);
    seen.finding("not-presented");
}

#[test]
fn under_other_names() {
    let pairing = Pairing::new();
    let (certificate, key) = (pairing.file("mine.pem"), pairing.file("mine.key"));
    fs::rename(pairing.file("postgresql.crt"), &certificate).unwrap();
    fs::write(&key, pairing.material.client("bob").key).unwrap();
    set_mode(&key, 0o600);
    let files = format!("sslcert={} sslkey={}", certificate.display(), key.display());
    let conninfo = pairing.conninfo(&format!("sslmode=verify-full {files}"));
    let seen = Seen::of(&mut pairing.command(&conninfo));
    seen.assert(&["key-mismatch"]);
    seen.assert_file("key-mismatch", &key);
    assert!(
        seen.message("key-mismatch").contains("mine.pem"),
        "{}",
        seen.text
    );
}

#[test]
fn the_chain_in_the_wrong_order() {
    let pairing = Pairing::new();
    pairing.take(&pairing.material.client("alice").reversed());
    assert!(pairing.psql().contains("key values mismatch"));
    let seen = pairing.doctor();
    assert!(seen.codes().contains(&"chain-order") && seen.codes().contains(&"key-mismatch"));
}

#[test]
fn no_certificate() {
    let pairing = Pairing::new();
    for name in ["postgresql.crt", "postgresql.key"] {
        fs::remove_file(pairing.file(name)).unwrap();
    }
    assert!(
        pairing
            .psql()
            .contains("requires a valid client certificate")
    );
    let seen = pairing.doctor();
    seen.assert(&["client-certificate-missing", "login-refused"]);
    let refusal = seen.message("login-refused");
    assert!(
        refusal.contains("requires a valid client certificate"),
        "{refusal}"
    );
    // One that is named is missed, whatever the server says.
    let seen = Seen::of(&mut pairing.command("sslcert=/none sslmode=verify-full"));
    seen.assert(&["client-certificate-missing"]);
    seen.assert_file("client-certificate-missing", "/none".as_ref());
}

#[test]
fn a_certificate_without_its_key() {
    let pairing = Pairing::new();
    fs::remove_file(pairing.file("postgresql.key")).unwrap();
    assert!(pairing.psql().contains("not private key file"));
    let seen = pairing.doctor();
    seen.assert(&["key-missing"]);
    seen.assert_file("key-missing", &pairing.file("postgresql.crt"));
}

#[test]
fn files_that_are_something_else() {
    let pairing = Pairing::new();
    fs::write(pairing.file("root.crt"), "no certificate").unwrap();
    let seen = pairing.doctor();
    seen.assert(&["unreadable"]);
    seen.assert_file("unreadable", &pairing.file("root.crt"));
}

/// A client that checks revocation without the CRL of every CA refuses every server.
#[test]
fn a_crl_too_few() {
    let pairing = Pairing::new();
    fs::write(pairing.file("root.crl"), pairing.material.crls()).unwrap();
    assert_eq!(pairing.psql(), "");
    pairing.doctor().assert(&[]);
    fs::write(pairing.file("root.crl"), pairing.material.crl("+0d", &[])).unwrap();
    assert!(pairing.psql().contains("certificate verify failed"));
    let seen = pairing.doctor();
    seen.assert(&["crl-missing"]);
    assert!(
        seen.message("crl-missing").contains("localhost"),
        "{}",
        seen.text
    );
}

#[test]
fn another_authoritys_root() {
    let pairing = Pairing::new();
    let alice = pairing.material.client("alice");
    write_client(&pairing.folder(), &alice, &Material::new().root());
    assert!(pairing.psql().contains("certificate verify failed"));
    let seen = pairing.doctor();
    // That its own chain does not end there either is no fault: the server has taken it.
    seen.assert(&["chain-broken"]);
    let message = seen.message("chain-broken");
    assert!(
        message.contains("localhost") && message.contains("root.crt"),
        "{message}"
    );
    // The certificate passes, and the role does not.
    let conninfo = pairing.conninfo("sslmode=verify-full");
    let seen = Seen::of(pairing.command(&conninfo).args(["--role", "bob"]));
    seen.assert(&["chain-broken", "login-refused", "role-mismatch"]);
}

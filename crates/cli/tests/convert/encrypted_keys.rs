//! Encrypted keys that we write, as openssl and we read them again.

use crate::fixture::{
    BAD_INPUT, KINDS, OTHER, PASSPHRASE, mode, openssl, public_half, refuses, text, tried,
    with_credential,
};

#[test]
fn openssl_opens_each_kind() {
    for (kind, _) in KINDS {
        let scene = with_credential(kind);
        for (to, out) in [("pkcs8", "k.pem"), ("pem", "k.all"), ("der", "k.der")] {
            scene.pgpki(&format!(
                "convert alice.key --to {to} --new-passphrase-file pass --out {out}"
            ));
            assert_eq!(mode(&scene, out), 0o600);
            assert_eq!(
                public_half(&scene, out, PASSPHRASE),
                public_half(&scene, "alice.key", ""),
                "{kind} {to}"
            );
            let wrong = tried(
                &scene,
                "openssl",
                &format!("pkey -in {out} -passin file:other"),
            );
            assert!(wrong.is_err(), "{out} is open");
            // And back, under another passphrase.
            scene.pgpki(&format!(
                "convert {out} --passphrase-file pass --to pkcs8 --new-passphrase-file other --out again --force"
            ));
            assert_eq!(
                public_half(&scene, "again", OTHER),
                public_half(&scene, "alice.key", "")
            );
        }
        let pem = text(&scene, "k.pem");
        assert!(
            pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
            "{pem}"
        );
        let plain = openssl(&scene, "asn1parse -in k.pem");
        assert!(
            plain.contains("scrypt") && plain.contains("aes-256-cbc"),
            "{plain}"
        );
    }
}

/// Only keys are encrypted: whoever asks for it has not named the right file.
#[test]
fn nothing_else_is_encrypted() {
    let scene = with_credential("p256");
    for how in [
        "--new-passphrase-file pass",
        "--generate-passphrase",
        "--encrypt",
    ] {
        let said = refuses(
            &scene,
            BAD_INPUT,
            &format!("convert alice.crt --to pem {how} --out x"),
        );
        assert!(said.contains("there is no private key"), "{said}");
    }
}

/// A certificate beside an encrypted key stays as it is.
#[test]
fn certificates_stay_open() {
    let scene = with_credential("p256");
    scene.pgpki("convert alice.key alice.crt --to pem --new-passphrase-file pass --out both.pem");
    let both = text(&scene, "both.pem");
    assert!(both.ends_with(&text(&scene, "alice.crt")), "{both}");
    assert!(!both.contains("BEGIN PRIVATE KEY"), "{both}");
}

//! The next issuing CA's key, which waits for a company's answer while the keys that there are would change.

use std::fs;
use std::process::Command;

use pgpki_testing::run;

use crate::stage::{DONE, REFUSED, Stage};

/// An authority under a CA that OpenSSL has made, with a request for the next issuing CA.
fn asked() -> Stage {
    let made = tempfile::tempdir().unwrap();
    let (key, certificate) = (made.path().join("ca.key"), made.path().join("ca.pem"));
    let mut request = Command::new("openssl");
    request.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-nodes",
        "-subj",
        "/CN=Company",
    ]);
    request.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-days", "3000"]);
    request.args([
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout",
    ]);
    run(request.arg(&key).arg("-out").arg(&certificate));
    let stage = Stage::with(&[
        "--no-root-passphrase",
        "--issuer-cert",
        certificate.to_str().unwrap(),
        "--issuer-key",
        key.to_str().unwrap(),
    ]);
    stage.ends(DONE, &["rotate", "--request-issuing", "next.csr"]);
    stage
}

#[test]
fn no_key_is_changed_without_the_one_that_waits() {
    let stage = asked();
    let next = stage.scene.home().join("next");
    let encrypt = |whose| ["key", "encrypt", whose, "--new-passphrase-file", "right"];
    let said = stage.unchanged(REFUSED, &encrypt("issuing"));
    assert!(said.contains("rotate --install-issuing"), "{said}");
    assert!(said.contains(next.to_str().unwrap()), "{said}");
    stage.ends(DONE, &encrypt("root"));
    // Given up, as the hint says, it is in nobody's way.
    fs::remove_dir_all(next).unwrap();
    stage.ends(DONE, &encrypt("issuing"));
    assert!(stage.is_encrypted("issuing", 1));
    let with_right = ["--issuing-passphrase-file", "right"];
    let ask = ["rotate", "--request-issuing", "again.csr"];
    stage.ends(DONE, &[&ask[..], &with_right].concat());
    for act in ["decrypt", "change-passphrase"] {
        let old = ["--passphrase-file", "right"];
        stage.unchanged(REFUSED, &[&["key", act, "issuing"][..], &old].concat());
    }
}

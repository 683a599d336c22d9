//! What succeeds a CA whose key is in a token has its own in the same one.

use std::fs;

use pgpki_testing::{attempt, openssl, run};

use crate::vault::{FINDINGS, Vault, connects, conninfo, is_kept_out};

#[test]
fn a_new_root_is_signed_by_the_old_one_in_the_token() {
    let vault = Vault::with_both(&[]);
    let cluster = vault.server();
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];
    let alice = vault.client(&cluster, "alice", &pin);
    let old = fs::read(alice.join("root.crt")).unwrap();
    let kept = vault.scene.path("kept");
    fs::create_dir(&kept).unwrap();
    for file in ["root.crt", "postgresql.crt", "postgresql.key"] {
        fs::copy(alice.join(file), kept.join(file)).unwrap();
    }

    vault.pgpki(&["rotate", "--root", pin[0], pin[1]]);
    vault.no_key_is_in_the_home();
    let mut labels: Vec<String> = vault
        .hsm
        .keys()
        .into_iter()
        .map(|(label, _)| label)
        .collect();
    labels.sort_unstable();
    let new = ["localhost issuing CA 2", "localhost root CA 2"];
    assert_eq!(labels, ["issuing", new[0], new[1], "root"]);

    // Whoever has the old root only, and its old certificate, still gets in: the cross-certificate was signed.
    connects(&cluster, &conninfo(&cluster, "alice", &kept));
    assert_eq!(fs::read(kept.join("root.crt")).unwrap(), old);
    let server = vault.scene.tls().join("current/server.crt");
    let (root, server) = (kept.join("root.crt"), server.to_str().unwrap().to_owned());
    let root = root.to_str().unwrap();
    let verify = [
        "verify",
        "-x509_strict",
        "-no-CApath",
        "-no-CAstore",
        "-CAfile",
        root,
    ];
    openssl([&verify[..], &["-untrusted", &server, &server]].concat());
    vault.openssl_agrees("sslserver", &vault.scene.tls().join("current/server.crt"));

    // A client of the new one.
    let bob = vault.client(&cluster, "bob", &pin);
    connects(&cluster, &conninfo(&cluster, "bob", &bob));
    let certificate = bob.join("postgresql.crt");
    vault.openssl_agrees("sslclient", &certificate);
    let wrong = [&verify[..5], &["/dev/null", certificate.to_str().unwrap()]].concat();
    assert!(attempt(std::process::Command::new("openssl").args(wrong)).is_err());
}

#[test]
fn a_new_issuing_ca_has_a_key_beside_the_old_one() {
    let vault = Vault::with_both(&[]);
    let cluster = vault.server();
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];
    let alice = vault.client(&cluster, "alice", &pin);
    let text = vault.pgpki(&["rotate", "--issuing", pin[0], pin[1]]);
    assert!(
        text.contains("made the p256 key object=localhost%20issuing%20CA%202"),
        "{text}"
    );
    vault.no_key_is_in_the_home();
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
    let bob = vault.client(&cluster, "bob", &pin);
    connects(&cluster, &conninfo(&cluster, "bob", &bob));

    // And one that takes its place, because it was stolen.
    let stolen = vault.scene.path("stolen");
    run(std::process::Command::new("cp")
        .arg("-a")
        .args([&bob, &stolen]));
    // Whoever has the old one must be handed another.
    let revoke = ["rotate", "--issuing", "--compromised", pin[0], pin[1]];
    vault.ends(FINDINGS, &revoke);
    let text = is_kept_out(&cluster, &conninfo(&cluster, "bob", &stolen));
    assert!(text.contains("revoked"), "{text}");
    connects(&cluster, &conninfo(&cluster, "bob", &bob));
    vault.no_key_is_in_the_home();
}

//! Private keys, as OpenSSL reads them.

use std::fs;
use std::path::Path;
use std::process::Command;

use pgpki_testing::{Scene, attempt, openssl, run};

use crate::issued::{Issued, openssl_says};

#[test]
fn every_key_is_plain_pkcs8_of_version_1_and_fits_its_certificate() {
    for (algorithm, clients) in [
        ("p256", &["p256", "p384", "ed25519", "rsa2048"][..]),
        ("rsa3072", &[]),
    ] {
        let issued = Issued::new(algorithm, clients);
        let cas = ["root", "issuing"].map(|ca| (issued.ca(ca, "ca.key"), issued.ca(ca, "ca.crt")));
        let leaves = issued.leaves();
        let leaves = leaves.into_iter().map(|leaf| (leaf.key, leaf.certificate));
        for (key, certificate) in leaves.chain(cas) {
            let text = fs::read_to_string(&key).unwrap();
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{key:?}");
            assert_fits(&key, &certificate, &[]);
            // RFC 5958: version 0 is PKCS#8's v1, the only one that OpenSSL 3.0 reads.
            let structure = openssl_says(&["asn1parse"], &key);
            let version = structure.lines().nth(1).unwrap();
            assert!(
                version.contains("INTEGER") && version.ends_with(":00"),
                "{structure}"
            );
        }
    }
}

#[test]
fn keys_are_of_the_kind_that_was_asked_for() {
    for (algorithm, kind) in [
        ("p256", "NIST CURVE: P-256"),
        ("p384", "NIST CURVE: P-384"),
        ("rsa2048", "(2048 bit"),
        ("rsa3072", "(3072 bit"),
        ("rsa4096", "(4096 bit"),
        ("ed25519", "ED25519 Private-Key"),
    ] {
        // One authority for each kind that CAs may have; otherwise the client alone.
        let issued = match algorithm {
            "p256" | "p384" => Issued::new(algorithm, &[]),
            _ => Issued::new("p256", &[]),
        };
        let line = format!("issue-client alice --out clients --key-algorithm {algorithm}");
        issued.scene.pgpki(&line);
        let key = issued.scene.path("clients/alice/postgresql.key");
        let text = openssl_says(&["pkey", "-noout", "-text"], &key);
        assert!(text.contains(kind), "{text}");
    }
}

#[test]
fn an_encrypted_root_key_opens_with_its_passphrase_alone() {
    for algorithm in ["p256", "rsa2048"] {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        // The first line, without its end.
        fs::write(scene.path("passphrase"), "größer als: 'x' \r\nnot this\n").unwrap();
        let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
        let owner = format!("{}:{}", owner.uid, owner.gid);
        let args = "init localhost --install tls --root-passphrase-file passphrase --owner";
        let args = args
            .split(' ')
            .chain([owner.as_str(), "--key-algorithm", algorithm]);
        run(&mut scene.command(args));
        let file = |name: &str| scene.home().join("root/current").join(name);
        let text = fs::read_to_string(file("ca.key")).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let passphrase = "pass:größer als: 'x' ";
        assert_fits(&file("ca.key"), &file("ca.crt"), &["-passin", passphrase]);
        for wrong in ["pass:", "pass:größer", "pass:größer als: 'x' \r"] {
            let mut pkey = Command::new("openssl");
            pkey.args(["pkey", "-noout", "-passin", wrong, "-in"])
                .arg(file("ca.key"));
            assert!(attempt(&mut pkey).is_err(), "{wrong:?} opens it");
        }
        // No other key is encrypted, and none is a copy of the root's.
        let issuing = scene.home().join("issuing/current/ca.key");
        assert_fits(&issuing, &scene.home().join("issuing/current/ca.crt"), &[]);
        assert_strong(&file("ca.key"));
    }
}

/// PBES2 with AES-256, and a derivation that takes its time.
fn assert_strong(key: &Path) {
    let structure = openssl_says(&["asn1parse"], key);
    assert!(structure.contains(":PBES2"), "{structure}");
    assert!(structure.contains(":aes-256-cbc"), "{structure}");
    let integers: Vec<u64> = structure
        .lines()
        .filter(|line| line.contains("INTEGER"))
        .map(|line| u64::from_str_radix(line.rsplit(':').next().unwrap(), 16).unwrap())
        .collect();
    let is_slow = match structure.contains(":scrypt") {
        true => integers.contains(&(1 << 14)),
        false => structure.contains(":hmacWithSHA256") && integers.iter().any(|it| *it >= 600_000),
    };
    assert!(is_slow, "{structure}");
}

#[track_caller]
fn assert_fits(key: &Path, certificate: &Path, more: &[&str]) {
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let of_key = openssl(["pkey", "-pubout", "-in", key].iter().chain(more)).stdout;
    let of_certificate = openssl(["x509", "-noout", "-pubkey", "-in", certificate]).stdout;
    assert_eq!(of_key, of_certificate, "{key}");
}

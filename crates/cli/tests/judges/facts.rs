//! What is in each certificate, as OpenSSL spells it out: exactly this, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use pgpki_testing::run;

use crate::issued::{Issued, Purpose, blocks, openssl_says};

const CONSTRAINTS: &str = "Basic Constraints: critical";
const KEY_USAGE: &str = "Key Usage: critical";
const EXTENDED: &str = "Extended Key Usage:";
const NAMES: &str = "Subject Alternative Name:";
const SKI: &str = "Subject Key Identifier:";
const AKI: &str = "Authority Key Identifier:";

/// The extensions of the first certificate (or CRL) in a file: `Name: critical` → value.
pub(crate) fn extensions(what: &str, file: &Path) -> BTreeMap<String, String> {
    let text = openssl_says(&[what, "-noout", "-text"], file);
    let mut found = BTreeMap::new();
    let mut name = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("X509v3 ") {
            if !rest.ends_with("extensions:") {
                name = Some(rest.to_owned());
            }
        } else if let Some(name) = name.take() {
            assert!(found.insert(name, line.to_owned()).is_none(), "{text}");
        }
    }
    found
}

#[test]
fn every_profile_has_exactly_its_extensions() {
    for (algorithm, clients) in [
        ("p256", &["p256", "ed25519"][..]),
        ("rsa2048", &["rsa2048"]),
    ] {
        let issued = Issued::new(algorithm, clients);
        let root = extensions("x509", &issued.ca("root", "ca.crt"));
        let issuing = extensions("x509", &issued.ca("issuing", "ca.crt"));
        for (ca, path_length, issuer) in [(&root, 2, &root), (&issuing, 0, &root)] {
            assert_eq!(ca[CONSTRAINTS], format!("CA:TRUE, pathlen:{path_length}"));
            assert_eq!(ca[KEY_USAGE], "Certificate Sign, CRL Sign");
            assert_identifiers(ca, issuer);
            assert_eq!(ca.len(), 4, "{ca:?}");
        }
        for leaf in issued.leaves() {
            let seen = extensions("x509", &leaf.certificate);
            assert_eq!(seen[CONSTRAINTS], "CA:FALSE");
            assert_eq!(seen[KEY_USAGE], "Digital Signature");
            assert_identifiers(&seen, &issuing);
            match leaf.purpose {
                Purpose::Server => {
                    assert_eq!(seen[EXTENDED], "TLS Web Server Authentication");
                    assert_eq!(
                        seen[NAMES],
                        "DNS:db.example.com, IP Address:10.0.0.5, \
                         IP Address:2001:DB8:0:0:0:0:0:5, DNS:*.nodes.example.com, \
                         DNS:xn--bcher-kva.example, DNS:upper.example.com"
                    );
                    assert_eq!(seen.len(), 6, "{seen:?}");
                }
                Purpose::Client => {
                    assert_eq!(seen[EXTENDED], "TLS Web Client Authentication");
                    assert_eq!(seen.len(), 5, "{seen:?}");
                }
            }
        }
    }
}

fn assert_identifiers(certificate: &BTreeMap<String, String>, issuer: &BTreeMap<String, String>) {
    assert_eq!(certificate[AKI], issuer[SKI]);
    assert!(certificate[SKI].len() >= 20 * 3 - 1, "{certificate:?}");
}

#[test]
fn serial_numbers_are_long_positive_and_never_the_same() {
    let issued = Issued::new("p256", &["p256", "p384"]);
    for _ in 0..3 {
        issued.scene.pgpki("rotate --force");
    }
    let generations = fs::read_dir(issued.scene.path("tls")).unwrap();
    let mut files: Vec<_> = generations
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("current"))
        .map(|path| path.join("server.crt"))
        .collect();
    files.extend(
        issued
            .leaves()
            .into_iter()
            .skip(1)
            .map(|leaf| leaf.certificate),
    );
    files.extend([issued.ca("root", "ca.crt"), issued.ca("issuing", "ca.crt")]);
    let serials: HashSet<String> = files
        .iter()
        .map(|file| {
            let text = openssl_says(&["x509", "-noout", "-serial"], file);
            let hex = text.trim().strip_prefix("serial=").unwrap().to_owned();
            // RFC 5280 section 4.1.2.2: at most 20 octets. OpenSSL writes negative ones with "-".
            assert!(!hex.starts_with('-') && hex.len() <= 40, "{hex}");
            // 128 random bits begin with four zero bytes once in four billion.
            assert!(hex.len() > 24, "{hex}");
            hex
        })
        .collect();
    assert_eq!(serials.len(), files.len());
}

#[test]
fn every_certificate_is_version_3_and_signed_with_sha_2() {
    for (algorithm, signature) in [
        ("p256", "ecdsa-with-SHA256"),
        ("p384", "ecdsa-with-SHA384"),
        ("rsa2048", "sha256WithRSAEncryption"),
    ] {
        let issued = Issued::new(algorithm, &["ed25519"]);
        let mut files: Vec<_> = issued
            .leaves()
            .into_iter()
            .map(|it| it.certificate)
            .collect();
        files.extend([issued.ca("root", "ca.crt"), issued.ca("issuing", "ca.crt")]);
        for file in files {
            let text = openssl_says(&["x509", "-noout", "-text"], &file);
            assert!(text.contains("Version: 3 (0x2)"), "{text}");
            let expected = format!("Signature Algorithm: {signature}\n");
            assert_eq!(text.matches(&expected).count(), 2, "{text}");
        }
        for block in blocks(&issued.crls()) {
            let file = issued.scene.path("one.crl");
            fs::write(&file, block).unwrap();
            let text = openssl_says(&["crl", "-noout", "-text"], &file);
            let expected = format!("Signature Algorithm: {signature}\n");
            assert_eq!(text.matches(&expected).count(), 2, "{text}");
        }
    }
}

#[test]
fn the_subject_is_what_was_asked_for() {
    let scene = pgpki_testing::Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let subject = [
        (
            "--organization",
            "Exämple, \"Ltd\" + Söhne",
            "organizationName",
        ),
        (
            "--organizational-unit",
            "Data = all",
            "organizationalUnitName",
        ),
        ("--country", "DE", "countryName"),
        ("--state", "Bavaria/Upper", "stateOrProvinceName"),
        ("--locality", "München", "localityName"),
    ];
    let mut args = vec![
        "init",
        "db.example.com",
        "--install",
        "tls",
        "--owner",
        &owner,
    ];
    args.push("--no-root-passphrase");
    args.extend(subject.iter().flat_map(|(flag, value, _)| [*flag, *value]));
    run(&mut scene.command(args));
    run(&mut scene.command(["issue-client", "--out", "clients", "d'Artagnan, Ümlaut"]));
    let files = [
        (scene.path("tls/current/server.crt"), "db.example.com"),
        (
            scene.path("clients/d'Artagnan, Ümlaut/postgresql.crt"),
            "d'Artagnan, Ümlaut",
        ),
        (
            scene.path("home/root/current/ca.crt"),
            "db.example.com root CA 1",
        ),
        (
            scene.path("home/issuing/current/ca.crt"),
            "db.example.com issuing CA 1",
        ),
    ];
    for (file, common_name) in files {
        let seen = names_of(&file, "-subject");
        let expected: BTreeMap<String, String> = subject
            .iter()
            .map(|(_, value, name)| ((*name).to_owned(), (*value).to_owned()))
            .chain([("commonName".to_owned(), common_name.to_owned())])
            .collect();
        assert_eq!(seen, expected, "{file:?}");
    }
}

/// The attributes of a subject or issuer, each with its value to the letter.
pub(crate) fn names_of(file: &Path, which: &str) -> BTreeMap<String, String> {
    let format = "multiline,utf8,-esc_msb,-esc_ctrl,-align";
    let text = openssl_says(&["x509", "-noout", which, "-nameopt", format], file);
    let lines = text.lines().skip(1);
    lines
        .map(|line| {
            let (name, value) = line.trim_start().split_once(" = ").expect(&text);
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

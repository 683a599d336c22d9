//! The revocation lists: one of every CA, from the start, until the end of that CA.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use pgpki_core::validity::CLOCK_TOLERANCE;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::facts::extensions;
use crate::issued::{Issued, blocks, openssl_says};

#[test]
fn every_ca_has_an_empty_list_until_its_own_end() {
    for algorithm in ["p256", "p384", "rsa2048"] {
        check(&Issued::new(algorithm, &[]));
    }
}

#[test]
fn a_list_beyond_2049_ends_with_its_ca_too() {
    check(&Issued::at("@2044-06-01 00:00:00"));
}

fn check(issued: &Issued) {
    let mut cas: BTreeMap<String, PathBuf> = ["root", "issuing"]
        .map(|ca| issued.ca(ca, "ca.crt"))
        .map(|file| {
            (
                name(&openssl_says(&["x509", "-noout", "-subject"], &file)),
                file,
            )
        })
        .into();
    let lists = blocks(&issued.crls());
    assert_eq!(lists.len(), cas.len());
    for list in lists {
        let file = issued.scene.path("one.crl");
        fs::write(&file, list).unwrap();
        let issuer = name(&openssl_says(&["crl", "-noout", "-issuer"], &file));
        let ca = cas.remove(&issuer).expect(&issuer);
        let end = openssl_says(&["x509", "-noout", "-enddate"], &ca);
        let next = openssl_says(&["crl", "-noout", "-nextupdate"], &file);
        assert_eq!(
            next.strip_prefix("nextUpdate="),
            end.strip_prefix("notAfter=")
        );
        let text = openssl_says(&["crl", "-noout", "-text"], &file);
        assert!(text.contains("Version 2 (0x1)"), "{text}");
        assert!(text.contains("No Revoked Certificates."), "{text}");
        let seen = extensions("crl", &file);
        let key = &extensions("x509", &ca)["Subject Key Identifier:"];
        assert_eq!(&seen["Authority Key Identifier:"], key);
        // The time at which it was signed, so that it grows even where the ones before are forgotten.
        let number: i64 = seen["CRL Number:"].parse().unwrap();
        let from = openssl_says(
            &["crl", "-noout", "-lastupdate", "-dateopt", "iso_8601"],
            &file,
        );
        let from = name(&from).replace(' ', "T");
        let from = OffsetDateTime::parse(&from, &Rfc3339).unwrap();
        assert_eq!(number, (from + CLOCK_TOLERANCE).unix_timestamp());
        // No issuing distribution point, which PostgreSQL's OpenSSL would refuse.
        assert_eq!(seen.len(), 2, "{seen:?}");
    }
}

/// What follows `issuer=`, `subject=` or `lastUpdate=`.
fn name(line: &str) -> String {
    line.trim().split_once('=').unwrap().1.to_owned()
}

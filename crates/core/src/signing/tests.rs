#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::*;
use crate::issue::{CaName, Holder, NewIssuing, parse};
use crate::key::{KeyAlgorithm, PrivateKey};
use crate::name::Organization;
use crate::name_constraints::Permitted;
use crate::validity::Days;

fn key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::P256).unwrap()
}

fn wrap(tag: Tag, content: &[u8]) -> Vec<u8> {
    element(tag, content).unwrap()
}

fn attribute(kind: u8, tag: Tag, value: &[u8]) -> Vec<u8> {
    let parts = [vec![6, 3, 0x55, 4, kind], wrap(tag, value)];
    wrap(Tag::Sequence, &parts.concat())
}

/// A name whose parts have these attributes.
fn name(parts: &[&[Vec<u8>]]) -> Vec<u8> {
    let parts = parts.iter().map(|part| wrap(Tag::Set, &part.concat()));
    wrap(Tag::Sequence, &parts.collect::<Vec<_>>().concat())
}

const COUNTRY: u8 = 6;
const ORGANIZATION: u8 = 10;
const UNIT: u8 = 11;
const COMMON: u8 = 3;

/// Names that companies have, each of which rcgen would write in another way.
fn odd_names() -> Vec<(&'static str, Vec<u8>)> {
    let text = |kind, value: &str| attribute(kind, Tag::Utf8String, value.as_bytes());
    let common = text(COMMON, "company CA");
    let bmp: Vec<u8> = "Größe".encode_utf16().flat_map(u16::to_be_bytes).collect();
    vec![
        (
            "two units",
            name(&[
                &[text(UNIT, "a")],
                &[text(UNIT, "b")],
                std::slice::from_ref(&common),
            ]),
        ),
        (
            "two attributes in one part",
            name(&[
                &[text(ORGANIZATION, "o"), text(UNIT, "u")],
                std::slice::from_ref(&common),
            ]),
        ),
        (
            "T61String",
            name(&[
                &[attribute(ORGANIZATION, Tag::TeletexString, b"Gr\xf6\xdfe")],
                std::slice::from_ref(&common),
            ]),
        ),
        (
            "BMPString",
            name(&[
                &[attribute(ORGANIZATION, Tag::BmpString, &bmp)],
                std::slice::from_ref(&common),
            ]),
        ),
        (
            "PrintableString",
            name(&[
                &[attribute(COUNTRY, Tag::PrintableString, b"DE")],
                &[attribute(COMMON, Tag::PrintableString, b"CA")],
            ]),
        ),
        (
            "an empty value",
            name(&[&[text(ORGANIZATION, "")], std::slice::from_ref(&common)]),
        ),
        (
            "from the bottom up",
            name(&[
                &[common],
                &[text(ORGANIZATION, "o")],
                &[attribute(COUNTRY, Tag::PrintableString, b"DE")],
            ]),
        ),
    ]
}

/// A root with exactly this name.
fn root_named(name: &[u8], now: OffsetDateTime) -> Ca {
    let private = key();
    let organization = Organization::default();
    let der = private.to_der();
    let (root, issued) = Ca::new_root(private, &organization, "root", now, Days::ROOT).unwrap();
    let names = [(CERTIFICATE_ISSUER, name), (CERTIFICATE_SUBJECT, name)];
    let der_of_root = root
        .sign_draft(&draft(&issued.der, &names).unwrap())
        .unwrap();
    Ca::load(&der_of_root, PrivateKey::from_pkcs8(&der).unwrap()).unwrap()
}

#[test]
fn the_issuers_name_survives_byte_for_byte() {
    let now = OffsetDateTime::now_utc();
    for (what, odd) in odd_names() {
        let root = root_named(&odd, now);
        assert_eq!(parse(root.der()).unwrap().subject().as_raw(), odd, "{what}");
        // The issuing CA of the same odd name, as a company may have changed ours.
        let answer = root_named(&odd, now);
        let issuing_key = key();
        let public = (&issuing_key).into();
        let new = NewIssuing {
            key: &public,
            name: CaName::Of(answer.der()),
            permitted: &Permitted::default(),
            days: Days::ISSUING,
            until: None,
        };
        let issued = root.issue(&new, now).unwrap();
        let parsed = parse(&issued.der).unwrap();
        assert_eq!(parsed.issuer().as_raw(), odd, "{what}");
        assert_eq!(parsed.subject().as_raw(), odd, "{what}");
        let issuing = Ca::load(&issued.der, issuing_key).unwrap();
        let holder = Holder::Server(vec!["db.example.com".parse().unwrap()]);
        let leaf = issuing.issue_leaf(
            &holder,
            &(&key()).into(),
            &Organization::default(),
            now,
            Days::LEAF,
        );
        let leaf = leaf.unwrap();
        assert_eq!(parse(&leaf.der).unwrap().issuer().as_raw(), odd, "{what}");
        let lists = [&root, &issuing].map(|ca| ca.sign_crl(1, &[], now).unwrap());
        for list in &lists {
            let (_, list) = CertificateRevocationList::from_der(list).unwrap();
            assert_eq!(list.issuer().as_raw(), odd, "{what}");
        }
        openssl_verifies(what, root.der(), issuing.der(), &leaf.der, &lists);
    }
}

fn openssl_verifies(what: &str, root: &[u8], issuing: &[u8], leaf: &[u8], lists: &[Vec<u8>]) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let lists: String = lists
        .iter()
        .map(|der| crate::pem("X509 CRL", der))
        .collect();
    write("root.pem", crate::pem("CERTIFICATE", root) + &lists);
    write("issuing.pem", crate::pem("CERTIFICATE", issuing));
    write("leaf.pem", crate::pem("CERTIFICATE", leaf));
    let arguments = [
        "verify",
        "-x509_strict",
        "-crl_check_all",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "issuing.pem",
        "leaf.pem",
    ];
    let output = openssl(folder.path(), &arguments);
    assert!(output.status.success(), "{what}: {output:?}");
}

fn openssl(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("openssl");
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_subject_can_be_anothers_to_the_octet() {
    let now = OffsetDateTime::now_utc();
    let (_, odd) = odd_names().swap_remove(1);
    let (named, root) = (
        root_named(&odd, now),
        root_named(&name(&[&[attribute(COMMON, Tag::Utf8String, b"r")]]), now),
    );
    let public = (&key()).into();
    let new = NewIssuing {
        key: &public,
        name: CaName::Of(named.der()),
        permitted: &Permitted::new(&["example.com".into()], &[]).unwrap(),
        days: Days::ISSUING,
        until: Some(now + time::Duration::DAY),
    };
    let issued = root.issue(&new, now).unwrap();
    let parsed = parse(&issued.der).unwrap();
    assert_eq!(parsed.subject().as_raw(), odd);
    assert_eq!(issued.common_name, "company CA");
    assert!(issued.cut_to_issuer);
    assert_eq!(
        parsed.validity().not_after.timestamp(),
        (now + time::Duration::DAY).unix_timestamp()
    );
}

//! Nothing that a file contains makes us panic, and nothing raw reaches the terminal.
#![allow(clippy::unwrap_used)]

mod samples;

use std::sync::LazyLock;

use pgpki_core::bundle::Bundle;
use pgpki_core::document::{Document, Encoding, findings};
use pgpki_core::due::Within;
use pgpki_core::material;
use proptest::prelude::*;
use samples::{EC, OpenSsl, Ours, SERVER};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// One of each kind, DER.
static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let ours = Ours::new();
    let openssl = OpenSsl::new();
    openssl.ca("ca", "rsa:2048");
    openssl.leaf("leaf", "ca", EC, SERVER, "");
    openssl.run("pkcs8 -topk8 -in leaf.key -outform DER -out encrypted -passout pass:x -iter 1");
    openssl.run("pkey -in leaf.key -traditional -outform DER -out sec1");
    openssl.run("pkey -in ca.key -traditional -outform DER -out pkcs1");
    openssl.run("pkcs12 -export -in leaf.crt -inkey leaf.key -out locked -passout pass:x -iter 1");
    openssl.run(
        "pkcs12 -export -in leaf.crt -inkey leaf.key -out old -passout pass:x -iter 1 -legacy",
    );
    openssl.run(
        "pkcs12 -export -in leaf.crt -inkey leaf.key -out open -passout pass:x -keypbe NONE -certpbe NONE -nomac",
    );
    let files = ["encrypted", "sec1", "pkcs1", "locked", "old", "open"];
    let mut samples: Vec<_> = files.iter().map(|file| openssl.read(file)).collect();
    for text in ["leaf.crt", "ca.crt", "leaf.csr", "leaf.key"] {
        samples.push(samples::der(&openssl.text(text)));
    }
    samples.push(samples::der(&ours.crls));
    samples
});

/// Every label that is read.
const LABELS: [&str; 8] = [
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "X509 CRL",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "OTHER",
];

/// Reads it in every way, and looks at every text that comes out.
fn survive(bytes: &[u8]) {
    if let Err(error) = material::read(bytes, Some(b"x")) {
        safe(&error.to_string());
    }
    match Document::open(bytes, Some(b"x")) {
        Err(error) => safe(&error.to_string()),
        Ok(document) => {
            for within in [Within::Third, Within::Duration(time::Duration::MAX)] {
                for finding in findings(&document, NOW, within) {
                    safe(&finding.to_string());
                }
            }
            for certificate in document.certificates() {
                safe(&certificate.subject);
                safe(&certificate.issuer);
                safe(&certificate.title());
                certificate
                    .alternative_names
                    .dns
                    .iter()
                    .for_each(|name| safe(name));
            }
            let twice = Some(document.clone());
            let bundle = Bundle::new(vec![
                ("server.crt".to_owned(), Some(document)),
                ("root.crt".to_owned(), twice),
            ]);
            for found in bundle.findings(NOW, Within::Third) {
                safe(&found.finding.to_string());
            }
        }
    }
}

fn safe(text: &str) {
    assert!(
        !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{text:?}"
    );
}

#[test]
fn every_sample_is_read() {
    for sample in SAMPLES.iter() {
        assert_eq!(Document::read(sample).unwrap().encoding, Encoding::Der);
        survive(sample);
    }
}

#[test]
fn cut_off_anywhere() {
    for sample in SAMPLES.iter() {
        for length in 0..sample.len() {
            assert!(Document::read(&sample[..length]).is_err(), "{length}");
            survive(&sample[..length]);
        }
    }
}

#[test]
fn every_byte_altered() {
    for sample in SAMPLES.iter() {
        let mut altered = sample.clone();
        for place in 0..sample.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                altered[place] ^= change;
                survive(&altered);
                altered[place] = sample[place];
            }
        }
    }
}

#[test]
fn every_kind_under_every_label() {
    for sample in SAMPLES.iter() {
        for label in LABELS {
            survive(pgpki_core::pem(label, sample).as_bytes());
            let text = pgpki_core::pem(label, sample);
            let header = "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: \x1b[2J,00\n\n";
            survive(text.replacen("-----\n", header, 1).as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survive(&bytes);
        survive(&[&[0x30, 0x82, 0x01, 0x00][..], &bytes].concat());
        for label in LABELS {
            survive(pgpki_core::pem(label, &bytes).as_bytes());
        }
    }

    #[test]
    fn any_text(text in "(-----(BEGIN|END) [A-Z\\PC]{0,9}-----|[A-Za-z0-9+/=:, \\r]{0,70}|\u{feff}|\\PC{0,9}|\n){0,30}") {
        survive(text.as_bytes());
    }

    #[test]
    fn bytes_put_in_anywhere(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let sample = &SAMPLES[which.index(SAMPLES.len())];
        let at = at.index(sample.len());
        let (before, after) = sample.split_at(at);
        survive(&[before, &bytes, after].concat());
        survive(&[before, &bytes, after.get(bytes.len()..).unwrap_or_default()].concat());
    }
}

//! From when until when: RFC 5280's two forms of time, clocks that differ, and ends that are cut.

use std::path::Path;
use std::process::Command;

use pgpki_testing::attempt;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use crate::issued::{Issued, openssl_says};

/// notBefore and notAfter of the first certificate in a file.
fn validity(file: &Path) -> (OffsetDateTime, OffsetDateTime) {
    let iso = [
        "x509",
        "-noout",
        "-startdate",
        "-enddate",
        "-dateopt",
        "iso_8601",
    ];
    let text = openssl_says(&iso, file);
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let times: Vec<OffsetDateTime> = text
        .lines()
        .map(|line| line.split_once('=').unwrap().1)
        .map(|time| PrimitiveDateTime::parse(time, format).unwrap().assume_utc())
        .collect();
    (times[0], times[1])
}

#[test]
fn lifetimes_begin_a_few_minutes_ago() {
    let before = OffsetDateTime::now_utc();
    let issued = Issued::new("p256", &["p256"]);
    let leaves = issued.leaves();
    let files = [
        (issued.ca("root", "ca.crt"), 3650),
        (issued.ca("issuing", "ca.crt"), 1825),
        (leaves[0].certificate.clone(), 365),
        (leaves[1].certificate.clone(), 365),
    ];
    for (file, days) in files {
        let (not_before, not_after) = validity(&file);
        let back = before - not_before;
        let minutes = Duration::minutes(1)..Duration::minutes(15);
        assert!(minutes.contains(&back), "{file:?}: {back}");
        let length = (not_after - not_before).whole_days();
        assert_eq!(length, days, "{file:?}");
    }
}

#[test]
fn dates_are_in_the_form_that_rfc_5280_asks_for() {
    const UTC: &str = "UTCTIME";
    const GENERALIZED: &str = "GENERALIZEDTIME";
    // When, and the two times of the root, the issuing CA, and the leaves.
    let cases = [
        ("@2026-12-01 00:00:00", [UTC; 6]),
        (
            "@2041-06-01 00:00:00",
            [UTC, GENERALIZED, UTC, UTC, UTC, UTC],
        ),
        (
            "@2046-06-01 00:00:00",
            [UTC, GENERALIZED, UTC, GENERALIZED, UTC, UTC],
        ),
        // notBefore is still in 2049.
        (
            "@2050-01-01 00:02:00",
            [UTC, GENERALIZED, UTC, GENERALIZED, UTC, GENERALIZED],
        ),
        ("@2050-02-01 00:00:00", [GENERALIZED; 6]),
    ];
    for (when, expected) in cases {
        let issued = Issued::at(when);
        let leaves = issued.leaves();
        let files = [
            issued.ca("root", "ca.crt"),
            issued.ca("issuing", "ca.crt"),
            leaves[0].certificate.clone(),
        ];
        let seen: Vec<&str> = files
            .iter()
            .flat_map(|file| forms(&openssl_says(&["asn1parse"], file)))
            .collect();
        assert_eq!(seen, expected, "{when}");
        assert_eq!(
            forms(&openssl_says(&["asn1parse"], &leaves[1].certificate)),
            expected[4..],
            "{when}"
        );

        // And OpenSSL agrees that it counts a minute after it was made.
        let (not_before, _) = validity(&files[2]);
        let instant = (not_before + Duration::minutes(7)).unix_timestamp();
        let mut verify = Command::new("openssl");
        verify
            .args(["verify", "-x509_strict", "-crl_check_all", "-attime"])
            .arg(instant.to_string())
            .arg("-CRLfile")
            .arg(issued.crls())
            .arg("-CAfile")
            .arg(issued.root())
            .arg("-untrusted")
            .arg(&files[2])
            .arg(&files[2]);
        attempt(&mut verify).unwrap();
    }
}

/// The two forms of time in what asn1parse prints of a certificate.
fn forms(structure: &str) -> Vec<&'static str> {
    let form = |line: &str| {
        ["UTCTIME", "GENERALIZEDTIME"]
            .into_iter()
            .find(|form| line.contains(form))
    };
    structure.lines().filter_map(form).collect()
}

#[test]
fn a_leaf_that_would_outlive_its_issuer_is_cut_and_says_so() {
    let issued = Issued::new("p256", &[]);
    let (_, end) = validity(&issued.ca("issuing", "ca.crt"));
    let date = end.date().to_string();
    for (line, file) in [
        (
            "issue-client alice --days 3000 --out clients",
            "clients/alice/postgresql.crt",
        ),
        (
            "issue-server db2.example.com --days 1900 --out db2",
            "db2/server.crt",
        ),
    ] {
        let said = issued.scene.pgpki(line);
        assert!(said.contains("cut to") && said.contains(&date), "{said}");
        assert_eq!(validity(&issued.scene.path(file)).1, end, "{line}");
    }
    for (line, file, days) in [
        (
            "issue-client bob --days 1 --out clients",
            "clients/bob/postgresql.crt",
            1,
        ),
        (
            "issue-client carol --days 1824 --out clients",
            "clients/carol/postgresql.crt",
            1824,
        ),
    ] {
        let said = issued.scene.pgpki(line);
        assert!(!said.contains("cut to"), "{said}");
        let (not_before, not_after) = validity(&issued.scene.path(file));
        assert_eq!((not_after - not_before).whole_days(), days, "{line}");
    }
}

#[test]
fn init_says_so_too() {
    let scene = pgpki_testing::Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let said = scene.init("--days 3000");
    assert!(said.contains("cut to"), "{said}");
    assert_eq!(
        validity(&scene.tls().join("current/server.crt")).1,
        validity(&scene.home().join("issuing/current/ca.crt")).1
    );
}

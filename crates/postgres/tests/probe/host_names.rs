//! Whether a certificate is for a host: compared with webpki, which rustls asks.

use pgpki_core::document::Document;
use pgpki_core::name::Host;
use pgpki_postgres::probe::{HostMatch, host_match};
use pgpki_testing::openssl;
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use crate::authority::Authority;

const HOSTS: [&str; 16] = [
    "db.example.com",
    "DB.example.COM",
    "db",
    "example.com",
    "a.example.com",
    "a.b.example.com",
    "nodes.example.com",
    "n1.nodes.example.com",
    "xn--bcher-kva.example",
    "db_1",
    "10.0.0.5",
    "10.0.0.6",
    "::1",
    "::2",
    "localhost",
    "com",
];

fn webpki_takes(der: &[u8], host: &Host) -> bool {
    let der = CertificateDer::from(der);
    let name = ServerName::try_from(host.to_string()).unwrap();
    EndEntityCert::try_from(&der)
        .unwrap()
        .verify_is_valid_for_subject_name(&name)
        .is_ok()
}

fn matches(der: &[u8], host: &Host) -> HostMatch {
    let document = Document::read(der).unwrap();
    host_match(document.certificates().next().unwrap(), host)
}

#[test]
fn as_webpki_does() {
    let authority = Authority::new();
    let mut seen = [0, 0];
    for names in [
        &["db.example.com"][..],
        &["*.example.com", "db"],
        &["*.nodes.example.com", "10.0.0.5", "::1"],
        &["bücher.example", "db_1"],
        &["10.0.0.5"],
    ] {
        let der = authority.server(names).issued.der;
        for host in HOSTS {
            let host: Host = host.parse().unwrap();
            let expected = webpki_takes(&der, &host);
            let found = matches(&der, &host);
            assert_eq!(found == HostMatch::Yes, expected, "{host} in {names:?}");
            seen[usize::from(expected)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

/// A common name counts for libpq, where there is no other name of the kind.
#[test]
fn the_common_name_is_for_libpq() {
    let dir = tempfile::tempdir().unwrap();
    let (key, certificate) = (dir.path().join("k"), dir.path().join("c"));
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let with = |subject: &str, names: Option<&str>| {
        let extension = names.map(|names| format!("subjectAltName={names}"));
        let base = [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-outform",
            "DER",
            "-subj",
            subject,
            "-keyout",
            key,
            "-out",
            certificate,
        ];
        let more = extension.iter().flat_map(|it| ["-addext", it.as_str()]);
        openssl(base.into_iter().chain(more));
        std::fs::read(certificate).unwrap()
    };
    for (subject, names, host, expected) in [
        ("/CN=db", None, "db", HostMatch::LibpqOnly),
        ("/CN=db", None, "other", HostMatch::No),
        ("/CN=db", Some("DNS:other"), "db", HostMatch::No),
        ("/CN=db", Some("IP:10.0.0.5"), "db", HostMatch::LibpqOnly),
        (
            "/CN=10.0.0.5",
            Some("DNS:db"),
            "10.0.0.5",
            HostMatch::LibpqOnly,
        ),
        (
            "/CN=10.0.0.5",
            Some("IP:10.0.0.6"),
            "10.0.0.5",
            HostMatch::No,
        ),
        (
            "/CN=x",
            Some("DNS:10.0.0.5"),
            "10.0.0.5",
            HostMatch::LibpqOnly,
        ),
        (
            "/CN=*.example.com",
            None,
            "a.example.com",
            HostMatch::LibpqOnly,
        ),
    ] {
        let der = with(subject, names);
        let host = host.parse().unwrap();
        assert_eq!(matches(&der, &host), expected, "{subject} {names:?} {host}");
    }
}

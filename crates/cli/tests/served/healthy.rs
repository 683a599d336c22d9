//! A server as it should be: no finding, and every documented field.

use serde_json::Value;

use crate::fixture::{CLOSED, at, codes, inspect, installed, one, scene_with_authority, serving};

#[track_caller]
fn has_fields(object: &Value, fields: &[&str]) {
    let object = object.as_object().unwrap();
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    let mut seen: Vec<&str> = object.keys().map(String::as_str).collect();
    seen.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn nothing_to_complain_of() {
    let scene = scene_with_authority();
    let cluster = serving(&scene);
    let target = at(&cluster, "localhost");
    let text = inspect(&scene, &[&target]).text(0);
    for part in [
        target.as_str(),
        "TLSv1.3",
        "localhost is in the certificate",
        "closes with this authority: localhost < ",
        "refused for user pgpki-probe, database pgpki-probe",
        "server certificate  localhost",
        "issuing certificate",
        "days left",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains('['), "a finding in\n{text}");
    assert!(
        !text.contains("system's roots"),
        "of no interest in\n{text}"
    );

    let by_address = one(&scene, &[&at(&cluster, "127.0.0.1")], 0);
    assert_eq!(by_address["host_matches"], "yes");
    // What init has installed, client certificates included.
    let tls = scene.tls().join("current");
    let mut cluster = cluster;
    let more = format!("ssl_ca_file = '{}/root.crt'\n", tls.display());
    cluster.set_conf(installed(&scene) + &more);
    cluster.set_hba(&format!("hostssl all all all cert\n{CLOSED}"));
    cluster.reload().unwrap();
    let server = one(&scene, &[&target], 0);
    assert_eq!(server["tls"]["asks_client_certificate"], true);
    let text = inspect(&scene, &[&target]).text(0);
    assert!(text.contains("asked for a certificate from 1 CA"), "{text}");
}

#[test]
fn the_report_in_json() {
    let scene = scene_with_authority();
    let cluster = serving(&scene);
    let server = one(&scene, &[&at(&cluster, "localhost")], 0);
    has_fields(
        &server,
        &[
            "host",
            "port",
            "address",
            "tls",
            "certificates",
            "host_matches",
            "roots",
            "plaintext",
            "findings",
        ],
    );
    assert_eq!(server["host"], "localhost");
    assert_eq!(server["port"], cluster.port());
    has_fields(
        &server["tls"],
        &[
            "negotiation",
            "protocol",
            "cipher_suite",
            "alpn",
            "asks_client_certificate",
        ],
    );
    assert_eq!(server["tls"]["negotiation"], "postgres");
    assert_eq!(server["tls"]["protocol"], "TLSv1.3");
    let certificates = server["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 2);
    let fields = [
        "serial",
        "serial_decimal",
        "profile",
        "subject",
        "issuer",
        "names",
        "not_before",
        "not_after",
        "status",
        "key",
        "signature",
        "sha256",
    ];
    certificates.iter().for_each(|it| has_fields(it, &fields));
    let profiles: Vec<_> = certificates.iter().map(|it| &it["profile"]).collect();
    assert_eq!(profiles, ["server", "issuing"]);
    let roots = server["roots"].as_array().unwrap();
    roots
        .iter()
        .for_each(|it| has_fields(it, &["from", "closes", "chain"]));
    assert_eq!(roots[0]["from"], "authority");
    assert_eq!(roots[0]["closes"], true);
    assert_eq!(roots[0]["chain"].as_array().unwrap().len(), 3);
    assert_eq!(roots[1]["from"], "system");
    assert_eq!(roots[1]["closes"], false);
    let fields = ["answer", "method", "message", "user", "database"];
    has_fields(&server["plaintext"], &fields);
    assert_eq!(server["plaintext"]["answer"], "refused");
    assert!(server["findings"].as_array().unwrap().is_empty());

    // The same of a server that cannot be seen.
    drop(cluster);
    let gone = one(&scene, &["127.0.0.1:1"], 1);
    assert_eq!(codes(&gone), ["unreachable"]);
    for field in ["address", "tls", "host_matches", "plaintext"] {
        assert!(gone[field].is_null(), "{field} of {gone:#}");
    }
}

#[test]
fn tls_1_2_alone() {
    let scene = scene_with_authority();
    let mut cluster = serving(&scene);
    cluster.set_conf(installed(&scene) + "ssl_max_protocol_version = 'TLSv1.2'\n");
    cluster.reload().unwrap();
    let server = one(&scene, &[&at(&cluster, "localhost")], 0);
    assert_eq!(server["tls"]["protocol"], "TLSv1.2");
}

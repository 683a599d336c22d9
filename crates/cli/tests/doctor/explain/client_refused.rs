//! The server refuses a client's certificate: what the client sees, and what the server logs.

use pgpki_testing::{Cluster, ServerPrograms};

use super::{explained, libpqs, log_during, psql_says};
use crate::material::{CLIENTS, Material, Pair, TLS, put, put_credential};

/// From this version on the server's log says why.
const TELLS_WHY: u32 = 16;

struct Case {
    /// What the client's message means.
    to_client: &'static str,
    /// What the DETAIL in the server's log means, where it has one.
    in_log: &'static str,
    client: Pair,
    /// The CRLs of the server.
    crls: Vec<u8>,
}

fn cases(material: &Material) -> Vec<Case> {
    let crls = material.crls();
    // The issuing CA's comes from openssl; the root's is pgpki's own.
    let with = |own: Vec<u8>| [own, root_crl(&crls)].concat();
    let alice = material.client("alice");
    let case = |to_client, in_log, client: &Pair, crls: &Vec<u8>| Case {
        to_client,
        in_log,
        client: client.clone(),
        crls: crls.clone(),
    };
    let unknown = "client-issuer-unknown";
    let expired = "client-certificate-expired";
    let revoked = "client-certificate-revoked";
    let purpose = "client-certificate-purpose";
    let ended = material.client_at("-9d", "ended", &["--days", "1"]);
    let early = material.client_at("+9d", "early", &[]);
    let foreign = Material::new().client("alice");
    let server = material.server_for("alice");
    vec![
        case(unknown, unknown, &foreign, &crls),
        case(unknown, unknown, &alice.alone(), &crls),
        case(unknown, "crl-missing", &alice, &root_crl(&crls)),
        case(expired, expired, &ended, &crls),
        case(
            expired,
            "crl-expired",
            &alice,
            &with(material.crl("-60d", &[])),
        ),
        case(
            "client-certificate-bad",
            "client-certificate-not-yet-valid",
            &early,
            &crls,
        ),
        case(purpose, purpose, &server, &crls),
        case(
            revoked,
            revoked,
            &alice,
            &with(material.crl("+0d", &[&alice])),
        ),
    ]
}

/// The CRL of the root, without that of the issuing CA.
fn root_crl(crls: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(crls.to_vec()).unwrap();
    let blocks = text.split_inclusive("-----END X509 CRL-----\n");
    let is_roots = |block: &&str| {
        let document = pgpki_core::document::Document::read(block.as_bytes()).unwrap();
        document.crls().any(|crl| crl.issuer.contains("root"))
    };
    let own: Vec<_> = blocks.filter(is_roots).collect();
    assert_eq!(own.len(), 1, "{text}");
    own.concat().into_bytes()
}

fn cluster(material: &Material, programs: &ServerPrograms) -> Cluster {
    let builder = Cluster::builder()
        .programs(programs)
        .conf(format!("{TLS}{CLIENTS}"));
    let mut cluster = builder.hba("hostssl all all all cert").create().unwrap();
    put_credential(&cluster, &material.server());
    put(&cluster, "root.crt", &material.root());
    put(&cluster, "root.crl", &material.crls());
    cluster.start().unwrap();
    cluster
}

#[test]
fn each_alert_and_what_the_server_logs() {
    let material = Material::made("-20d");
    let cases = cases(&material);
    for programs in ServerPrograms::every() {
        let mut cluster = cluster(&material, &programs);
        for case in &cases {
            put(&cluster, "root.crl", &case.crls);
            cluster.reload().unwrap();
            let files = material.files(&case.client, &material.root());
            for libpq in libpqs(&cluster) {
                let conninfo = format!("user=alice sslmode=require {files}");
                let mut said = String::new();
                let logged = log_during(&cluster, "could not accept SSL connection", || {
                    said = psql_says(&cluster, libpq.as_ref(), &conninfo);
                });
                explained(&said, &[case.to_client]);
                match cluster.major() >= TELLS_WHY {
                    true => explained(&logged, &[case.in_log, "client-certificate-refused"]),
                    false => explained(&logged, &["client-certificate-refused"]),
                }
            }
        }
    }
}

/// `prefer` puts a second error behind the first one. In TLS 1.3 an alert comes too late for that.
#[test]
fn the_fallback_of_prefer() {
    let material = Material::new();
    let foreign = Material::new().client("alice");
    let files = material.files(&foreign, &material.root());
    for programs in ServerPrograms::every() {
        let mut cluster = cluster(&material, &programs);
        cluster.set_conf(format!(
            "{TLS}{CLIENTS}ssl_max_protocol_version = 'TLSv1.2'\n"
        ));
        cluster.reload().unwrap();
        for libpq in libpqs(&cluster) {
            let says =
                |files: &str| psql_says(&cluster, libpq.as_ref(), &format!("user=alice {files}"));
            explained(
                &says(&files),
                &["client-issuer-unknown", "no-rule-without-tls"],
            );
            let expected = ["client-certificate-required", "no-rule-without-tls"];
            explained(&says("sslcert=/none"), &expected);
        }
    }
}

#[test]
fn no_certificate_at_all() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let cluster = cluster(&material, &programs);
        let conninfo = "user=alice sslmode=require sslcert=/none";
        let mut said = String::new();
        let logged = log_during(&cluster, "connection requires", || {
            said = psql_says(&cluster, None, conninfo);
        });
        explained(&said, &["client-certificate-required"]);
        explained(&logged, &["client-certificate-required"]);
    }
}

//! The client refuses a server, or has nothing to check it with.

use std::fs;

use pgpki_testing::{Cluster, ServerPrograms, openssl};

use super::{explained, libpqs, log_during, psql_says};
use crate::material::{Material, Pair, TLS, put_credential, sign, text};

fn cluster(programs: &ServerPrograms, server: &Pair) -> Cluster {
    let mut cluster = Cluster::builder()
        .programs(programs)
        .conf(TLS)
        .create()
        .unwrap();
    put_credential(&cluster, server);
    cluster.start().unwrap();
    cluster
}

/// Serves `server`, connects with `conninfo` through every libpq there is, and has the message
/// explained.
#[track_caller]
fn check(server: &Pair, conninfo: &str, expected: &[&str]) {
    for programs in ServerPrograms::every() {
        let cluster = cluster(&programs, server);
        for libpq in libpqs(&cluster) {
            let said = psql_says(&cluster, libpq.as_ref(), conninfo);
            explained(&said, expected);
        }
    }
}

fn trusting(material: &Material, name: &str, roots: &[u8]) -> String {
    let path = material.scene.path(name);
    fs::write(&path, roots).unwrap();
    format!(
        "user=postgres sslmode=verify-full sslrootcert={}",
        path.display()
    )
}

#[test]
fn another_root_or_an_intermediate_alone() {
    let (material, other) = (Material::new(), Material::new());
    let chain = pgpki_core::certificates(&material.server().chain);
    let issuing = pgpki_core::pem("CERTIFICATE", &chain[1]);
    let foreign = trusting(&material, "foreign.crt", &other.root());
    let intermediate = trusting(&material, "issuing.crt", issuing.as_bytes());
    for programs in ServerPrograms::every() {
        let cluster = cluster(&programs, &material.server());
        for libpq in libpqs(&cluster) {
            for conninfo in [&foreign, &intermediate] {
                let mut said = String::new();
                let logged = log_during(&cluster, "could not accept SSL connection", || {
                    said = psql_says(&cluster, libpq.as_ref(), conninfo);
                });
                explained(&said, &["server-not-trusted"]);
                // The same words in a server's log mean the other side.
                explained(&logged, &["server-refused-by-client"]);
            }
        }
    }
}

#[test]
fn without_its_issuing_ca() {
    let material = Material::new();
    let conninfo = trusting(&material, "own.crt", &material.root());
    check(
        &material.server().alone(),
        &conninfo,
        &["server-not-trusted"],
    );
}

#[test]
fn expired() {
    let material = Material::made("-400d");
    let conninfo = trusting(&material, "own.crt", &material.root());
    check(&material.server(), &conninfo, &["server-not-trusted"]);
}

#[test]
fn for_another_host() {
    let material = Material::new();
    let conninfo = trusting(&material, "own.crt", &material.root());
    // What comes later in a connection string wins.
    let conninfo = format!("{conninfo} host=db.example.com");
    check(&material.server(), &conninfo, &["host-name-mismatch"]);
}

#[test]
fn without_a_name_to_compare() {
    let material = Material::new();
    let conninfo = trusting(&material, "own.crt", &material.root());
    let conninfo = format!("{conninfo} host=''");
    check(&material.server(), &conninfo, &["host-name-needed"]);
}

#[test]
fn no_root_file() {
    let material = Material::new();
    let missing = text(&material.scene.path("none.crt"));
    for mode in ["verify-ca", "verify-full"] {
        let conninfo = format!("user=postgres sslmode={mode} sslrootcert={missing}");
        check(&material.server(), &conninfo, &["root-file-missing"]);
    }
}

#[test]
fn no_tls_at_all() {
    for programs in ServerPrograms::every() {
        let cluster = Cluster::builder().programs(&programs).start().unwrap();
        for libpq in libpqs(&cluster) {
            let said = psql_says(&cluster, libpq.as_ref(), "user=postgres sslmode=require");
            explained(&said, &["server-without-tls"]);
        }
    }
}

/// A password over SCRAM, which binds to the channel where it can.
#[test]
fn signed_with_ed25519() {
    let material = Material::new();
    let path = |name: &str| text(&material.scene.path(name));
    let usage = "keyUsage=critical,keyCertSign,cRLSign";
    openssl([
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=ca",
        "-addext",
        usage,
        "-keyout",
        &path("ed.key"),
        "-out",
        &path("ed.crt"),
    ]);
    let server = sign(
        &material.scene,
        "/CN=localhost",
        "subjectAltName=DNS:localhost",
        &path("ed.crt"),
        &path("ed.key"),
    );
    for programs in ServerPrograms::every() {
        let mut cluster = cluster(&programs, &server);
        cluster.create_role("alice", Some("secret"), true);
        cluster.set_hba("hostssl all all all scram-sha-256");
        cluster.reload().unwrap();
        for libpq in libpqs(&cluster) {
            let conninfo = "user=alice password=secret sslmode=require";
            let said = psql_says(&cluster, libpq.as_ref(), conninfo);
            explained(&said, &["ed25519-signature"]);
        }
    }
}

/// What libpq 16 and later refuse before they connect.
#[test]
fn system_roots_with_a_weak_mode() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let cluster = cluster(&programs, &material.server());
        for libpq in libpqs(&cluster) {
            if cluster.major() < 16 || libpq.is_none() {
                continue;
            }
            let conninfo = "user=postgres sslmode=require sslrootcert=system";
            let said = psql_says(&cluster, libpq.as_ref(), conninfo);
            explained(&said, &["weak-sslmode"]);
        }
    }
}

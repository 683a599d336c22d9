//! The rule that this crate says will answer a connection is the one that the server lets answer.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use pgpki_postgres::hba::Hba;
use pgpki_postgres::hba::answer::{Answer, Connection, Transport, answer};
use pgpki_postgres::hba::rule::{Method, Rule};
use pgpki_testing::{Cluster, openssl};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A server with TLS, the roles `a` (a member of `g`) and `b`, and the databases `a` and `g`.
fn cluster() -> Cluster {
    let mut cluster = Cluster::builder().create().unwrap();
    let [key, cert] = ["server.key", "server.crt"].map(|it| cluster.data_dir().join(it));
    let request =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost";
    let files = [
        "-keyout",
        key.to_str().unwrap(),
        "-out",
        cert.to_str().unwrap(),
    ];
    openssl(request.split(' ').chain(files));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    cluster.owner().take(&key).unwrap();
    cluster.set_conf("ssl = on");
    cluster.start().unwrap();
    cluster.sql(
        "create role g; create role a login replication in role g; create role b login replication",
    );
    for database in ["a", "g"] {
        cluster.sql(&format!("create database {database}"));
    }
    cluster
}

/// Rules that let everybody in or nobody, for few names, so that it matters which one comes first.
fn rules() -> impl Strategy<Value = String> {
    let pick = |words: &'static [&'static str]| prop::sample::select(words);
    let line = (
        pick(&[
            "local",
            "host",
            "hostssl",
            "hostnossl",
            "hostnogssenc",
            "hostgssenc",
        ]),
        pick(&[
            "all",
            "replication",
            "sameuser",
            "samerole",
            "a",
            "g",
            "\"all\"",
            "a,replication",
            "all,replication",
        ]),
        pick(&["all", "+g", "a", "b", "\"all\"", "a,b", "\"+g\""]),
        pick(&[
            "all",
            "127.0.0.1/32",
            "127.0.0.0/8",
            "10.0.0.0/8",
            "::1/128",
            "127.9.9.1 255.0.0.255",
        ]),
        pick(&["trust", "reject"]),
    )
        .prop_map(|(conn_type, databases, users, address, method)| {
            let address = if conn_type == "local" { "" } else { address };
            format!("{conn_type} {databases} {users} {address} {method}\n")
        });
    proptest::collection::vec(line, 3..7).prop_map(|it| it.concat())
}

fn connections() -> Vec<Connection<'static>> {
    let mut all = Vec::new();
    for transport in [Transport::Local, Transport::Plain, Transport::Tls] {
        for (database, role, replication) in [
            ("a", "a", false),
            ("g", "a", false),
            ("a", "b", false),
            ("g", "b", false),
            ("a", "a", true),
            ("a", "b", true),
        ] {
            all.push(Connection {
                transport,
                address: Some([127, 0, 0, 1].into()).filter(|_| transport != Transport::Local),
                database,
                role,
                replication,
            });
        }
    }
    all
}

/// Whether the server let it in; and if not, whether a rule said so.
fn tried(cluster: &Cluster, connection: &Connection<'_>) -> Option<Method> {
    let (host, sslmode) = match connection.transport {
        Transport::Local => (cluster.socket_dir().display().to_string(), "disable"),
        Transport::Plain => ("127.0.0.1".to_owned(), "disable"),
        Transport::Tls | Transport::GssEnc => ("127.0.0.1".to_owned(), "require"),
    };
    let output = cluster.psql(
        &format!(
            "host='{host}' port={} dbname={} user={} sslmode={sslmode} gssencmode=disable replication={}",
            cluster.port(),
            connection.database,
            connection.role,
            connection.replication,
        ),
        if connection.replication { "IDENTIFY_SYSTEM" } else { "select 1" },
    );
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Some(Method::Trust),
        false if said.contains("pg_hba.conf rejects") => Some(Method::Reject),
        false if said.contains("no pg_hba.conf entry") => None,
        false => panic!("{connection:?}: {said}"),
    }
}

#[test]
fn the_server_lets_the_same_rule_answer() {
    let mut cluster = cluster();
    let mut runner = TestRunner::deterministic();
    let mut seen = [0; 3];
    for _ in 0..8 {
        let text = rules().new_tree(&mut runner).unwrap().current();
        cluster.set_hba(&text);
        cluster.reload().unwrap();
        let text = fs::read(cluster.data_dir().join("pg_hba.conf")).unwrap();
        let hba = Hba::parse(&text, cluster.major());
        let rules: Vec<&Rule> = hba.rules().collect();
        for connection in connections() {
            let member =
                |role: &str, group: &[u8]| role.as_bytes() == group || (role, group) == ("a", b"g");
            let expected = match answer(&rules, &connection, member) {
                Answer::Rule(rule) => Some(rules[rule].method),
                Answer::NoRule => None,
                unknown => panic!("{unknown:?}"),
            };
            let text = String::from_utf8_lossy(&text);
            assert_eq!(
                tried(&cluster, &connection),
                expected,
                "{connection:?}\n{text}"
            );
            seen[match expected {
                Some(Method::Trust) => 0,
                Some(_) => 1,
                None => 2,
            }] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 5), "{seen:?}");
}

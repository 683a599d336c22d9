//! Each kind of key, from a cold start and by a reload.

use pgpki_testing::Cluster;

use crate::served::{Printed, Served, decimal, refused, scene, serial_in_ledger};

/// The client's name, serial number and issuer as the server sees them, and the protocol.
const STAT_SSL: &str = "select client_dn, client_serial, issuer_dn, version >= 'TLSv1.2' \
                        from pg_stat_ssl where pid = pg_backend_pid()";

#[test]
fn p256() {
    works_with("p256", &["p256", "p384", "rsa2048", "ed25519"]);
}

#[test]
fn p384() {
    works_with("p384", &["p384"]);
}

#[test]
fn rsa2048() {
    works_with("rsa2048", &["rsa2048", "p256"]);
}

#[test]
fn rsa3072() {
    works_with("rsa3072", &["rsa3072"]);
}

#[test]
fn rsa4096() {
    works_with("rsa4096", &["rsa4096"]);
}

/// A server that starts cold with the printed lines; clients by certificate alone, then with a
/// password beside it.
#[track_caller]
fn works_with(algorithm: &str, client_algorithms: &[&str]) {
    let scene = scene();
    let printed = Printed::by_init(&scene.init(&format!("--key-algorithm {algorithm}")));
    let mut served = Served::start(scene, &printed);
    let clients: Vec<_> = client_algorithms
        .iter()
        .map(|kind| (format!("client_{kind}"), kind))
        .map(|(role, kind)| {
            let folder = served.client(&role, &["--key-algorithm", kind]);
            (role, folder)
        })
        .collect();
    for (role, folder) in &clients {
        let serial = decimal(&serial_in_ledger(&served.scene, role));
        assert_eq!(
            served.connects(&served.conninfo(folder, role, &[]), STAT_SSL),
            format!("/CN={role}|{serial}|/CN=localhost issuing CA 1|t")
        );
    }

    served.cluster.set_hba(&printed.hba_with_password());
    served.cluster.reload().unwrap();
    for (role, folder) in &clients {
        // Version 13 would keep an MD5 hash by itself.
        served.cluster.sql(&format!(
            "set password_encryption = 'scram-sha-256'; alter role {role} password 'secret of {role}'"
        ));
        let password = format!("secret of {role}");
        let with = |password: &str| {
            let more = [("password", password), ("channel_binding", "require")];
            served.conninfo(folder, role, &more)
        };
        assert_eq!(
            served.connects(&with(&password), "select current_user"),
            *role
        );
        let answer = refused(&served.cluster, &with("something else"));
        assert!(
            answer.contains("password authentication failed"),
            "{answer}"
        );
    }
}

#[test]
fn a_password_does_not_make_up_for_a_certificate() {
    let scene = scene();
    let printed = Printed::by_init(&scene.init(""));
    let mut served = Served::start(scene, &printed);
    let alice = served.client("alice", &[]);
    served.cluster.create_role("bob", Some("secret"), true);
    served.cluster.set_hba(&printed.hba_with_password());
    served.cluster.reload().unwrap();
    let password = ("password", "secret");
    let answer = refused(
        &served.cluster,
        &served.conninfo(&alice, "bob", &[password]),
    );
    assert!(
        answer.contains("certificate authentication failed")
            || answer.contains("authentication failed for user \"bob\""),
        "{answer}"
    );
    let none = ("sslcert", "/nonexistent");
    let answer = refused(
        &served.cluster,
        &served.conninfo(&alice, "bob", &[password, none]),
    );
    assert!(
        answer.contains("requires a valid client certificate"),
        "{answer}"
    );
}

#[test]
fn a_running_server_takes_the_lines_by_a_reload() {
    let scene = scene();
    let printed = Printed::by_init(&scene.init(""));
    let mut cluster = Cluster::running();
    assert_eq!(cluster.sql("show ssl"), "off");
    cluster.set_conf(&printed.conf);
    cluster.set_hba(&printed.hba);
    cluster.reload().unwrap();
    let served = Served { cluster, scene };
    let alice = served.client("alice", &[]);
    let connection = served.conninfo(&alice, "alice", &[]);
    assert_eq!(served.connects(&connection, "show ssl"), "on");
}

//! What the server does not take, and servers that are not to be taken.

use std::net::TcpListener;

use pgpki_testing::{Cluster, ServerPrograms};

use super::{Pairing, Seen};
use crate::material::{Material, put, put_credential};

/// What doctor finds for a certificate that the server refuses, on every version.
#[track_caller]
fn refused(
    material: impl Fn() -> Material,
    make: impl Fn(&mut Pairing),
    codes: &[&str],
    why: &str,
) {
    for programs in ServerPrograms::every() {
        let mut pairing = Pairing::between(material(), &programs);
        make(&mut pairing);
        assert!(pairing.psql().contains("alert"), "psql: {}", pairing.psql());
        let seen = pairing.doctor();
        seen.assert(codes);
        let message = seen.message("client-certificate-refused");
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn expired() {
    refused(
        || Material::made("-20d"),
        |it| it.take(&it.material.client_at("-9d", "alice", &["--days", "1"])),
        &["client-certificate-refused", "expired"],
        "expired",
    );
}

#[test]
fn revoked() {
    refused(
        Material::new,
        |it| {
            let alice = it.material.client("alice");
            it.take(&alice);
            let crls = [it.material.crl("+0d", &[&alice]), it.material.crls()].concat();
            put(&it.cluster, "root.crl", &crls);
            it.cluster.reload().unwrap();
        },
        &["client-certificate-refused"],
        "revoked",
    );
}

#[test]
fn of_another_authority() {
    refused(
        Material::new,
        |it| it.take(&Material::new().client("alice")),
        &["chain-broken", "client-certificate-refused"],
        "unknown ca",
    );
}

#[test]
fn without_the_issuing_ca() {
    refused(
        Material::new,
        |it| it.take(&it.material.client("alice").alone()),
        &["chain-broken", "client-certificate-refused"],
        "unknown ca",
    );
}

#[test]
fn a_servers_certificate() {
    refused(
        Material::new,
        |it| it.take(&it.material.server_for("alice")),
        &["client-certificate-refused", "purpose-missing"],
        "not for clients",
    );
}

#[test]
fn another_role() {
    let pairing = Pairing::new();
    let conninfo = pairing.conninfo("sslmode=verify-full");
    let mut command = pairing.command(&conninfo);
    let seen = Seen::of(command.args(["--role", "bob"]));
    seen.assert(&["login-refused", "role-mismatch"]);
    assert!(seen.message("role-mismatch").contains("alice"));
    let found = seen.finding("login-refused");
    assert!(
        found["message"]
            .as_str()
            .unwrap()
            .contains("certificate authentication failed")
    );
    // Explained as --explain does it.
    assert!(
        found["hint"].as_str().unwrap().contains("pg_ident.conf"),
        "{found}"
    );
}

/// All of it shows only after the server has said that nothing more has to be proven.
#[test]
fn a_session_that_does_not_begin() {
    for programs in ServerPrograms::every() {
        let pairing = Pairing::on(&programs);
        let sql = |sql: &str| pairing.cluster.sql(sql);
        sql("create database shut");
        sql("revoke connect on database shut from public");
        let refused = |dbname: &str, message: &str, hint: &str| {
            let conninfo = pairing.conninfo(&format!("sslmode=verify-full dbname={dbname}"));
            let seen = Seen::of(&mut pairing.command(&conninfo));
            seen.assert(&["login-refused"]);
            let found = seen.finding("login-refused");
            let says = |field: &str, text: &str| found[field].as_str().unwrap().contains(text);
            assert!(says("message", message) && says("hint", hint), "{found}");
        };
        refused("nope", "database \"nope\" does not exist", "dbname=");
        refused("shut", "permission denied for database", "GRANT CONNECT");
        sql("alter role alice nologin");
        refused("postgres", "not permitted to log in", "ALTER ROLE");
        sql("alter role alice login connection limit 0");
        refused("postgres", "too many connections", "CONNECTION LIMIT");
        sql("drop role alice");
        refused("postgres", "role \"alice\" does not exist", "CREATE ROLE");
    }
}

#[test]
fn another_host_name() {
    let pairing = Pairing::new();
    for (mode, severity) in [("verify-full", "error"), ("verify-ca", "warning")] {
        let conninfo = pairing.conninfo(&format!("host=db.example.com sslmode={mode}"));
        let seen = Seen::of(&mut pairing.command(&conninfo));
        let found = seen.finding("name-mismatch");
        assert_eq!(found["severity"], severity);
        assert!(
            found["message"]
                .as_str()
                .unwrap()
                .contains("localhost, 127.0.0.1"),
            "{found}"
        );
    }
    let port = pairing.cluster.port();
    let nameless = format!("hostaddr=127.0.0.1 port={port} user=alice sslmode=verify-full");
    let seen = Seen::of(&mut pairing.command(&nameless));
    assert!(seen.codes().contains(&"name-mismatch"), "{}", seen.text);
}

#[test]
fn a_server_whose_certificate_has_expired() {
    let pairing = Pairing::new();
    let old = Material::made("-400d");
    put_credential(&pairing.cluster, &old.server());
    let mut pairing = pairing;
    pairing.cluster.reload().unwrap();
    std::fs::write(pairing.file("root.crt"), old.root()).unwrap();
    assert!(pairing.psql().contains("certificate verify failed"));
    pairing.doctor().assert(&["expired"]);
}

#[test]
fn a_server_without_tls() {
    let pairing = Pairing::new();
    let plain = Cluster::running();
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} sslmode=",
        plain.port()
    );
    let seen = Seen::of(&mut pairing.command(&format!("{conninfo}verify-full user=alice")));
    seen.assert(&["no-tls"]);
    let seen = Seen::of(&mut pairing.command(&format!("{conninfo}prefer user=alice")));
    seen.assert(&["no-tls", "sslmode-weak"]);
    assert!(seen.message("no-tls").contains("goes on without it"));
}

#[test]
fn nothing_listens_there() {
    let pairing = Pairing::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let conninfo = format!("host=127.0.0.1 port={port} user=alice sslmode=verify-full");
    Seen::of(&mut pairing.command(&conninfo)).assert(&["unreachable"]);
}

/// Each host of a list is asked, as a failover would reach it some day.
#[test]
fn every_host_of_a_list() {
    let pairing = Pairing::new();
    let plain = Cluster::running();
    let ports = format!("{},{}", pairing.cluster.port(), plain.port());
    let conninfo = format!("host=localhost,127.0.0.1 port={ports} user=alice dbname=postgres");
    let seen = Seen::of(&mut pairing.command(&format!("{conninfo} sslmode=verify-full")));
    seen.assert(&["no-tls"]);
    seen.finding("connected");
}

//! Clients with which nothing is wrong.

use pgpki_testing::ServerPrograms;

use super::{Pairing, Seen};
use crate::material::{TLS, put};

#[test]
fn as_pgpki_hands_it_out() {
    for programs in ServerPrograms::every() {
        let pairing = Pairing::on(&programs);
        assert_eq!(pairing.psql(), "");
        let seen = pairing.doctor();
        seen.assert(&[]);
        let message = seen.message("connected");
        assert!(
            message.contains("takes the client's certificate and lets alice in"),
            "{message}"
        );
    }
}

#[test]
fn named_in_every_way_that_libpq_has() {
    let pairing = Pairing::new();
    let port = pairing.cluster.port();
    let uri = format!("postgresql://alice@localhost:{port}/postgres?sslmode=verify-full");
    Seen::of(&mut pairing.command(&uri)).assert(&[]);
    // By the environment alone, from another home.
    let mut command = pairing
        .material
        .scene
        .command(["doctor", "--client", "--json", "--role", "alice"]);
    let file = |name: &str| pairing.file(name);
    command
        .env("HOME", pairing.material.scene.path("nobodys"))
        .env("PGHOST", "localhost")
        .env("PGPORT", port.to_string())
        .env("PGDATABASE", "postgres")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLCERT", file("postgresql.crt"))
        .env("PGSSLKEY", file("postgresql.key"))
        .env("PGSSLROOTCERT", file("root.crt"));
    let seen = Seen::of(&mut command);
    seen.assert(&[]);
    assert!(seen.message("connected").contains("lets alice in"));
}

#[test]
fn for_people() {
    let pairing = Pairing::new();
    let conninfo = pairing.conninfo("sslmode=verify-full");
    let mut command = pairing
        .material
        .scene
        .command(["doctor", "--client", &conninfo]);
    let output = command.env("HOME", &pairing.home).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("healthy") && said.contains("[connected]"),
        "{said}"
    );
}

/// A rule that also wants a password gets none, and the server hears of no failed attempt.
#[test]
fn a_password_is_asked_for_and_not_sent() {
    let mut pairing = Pairing::new();
    pairing.cluster.create_role("carol", Some("secret"), true);
    pairing
        .cluster
        .set_hba("hostssl all all all scram-sha-256 clientcert=verify-ca");
    pairing.cluster.reload().unwrap();
    let conninfo = pairing.conninfo("sslmode=verify-full user=carol password=secret");
    let seen = Seen::of(pairing.command(&conninfo).env("PGPASSWORD", "secret"));
    seen.assert(&[]);
    assert!(seen.message("connected").contains("scram-sha-256"));
    // Carol has alice's certificate, and this rule does not mind.
    assert_eq!(seen.finding("role-mismatch")["severity"], "info");
    assert!(
        !pairing
            .cluster
            .log()
            .contains("password authentication failed")
    );
    assert!(!seen.text.contains("secret"));
}

#[test]
fn under_a_map() {
    let mut pairing = Pairing::new();
    put(&pairing.cluster, "pg_ident.conf", b"own alice bob\n");
    pairing.cluster.set_hba("hostssl all all all cert map=own");
    pairing.cluster.reload().unwrap();
    let seen = Seen::of(&mut pairing.command(&pairing.conninfo("user=bob sslmode=verify-full")));
    seen.assert(&[]);
    assert_eq!(seen.finding("role-mismatch")["severity"], "info");
}

/// Whose own certificate a server has no use for.
#[test]
fn a_server_that_asks_for_no_certificate() {
    let mut pairing = Pairing::new();
    pairing.cluster.set_conf(TLS);
    pairing.cluster.set_hba("hostssl all all all trust");
    pairing.cluster.reload().unwrap();
    let seen = pairing.doctor();
    seen.assert(&[]);
    seen.finding("certificate-not-asked");
}

#[test]
fn the_systems_roots() {
    let pairing = Pairing::new();
    let roots = pairing.file("root.crt");
    let conninfo = pairing.conninfo("sslrootcert=system");
    let with = Seen::of(pairing.command(&conninfo).env("SSL_CERT_FILE", roots));
    with.assert(&[]);
    Seen::of(&mut pairing.command(&conninfo)).assert(&["chain-broken"]);
}

#[test]
fn without_a_host_nothing_is_connected() {
    let pairing = Pairing::new();
    let seen = Seen::of(&mut pairing.command("user=alice sslmode=verify-full"));
    seen.assert(&[]);
    seen.finding("not-connected");
}

//! The client refuses the server.

use std::fs;
use std::time::Duration;

use pgpki_testing::{Client, Cluster, Connection, await_that, openssl};

use crate::explained::{Expected, names, refused, refused_of};
use crate::material::{Material, Pair, text};
use crate::stage::{serving, trusting, written};

/// libpq says no more of a chain than that it does not like it.
const LIBPQ: [Client; 3] = [Client::Psql, Client::Psycopg2, Client::Psycopg3];

/// What everybody says, and libpq does not.
fn but_libpq(entry: &'static str) -> Expected {
    Expected::of(entry).but(&LIBPQ, "server-not-trusted")
}

/// Has every client come to a server, and doctor explain what the server logs of that as well.
#[track_caller]
fn come(cluster: &Cluster, connection: &Connection, expected: &Expected) {
    refused(connection, expected);
    let said = "could not accept SSL connection";
    await_that(said, Duration::from_secs(20), || {
        cluster.log().contains(said)
    });
    for line in cluster.log().lines().filter(|line| line.contains(said)) {
        let found = names(line);
        let is_right = |name: &String| LOGGED.contains(&name.as_str());
        assert!(
            !found.is_empty() && found.iter().all(is_right),
            "{found:?}, {line}"
        );
    }
}

/// What a server logs of clients that refuse it: some give a reason, some hang up.
const LOGGED: [&str; 2] = ["server-refused-by-client", "closed-without-reason"];

/// [`come`] to a server with a certificate, trusting the authority's root.
#[track_caller]
fn serves(material: &Material, server: &Pair, host: &str, expected: &Expected) {
    let cluster = serving(material, server);
    let mut connection = trusting(&cluster, material, &material.root());
    connection.host = host.to_owned();
    come(&cluster, &connection, expected);
}

/// Of the same name, because every authority for one host has it, and with another key.
#[test]
fn another_root() {
    let (material, other) = (Material::new(), Material::new());
    let cluster = serving(&material, &material.server());
    let connection = trusting(&cluster, &material, &other.root());
    come(&cluster, &connection, &but_libpq("server-issuer-unknown"));
}

#[test]
fn another_root_of_another_name() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let connection = trusting(&cluster, &material, &own_root(&material).chain);
    come(&cluster, &connection, &but_libpq("server-issuer-unknown"));
}

#[test]
fn another_root_than_the_one_that_is_sent() {
    let material = Material::new();
    let mut server = material.server();
    server.chain.extend(material.root());
    let cluster = serving(&material, &server);
    let connection = trusting(&cluster, &material, &own_root(&material).chain);
    come(&cluster, &connection, &but_libpq("server-issuer-unknown"));
}

#[test]
fn without_its_issuing_ca() {
    let material = Material::new();
    let alone = material.server().alone();
    serves(
        &material,
        &alone,
        "localhost",
        &but_libpq("server-issuer-unknown"),
    );
}

#[test]
fn for_another_address() {
    let material = Material::new();
    let server = material.server_for("10.0.0.1");
    serves(
        &material,
        &server,
        "127.0.0.1",
        &Expected::of("host-name-mismatch"),
    );
}

#[test]
fn for_a_name_when_asked_by_address() {
    let material = Material::new();
    let server = material.server_for("db.example.com");
    serves(
        &material,
        &server,
        "127.0.0.1",
        &Expected::of("host-name-mismatch"),
    );
}

/// The message of Java's error is the same before and after.
#[test]
fn expired() {
    let material = Material::made("-400d");
    let cluster = serving(&material, &material.server());
    let connection = trusting(&cluster, &material, &material.root());
    let expected = but_libpq("server-certificate-expired")
        .besides(Client::PgJdbc, "server-certificate-not-now");
    come(&cluster, &connection, &expected);
}

#[test]
fn not_yet_valid() {
    let material = Material::made("+10d");
    let cluster = serving(&material, &material.server());
    let connection = trusting(&cluster, &material, &material.root());
    let expected = but_libpq("server-certificate-not-yet-valid")
        .besides(Client::PgJdbc, "server-certificate-not-now");
    come(&cluster, &connection, &expected);
}

/// OpenSSL and pgJDBC take the common name in its place.
#[test]
fn without_alternative_names() {
    let material = Material::new();
    let leaf = material.leaf("/CN=localhost", "extendedKeyUsage=serverAuth");
    let expected = Expected::of("no-alternative-name").except(&[
        Client::Psql,
        Client::PgJdbc,
        Client::NodePostgres,
        Client::Psycopg2,
        Client::Psycopg3,
        Client::Asyncpg,
        Client::Pg8000,
    ]);
    serves(&material, &leaf, "localhost", &expected);
}

/// For OpenSSL, and thus for Python and node, a common name is no address.
#[test]
fn without_alternative_names_when_asked_by_address() {
    let material = Material::new();
    let leaf = material.leaf("/CN=127.0.0.1", "extendedKeyUsage=serverAuth");
    let of_openssl = [Client::NodePostgres, Client::Asyncpg, Client::Pg8000];
    let expected = Expected::of("no-alternative-name")
        .but(&of_openssl, "host-name-mismatch")
        .except(&LIBPQ)
        .except(&[Client::PgJdbc]);
    serves(&material, &leaf, "127.0.0.1", &expected);
}

#[test]
fn not_for_servers() {
    let material = Material::new();
    let extensions = "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth";
    let leaf = material.leaf("/CN=localhost", extensions);
    serves(
        &material,
        &leaf,
        "localhost",
        &but_libpq("server-certificate-purpose"),
    );
}

#[test]
fn self_signed() {
    let material = Material::new();
    let own = own_root(&material);
    serves(
        &material,
        &own,
        "localhost",
        &but_libpq("server-issuer-unknown").but(&[Client::Rustls], "server-certificate-is-ca"),
    );
    let cluster = serving(&material, &own);
    let trusting = trusting(&cluster, &material, &own.chain);
    let rustls = Expected::of("server-certificate-is-ca");
    refused_of(&[Client::Rustls], &trusting, &rustls);
}

/// The clients that look at CRLs when they are told to.
#[test]
fn revoked() {
    let material = Material::made("-1d");
    let server = material.server();
    let cluster = serving(&material, &server);
    let crls = [material.crl("+0d", &[&server]), material.crls()].concat();
    let mut connection = trusting(&cluster, &material, &material.root());
    connection.root = written(&material, &[material.root(), crls].concat());
    let clients = [Client::Rustls, Client::Pg8000];
    refused_of(
        &clients,
        &connection,
        &Expected::of("server-certificate-revoked"),
    );
}

#[test]
fn of_version_1() {
    let material = Material::new();
    let cluster = serving(&material, &of_the_first_version(&material));
    let connection = trusting(&cluster, &material, &material.root());
    let expected = Expected::of("server-certificate-version");
    refused_of(&[Client::Rustls], &connection, &expected);
}

/// A certificate that is its own root, for `localhost`.
fn own_root(material: &Material) -> Pair {
    let path = |name: &str| text(&material.scene.path(name));
    let (key, certificate) = (path("own.key"), path("own.crt"));
    openssl([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    Pair {
        chain: fs::read(certificate).unwrap(),
        key: fs::read(key).unwrap(),
    }
}

/// What `openssl x509 -req` makes when it is told nothing of extensions.
fn of_the_first_version(material: &Material) -> Pair {
    let path = |name: &str| text(&material.scene.path(name));
    let issuing = material.scene.home().join("issuing/current");
    let (ca, ca_key) = (text(&issuing.join("ca.crt")), text(&issuing.join("ca.key")));
    let (key, request, leaf) = (path("v1.key"), path("v1.csr"), path("v1.crt"));
    openssl([
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &key,
        "-out",
        &request,
    ]);
    openssl([
        "x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-days", "30", "-out",
        &leaf,
    ]);
    Pair {
        chain: [fs::read(leaf).unwrap(), fs::read(ca).unwrap()].concat(),
        key: fs::read(key).unwrap(),
    }
}

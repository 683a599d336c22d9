//! TLS stands, and the login does not.

use pgpki_testing::{Client, Connection, Shutdown};

use crate::explained::{Expected, refused, refused_of};
use crate::material::Material;
use crate::stage::{folder, serving, trusting, with};

#[test]
fn without_a_certificate() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let mut connection = trusting(&cluster, &material, &material.root());
    connection.role = "alice".to_owned();
    refused(&connection, &Expected::of("client-certificate-required"));
}

#[test]
fn as_another_role() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let connection = with(
        &cluster,
        "bob",
        &folder(&material, &material.client("alice")),
    );
    refused(&connection, &Expected::of("certificate-for-another-role"));
}

#[test]
fn without_tls() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let mut connection = trusting(&cluster, &material, &material.root());
    connection.tls = false;
    refused(&connection, &Expected::of("no-rule-without-tls"));
}

#[test]
fn without_a_rule() {
    let material = Material::new();
    let mut cluster = serving(&material, &material.server());
    cluster.set_hba("hostssl all bob all cert");
    cluster.reload().unwrap();
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    refused(&connection, &Expected::of("no-rule"));
}

#[test]
fn at_a_server_without_roots() {
    let material = Material::new();
    let mut cluster = serving(&material, &material.server());
    cluster.set_conf(crate::material::TLS);
    cluster.reload().unwrap();
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    refused(&connection, &Expected::of("no-root-store"));
}

/// The server says all of it after the login, and a driver may have no words of its own for that.
#[test]
fn a_session_that_does_not_begin() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    let with_certificate_of_nobody = with(
        &cluster,
        "nobody",
        &folder(&material, &material.client("nobody")),
    );
    refused(
        &with_certificate_of_nobody,
        &Expected::of("role-cannot-log-in"),
    );
    let to_nowhere = Connection {
        database: "nowhere".to_owned(),
        ..connection.clone()
    };
    refused(&to_nowhere, &Expected::of("database-unknown"));
    cluster.sql("revoke connect on database postgres from public");
    refused(&connection, &Expected::of("database-closed"));
    cluster.sql("alter role alice connection limit 0");
    refused(&connection, &Expected::of("too-many-connections"));
    cluster.sql("alter role alice nologin");
    refused(&connection, &Expected::of("role-cannot-log-in"));
}

/// None of them was given one. Where they send an empty one instead, the server cannot tell. crypto/tls alone is no driver, and
/// pg8000 fails in Python's words for it: 'NoneType' object has no attribute 'decode'.
#[test]
fn a_password_is_asked_for() {
    let material = Material::new();
    let mut cluster = serving(&material, &material.server());
    cluster.set_hba("hostssl all all all scram-sha-256 clientcert=verify-full");
    cluster.reload().unwrap();
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    let empty = [Client::GoPq, Client::GoPgx, Client::Asyncpg];
    let mut asked = Client::ALL.to_vec();
    asked.retain(|it| ![Client::GoTls, Client::Pg8000].contains(it));
    let expected = Expected::of("password-missing").but(&empty, "password-refused");
    refused_of(&asked, &connection, &expected);
}

/// crypto/tls alone is no driver; it is what opens its connection that fails.
#[test]
fn where_nothing_listens() {
    let material = Material::new();
    let mut cluster = serving(&material, &material.server());
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    cluster.stop(Shutdown::Fast).unwrap();
    refused(&connection, &Expected::of("server-not-listening"));
    let elsewhere = Connection {
        host: "nowhere.invalid".to_owned(),
        ..connection
    };
    refused(&elsewhere, &Expected::of("host-unknown"));
}

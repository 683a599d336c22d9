//! The client's own files are not in order.

use std::fs;

use pgpki_testing::{Client, openssl};

use crate::explained::{Expected, refused, refused_of};
use crate::material::{Material, Pair, set_mode};
use crate::stage::{far, folder, serving, with};

/// Those that name the file in words of their own. The others say `No such file or directory`, if
/// that much.
const TELLING: [Client; 4] = [
    Client::Psql,
    Client::Psycopg2,
    Client::Psycopg3,
    Client::PgJdbc,
];

/// pgJDBC does not look, and the server finds the signature wrong.
#[test]
fn the_key_of_another_certificate() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let mixed = Pair {
        key: material.client("bob").key,
        ..material.client("alice")
    };
    let connection = with(&cluster, "alice", &folder(&material, &mixed));
    refused(&far(&connection), &Expected::of("key-mismatch"));
}

#[test]
fn a_key_of_another_kind() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let mixed = Pair {
        key: openssl(["genrsa", "2048"]).stdout,
        ..material.client("alice")
    };
    let connection = with(&cluster, "alice", &folder(&material, &mixed));
    refused(
        &far(&connection),
        &Expected::of("key-mismatch")
            .but(&[Client::PgJdbc], "jdbc-key")
            .but(&[Client::NodePostgres], "client-certificate-required"),
    );
}

#[test]
fn no_root_file() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let mut connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    connection.root = material.scene.path("none.crt");
    let expected = Expected::of("root-file-missing");
    refused_of(&TELLING, &connection, &expected);
}

#[test]
fn no_key() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let folder = folder(&material, &material.client("alice"));
    fs::remove_file(folder.join("postgresql.key")).unwrap();
    let mut connection = with(&cluster, "alice", &folder);
    connection.credential.as_mut().unwrap().as_it_is = true;
    let expected = Expected::of("key-missing").but(&[Client::PgJdbc], "jdbc-key");
    refused_of(&TELLING, &connection, &expected);
}

/// Where libpq looks, and lib/pq after it, the others do not.
#[test]
fn a_key_that_others_may_read() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let folder = folder(&material, &material.client("alice"));
    set_mode(&folder.join("postgresql.key"), 0o644);
    let connection = with(&cluster, "alice", &folder);
    let others = [
        Client::GoTls,
        Client::GoPgx,
        Client::PgJdbc,
        Client::NodePostgres,
        Client::Rustls,
        Client::Asyncpg,
        Client::Pg8000,
    ];
    refused(&connection, &Expected::of("key-mode").except(&others));
}

#[test]
fn a_key_in_pem_for_java() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let mut connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    connection.credential.as_mut().unwrap().as_it_is = true;
    refused_of(&[Client::PgJdbc], &connection, &Expected::of("jdbc-key"));
}

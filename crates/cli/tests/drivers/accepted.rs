//! A healthy installation: what `init` and `issue-client` make.

use std::thread;

use pgpki_testing::{Client, Session};

use crate::explained::{Expected, refused};
use crate::material::Material;
use crate::stage::{folder, serving, with};

/// Server and client send their leaf and the issuing CA's certificate, and both trust the root alone.
#[test]
fn every_client_is_in_under_its_own_name() {
    let material = Material::new();
    let cluster = serving(&material, &material.server());
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    let expected = Session {
        role: "alice".to_owned(),
        client_dn: "/CN=alice".to_owned(),
    };
    thread::scope(|scope| {
        for client in Client::ALL {
            let (connection, expected) = (&connection, &expected);
            scope.spawn(move || {
                let session = client.connect(connection);
                let session = session.unwrap_or_else(|it| panic!("{client}: {it}"));
                assert_eq!(&session, expected, "{client}");
            });
        }
    });
}

#[test]
fn no_client_is_in_by_a_name_that_the_server_has_not() {
    let material = Material::new();
    let cluster = serving(&material, &material.server_for("db.example.com"));
    let connection = with(
        &cluster,
        "alice",
        &folder(&material, &material.client("alice")),
    );
    refused(&connection, &Expected::of("host-name-mismatch"));
}

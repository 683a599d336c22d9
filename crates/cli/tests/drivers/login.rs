//! TLS stands, and the login does not.

use crate::explained::{Expected, refused};
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

//! The server refuses the client's certificate.

use pgpki_testing::{Client, Connection};

use crate::explained::{Expected, refused};
use crate::material::{Material, Pair, put};
use crate::stage::{far, folder, serving_with, with};

/// In TLS 1.3 a client believes the handshake over when the server looks at its certificate, in TLS
/// 1.2 it does not.
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// Those that keep their certificate to themselves when none of the CAs that the server names has
/// signed it.
const SHY: [Client; 4] = [Client::GoTls, Client::GoPq, Client::GoPgx, Client::PgJdbc];

/// Has alice come with a certificate to a server with these CRLs, in each version of TLS.
fn comes(
    material: &Material,
    client: &Pair,
    crls: &[u8],
    how: fn(&Connection) -> Connection,
    expected: &Expected,
) {
    for version in VERSIONS {
        let version = format!("ssl_max_protocol_version = '{version}'\n");
        let mut cluster = serving_with(material, &material.server(), &version);
        put(&cluster, "root.crl", crls);
        cluster.reload().unwrap();
        let connection = with(&cluster, "alice", &folder(material, client));
        refused(&how(&connection), expected);
    }
}

#[test]
fn of_another_ca() {
    let material = Material::new();
    let foreign = Material::new().client("alice");
    let expected = Expected::of("client-issuer-unknown");
    comes(&material, &foreign, &material.crls(), far, &expected);
}

/// The connection breaks while the client is still writing, or it does not.
#[test]
fn of_another_ca_on_the_same_machine() {
    let material = Material::new();
    let foreign = Material::new().client("alice");
    let expected = Expected::of("client-issuer-unknown").or_hidden();
    comes(
        &material,
        &foreign,
        &material.crls(),
        Connection::clone,
        &expected,
    );
}

#[test]
fn without_its_issuing_ca() {
    let material = Material::new();
    let alone = material.client("alice").alone();
    let expected = Expected::of("client-issuer-unknown").but(&SHY, "client-certificate-required");
    comes(&material, &alone, &material.crls(), far, &expected);
}

#[test]
fn expired() {
    let material = Material::made("-20d");
    let ended = material.client_at("-9d", "alice", &["--days", "1"]);
    let expected = Expected::of("client-certificate-expired");
    comes(&material, &ended, &material.crls(), far, &expected);
}

#[test]
fn not_yet_valid() {
    let material = Material::made("-20d");
    let early = material.client_at("+9d", "alice", &[]);
    let expected = Expected::of("client-certificate-bad");
    comes(&material, &early, &material.crls(), far, &expected);
}

#[test]
fn of_a_server() {
    let material = Material::new();
    let server = material.server_for("alice");
    let expected = Expected::of("client-certificate-purpose");
    comes(&material, &server, &material.crls(), far, &expected);
}

#[test]
fn revoked() {
    let material = Material::made("-1d");
    let alice = material.client("alice");
    // Of two CRLs of one CA the newer one counts.
    let crls = [material.crl("+0d", &[&alice]), material.crls()].concat();
    let expected = Expected::of("client-certificate-revoked");
    comes(&material, &alice, &crls, far, &expected);
}

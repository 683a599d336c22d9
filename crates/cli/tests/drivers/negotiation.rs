//! No TLS comes about.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use pgpki_testing::{Client, Cluster, Connection};

use crate::explained::{Expected, refused, refused_of};
use crate::material::Material;
use crate::stage::{serving_with, trusting, written};

#[test]
fn a_server_without_tls() {
    let material = Material::new();
    let cluster = Cluster::running();
    let connection = trusting(&cluster, &material, &material.root());
    refused(&connection, &Expected::of("server-without-tls"));
}

#[test]
fn no_version_in_common() {
    let material = Material::new();
    let old = "ssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.1'\n\
               ssl_ciphers = 'ALL:@SECLEVEL=0'\n";
    let cluster = serving_with(&material, &material.server(), old);
    let connection = trusting(&cluster, &material, &material.root());
    refused(&connection, &Expected::of("protocol-version"));
}

/// The server's key is of a kind that these suites cannot use.
#[test]
fn no_cipher_in_common() {
    let material = Material::new();
    let other =
        "ssl_max_protocol_version = 'TLSv1.2'\nssl_ciphers = 'ECDHE-RSA-AES128-GCM-SHA256'\n";
    let cluster = serving_with(&material, &material.server(), other);
    let connection = trusting(&cluster, &material, &material.root());
    refused(&connection, &Expected::of("no-common-cipher"));
}

/// Something that says yes to TLS and then speaks in the clear, as a balancer does that is set up
/// for another protocol.
#[test]
fn not_tls_at_all() {
    let material = Material::new();
    let connection = to_something_else(&material, |mut stream| {
        let _ = stream.write_all(b"S");
        let _ = stream.read(&mut [0; 16]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    refused(&connection, &Expected::of("not-tls"));
}

/// Those that say no more than `EOF`, which could be anything.
const TACITURN: [Client; 2] = [Client::GoTls, Client::GoPq];

/// A balancer that has no server to give the connection to.
#[test]
fn hung_up_at_once() {
    let material = Material::new();
    let connection = to_something_else(&material, drop);
    // pg8000 takes no answer for a no.
    let expected =
        Expected::of("closed-without-reason").but(&[Client::Pg8000], "server-without-tls");
    refused_of(&all_but(&TACITURN), &connection, &expected);
}

#[test]
fn hung_up_in_the_handshake() {
    let material = Material::new();
    let connection = to_something_else(&material, |mut stream| {
        let _ = stream.write_all(b"S");
        let _ = stream.read(&mut [0; 4096]);
    });
    // asyncpg raises an error without a text: ConnectionResetError.
    let clients = all_but(&[&TACITURN[..], &[Client::Asyncpg]].concat());
    refused_of(
        &clients,
        &connection,
        &Expected::of("closed-without-reason"),
    );
}

fn all_but(clients: &[Client]) -> Vec<Client> {
    let mut all = Client::ALL.to_vec();
    all.retain(|it| !clients.contains(it));
    all
}

/// A connection to a port where something answers a request for TLS in its own way.
fn to_something_else(material: &Material, answer: fn(TcpStream)) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // SSLRequest has eight bytes.
            let _ = stream.read_exact(&mut [0; 8]);
            thread::spawn(move || answer(stream));
        }
    });
    Connection {
        host: "127.0.0.1".to_owned(),
        port,
        role: "postgres".to_owned(),
        database: "postgres".to_owned(),
        tls: true,
        root: written(material, &material.root()),
        credential: None,
    }
}

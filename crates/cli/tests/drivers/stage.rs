//! A server for these tests, and clients that come to it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use pgpki_testing::{Cluster, Connection};

use crate::material::{CLIENTS, Material, Pair, TLS, put, put_credential, write_client};

/// Everybody needs a certificate, and `postgres` comes in without one.
pub(crate) const RULES: &str = "hostssl all postgres all trust\nhostssl all all all cert";

/// A server with this certificate, that checks clients' certificates; with the roles alice and bob.
pub(crate) fn serving(material: &Material, server: &Pair) -> Cluster {
    serving_with(material, server, "")
}

/// [`serving`] with more settings.
pub(crate) fn serving_with(material: &Material, server: &Pair, more: &str) -> Cluster {
    let conf = format!("{TLS}{CLIENTS}{more}");
    let mut cluster = Cluster::builder().conf(conf).hba(RULES).create().unwrap();
    put_credential(&cluster, server);
    put(&cluster, "root.crt", &material.root());
    put(&cluster, "root.crl", &material.crls());
    cluster.start().unwrap();
    for role in ["alice", "bob"] {
        cluster.create_role(role, None, true);
    }
    cluster
}

/// A connection as `role` with the files of a folder.
pub(crate) fn with(cluster: &Cluster, role: &str, folder: &Path) -> Connection {
    Connection::to(cluster, role, folder.join("root.crt")).with_folder(folder)
}

/// A connection without a client certificate, to a server that this root is for.
pub(crate) fn trusting(cluster: &Cluster, material: &Material, root: &[u8]) -> Connection {
    Connection::to(cluster, "postgres", written(material, root))
}

/// A new folder with a client's files.
pub(crate) fn folder(material: &Material, pair: &Pair) -> PathBuf {
    let folder = tempfile::tempdir_in(material.scene.path(""))
        .unwrap()
        .keep();
    write_client(&folder, pair, &material.root());
    folder
}

/// A new file with this in it.
pub(crate) fn written(material: &Material, content: &[u8]) -> PathBuf {
    let folder = tempfile::tempdir_in(material.scene.path(""))
        .unwrap()
        .keep();
    let path = folder.join("written.crt");
    std::fs::write(&path, content).unwrap();
    path
}

/// How long a byte of the server's is under way to a client that is [`far`]: more than a client takes
/// to write what it wants to.
const UNDER_WAY: Duration = Duration::from_millis(30);

/// The same connection, to a server that is not on the same machine. Nearby, a server that refuses a
/// client hangs up while the client is still writing, which then fails, and the reason is lost.
pub(crate) fn far(connection: &Connection) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (near, far) = (connection.port, listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", near)).unwrap();
            let (from_server, to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || carry(from_server, to_client, UNDER_WAY));
            thread::spawn(move || carry(client, server, Duration::ZERO));
        }
    });
    Connection {
        port: far,
        ..connection.clone()
    }
}

/// Carries bytes until one side ends. The other side may go on writing to one that has ended.
fn carry(mut from: TcpStream, mut to: TcpStream, under_way: Duration) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        thread::sleep(under_way);
        if to.write_all(&buffer[..count]).is_err() {
            let _ = io::copy(&mut from, &mut io::sink());
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

//! What is converted, where it is used: by a server, by libpq, by pgJDBC.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pgpki_testing::{Client, Cluster, Connection, Credential, Scene};

use crate::fixture::{KINDS, PASSPHRASE, openssl, scene};

const TLS: &str = "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n\
    ssl_ca_file = 'root.crt'\n";
const RULES: &str = "hostssl all all all cert";

/// A passphrase without blanks, for a setting and a connection string.
const WORD: &str = "geheim-geheim";

/// A scene with a CA, and credentials of that kind for a server and for alice.
fn issued(kind: &str) -> Scene {
    let scene = scene();
    crate::fixture::secret(&scene.path("word"), WORD);
    let words = KINDS.iter().find(|(name, _)| *name == kind).unwrap().1;
    openssl(
        &scene,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 9",
    );
    fs::write(scene.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
    for (name, more) in [("localhost", " -extfile names"), ("alice", "")] {
        openssl(
            &scene,
            &format!("genpkey -algorithm {words} -out {name}.key"),
        );
        openssl(
            &scene,
            &format!("req -new -key {name}.key -out {name}.csr -subj /CN={name}"),
        );
        openssl(
            &scene,
            &format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -out {name}.crt{more}"
            ),
        );
    }
    scene
}

fn put(cluster: &Cluster, scene: &Scene, from: &str, to: &str) {
    let path = cluster.data_dir().join(to);
    fs::copy(scene.path(from), &path).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    cluster.owner().take(&path).unwrap();
}

/// A server whose key needs its passphrase, for whom the caller's `alice` may come in.
fn serving(scene: &Scene) -> Cluster {
    scene.pgpki("convert localhost.key --to pkcs8 --new-passphrase-file word --out server.key");
    let conf = format!("{TLS}ssl_passphrase_command = 'echo {WORD}'\n");
    let mut cluster = Cluster::builder().conf(conf).hba(RULES).create().unwrap();
    for (from, to) in [
        ("localhost.crt", "server.crt"),
        ("server.key", "server.key"),
        ("ca.crt", "root.crt"),
    ] {
        put(&cluster, scene, from, to);
    }
    cluster.start().unwrap();
    cluster.create_role("alice", None, true);
    cluster
}

/// libpq opens alice's key with `sslpassword`, and the server its own with `ssl_passphrase_command`.
#[test]
fn a_server_and_libpq_open_each_kind() {
    for kind in ["p256", "p384", "rsa2048", "rsa4096"] {
        let scene = issued(kind);
        let cluster = serving(&scene);
        scene.pgpki("convert alice.key --to pkcs8 --new-passphrase-file pass --out locked.key");
        scene.pgpki("convert alice.key --to der --new-passphrase-file pass --out locked.der");
        let comes_in = |key: &str, passphrase: &str| {
            let conninfo = format!(
                "host=localhost port={port} user=alice dbname=postgres sslmode=verify-full \
                     sslrootcert='{root}' sslcert='{certificate}' sslkey='{key}' sslpassword='{passphrase}'",
                port = cluster.port(),
                root = scene.path("ca.crt").display(),
                certificate = scene.path("alice.crt").display(),
                key = scene.path(key).display(),
            );
            let output = cluster.psql(&conninfo, "select current_user");
            match output.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            }
        };
        assert_eq!(comes_in("locked.key", PASSPHRASE), Ok(()), "{kind}");
        comes_in("locked.key", "wrong").unwrap_err();
        // What libpq takes of DER is open.
        let refusal = comes_in("locked.der", PASSPHRASE).unwrap_err();
        assert!(
            refusal.contains("could not load private key file"),
            "{refusal}"
        );
    }
}

/// The driver's own way: `sslkey` ends with `.p12`, the alias is `user`.
#[test]
fn pgjdbc_opens_the_container() {
    for kind in ["p256", "rsa2048"] {
        let scene = issued(kind);
        let cluster = serving(&scene);
        scene.pgpki(
            "convert alice.key alice.crt ca.crt --to pkcs12 --new-passphrase-file word --out alice.p12",
        );
        let connection = |passphrase: &str| Connection {
            // What its small program knows no word for goes through the address.
            database: format!("postgres?sslpassword={passphrase}"),
            credential: Some(Credential {
                certificate: scene.path("alice.crt"),
                key: scene.path("alice.p12"),
                as_it_is: true,
            }),
            ..Connection::to(&cluster, "alice", scene.path("ca.crt"))
        };
        let session = Client::PgJdbc.connect(&connection(WORD)).unwrap();
        assert_eq!(session.client_dn, "/CN=alice", "{kind}");
        Client::PgJdbc.connect(&connection("wrong")).unwrap_err();
    }
}

/// And with the key as `.pk8`.
#[test]
fn pgjdbc_takes_plain_der() {
    let scene = issued("p256");
    let cluster = serving(&scene);
    scene.pgpki("convert alice.key --to der --out alice.pk8");
    let connection = Connection {
        credential: Some(Credential {
            certificate: scene.path("alice.crt"),
            key: scene.path("alice.pk8"),
            as_it_is: true,
        }),
        ..Connection::to(&cluster, "alice", scene.path("ca.crt"))
    };
    let session = Client::PgJdbc.connect(&connection).unwrap();
    assert_eq!(session.client_dn, "/CN=alice");
}

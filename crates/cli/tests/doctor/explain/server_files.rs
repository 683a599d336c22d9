//! Files that a server does not start with, or does not reload.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;

use pgpki_testing::{Cluster, ServerPrograms, openssl};

use super::{explained, libpqs, psql_says};
use crate::material::{CLIENTS, Material, Pair, TLS, put, put_credential, set_mode, text};

/// Somebody who is neither the server's user nor root.
const STRANGER: u32 = 65_534;

type Fault<'a> = (&'a str, Box<dyn Fn(&Cluster) + 'a>);

fn healthy(cluster: &Cluster, material: &Material) {
    for name in ["own.key", "own.crt"] {
        let path = cluster.data_dir().join(name);
        let _ = fs::remove_dir(&path);
        let _ = fs::remove_file(&path);
    }
    put_credential(cluster, &material.server());
    put(cluster, "root.crt", &material.root());
    put(cluster, "root.crl", &material.crls());
}

fn key_faults() -> Vec<Fault<'static>> {
    let key = |cluster: &Cluster| cluster.data_dir().join("own.key");
    vec![
        ("key-mode", Box::new(move |it| set_mode(&key(it), 0o644))),
        (
            "key-owner",
            Box::new(move |it| chown(key(it), Some(STRANGER), None).unwrap()),
        ),
        (
            "key-not-a-file",
            Box::new(move |it| {
                fs::remove_file(key(it)).unwrap();
                fs::create_dir(key(it)).unwrap();
                chown(key(it), Some(it.owner().uid), None).unwrap();
            }),
        ),
        (
            "key-unreadable",
            Box::new(move |it| chown(key(it), Some(0), Some(0)).unwrap()),
        ),
        (
            "key-inaccessible",
            Box::new(move |it| fs::remove_file(key(it)).unwrap()),
        ),
    ]
}

fn content_faults(material: &Material) -> Vec<Fault<'_>> {
    let (server, other) = (material.server(), material.server_for("other"));
    let reversed = server.reversed();
    let der = pgpki_core::first_certificate(&server.chain).unwrap();
    let rsa = openssl(["genrsa", "2048"]).stdout;
    let closed = |it: &Cluster, name: &str| chown(it.data_dir().join(name), Some(0), Some(0));
    vec![
        (
            "key-mismatch",
            Box::new(move |it| {
                put(it, "own.key", &rsa);
            }),
        ),
        (
            "certificate-file-unreadable",
            Box::new(move |it| closed(it, "own.crt").unwrap()),
        ),
        (
            "certificate-file-unreadable",
            Box::new(move |it| closed(it, "root.crt").unwrap()),
        ),
        (
            "certificate-file-unreadable",
            Box::new(move |it| closed(it, "root.crl").unwrap()),
        ),
        (
            "certificate-file-unreadable",
            Box::new(|it| fs::remove_file(it.data_dir().join("root.crl")).unwrap()),
        ),
        (
            "key-mismatch",
            Box::new(move |it| {
                put(it, "own.key", &other.key);
            }),
        ),
        (
            "key-mismatch",
            Box::new(move |it| {
                put(it, "own.crt", &reversed.chain);
            }),
        ),
        (
            "not-pem",
            Box::new(move |it| {
                put(it, "own.crt", &der);
            }),
        ),
        (
            "not-pem",
            Box::new(|it| {
                put(it, "own.crt", b"");
            }),
        ),
        (
            "certificate-file-unreadable",
            Box::new(|it| fs::remove_file(it.data_dir().join("own.crt")).unwrap()),
        ),
        (
            "no-certificate-or-crl",
            Box::new(|it| {
                put(it, "root.crt", b"");
            }),
        ),
        (
            "no-certificate-or-crl",
            Box::new(|it| {
                put(it, "root.crl", b"");
            }),
        ),
        (
            "certificate-file-unreadable",
            Box::new(|it| fs::remove_file(it.data_dir().join("root.crt")).unwrap()),
        ),
    ]
}

/// Each fault by itself: at a start, where the server gives up, and at a reload, where it goes on
/// with what it had.
#[test]
fn files_that_cannot_be_loaded() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let conf = format!("{TLS}{CLIENTS}");
        let mut cluster = Cluster::builder()
            .programs(&programs)
            .conf(conf)
            .create()
            .unwrap();
        let faults: Vec<_> = key_faults()
            .into_iter()
            .chain(content_faults(&material))
            .collect();
        for (expected, make) in &faults {
            healthy(&cluster, &material);
            make(&cluster);
            let logged = cluster.start().expect_err(expected);
            explained(&logged, &[expected]);
        }
        healthy(&cluster, &material);
        cluster.start().unwrap();
        for (expected, make) in &faults {
            healthy(&cluster, &material);
            make(&cluster);
            let logged = cluster.reload().expect_err(expected);
            explained(&logged, &[expected, "not-reloaded"]);
        }
    }
}

#[test]
fn an_encrypted_key() {
    let material = Material::new();
    let key = text(&material.scene.path("plain.key"));
    let locked = text(&material.scene.path("locked.key"));
    fs::write(&key, material.server().key).unwrap();
    openssl([
        "pkey",
        "-in",
        &key,
        "-aes256",
        "-passout",
        "pass:secret",
        "-out",
        &locked,
    ]);
    let locked = fs::read(locked).unwrap();
    for programs in ServerPrograms::every() {
        let mut cluster = Cluster::builder()
            .programs(&programs)
            .conf(TLS)
            .create()
            .unwrap();
        put_credential(&cluster, &material.server());
        cluster.start().unwrap();
        put(&cluster, "own.key", &locked);
        explained(
            &cluster.reload().unwrap_err(),
            &["key-passphrase", "not-reloaded"],
        );
        for answer in ["echo wrong", "true"] {
            cluster.set_conf(format!(
                "{TLS}ssl_passphrase_command = '{answer}'\n\
                 ssl_passphrase_command_supports_reload = on\n"
            ));
            explained(
                &cluster.reload().unwrap_err(),
                &["key-passphrase", "not-reloaded"],
            );
        }
    }
}

/// The fetched servers come with an OpenSSL that takes both.
#[test]
fn keys_and_signatures_of_another_age() {
    let material = Material::new();
    for (name, kind, digest) in [
        ("key-too-small", "rsa:1024", "-sha256"),
        ("signature-weak", "rsa:2048", "-sha1"),
    ] {
        let mut cluster = Cluster::builder().conf(TLS).create().unwrap();
        put_credential(&cluster, &leaf_of_another_age(&material, kind, digest));
        let is_fetched = cluster
            .programs()
            .folder()
            .starts_with(ServerPrograms::folder_of_versions());
        match cluster.start() {
            Ok(()) => assert!(is_fetched, "it takes {kind} {digest}"),
            Err(logged) => explained(&logged, &[name]),
        }
    }
}

/// OpenSSL looks at the signature of a leaf, and not at that of a root.
fn leaf_of_another_age(material: &Material, kind: &str, digest: &str) -> Pair {
    let path = |name: &str| text(&material.scene.path(name));
    let (ca, ca_key, key, request, leaf) = (
        path("o.crt"),
        path("o.ca.key"),
        path("o.key"),
        path("o.csr"),
        path("o.leaf"),
    );
    openssl([
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-keyout", &ca_key,
        "-out", &ca,
    ]);
    openssl([
        "req",
        "-new",
        "-newkey",
        kind,
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &key,
        "-out",
        &request,
    ]);
    openssl([
        "x509", "-req", digest, "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-days", "30",
        "-out", &leaf,
    ]);
    Pair {
        chain: fs::read(leaf).unwrap(),
        key: fs::read(key).unwrap(),
    }
}

/// libpq has the same checks for a client's key.
#[test]
fn a_clients_key() {
    let material = Material::new();
    let (alice, bob) = (material.client("alice"), material.client("bob"));
    let root = material.root();
    for programs in ServerPrograms::every() {
        let cluster = Cluster::builder().programs(&programs).conf(TLS).create();
        let mut cluster = cluster.unwrap();
        put_credential(&cluster, &material.server());
        cluster.start().unwrap();
        for libpq in libpqs(&cluster) {
            let mixed = Pair {
                key: bob.key.clone(),
                ..alice.clone()
            };
            let says = |files: &str| {
                let conninfo = format!("user=alice sslmode=verify-full {files}");
                psql_says(&cluster, libpq.as_ref(), &conninfo)
            };
            explained(&says(&material.files(&mixed, &root)), &["key-mismatch"]);
            let files = material.files(&alice, &root);
            let key = files
                .split("sslkey=")
                .nth(1)
                .unwrap()
                .split(' ')
                .next()
                .unwrap();
            set_mode(key.as_ref(), 0o644);
            explained(&says(&files), &["key-mode"]);
            fs::remove_file(key).unwrap();
            explained(&says(&files), &["key-missing"]);
            fs::create_dir(key).unwrap();
            explained(&says(&files), &["key-not-a-file"]);
        }
    }
}

/// Where libpq has no words for it, that is said.
#[test]
fn a_clients_key_that_its_user_may_not_read() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    let folder = files.split("sslcert=").nth(1).unwrap();
    let folder = folder.split("/postgresql.crt").next().unwrap();
    set_mode(folder.as_ref(), 0o755);
    for programs in ServerPrograms::every() {
        let mut cluster = Cluster::builder()
            .programs(&programs)
            .conf(TLS)
            .create()
            .unwrap();
        put_credential(&cluster, &material.server());
        cluster.start().unwrap();
        for libpq in libpqs(&cluster) {
            let mut psql = cluster.psql_command();
            if let Some(folder) = &libpq {
                psql.env("LD_LIBRARY_PATH", folder);
            }
            let port = cluster.port();
            let conninfo =
                format!("host=localhost port={port} user=alice sslmode=verify-full {files}");
            let psql = psql.uid(STRANGER).gid(STRANGER).current_dir("/");
            let output = psql
                .args(["-XAtqc", "select 1", "-d", &conninfo])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let expected = match said.contains("Permission denied") {
                true => "key-unreadable",
                false => "key-not-loaded",
            };
            explained(&said, &[expected]);
        }
    }
}

//! Servers whose certificate is wrong in one way each.

use std::fs;

use pgpki_testing::{Cluster, Scene, openssl, run};

use crate::fixture::{
    at, codes, finding, inspect, one, put, scene, scene_with_authority, serving, serving_pem,
};

/// The installed leaf alone, and its key.
fn leaf_alone(scene: &Scene) -> Cluster {
    let file = |name: &str| fs::read(scene.tls().join("current").join(name)).unwrap();
    let leaf = pgpki_core::first_certificate(&file("server.crt")).unwrap();
    let leaf = pgpki_core::pem("CERTIFICATE", &leaf);
    serving_pem(leaf.as_bytes(), &file("server.key"))
}

fn root(scene: &Scene) -> String {
    let root = scene.tls().join("current/root.crt");
    root.to_str().unwrap().to_owned()
}

#[test]
fn for_another_host() {
    let scene = scene_with_authority();
    let cluster = serving(&scene);
    let server = one(&scene, &[&at(&cluster, "[::1]")], 1);
    assert_eq!(codes(&server), ["name-mismatch"]);
    assert_eq!(server["host_matches"], "no");
    let message = finding(&server, "name-mismatch")["message"]
        .as_str()
        .unwrap();
    assert!(
        message.contains("::1") && message.contains("localhost, 127.0.0.1"),
        "{message}"
    );
    // By the name that the URL has, wherever it leads.
    let url = format!(
        "postgresql://db.example.com:{}/?hostaddr=127.0.0.1",
        cluster.port()
    );
    assert_eq!(codes(&one(&scene, &[&url], 1)), ["name-mismatch"]);
}

/// The server starts, and psql with verify-full fails.
#[test]
fn without_its_issuing_ca() {
    let scene = scene_with_authority();
    let cluster = leaf_alone(&scene);
    let target = at(&cluster, "localhost");
    let conninfo = format!(
        "host=localhost port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={}",
        cluster.port(),
        root(&scene)
    );
    let psql = cluster.psql(&conninfo, "select 1");
    let said = String::from_utf8_lossy(&psql.stderr).into_owned();
    assert!(said.contains("certificate verify failed"), "{said}");

    let server = one(&scene, &[&target], 1);
    assert_eq!(codes(&server), ["chain-incomplete"]);
    let found = finding(&server, "chain-incomplete");
    assert_eq!(found["severity"], "error");
    assert!(
        found["message"].as_str().unwrap().contains("issuing CA"),
        "{found}"
    );
    // Whoever knows just the root, as psql did above, knows less.
    let server = one(&scene, &[&target, "--root", &root(&scene)], 1);
    assert_eq!(codes(&server), ["chain-broken"]);
}

#[test]
fn under_another_root() {
    let (own, other) = (scene_with_authority(), scene_with_authority());
    let cluster = serving(&own);
    let target = at(&cluster, "localhost");
    let good = one(&other, &[&target, "--root", &root(&own)], 0);
    assert_eq!(good["roots"][0]["from"], "file");
    assert_eq!(good["roots"][0]["closes"], true);
    assert_eq!(good["roots"].as_array().unwrap().len(), 1);
    let server = one(&own, &[&target, "--root", &root(&other)], 1);
    assert_eq!(codes(&server), ["chain-broken"]);
    assert_eq!(finding(&server, "chain-broken")["severity"], "error");
    // Without --root, nobody can say which roots the clients have.
    let server = one(&other, &[&target], 1);
    assert_eq!(codes(&server), ["root-unknown"]);
    assert_eq!(finding(&server, "root-unknown")["severity"], "warning");
    let text = inspect(&other, &[&target]).text(1);
    for store in ["this authority", "the system's roots"] {
        let line = format!("does not close with {store}: localhost < localhost issuing CA 1 < ?");
        assert!(text.contains(&line), "{line}\n{text}");
    }
    // Without an authority, there are the system's.
    let server = one(&scene(), &[&target], 1);
    assert_eq!(codes(&server), ["root-unknown"]);
    assert_eq!(server["roots"][0]["from"], "system");
    let trusting = scene();
    let mut command = trusting.command(["inspect", &target]);
    let text = crate::fixture::Report::of(command.env("SSL_CERT_FILE", root(&own))).text(0);
    assert!(text.contains("closes with the system's roots"), "{text}");
}

#[test]
fn expired() {
    let scene = scene();
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    let (tls, owner) = (scene.tls(), format!("{}:{}", owner.uid, owner.gid));
    let init = [
        "init",
        "localhost",
        "--no-root-passphrase",
        "--owner",
        &owner,
        "--install",
    ];
    let args = init
        .iter()
        .map(std::ffi::OsStr::new)
        .chain([tls.as_os_str()]);
    run(&mut scene.command_at("-400d", args));
    let cluster = serving(&scene);
    let target = at(&cluster, "localhost");
    let server = one(&scene, &[&target], 1);
    assert_eq!(codes(&server), ["expired"]);
    assert_eq!(
        server["roots"][0]["closes"], true,
        "that it expired is another matter"
    );
    assert_eq!(server["certificates"][0]["status"], "expired");
    let text = inspect(&scene, &[&target]).text(1);
    assert!(
        text.contains("ended 3") && text.contains("[expired]"),
        "{text}"
    );
}

#[test]
fn about_to_expire() {
    let scene = scene_with_authority();
    let cluster = serving(&scene);
    let target = at(&cluster, "localhost");
    let mut command = scene.command_at("+300d", ["inspect", &target, "--json"]);
    let servers = crate::fixture::Report::of(&mut command).servers(1);
    assert_eq!(codes(&servers[0]), ["due"]);
}

#[test]
fn self_signed() {
    let scene = scene();
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    let (key, certificate) = (path("k.pem"), path("c.pem"));
    openssl([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "365",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "keyUsage=digitalSignature",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    let read = |path: &str| fs::read(path).unwrap();
    let cluster = serving_pem(&read(&certificate), &read(&key));
    let target = at(&cluster, "localhost");
    let server = one(&scene, &[&target], 1);
    assert_eq!(codes(&server), ["root-unknown", "self-signed-leaf"]);
    // psql accepts it as its own root; others do not.
    let server = one(&scene, &[&target, "--root", &certificate], 1);
    assert_eq!(codes(&server), ["self-signed-leaf"]);
}

/// psql with a password and channel binding, which is its default, fails here.
#[test]
fn signed_with_ed25519() {
    let scene = scene();
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    let (ca_key, ca, key, request, leaf, extensions) = (
        path("ca.key"),
        path("ca.crt"),
        path("k.pem"),
        path("r.pem"),
        path("l.pem"),
        path("x"),
    );
    openssl([
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-days",
        "3650",
        "-subj",
        "/CN=ca",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout",
        &ca_key,
        "-out",
        &ca,
    ]);
    openssl([
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &key,
        "-out",
        &request,
    ]);
    let text = "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n\
                keyUsage=digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    fs::write(&extensions, text).unwrap();
    openssl([
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-days",
        "365",
        "-extfile",
        &extensions,
        "-out",
        &leaf,
    ]);
    let cluster = serving_pem(&fs::read(&leaf).unwrap(), &fs::read(&key).unwrap());
    let server = one(&scene, &[&at(&cluster, "localhost"), "--root", &ca], 1);
    assert_eq!(codes(&server), ["signature-no-digest"]);
    assert_eq!(server["roots"][0]["closes"], true);
}

/// X.509 version 1, as `openssl x509 -req` makes it without extensions.
#[test]
fn of_version_1() {
    let scene = scene();
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    let (key, request, leaf) = (path("k.pem"), path("r.pem"), path("l.pem"));
    openssl([
        "req",
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
        "x509", "-req", "-in", &request, "-signkey", &key, "-out", &leaf,
    ]);
    let cluster = serving_pem(&fs::read(&leaf).unwrap(), &fs::read(&key).unwrap());
    let server = one(&scene, &[&at(&cluster, "localhost"), "--root", &leaf], 1);
    assert!(
        codes(&server).contains(&"certificate-unusable"),
        "{server:#}"
    );
    assert_eq!(server["host_matches"], "libpq-only");
    assert_eq!(finding(&server, "name-mismatch")["severity"], "warning");
}

/// What is served is shown, also while another certificate is already on disk.
#[test]
fn what_is_served_and_not_what_is_installed() {
    let (one_scene, other) = (scene_with_authority(), scene_with_authority());
    let credential = |scene: &Scene| {
        let file = |name: &str| fs::read(scene.tls().join("current").join(name)).unwrap();
        (file("server.crt"), file("server.key"))
    };
    let (chain, key) = credential(&one_scene);
    let mut cluster = serving_pem(&chain, &key);
    let target = at(&cluster, "localhost");
    let serial = |scene: &Scene| one(scene, &[&target], 0)["certificates"][0]["serial"].clone();
    let before = serial(&one_scene);
    let (chain, key) = credential(&other);
    put(&cluster, "own.crt", &chain);
    put(&cluster, "own.key", &key);
    assert_eq!(serial(&one_scene), before);
    cluster.reload().unwrap();
    assert_ne!(serial(&other), before);
}

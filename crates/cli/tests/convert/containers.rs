//! Containers that we make, judged by those who are to open them.

use std::process::Command;

use pgpki_testing::{Scene, certtool, openssl as openssl_with, run};

use crate::fixture::{
    BAD_INPUT, KINDS, PASSPHRASE, mode, openssl, public_half, refuses, secret, text, tool,
    with_credential,
};

fn made(kind: &str) -> Scene {
    let scene = with_credential(kind);
    let said = scene.pgpki(
        "convert ca.crt alice.key alice.crt --to pkcs12 --new-passphrase-file pass --out alice.p12",
    );
    assert_eq!(said, "alice.p12: 1 key, 2 certificates\n");
    assert_eq!(mode(&scene, "alice.p12"), 0o600);
    scene
}

fn pass(passphrase: &str) -> String {
    format!("pass:{passphrase}")
}

/// Without `-legacy`: everything in it is of today.
#[test]
fn openssl_opens_each_kind() {
    for (kind, _) in KINDS {
        let scene = made(kind);
        let p12 = scene.path("alice.p12");
        let open = |more: &[&str]| {
            let mut args = vec!["pkcs12", "-in", p12.to_str().unwrap(), "-passin"];
            let pass = pass(PASSPHRASE);
            args.push(&pass);
            args.extend(more);
            let output = openssl_with(&args);
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8(text).unwrap()
        };
        let key = open(&["-nocerts", "-nodes"]);
        std::fs::write(scene.path("opened.key"), key).unwrap();
        assert_eq!(
            public_half(&scene, "opened.key", ""),
            public_half(&scene, "alice.key", ""),
            "{kind}"
        );
        let leaf = open(&["-clcerts", "-nokeys"]);
        assert!(leaf.contains("subject=CN = alice"), "{leaf}");
        assert!(leaf.contains("friendlyName: user"), "{leaf}");
        let chain = open(&["-cacerts", "-nokeys"]);
        assert!(chain.contains("subject=CN = ca"), "{chain}");
        assert!(!chain.contains("friendlyName"), "{chain}");
        let info = open(&["-info", "-noout"]);
        assert!(info.contains("MAC: sha256, Iteration 100000"), "{info}");
        let method = "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256";
        assert_eq!(info.matches(method).count(), 2, "{info}");
    }
}

#[test]
fn java_opens_each_kind() {
    for (kind, _) in KINDS {
        let scene = made(kind);
        let mut keytool = Command::new("keytool");
        keytool
            .args(["-list", "-v", "-alias", "user", "-keystore", "alice.p12"])
            .args(["-storepass", PASSPHRASE])
            .current_dir(scene.path(""));
        let listed = String::from_utf8(run(&mut keytool).stdout).unwrap();
        assert!(listed.contains("Entry type: PrivateKeyEntry"), "{listed}");
        assert!(listed.contains("chain length: 2"), "{kind}: {listed}");
        assert!(listed.contains("Owner: CN=alice"), "{listed}");
        // This needs the key itself.
        let mut keytool = Command::new("keytool");
        keytool
            .args(["-certreq", "-alias", "user", "-keystore", "alice.p12"])
            .args(["-storepass", PASSPHRASE, "-file", "again.csr"])
            .current_dir(scene.path(""));
        run(&mut keytool);
        let public = openssl(&scene, "req -in again.csr -noout -pubkey -verify");
        assert_eq!(public, public_half(&scene, "alice.key", ""), "{kind}");
    }
}

#[test]
fn gnutls_opens_each_kind() {
    for (kind, _) in KINDS {
        let scene = made(kind);
        let p12 = scene.path("alice.p12");
        let file = ["--p12-info", "--inder", "--infile", p12.to_str().unwrap()];
        let output = certtool(file.iter().chain(&["--password", PASSPHRASE]));
        let info = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(info.contains("MAC: SHA256"), "{info}");
        assert!(info.contains("PBES2-AES256-CBC"), "{info}");
        assert_eq!(info.matches("-----BEGIN CERTIFICATE").count(), 2, "{info}");
        assert!(info.contains("PRIVATE KEY-----"), "{kind}: {info}");
    }
}

/// The leaf is found by its key, wherever it stands, and a chain is put in order.
#[test]
fn the_order_of_the_inputs_does_not_matter() {
    let scene = with_credential("p256");
    openssl(
        &scene,
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout sub.key -out sub.csr -subj /CN=sub",
    );
    openssl(
        &scene,
        "x509 -req -in sub.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -out sub.crt",
    );
    openssl(
        &scene,
        "x509 -req -in alice.csr -CA sub.crt -CAkey sub.key -CAcreateserial -days 9 -out alice.crt",
    );
    let chain = text(&scene, "ca.crt") + &text(&scene, "sub.crt") + &text(&scene, "ca.crt");
    std::fs::write(scene.path("chain.crt"), chain).unwrap();
    scene.pgpki("convert chain.crt alice.crt alice.key --to pkcs12 --new-passphrase-file pass --out alice.p12");
    scene.pgpki("convert alice.p12 --passphrase-file pass --to pem --out all.pem");
    let expected: String = ["alice.crt", "sub.crt", "ca.crt"]
        .iter()
        .map(|name| text(&scene, name))
        .collect();
    let all = text(&scene, "all.pem");
    assert!(all.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{all}");
    assert!(all.ends_with(&expected), "{all}");
    assert_eq!(mode(&scene, "all.pem"), 0o600);
    assert_eq!(
        public_half(&scene, "all.pem", ""),
        public_half(&scene, "alice.key", "")
    );
}

/// What `keytool -importkeystore` makes of ours has the same key.
#[test]
fn java_takes_it_over() {
    let scene = made("p256");
    let mut keytool = Command::new("keytool");
    keytool
        .args(["-importkeystore", "-noprompt", "-srckeystore", "alice.p12"])
        .args(["-srcstorepass", PASSPHRASE, "-destkeystore", "java.p12"])
        .args(["-deststoretype", "PKCS12", "-deststorepass", PASSPHRASE])
        .current_dir(scene.path(""));
    run(&mut keytool);
    scene.pgpki("convert java.p12 --passphrase-file pass --to pkcs8 --out java.key");
    assert_eq!(
        public_half(&scene, "java.key", ""),
        public_half(&scene, "alice.key", "")
    );
    assert!(tool(&scene, "cat", "java.key").starts_with("-----BEGIN PRIVATE KEY-----"));
}

/// Why a passphrase must be ASCII: Java makes nothing under another, and opens nothing.
#[test]
fn java_has_no_other_characters() {
    let scene = with_credential("p256");
    let passphrase = "p\u{e4}ssword";
    secret(&scene.path("umlaut"), passphrase);
    let mut keytool = Command::new("keytool");
    keytool
        .args(["-genkeypair", "-keyalg", "EC", "-alias", "user"])
        .args(["-dname", "CN=x", "-keystore", "j.p12"])
        .args(["-storepass", passphrase])
        .env("LC_ALL", "C.UTF-8")
        .current_dir(scene.path(""));
    let output = keytool.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("Password is not ASCII"), "{said}");
    let refusal = refuses(
        &scene,
        BAD_INPUT,
        "convert alice.key alice.crt --to pkcs12 --new-passphrase-file umlaut --out x.p12",
    );
    assert!(refusal.contains("printable ASCII"), "{refusal}");
}

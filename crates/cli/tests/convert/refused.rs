//! What cannot be converted is refused in one line, and nothing is written.

use std::fs;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::fixture::{BAD_INPUT, USAGE, openssl, refuses, scene, text, with_credential};

/// Arguments that make no sense, or that would put a secret where everybody sees it.
#[test]
fn usage() {
    let scene = scene();
    for line in [
        "convert",
        "convert a",
        "convert a --to",
        "convert a --to jks",
        "convert --to pem",
        "convert a --to pem --new-passphrase-file b --generate-passphrase",
        "convert a --to pem --passphrase secret",
        "convert a --to pem --passin pass:secret",
    ] {
        scene.fails(USAGE, line);
    }
}

#[test]
fn files_that_hold_nothing_of_the_kind() {
    let scene = with_credential("p256");
    let crt = fs::read(scene.path("alice.crt")).unwrap();
    let key = text(&scene, "alice.key");
    openssl(&scene, "x509 -in alice.crt -outform DER -out alice.der");
    openssl(&scene, "pkey -in alice.key -pubout -out public.pem");
    openssl(&scene, "crl2pkcs7 -nocrl -certfile alice.crt -out p7.pem");
    openssl(
        &scene,
        "crl2pkcs7 -nocrl -certfile alice.crt -outform DER -out p7.der",
    );
    openssl(
        &scene,
        "pkcs12 -export -in alice.crt -inkey alice.key -passout file:pass -out alice.p12",
    );
    let der = fs::read(scene.path("alice.der")).unwrap();
    let p12 = fs::read(scene.path("alice.p12")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("empty", vec![], "is empty"),
        ("blank", b" \n\t\n".to_vec(), "is empty"),
        ("text", b"hello\n".to_vec(), "looks like text"),
        ("binary", (0..=255).collect(), "looks like binary data"),
        ("zeros", vec![0; 100_000], "looks like"),
        ("cut.pem", crt[..crt.len() / 2].to_vec(), "cut off"),
        ("cut.der", der[..der.len() / 2].to_vec(), "cut off"),
        ("cut.p12", p12[..p12.len() / 2].to_vec(), "cut off"),
        ("more.der", [&der[..], b"more"].concat(), "4 bytes too many"),
        ("more.p12", [&p12[..], b"more"].concat(), "4 bytes too many"),
        (
            "swapped",
            key.replace("PRIVATE KEY", "CERTIFICATE").into_bytes(),
            "PEM block 1 (CERTIFICATE)",
        ),
        ("base64", key.replace("MI", "**").into_bytes(), "not base64"),
    ];
    for (name, content, says) in cases {
        fs::write(scene.path(name), content).unwrap();
        let line = format!("convert {name} --passphrase-file pass --to pem --out x");
        let said = refuses(&scene, BAD_INPUT, &line);
        assert!(said.starts_with(&format!("pgpki: {name}: ")), "{said}");
        assert!(said.contains(says), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    for (name, says) in [
        ("public.pem", "PEM block 1 (PUBLIC KEY)"),
        ("p7.pem", "PEM block 1 (PKCS7)"),
        ("p7.der", "PKCS#7"),
    ] {
        let said = refuses(&scene, BAD_INPUT, &format!("convert {name} --to pem"));
        assert!(said.contains(says), "{name}: {said}");
    }
}

/// One that is sound does not help another that is not.
#[test]
fn one_of_several() {
    let scene = with_credential("p256");
    fs::write(scene.path("broken"), "hello").unwrap();
    let said = refuses(
        &scene,
        BAD_INPUT,
        "convert alice.crt broken ca.crt --to pem --out x",
    );
    assert!(said.starts_with("pgpki: broken: "), "{said}");
}

#[test]
fn things_that_are_no_files() {
    let scene = scene();
    mkfifo(&scene.path("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(scene.path("directory")).unwrap();
    let large = fs::File::create(scene.path("large")).unwrap();
    large.set_len(1 << 40).unwrap();
    for (name, says) in [
        ("missing", "missing"),
        ("fifo", "FIFO"),
        ("directory", "directory"),
        ("large", "larger than"),
        ("/dev/zero", "/dev/zero"),
    ] {
        let said = refuses(&scene, BAD_INPUT, &format!("convert {name} --to pem"));
        assert!(said.contains(says), "{name}: {said}");
        let line = format!("convert x --passphrase-file {name} --to pem");
        let said = refuses(&scene, BAD_INPUT, &line);
        assert!(said.contains(says), "{name}: {said}");
    }
}

//! Files that are no sound request: each is refused in a line, and nothing is any different.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{openssl, run};

use crate::craft;
use crate::makers::openssl_request;
use crate::stage::{BAD_INPUT, Stage, text};

const ROLE: [&str; 2] = ["--role", "alice"];

fn file(stage: &Stage, name: &str, content: &[u8]) -> PathBuf {
    let path = stage.path("requests").join(name);
    fs::write(&path, content).unwrap();
    path
}

fn der_of(request: &Path) -> Vec<u8> {
    openssl(["req", "-outform", "DER", "-in", text(request)]).stdout
}

#[test]
fn one_bit_is_another_signature() {
    let stage = Stage::new();
    let sound = der_of(&stage.request(&["alice"]));
    let signature = sound.len() - 1;
    // In the signature, in the common name, in the key.
    for (what, place) in [
        ("signature", signature),
        ("name", craft::find(&sound, b"alice")),
        ("key", craft::find(&sound, &[3, 0x42, 0, 4]) + 20),
    ] {
        let mut changed = sound.clone();
        changed[place] ^= 1;
        let request = file(&stage, "changed.csr", &changed);
        let message = stage.refuses(BAD_INPUT, &request, &ROLE);
        assert!(
            message.contains("signature was not made"),
            "{what}: {message}"
        );
    }
    stage.sign(&file(&stage, "sound.csr", &sound), &ROLE);
}

/// A request for somebody else's key: the key of one, all the rest of another.
#[test]
fn somebody_elses_key() {
    for kind in ["p256", "rsa2048", "ed25519"] {
        let stage = Stage::new();
        let mine = der_of(&stage.request(&["mine", "--key-algorithm", kind]));
        let theirs = stage.request(&["theirs", "--key-algorithm", kind]);
        let spki = |request: &Path| {
            let pem = stage.path("requests/public");
            fs::write(&pem, crate::judged::public_key(request, "PEM")).unwrap();
            openssl(["pkey", "-pubin", "-outform", "DER", "-in", text(&pem)]).stdout
        };
        let (my_key, their_key) = (
            spki(&stage.path("requests/mine/postgresql.csr")),
            spki(&theirs),
        );
        let place = craft::find(&mine, &my_key);
        let mut swapped = mine.clone();
        swapped[place..place + my_key.len()].copy_from_slice(&their_key);
        let request = file(&stage, "swapped.csr", &swapped);
        let message = stage.refuses(BAD_INPUT, &request, &ROLE);
        assert!(message.contains("signature was not made"), "{message}");
    }
}

#[test]
fn cut_off_anywhere() {
    let stage = Stage::new();
    let pem = fs::read(stage.request(&["alice"])).unwrap();
    let der = der_of(&stage.path("requests/alice/postgresql.csr"));
    for (name, content, step) in [("pem", pem, 19), ("der", der, 13)] {
        for length in (0..content.len() - 1).step_by(step) {
            let request = file(&stage, "cut.csr", &content[..length]);
            let message = stage.refuses(BAD_INPUT, &request, &ROLE);
            assert!(message.contains("cut.csr"), "{name} {length}: {message}");
        }
    }
}

#[test]
fn something_else() {
    let stage = Stage::new();
    let request = fs::read_to_string(stage.request(&["alice"])).unwrap();
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let key = read(stage.path("requests/alice/postgresql.key"));
    let live = stage.scene.tls().join("current");
    let certificate = read(live.join("root.crt"));
    let public = crate::judged::public_key(&stage.path("requests/alice/postgresql.csr"), "PEM");
    let public = String::from_utf8(public).unwrap();
    for (content, said) in [
        (certificate.clone(), "it holds a certificate"),
        (read(live.join("server.crt")), "it holds 2 things"),
        (key.clone(), "it holds a private key"),
        (format!("{key}{request}"), "it holds a private key"),
        (format!("{request}{key}"), "it holds a private key"),
        (public, "a PEM block \"PUBLIC KEY\""),
        (format!("{request}{request}"), "it holds 2 things"),
        (format!("{request}{certificate}"), "it holds 2 things"),
        (format!("{certificate}{request}"), "it holds 2 things"),
        (String::new(), "empty"),
        (" \n\t\n".to_owned(), "empty"),
        ("alice, please\n".to_owned(), "looks like text"),
        (request.replace("-----BEGIN", "> -----BEGIN"), "PEM"),
        (
            request.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
            "cannot be read",
        ),
        (
            request.replace("-----BEGIN", "-----BEGIN NEW"),
            "END line names something else",
        ),
    ] {
        let request = file(&stage, "other.csr", content.as_bytes());
        let message = stage.refuses(BAD_INPUT, &request, &ROLE);
        assert!(message.contains(said), "{said}: {message}");
        assert!(!message.contains("MII"), "what is in it is not repeated");
    }
    let crl = read(live.join("root.crl"));
    let one = crl
        .split_inclusive("-----END X509 CRL-----\n")
        .next()
        .unwrap();
    let message = stage.refuses(BAD_INPUT, &file(&stage, "crl.csr", one.as_bytes()), &ROLE);
    assert!(message.contains("it holds a CRL"), "{message}");
    assert!(message.contains("pgpki request ROLE"), "{message}");
}

#[test]
fn noise() {
    let stage = Stage::new();
    let sound = der_of(&stage.request(&["alice"]));
    // Of the 87 octets or less that follow what is signed, some may change without harm, such as a bit that is not used.
    let signed = sound.len() - 90;
    // A linear congruential generator: the same noise in every run.
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    for _ in 0..40 {
        let mut changed = sound.clone();
        for _ in 0..=next() % 4 {
            let place = next() % signed;
            changed[place] = next() as u8;
        }
        if changed != sound {
            stage.refuses(BAD_INPUT, &file(&stage, "noise.csr", &changed), &ROLE);
        }
    }
    let bytes: Vec<u8> = (0..3000).map(|_| next() as u8).collect();
    stage.refuses(BAD_INPUT, &file(&stage, "bytes.csr", &bytes), &ROLE);
    let more = [sound.as_slice(), b"more"].concat();
    let message = stage.refuses(BAD_INPUT, &file(&stage, "more.csr", &more), &ROLE);
    assert!(message.contains("4 bytes too many"), "{message}");
}

#[test]
fn no_file() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    let missing = dir.join("missing.csr");
    let message = stage.refuses(BAD_INPUT, &missing, &ROLE);
    assert!(message.contains("does not exist"), "{message}");
    let message = stage.refuses(BAD_INPUT, &dir, &ROLE);
    assert!(message.contains("not a file"), "{message}");

    let fifo = dir.join("fifo.csr");
    run(Command::new("mkfifo").arg(&fifo));
    let message = stage.refuses(BAD_INPUT, &fifo, &ROLE);
    assert!(message.contains("not a file"), "{message}");
    stage.refuses(BAD_INPUT, Path::new("/dev/zero"), &ROLE);

    let sparse = dir.join("sparse.csr");
    fs::File::create(&sparse).unwrap().set_len(1 << 30).unwrap();
    let message = stage.refuses(BAD_INPUT, &sparse, &ROLE);
    assert!(message.contains("is larger than"), "{message}");

    let dangling = dir.join("dangling.csr");
    symlink("nowhere", &dangling).unwrap();
    stage.refuses(BAD_INPUT, &dangling, &ROLE);
}

/// The user may read what it leads to, so it is read.
#[test]
fn a_link_is_followed() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let link = stage.path("requests/link.csr");
    symlink(request, &link).unwrap();
    stage.sign(&link, &ROLE);
}

/// One of several is enough to sign none.
#[test]
fn all_or_none() {
    let stage = Stage::new();
    let sound = stage.request(&["alice"]);
    let also = stage.request(&["bob"]);
    let broken = file(&stage, "broken.csr", b"nothing");
    let mut sign = stage.signing(&sound, &["--trust-request"]);
    let message = stage.unchanged(BAD_INPUT, sign.arg(&also).arg(&broken));
    assert!(message.contains("broken.csr"), "{message}");
    // Twice the same is twice the same folder.
    let mut sign = stage.signing(&sound, &["--trust-request"]);
    let message = stage.unchanged(BAD_INPUT, sign.arg(&sound));
    assert!(message.contains("as well"), "{message}");
    // The folder of the second is taken.
    fs::create_dir_all(stage.path("signed/bob")).unwrap();
    fs::write(stage.path("signed/bob/mine"), "mine").unwrap();
    let mut sign = stage.signing(&sound, &["--trust-request"]);
    stage.unchanged(crate::stage::REFUSED, sign.arg(&also));
    fs::remove_dir_all(stage.path("signed")).unwrap();
    let mut sign = stage.signing(&sound, &["--trust-request"]);
    run(sign.arg(&also));
    assert_eq!(crate::stage::names(&stage.path("signed")), ["alice", "bob"]);
}

/// A weak key is said to be weak, whoever signed the request.
#[test]
fn the_key_is_judged_first() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    let key = crate::makers::openssl_key(
        &dir,
        "weak",
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    );
    let request = openssl_request(&dir, "weak", &key, &["-sha1"]);
    let message = stage.refuses(BAD_INPUT, &request, &ROLE);
    assert!(message.contains("1024 bits"), "{message}");
}

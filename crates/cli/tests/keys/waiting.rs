//! The next issuing CA's key, which waits for a company's answer while the keys that there are change.

use std::fs;
use std::path::PathBuf;

use pgpki_testing::{Owner, Scene, openssl, run};

use crate::stage::{BAD_INPUT, DONE, PASSPHRASES, REFUSED, Stage, USAGE, secret};

/// Encrypts every issuing key, with "right".
const ENCRYPT: [&str; 5] = [
    "key",
    "encrypt",
    "issuing",
    "--new-passphrase-file",
    "right",
];
const RIGHT: [&str; 2] = ["--issuing-passphrase-file", "right"];
const TAKE: [&str; 5] = [
    "rotate",
    "--install-issuing",
    "answer.pem",
    "--issuer-cert",
    "company.pem",
];

/// An authority under a CA that OpenSSL has made, with a request for the next issuing CA.
fn asked() -> Stage {
    let made = tempfile::tempdir().unwrap();
    let place = made.path().to_str().unwrap();
    company(place);
    let (key, certificate) = (
        format!("{place}/company.key"),
        format!("{place}/company.pem"),
    );
    let under = ["--issuer-cert", &certificate, "--issuer-key", &key];
    let stage = Stage::with(&[&["--no-root-passphrase"][..], &under].concat());
    for file in [key, certificate] {
        fs::copy(&file, stage.scene.path(file.rsplit('/').next().unwrap())).unwrap();
    }
    stage.ends(DONE, &["rotate", "--request-issuing", "next.csr"]);
    stage
}

/// A company's CA in this directory: `company.key` and `company.pem`.
fn company(place: &str) {
    openssl([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=Company",
        "-days",
        "3000",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout",
        &format!("{place}/company.key"),
        "-out",
        &format!("{place}/company.pem"),
    ]);
}

/// The company's CA signs the request: `answer.pem`.
fn answer(stage: &Stage) {
    let at = |name: &str| stage.scene.path(name).to_str().unwrap().to_owned();
    openssl([
        "x509",
        "-req",
        "-copy_extensions",
        "copyall",
        "-days",
        "2000",
        "-in",
        &at("next.csr"),
        "-CA",
        &at("company.pem"),
        "-CAkey",
        &at("company.key"),
        "-out",
        &at("answer.pem"),
    ]);
}

fn waiting(stage: &Stage) -> PathBuf {
    stage.scene.home().join("next/ca.key")
}

#[track_caller]
fn waits_encrypted(stage: &Stage, passphrase: Option<&str>) {
    let key = waiting(stage);
    let text = fs::read_to_string(&key).unwrap();
    assert_eq!(text.contains("ENCRYPTED"), passphrase.is_some(), "{text}");
    if let Some(passphrase) = passphrase {
        assert!(stage.openssl_opens_file(&key, passphrase));
    }
    let names = fs::read_dir(key.parent().unwrap()).unwrap().count();
    assert_eq!(names, 2, "the request and its key");
}

#[test]
fn the_key_that_waits_changes_with_the_others() {
    let stage = asked();
    let key = |act, more: &[&str]| {
        let said = stage.ends(DONE, &[&["key", act, "issuing"], more].concat());
        assert!(said.contains("issuing/g0001/ca.key"), "{said}");
        assert!(said.contains("next/ca.key"), "{said}");
    };
    key("encrypt", &["--new-passphrase-file", "other"]);
    waits_encrypted(&stage, Some("other"));
    let change = [
        "--passphrase-file",
        "other",
        "--new-passphrase-file",
        "right",
    ];
    key("change-passphrase", &change);
    waits_encrypted(&stage, Some("right"));
    key("decrypt", &["--passphrase-file", "right"]);
    waits_encrypted(&stage, None);
    key("encrypt", &["--new-passphrase-file", "right"]);
    // The root's are another kind.
    stage.ends(DONE, &["key", "encrypt", "root", "--generate-passphrase"]);
    waits_encrypted(&stage, Some("right"));
}

/// What has waited becomes an issuing CA's key, encrypted as the one before it.
#[test]
fn the_answer_is_taken_with_the_passphrase() {
    let stage = asked();
    answer(&stage);
    stage.ends(DONE, &ENCRYPT);
    stage.unchanged(USAGE, &TAKE);
    let wrong = ["--issuing-passphrase-file", "wrong"];
    let said = stage.unchanged(BAD_INPUT, &[&TAKE[..], &wrong].concat());
    assert!(said.contains("it is the first line of wrong"), "{said}");
    stage.ends(DONE, &[&TAKE[..], &RIGHT].concat());
    assert!(stage.is_encrypted("issuing", 2) && stage.openssl_opens("issuing", 2, "right"));
    assert!(!stage.scene.home().join("next").exists());
}

/// A key that has waited in the clear, beside one that somebody has encrypted with openssl.
#[test]
fn what_has_waited_open_is_kept_as_the_others_are() {
    let stage = asked();
    answer(&stage);
    let open = fs::read(waiting(&stage)).unwrap();
    stage.ends(DONE, &ENCRYPT);
    fs::write(waiting(&stage), open).unwrap();
    stage.ends(DONE, &[&TAKE[..], &RIGHT].concat());
    assert!(stage.is_encrypted("issuing", 2) && stage.openssl_opens("issuing", 2, "right"));
}

/// The other way round: it is encrypted, and the one before it is not any more.
#[test]
fn what_has_waited_encrypted_stays_so() {
    let stage = asked();
    answer(&stage);
    let open = fs::read(stage.key("issuing", 1)).unwrap();
    stage.ends(DONE, &ENCRYPT);
    fs::write(stage.key("issuing", 1), open).unwrap();
    let said = stage.unchanged(USAGE, &TAKE);
    assert!(said.contains("--issuing-passphrase-file"), "{said}");
    let wrong = ["--issuing-passphrase-file", "wrong"];
    let said = stage.unchanged(BAD_INPUT, &[&TAKE[..], &wrong].concat());
    assert!(said.contains("next/ca.key"), "{said}");
    assert!(said.contains("it is the first line of wrong"), "{said}");
    stage.ends(DONE, &[&TAKE[..], &RIGHT].concat());
    assert!(stage.is_encrypted("issuing", 2) && stage.openssl_opens("issuing", 2, "right"));
}

/// A run was killed between the keys: the next one finds the one that waits, and changes it.
#[test]
fn half_of_it_is_gone_on_with() {
    let stage = asked();
    let open = fs::read(waiting(&stage)).unwrap();
    let encrypt = |file| ["key", "encrypt", "issuing", "--new-passphrase-file", file];
    stage.ends(DONE, &encrypt("right"));
    fs::write(waiting(&stage), open).unwrap();
    fs::write(
        waiting(&stage).with_file_name(".new-0123456789abcdef"),
        "rest",
    )
    .unwrap();
    let said = stage.ends(REFUSED, &encrypt("other"));
    assert!(said.contains("with another passphrase"), "{said}");
    let said = stage.ends(DONE, &encrypt("right"));
    assert!(
        !said.contains("g0001") && said.contains("next/ca.key"),
        "{said}"
    );
    waits_encrypted(&stage, Some("right"));
}

/// A change of passphrases that was killed between the keys leaves two, of which neither opens both.
#[test]
fn two_passphrases_are_no_dead_end() {
    let stage = asked();
    answer(&stage);
    stage.ends(DONE, &ENCRYPT);
    let before = fs::read(waiting(&stage)).unwrap();
    let change =
        "key change-passphrase issuing --passphrase-file right --new-passphrase-file other";
    let change: Vec<&str> = change.split(' ').collect();
    stage.ends(DONE, &change);
    fs::write(waiting(&stage), before).unwrap();
    let other = ["--issuing-passphrase-file", "other"];
    let said = stage.unchanged(BAD_INPUT, &[&TAKE[..], &other].concat());
    assert!(
        said.contains("next/ca.key") && said.contains("pgpki key change-passphrase issuing"),
        "{said}"
    );
    stage.ends(DONE, &change);
    stage.ends(DONE, &[&TAKE[..], &other].concat());
    assert!(stage.openssl_opens("issuing", 2, "other"));
}

#[test]
fn an_answer_under_another_root_leaves_the_request() {
    let stage = asked();
    company(stage.scene.path("").to_str().unwrap());
    answer(&stage);
    let said = stage.unchanged(REFUSED, &TAKE);
    assert!(
        said.contains("The request still waits for its answer"),
        "{said}"
    );
}

/// The same before there is an authority.
#[test]
fn the_first_answer_is_taken_with_the_passphrase() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    for (name, text) in PASSPHRASES {
        secret(&scene.path(name), text);
    }
    company(scene.path("").to_str().unwrap());
    let line =
        "init localhost --install tls --request-issuing next.csr --issuing-passphrase-file right";
    let mut ask = scene.command(line.split(' '));
    let owner = Owner::of_new_clusters().unwrap();
    run(ask.args(["--owner", &format!("{}:{}", owner.uid, owner.gid)]));
    let stage = Stage { scene };
    answer(&stage);
    let take = [&["init"][..], &TAKE[1..], &["--no-root-passphrase"]].concat();
    for (more, origin) in [
        (
            ["--issuing-passphrase-file", "wrong"],
            "the first line of wrong",
        ),
        (
            ["--issuing-passphrase-command", "cat wrong"],
            "the first line that --issuing-passphrase-command prints",
        ),
    ] {
        let said = stage.ends(BAD_INPUT, &[&take[..], &more].concat());
        assert!(said.contains(&format!("it is {origin}")), "{said}");
    }
    stage.ends(USAGE, &take);
    stage.ends(DONE, &[&take[..], &RIGHT].concat());
    assert!(stage.is_encrypted("issuing", 1) && stage.openssl_opens("issuing", 1, "right"));
}

//! What somebody can do to an administrator with nothing but a file that he is to sign.

use std::fs;
use std::process::Command;

use pgpki_testing::openssl;

use crate::craft::{Crafter, UTF8, alternative_names, dns, element, rsa, sequence, subject};
use crate::stage::{BAD_INPUT, REFUSED, Stage, is_plain, text};

/// Longer than anything here takes, on a machine that is busy with all the other tests.
const SECONDS: &str = "60";

/// The refusal of a file, which must not take long, and not much memory either.
#[track_caller]
fn soon_refused(stage: &Stage, content: &[u8]) -> String {
    let file = stage.path("requests/bomb.csr");
    fs::write(&file, content).unwrap();
    stage.refuses(BAD_INPUT, &file, &["--role", "alice"]);
    let sign = stage.signing(&file, &["--trust-request"]);
    let mut limited = Command::new("prlimit");
    // Twenty times what is mapped without doing anything is several hundred megabytes.
    limited.args(["--as=1000000000", "timeout", SECONDS]);
    limited.arg(sign.get_program()).args(sign.get_args());
    limited.current_dir(stage.path("")).env_clear();
    limited.env("PATH", std::env::var_os("PATH").unwrap());
    limited.env("PGPKI_HOME", stage.scene.home());
    stage.unchanged(BAD_INPUT, &mut limited)
}

#[test]
fn der_bombs() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    let nested = |depth: usize, tag: u8| {
        let mut all = Vec::new();
        for _ in 0..depth {
            all = element(tag, &all);
        }
        all
    };
    soon_refused(&stage, &nested(15_000, 0x30));
    soon_refused(&stage, &nested(15_000, 0xa0));
    let read = |file| fs::read(file).unwrap();
    // Well-formed outside, deep within: in the subject, in an attribute, in an extension.
    let deep = nested(10_000, 0x30);
    let attribute = sequence(&[element(6, &[0x2a, 3]), element(0x31, &deep)]);
    for (subject_der, attributes) in [
        (sequence(&[element(0x31, &deep)]), vec![]),
        (subject(&[]), vec![deep.clone()]),
        (subject(&[]), vec![attribute]),
        (
            subject(&[]),
            vec![alternative_names(&[element(0xa4, &deep)])],
        ),
        (
            subject(&[]),
            vec![alternative_names(&[element(0xa0, &deep)])],
        ),
    ] {
        let bomb = read(crafter.request("deep", &subject_der, &attributes));
        let file = stage.path("requests/bomb.csr");
        fs::write(&file, &bomb).unwrap();
        stage.refuses(BAD_INPUT, &file, &["--trust-request"]);
    }
    // Lengths that are not there.
    for head in [
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..],
        &[0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0x80, 0x30, 0x80],
    ] {
        soon_refused(&stage, head);
    }
}

#[test]
fn enormous_keys() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    let odd = |bytes: usize| {
        let mut number = vec![0xff; bytes];
        number.insert(0, 0);
        number
    };
    for (modulus, exponent, said) in [
        (odd(60_000), vec![1, 0, 1], "more than 8192"),
        (odd(2048), vec![1, 0, 1], "more than 8192"),
        (odd(1025), vec![1, 0, 1], "more than 8192"),
        (odd(256), odd(256), "exponent"),
        (odd(1024), odd(1024), "exponent"),
        (odd(256), odd(50_000), "exponent"),
        (odd(256), vec![1], "exponent"),
        (odd(256), vec![0], "exponent"),
        (odd(256), vec![2], "exponent"),
        (odd(256), vec![0xff], "exponent"),
        (odd(256), vec![], "exponent"),
        (odd(256), vec![1, 0, 1], "signature was not made"),
        (vec![0], vec![1, 0, 1], "0 bits"),
        (vec![], vec![1, 0, 1], "0 bits"),
    ] {
        let who = subject(&[(UTF8, b"alice")]);
        let file = crafter.with_key("key", &who, &rsa(&modulus, &exponent), &[]);
        let message = soon_refused(&stage, &fs::read(file).unwrap());
        let lengths = (modulus.len(), exponent.len());
        let is_malformed = message.contains("cannot be read");
        assert!(
            is_malformed || message.contains(said),
            "{lengths:?} {said}: {message}"
        );
    }
}

/// Thousands of names are neither signed nor shown.
#[test]
fn floods() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    let hosts: Vec<_> = (0..4000)
        .map(|n| dns(format!("h{n}.example").as_bytes()))
        .collect();
    let names: Vec<String> = (0..3000).map(|n| format!("n{n}")).collect();
    let names: Vec<(u8, &[u8])> = names.iter().map(|it| (UTF8, it.as_bytes())).collect();
    let long = "x".repeat(60_000);
    for (subject, attributes) in [
        (subject(&[]), vec![alternative_names(&hosts)]),
        (subject(&names), vec![]),
        (subject(&[(UTF8, long.as_bytes())]), vec![]),
    ] {
        let request = crafter.request("flood.csr", &subject, &attributes);
        stage.refuses(BAD_INPUT, &request, &["--trust-request"]);
        let said = stage.sign(&request, &["--role", "alice"]);
        assert!(said.len() < 2000, "{}", said.len());
        assert!(said.contains("role alice"), "{said}");
        fs::remove_dir_all(stage.path("signed")).unwrap();
    }
    let label = "A".repeat(60_000);
    let block = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    soon_refused(&stage, block.as_bytes());
    let blocks = "-----BEGIN X-----\nAAAA\n-----END X-----\n".repeat(1600);
    soon_refused(&stage, blocks.as_bytes());
    soon_refused(&stage, "-----BEGIN ".repeat(5000).as_bytes());
}

/// A file's name is a stranger's text as well.
#[test]
fn names_of_files() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let odd = stage
        .path("requests")
        .join("x\n\u{1b}[2Krole bob\u{202e}.csr");
    fs::copy(request, &odd).unwrap();
    let said = stage.sign(&odd, &["--role", "alice"]);
    assert!(is_plain(said.as_bytes()), "{said:?}");
    assert_eq!(said.matches("\n  is to be ").count(), 1, "{said}");
    fs::write(&odd, "nothing").unwrap();
    let mut sign = stage.signing(&odd, &["--role", "alice"]);
    stage.unchanged(BAD_INPUT, &mut sign);
}

/// Revoked for a key that others have: another certificate for it would undo that, for whomever.
#[test]
fn a_key_that_was_compromised() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    stage.sign(&request, &["--role", "alice"]);
    stage
        .scene
        .command(["revoke", "alice", "--reason", "key-compromise"])
        .output()
        .unwrap();
    fs::remove_dir_all(stage.path("signed")).unwrap();
    for args in [["--role", "alice"], ["--role", "bob"], ["--host", "db"]] {
        let message = stage.refuses(REFUSED, &request, &args);
        assert!(message.contains("known to others"), "{message}");
        assert!(
            message.contains("alice") && message.contains("new key"),
            "{message}"
        );
    }
    // The same key in another request.
    let key = stage.path("requests/alice/postgresql.key");
    let again =
        crate::makers::openssl_request(&stage.path("requests"), "again", &key, &["-sha384"]);
    stage.refuses(REFUSED, &again, &["--role", "alice"]);
    // One that pgpki had made itself, and that got out.
    stage.scene.pgpki("issue-client carol --out clients");
    let key = stage.path("clients/carol/postgresql.key");
    let stolen = crate::makers::openssl_request(&stage.path("requests"), "stolen", &key, &[]);
    stage
        .scene
        .command(["revoke", "carol", "--reason", "key-compromise"])
        .output()
        .unwrap();
    stage.refuses(REFUSED, &stolen, &["--role", "carol"]);
    // Revoked for another reason, the key is as good as before.
    let other = stage.request(&["dave"]);
    stage.sign(&other, &["--role", "dave"]);
    stage
        .scene
        .command(["revoke", "dave", "--reason", "superseded"])
        .output()
        .unwrap();
    fs::remove_dir_all(stage.path("signed")).unwrap();
    stage.sign(&other, &["--role", "dave"]);
}

/// What two people compare is what openssl makes of the key, on both ends.
#[test]
fn the_fingerprint_is_the_keys() {
    let stage = Stage::new();
    for kind in ["p256", "p384", "rsa2048", "ed25519"] {
        let out = [
            "request",
            "--out",
            "requests",
            kind,
            "--key-algorithm",
            kind,
        ];
        let made = pgpki_testing::run(&mut stage.scene.command(out)).stdout;
        let request = stage.path("requests").join(kind).join("postgresql.csr");
        let signed = stage.sign(&request, &["--role", kind]);
        let public = stage.path("requests/public");
        fs::write(&public, crate::judged::public_key(&request, "PEM")).unwrap();
        let der = stage.path("requests/public.der");
        let args = [
            "pkey",
            "-pubin",
            "-outform",
            "DER",
            "-in",
            text(&public),
            "-out",
        ];
        openssl(args.iter().chain(&[text(&der)]));
        let sum = openssl(["dgst", "-sha256", "-r", text(&der)]).stdout;
        let sum = String::from_utf8(sum).unwrap();
        let sum = sum.split(' ').next().unwrap();
        for said in [String::from_utf8(made).unwrap(), signed] {
            assert!(said.contains(&format!("SHA-256 {sum}\n")), "{sum}: {said}");
        }
    }
}

//! The published vectors of PyPI's `cryptography_vectors`: each file is read, or refused in one line,
//! and soon.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pgpki_core::document::{Document, findings};
use pgpki_core::due::Within;
use pgpki_core::key::PrivateKey;
use pgpki_core::material::{self, Material, MaterialError};
use pgpki_testing::{Vectors, run};
use time::OffsetDateTime;

use crate::fixture::{scene, secret};

/// What their files are encrypted with, as their documentation has it; and nothing.
const PASSPHRASES: [Option<&str>; 6] = [
    None,
    Some("password"),
    Some("cryptography"),
    Some("foobar"),
    Some("a123456"),
    Some("123456"),
];

/// For one file and all passphrases; the largest are text of many megabytes, and this is not optimised.
const PATIENCE: Duration = Duration::from_secs(60);

fn files() -> Vec<PathBuf> {
    fn add(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => add(&path, found),
                false => found.push(path),
            }
        }
    }
    let folder = Vectors::fetched().unwrap_or_else(|failure| panic!("{failure}"));
    let mut found = Vec::new();
    for part in Vectors::PARTS {
        add(&folder.join(part), &mut found);
    }
    found.sort();
    assert!(found.len() > 2000, "{} files", found.len());
    found
}

/// How many of each kind were read.
#[derive(Debug, Default)]
struct Read {
    certificates: usize,
    crls: usize,
    requests: usize,
    keys: usize,
    containers: usize,
    refused: usize,
}

#[test]
fn each_is_read_or_refused_in_process() {
    let mut read = Read::default();
    for file in files() {
        let bytes = fs::read(&file).unwrap();
        let begin = Instant::now();
        let Ok(outcome) = catch_unwind(|| look(&bytes)) else {
            panic!("a panic at {}", file.display());
        };
        assert!(begin.elapsed() < PATIENCE, "{}", file.display());
        match outcome {
            Ok(found) => found.iter().for_each(|material| read.count(material)),
            Err(refusal) => {
                assert_eq!(refusal.lines().count(), 1, "{}: {refusal}", file.display());
                assert!(!refusal.contains(char::is_control), "{refusal:?}");
                read.refused += 1;
            }
        }
    }
    // What there was when these numbers were written down: fewer would be a loss.
    let Read {
        certificates,
        crls,
        requests,
        keys,
        containers,
        refused,
    } = read;
    assert!(refused < 930, "{refused} refused");
    assert!(certificates >= 537, "{certificates} certificates");
    assert!(crls >= 199, "{crls} CRLs");
    assert!(requests >= 23, "{requests} requests");
    assert!(keys >= 25, "{keys} keys");
    assert!(containers >= 431, "{containers} containers");
}

/// Reads a file in every way; what is in it, or why it is refused.
fn look(bytes: &[u8]) -> Result<Vec<Material>, String> {
    let mut outcome = Err(String::new());
    for passphrase in PASSPHRASES {
        let passphrase = passphrase.map(str::as_bytes);
        if let Ok(document) = Document::open(bytes, passphrase) {
            let now = OffsetDateTime::now_utc();
            for finding in findings(&document, now, Within::Third) {
                assert!(!finding.to_string().contains(char::is_control));
            }
        }
        match material::read(bytes, passphrase) {
            Ok(found) => {
                found.iter().for_each(survives_pem);
                return Ok(found);
            }
            Err(error) => {
                let is_locked = matches!(
                    error,
                    MaterialError::PassphraseNeeded(_) | MaterialError::WrongPassphrase(_)
                );
                outcome = Err(error.to_string());
                if !is_locked {
                    break;
                }
            }
        }
    }
    outcome
}

/// What is written as PEM is read as the same.
fn survives_pem(material: &Material) {
    let (label, der) = match material {
        Material::Certificate(der) => ("CERTIFICATE", der),
        Material::Request(der) => ("CERTIFICATE REQUEST", der),
        Material::Crl(der) => ("X509 CRL", der),
        Material::Key(key) => {
            let again = PrivateKey::read(key.to_pem().unwrap().as_bytes(), None).unwrap();
            assert_eq!(again.public_key_info(), key.public_key_info());
            return;
        }
        _ => return,
    };
    let again = material::read(pgpki_core::pem(label, der).as_bytes(), None).unwrap();
    match &again[..] {
        [Material::Certificate(same) | Material::Request(same) | Material::Crl(same)] => {
            assert_eq!(same, der);
        }
        other => panic!("{other:?}"),
    }
}

impl Read {
    fn count(&mut self, material: &Material) {
        match material {
            Material::Certificate(_) => self.certificates += 1,
            Material::Crl(_) => self.crls += 1,
            Material::Request(_) => self.requests += 1,
            Material::Key(_) => self.keys += 1,
            Material::Pkcs12(_) => self.containers += 1,
            other => panic!("{other:?}"),
        }
    }
}

/// One in eleven, by the program itself.
#[test]
fn some_are_read_or_refused_by_the_program() {
    let scene = scene();
    secret(&scene.path("password"), "password");
    let mut done = 0;
    for file in files().iter().step_by(11) {
        let name = file.to_str().unwrap();
        for args in [
            [
                "convert",
                "--to",
                "pem",
                "--out",
                "-",
                "--passphrase-file",
                "password",
                name,
            ]
            .as_slice(),
            ["inspect", "--passphrase-file", "password", name].as_slice(),
        ] {
            let output = scene.command(args).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let lines = said
                .lines()
                .filter(|line| !line.starts_with("pgpki: warning"));
            match output.status.code() {
                Some(0) => done += 1,
                // Findings, for those that `inspect` has.
                Some(1) if args[0] == "inspect" => done += 1,
                Some(4) => assert!(matches!(lines.count(), 1 | 2), "{name}: {said}"),
                other => panic!("{args:?} ends with {other:?}: {said}"),
            }
        }
    }
    assert!(done > 100, "{done}");
}

/// Memory is a small multiple of the file, whatever is in it.
#[test]
fn memory_is_bounded() {
    let scene = scene();
    let certificate = Vectors::fetched().unwrap().join("x509/cryptography.io.pem");
    let certificate = fs::read_to_string(certificate).unwrap();
    let many = certificate.repeat((20 << 20) / certificate.len());
    fs::write(scene.path("many.pem"), &many).unwrap();
    // A program, its libraries and a stack, and ten times the file.
    let limit = (200 << 20) + 10 * many.len();
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--as={limit}"))
        .arg(env!("CARGO_BIN_EXE_pgpki"))
        .args(["convert", "many.pem", "--to", "pem", "--out", "again.pem"])
        .current_dir(scene.path(""));
    run(&mut limited);
    assert_eq!(
        fs::metadata(scene.path("again.pem")).unwrap().len(),
        many.len() as u64
    );
}

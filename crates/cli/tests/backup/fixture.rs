//! An authority, a passphrase, and what a backup of it holds.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use age::secrecy::SecretString;
use pgpki_testing::{Scene, openssl, revoked};

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

pub(crate) const DONE: i32 = 0;
pub(crate) const FINDINGS: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const BAD_INPUT: i32 = 4;
pub(crate) const FAILED: i32 = 5;

/// A scene with a passphrase in `pass`, and nothing else.
pub(crate) fn empty() -> Scene {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    secret(&scene.path("pass"), PASSPHRASE);
    scene
}

/// A scene with an authority, an installation in `tls`, and folders of alice and bob in `out`.
pub(crate) fn scene() -> Scene {
    let scene = empty();
    scene.init("");
    scene.pgpki("issue-client alice bob --out out");
    scene
}

pub(crate) fn secret(path: &Path, text: &str) {
    fs::write(path, format!("{text}\n")).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Writes a backup to `name`.
#[track_caller]
pub(crate) fn back_up(scene: &Scene, name: &str) -> PathBuf {
    scene.pgpki(&format!("backup --passphrase-file pass {name}"));
    scene.path(name)
}

/// Restores the home from `name`; returns what was said.
#[track_caller]
pub(crate) fn restore(scene: &Scene, name: &str) -> String {
    scene.pgpki(&format!("restore --passphrase-file pass {name}"))
}

/// The home is gone.
pub(crate) fn lose_home(scene: &Scene) {
    fs::remove_dir_all(scene.home()).unwrap();
}

pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a command; returns its status and what it said.
pub(crate) fn ends(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = said(&output);
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code(), text)
}

/// Names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What is encrypted in a backup.
pub(crate) fn opened(backup: &[u8]) -> Vec<u8> {
    let decryptor = age::Decryptor::new(backup).unwrap();
    let identity = age::scrypt::Identity::new(SecretString::from(PASSPHRASE));
    let identities = std::iter::once(&identity as &dyn age::Identity);
    let mut archive = Vec::new();
    let mut reader = decryptor.decrypt(identities).unwrap();
    reader.read_to_end(&mut archive).unwrap();
    archive
}

/// Encrypts anything as a backup is, with so little work that a test can open hundreds.
pub(crate) fn sealed(archive: &[u8]) -> Vec<u8> {
    sealed_with(archive, 2)
}

pub(crate) fn sealed_with(archive: &[u8], work_factor: u8) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(PASSPHRASE));
    recipient.set_work_factor(work_factor);
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut out = Vec::new();
    let mut writer = encryptor.wrap_output(&mut out).unwrap();
    writer.write_all(archive).unwrap();
    writer.finish().unwrap();
    out
}

/// Unpacks the archive of a backup as any tar would.
pub(crate) fn unpack(archive: &[u8], dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    let mut archive = tar::Archive::new(Cursor::new(archive));
    archive.set_preserve_permissions(true);
    archive.unpack(dir).unwrap();
}

/// A ledger, read by SQLite as such.
pub(crate) fn ledger(home: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open_with_flags(
        home.join("ledger.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap()
}

/// Everything that makes a home whole, without asking pgpki.
#[track_caller]
pub(crate) fn is_sound(home: &Path) {
    let ledger = ledger(home);
    let check: String = ledger
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    for kind in ["root", "issuing"] {
        let store = home.join(kind);
        let live = fs::read_link(store.join("current")).unwrap();
        assert!(store.join(live).is_dir());
        for generation in names(&store).iter().filter(|name| *name != "current") {
            let file = |name: &str| {
                let path = store.join(generation).join(name);
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, 0o600, "{path:?}");
                path.display().to_string()
            };
            let of_certificate =
                openssl(["x509", "-noout", "-pubkey", "-in", &file("ca.crt")]).stdout;
            let of_key = openssl(["pkey", "-pubout", "-in", &file("ca.key")]).stdout;
            assert_eq!(of_certificate, of_key, "{kind} {generation}");
        }
    }
}

/// The serial number of the first certificate in a file, as pgpki prints it.
pub(crate) fn serial_of(path: &Path) -> String {
    let pem = fs::read(path).unwrap();
    let der = pgpki_core::first_certificate(&pem).unwrap();
    pgpki_core::issue::serial_of(&der).unwrap().to_string()
}

/// A CRL as openssl reads it.
#[derive(Debug)]
pub(crate) struct Crl {
    pub(crate) issuer: String,
    pub(crate) number: u64,
    /// Serial numbers, as pgpki prints them.
    pub(crate) revoked: Vec<String>,
}

/// The CRLs of an installation's live generation.
pub(crate) fn crls(scene: &Scene) -> Vec<Crl> {
    let pem = fs::read_to_string(scene.tls().join("current/root.crl")).unwrap();
    let end = "-----END X509 CRL-----\n";
    pem.split_inclusive(end)
        .map(|one| {
            let file = scene.path("one.crl");
            fs::write(&file, one).unwrap();
            let file = file.display().to_string();
            let output = openssl(["crl", "-noout", "-text", "-in", &file]).stdout;
            fs::remove_file(&file).unwrap();
            read_crl(&String::from_utf8(output).unwrap())
        })
        .collect()
}

fn read_crl(text: &str) -> Crl {
    let after = |mark: &str| {
        let (_, rest) = text.split_once(mark).unwrap();
        rest.trim_start().lines().next().unwrap().trim().to_owned()
    };
    let number = after("X509v3 CRL Number:");
    let number = match number.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => number.parse().unwrap(),
    };
    Crl {
        issuer: after("Issuer:"),
        number,
        revoked: revoked(text),
    }
}

/// The number of an issuing CA's CRL; there is one such CA.
pub(crate) fn issuing_crl(scene: &Scene) -> Crl {
    let mut crls = crls(scene);
    crls.retain(|crl| crl.issuer.contains("issuing CA 1"));
    assert_eq!(crls.len(), 1, "{crls:?}");
    crls.remove(0)
}

//! Credentials that openssl made, and what the program said.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pgpki_testing::{Scene, attempt, run};

pub(crate) const PASSPHRASE: &str = "correct horse battery";
pub(crate) const OTHER: &str = "Tr0ub4dor&3";

pub(crate) const USAGE: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const BAD_INPUT: i32 = 4;

/// Every kind of key that we write, in the words of `openssl genpkey`.
pub(crate) const KINDS: [(&str, &str); 6] = [
    ("p256", "EC -pkeyopt ec_paramgen_curve:P-256"),
    ("p384", "EC -pkeyopt ec_paramgen_curve:P-384"),
    ("rsa2048", "RSA -pkeyopt rsa_keygen_bits:2048"),
    ("rsa3072", "RSA -pkeyopt rsa_keygen_bits:3072"),
    ("rsa4096", "RSA -pkeyopt rsa_keygen_bits:4096"),
    ("ed25519", "ED25519"),
];

/// A scene with two passphrases, in `pass` and `other`.
pub(crate) fn scene() -> Scene {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    secret(&scene.path("pass"), PASSPHRASE);
    secret(&scene.path("other"), OTHER);
    scene
}

/// A scene with a CA in `ca.crt` and `ca.key`, and the credential of a kind in `alice.crt` and
/// `alice.key`.
pub(crate) fn with_credential(kind: &str) -> Scene {
    let scene = scene();
    let openssl = |line: &str| openssl(&scene, line);
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 365",
    );
    openssl(&format!(
        "genpkey -algorithm {} -out alice.key",
        words(kind)
    ));
    openssl("req -new -key alice.key -out alice.csr -subj /CN=alice");
    openssl(
        "x509 -req -in alice.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out alice.crt",
    );
    scene
}

fn words(kind: &str) -> &'static str {
    KINDS.iter().find(|(name, _)| *name == kind).unwrap().1
}

pub(crate) fn secret(path: &Path, text: &str) {
    fs::write(path, format!("{text}\n")).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// openssl in the scene, with arguments that are separated by single spaces; its standard output.
#[track_caller]
pub(crate) fn openssl(scene: &Scene, line: &str) -> String {
    tool(scene, "openssl", line)
}

/// Any program in the scene, in the same way.
#[track_caller]
pub(crate) fn tool(scene: &Scene, program: &str, line: &str) -> String {
    let output = run(&mut in_scene(scene, program, line));
    String::from_utf8(output.stdout).unwrap()
}

/// What becomes of a program in the scene.
pub(crate) fn tried(scene: &Scene, program: &str, line: &str) -> Result<String, String> {
    let output = attempt(&mut in_scene(scene, program, line))?;
    Ok(String::from_utf8(output.stdout).unwrap())
}

fn in_scene(scene: &Scene, program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split(' ')).current_dir(scene.path(""));
    command
}

/// The program with these arguments ends with `status` and one line, naming what it is about; with
/// a second for what to do, where there is something. Returns what it said.
#[track_caller]
pub(crate) fn refuses(scene: &Scene, status: i32, line: &str) -> String {
    let before = names(scene);
    let said = scene.fails(status, line);
    let mut lines = said.lines();
    assert!(lines.next().unwrap().starts_with("pgpki: "), "{said}");
    for more in lines {
        assert!(more.starts_with("       "), "{said}");
    }
    assert!(
        !said.contains(PASSPHRASE) && !said.contains(OTHER),
        "{said}"
    );
    assert_eq!(names(scene), before, "something was written: {line}");
    said
}

/// Names in the scene, sorted.
pub(crate) fn names(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.path("")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn text(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.path(name)).unwrap()
}

pub(crate) fn mode(scene: &Scene, name: &str) -> u32 {
    fs::metadata(scene.path(name)).unwrap().permissions().mode() & 0o7777
}

/// The public half of the key in a file that openssl reads, with this passphrase.
#[track_caller]
pub(crate) fn public_half(scene: &Scene, key: &str, passphrase: &str) -> String {
    // Nothing in it is a space: the passphrase may have some.
    let mut command = in_scene(scene, "openssl", &format!("pkey -in {key} -pubout -passin"));
    let output = run(command.arg(format!("pass:{passphrase}")));
    String::from_utf8(output.stdout).unwrap()
}

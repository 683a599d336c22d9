//! An authority in a scene, and what it knows.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use pgpki_testing::{Scene, openssl, run};
use serde_json::Value;

pub(crate) fn new() -> Scene {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    scene
}

/// Every certificate in the ledger.
pub(crate) fn certificates(scene: &Scene) -> Vec<Value> {
    let output = run(&mut scene.command(["inspect", "--all", "--json"]));
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(certificates) = report["certificates"].take() else {
        panic!("{report}");
    };
    let serials: HashSet<_> = certificates
        .iter()
        .map(|it| it["serial"].as_str().unwrap())
        .collect();
    assert_eq!(serials.len(), certificates.len(), "a serial number twice");
    certificates
}

/// How many client certificates of `role` the ledger has.
pub(crate) fn issued_to(certificates: &[Value], role: &str) -> usize {
    certificates
        .iter()
        .filter(|it| it["profile"] == "client" && it["subject"] == role)
        .count()
}

/// Asserts that the folder is all there, that key and certificate belong together, and that the
/// ledger has the certificate under this role and as the one in use.
#[track_caller]
pub(crate) fn assert_whole(folder: &Path, role: &str, certificates: &[Value]) {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["postgresql.crt", "postgresql.key", "root.crt"],
        "{folder:?}"
    );
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (file("postgresql.crt"), file("postgresql.key"));
    let of_certificate = openssl(["x509", "-noout", "-pubkey", "-in", &certificate]).stdout;
    let of_key = openssl(["pkey", "-pubout", "-in", &key]).stdout;
    assert_eq!(of_certificate, of_key, "{folder:?}");
    let serial = openssl(["x509", "-noout", "-serial", "-in", &certificate]).stdout;
    let serial = String::from_utf8(serial).unwrap().to_lowercase();
    let serial = serial.trim_end().strip_prefix("serial=").unwrap();
    let recorded = certificates
        .iter()
        .find(|it| it["serial"] == format!("{serial:0>32}"))
        .expect(serial);
    assert_eq!(recorded["subject"], role);
    assert_eq!(recorded["status"], "valid", "{recorded}");
}

/// Asserts that nothing below `dir` has a name of work in progress.
#[track_caller]
pub(crate) fn assert_no_leftovers(dir: &Path) {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            }
            let name = entry.file_name().into_string().unwrap();
            let is_new = name.starts_with('.') || name.starts_with("new-");
            if is_new && name != ".pgpki" {
                found.push(entry.path());
            }
        }
    }
    assert!(found.is_empty(), "left behind: {found:?}");
}

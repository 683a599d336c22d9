//! The forms in which a credential is handed over: each is read by the program that it is for, and a rotation keeps it.
#![allow(clippy::unwrap_used)]

mod exported;
mod issued;
mod parcels;
mod renewed;
#[path = "../postgres/served.rs"]
#[allow(dead_code)]
mod served;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use pgpki_testing::run;
use serde_json::Value;

/// The files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_keys().collect()
}

/// Certificates are open, and whatever holds a key is its owner's alone.
fn check_modes(folder: &Path) {
    for name in names(folder) {
        let expected = match name.ends_with(".crt") || name.ends_with(".crl") {
            true => 0o644,
            false => 0o600,
        };
        let mode = fs::metadata(folder.join(&name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, expected, "{name} of {}", folder.display());
    }
}

/// A YAML file as another implementation reads it.
fn yaml(path: &Path) -> Value {
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = run(Command::new("/usr/bin/python3")
        .args(["-c", read])
        .arg(path));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What an entry of a Secret holds, as another implementation reads it.
fn decoded(entry: &Value) -> Vec<u8> {
    let text = entry.as_str().unwrap();
    run(Command::new("sh").args(["-c", "printf %s \"$0\" | base64 -d", text])).stdout
}

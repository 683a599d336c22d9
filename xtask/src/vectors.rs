//! Fetches the published certificates and keys that the tests read.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use pgpki_testing::{Toolbox, Vectors};
use tempfile::TempDir;

use crate::drivers;
use crate::fetch::cannot;
use crate::running::{self, Failure};

/// What is not finished has a name that begins like this, beside what it is to replace.
const UNFINISHED: &str = ".unfinished-";

pub(crate) fn run() -> Result<(), Failure> {
    if Vectors::fetched().is_err() {
        // One of them has pip.
        drivers::ensure()?;
    }
    ensure()?;
    println!("{} is in {}", Vectors::PACKAGE, Vectors::folder().display());
    Ok(())
}

/// Makes sure that they are there. pip is that of the clients in Python, which are made before.
pub(crate) fn ensure() -> Result<(), Failure> {
    if Vectors::fetched().is_ok() {
        return Ok(());
    }
    let folder = Vectors::folder();
    println!("fetching {} into {}", Vectors::PACKAGE, folder.display());
    let above = folder.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(above).map_err(|error| cannot("make", above, &error))?;
    let work = TempDir::with_prefix_in(UNFINISHED, above)
        .map_err(|error| cannot("make a directory in", above, &error))?;
    download(work.path())?;
    let made = work.path().join("made");
    fs::create_dir(&made).map_err(|error| cannot("make", &made, &error))?;
    for part in Vectors::PARTS {
        let from = work.path().join("all/cryptography_vectors").join(part);
        fs::rename(&from, made.join(part)).map_err(|error| cannot("move", &from, &error))?;
    }
    Vectors::finish(&made).map_err(|error| cannot("write in", &made, &error))?;
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| cannot("remove", &folder, &error))?;
    }
    fs::rename(&made, &folder).map_err(|error| cannot("move", &made, &error))
}

/// pip compares the wheel with the hash, and runs nothing of it. Python unpacks it into `all`.
fn download(work: &Path) -> Result<(), Failure> {
    let requirement = work.join("requirements.txt");
    let text = format!("{} --hash=sha256:{}\n", Vectors::PACKAGE, Vectors::HASH);
    fs::write(&requirement, text).map_err(|error| cannot("write", &requirement, &error))?;
    let python = Toolbox::Python.folder().join("venv/bin/python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--require-hashes"])
        .args(["--no-deps", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--dest", "wheel"])
        .args(["--requirement", "requirements.txt"])
        .current_dir(work)
        .stdin(Stdio::null());
    running::run(&mut pip).map_err(|failure| {
        Failure::Said(format!(
            "{failure}\nIs the registry that `pip config get global.index-url` names within reach? \
             Run this again when it is."
        ))
    })?;
    let wheels = work.join("wheel");
    let mut entries = fs::read_dir(&wheels).map_err(|error| cannot("read", &wheels, &error))?;
    let wheel = entries.find_map(Result::ok).map(|entry| entry.path());
    let wheel = wheel.ok_or_else(|| Failure::Said("pip has fetched nothing".to_owned()))?;
    let mut unpack = Command::new(&python);
    running::run(
        unpack
            .args(["-m", "zipfile", "--extract"])
            .arg(wheel)
            .arg("all")
            .current_dir(work),
    )
}

//! Makes the programs of one language, in its folder.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgpki_testing::Toolbox;

use crate::fetch::cannot;
use crate::prerequisites;
use crate::running::{self, Failure};
use crate::test::cargo;

/// Where Debian keeps the sources of Go's libraries.
const GO_LIBRARIES: &str = "/usr/share/gocode";

/// Whether what was made still runs: a virtual environment leads to the Python that it was made
/// with, which may be another version by now, and the driver's link to a file that has gone.
pub(super) fn still_runs(toolbox: Toolbox) -> bool {
    match toolbox {
        Toolbox::Python => quiet(python(&toolbox.folder()).args(["-c", "import psycopg2, django"])),
        Toolbox::Java => toolbox.folder().join(Toolbox::JDBC).is_file(),
        Toolbox::Go | Toolbox::Node | Toolbox::Rust | Toolbox::RustSnippets => true,
    }
}

/// Makes everything anew. Panics on no state of the folder: a run that was killed may have left
/// anything there.
pub(super) fn make(toolbox: Toolbox) -> Result<(), Failure> {
    let folder = toolbox.folder();
    if toolbox != Toolbox::Rust {
        println!("making the clients in {}", folder.display());
        empty(&folder)?;
        write_sources(toolbox, &folder)?;
    }
    match toolbox {
        Toolbox::Go => go(&folder),
        Toolbox::Java => java(&folder),
        Toolbox::Node => node(&folder),
        Toolbox::Python => python_environment(&folder),
        Toolbox::Rust => rust(&folder),
        Toolbox::RustSnippets => rust_snippets(&folder),
    }
}

/// The folder itself stays, because it is locked.
fn empty(folder: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let removed = match entry.file_type().is_ok_and(|it| it.is_dir()) {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(|error| cannot("remove", &path, &error))?;
    }
    Ok(())
}

/// Writes the sources, without the language's name in front of their paths.
fn write_sources(toolbox: Toolbox, folder: &Path) -> Result<(), Failure> {
    for (path, text) in toolbox.sources() {
        let inside: PathBuf = Path::new(path).components().skip(1).collect();
        let path = folder.join(inside);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot("make", parent, &error))?;
        }
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(())
}

/// With the libraries of Debian's packages and nothing from the network.
fn go(folder: &Path) -> Result<(), Failure> {
    for name in ["std", "pq", "pgx"] {
        let mut build = Command::new("go");
        build
            .args(["build", "-o", &format!("{name}.bin"), &format!("./{name}")])
            .current_dir(folder)
            .env("GO111MODULE", "off")
            .env("GOFLAGS", "")
            .env("GOPATH", GO_LIBRARIES)
            .env("GOCACHE", folder.join("cache"));
        running::run(&mut build)?;
    }
    Ok(())
}

fn java(folder: &Path) -> Result<(), Failure> {
    let link = folder.join(Toolbox::JDBC);
    let driver = prerequisites::jdbc().ok_or_else(|| Failure::Said("no pgJDBC".to_owned()))?;
    symlink(driver, &link).map_err(|error| cannot("make", &link, &error))?;
    let mut javac = Command::new("javac");
    running::run(javac.args(["-d", ".", "Connect.java"]).current_dir(folder))
}

/// npm compares what it fetches with the hashes in `package-lock.json`.
fn node(folder: &Path) -> Result<(), Failure> {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .arg("--loglevel=error")
        .current_dir(folder)
        .stdin(Stdio::null());
    fetched(&mut npm, "npm config get registry")
}

/// pip compares what it fetches with the hashes in `requirements.txt`, and builds nothing.
fn python_environment(folder: &Path) -> Result<(), Failure> {
    let mut venv = Command::new("python3");
    running::run(venv.args(["-m", "venv", "venv"]).current_dir(folder))?;
    let mut pip = python(folder);
    pip.args(["-m", "pip", "install", "--quiet", "--require-hashes"])
        .args(["--only-binary=:all:", "--disable-pip-version-check"])
        .args(["--requirement", "requirements.txt"])
        .current_dir(folder)
        .stdin(Stdio::null());
    fetched(&mut pip, "pip config get global.index-url")
}

fn python(folder: &Path) -> Command {
    Command::new(folder.join("venv/bin/python"))
}

fn quiet(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn fetched(command: &mut Command, asks_for_registry: &str) -> Result<(), Failure> {
    running::run(command).map_err(|failure| {
        Failure::Said(format!(
            "{failure}\nIs the registry that `{asks_for_registry}` names within reach? Run this \
             again when it is."
        ))
    })
}

/// Cargo builds it where this program was built, and it is copied from there: `cargo clean` takes
/// both.
fn rust(folder: &Path) -> Result<(), Failure> {
    let mut build = cargo();
    // Together with this package, because cargo settles the features of shared dependencies for
    // both at once: alone, it would compile many of them a second time.
    build.args(["build", "--quiet", "--package", Toolbox::RUST_CLIENT]);
    build.args(["--package", "xtask"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    running::run(&mut build)?;
    let this =
        env::current_exe().map_err(|error| Failure::Said(format!("no path of xtask: {error}")))?;
    let built = this.with_file_name(Toolbox::RUST_CLIENT);
    let place = folder.join(Toolbox::RUST_CLIENT);
    // A program that runs cannot be written over, but replaced.
    let fresh = folder.join("fresh");
    fs::copy(&built, &fresh).map_err(|error| cannot("copy", &built, &error))?;
    fs::rename(&fresh, &place).map_err(|error| cannot("make", &place, &error))
}

/// Builds the drivers, so that a test has its own functions alone to compile.
fn rust_snippets(folder: &Path) -> Result<(), Failure> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path"]);
    build.arg(folder.join("Cargo.toml"));
    running::run(build.arg("--target-dir").arg(folder.join("target")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_stand_in_the_folder_itself() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(folder.path().join("left/behind")).expect("a folder");
        fs::write(folder.path().join("made-from"), "something").expect("a file");
        empty(folder.path()).expect("emptied");
        write_sources(Toolbox::Go, folder.path()).expect("written");
        let names = fs::read_dir(folder.path()).expect("the folder").flatten();
        let mut names: Vec<_> = names.map(|it| it.file_name()).collect();
        names.sort();
        assert_eq!(names, ["pgx", "pq", "std"]);
        assert!(folder.path().join("pgx/main.go").is_file());
    }
}

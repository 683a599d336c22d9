//! `cargo xtask bench`: ratios, each measured side by side in one run, because these machines are
//! shared and a number of seconds says nothing tomorrow.

mod batch;
mod listing;
mod revocation;
mod single;
mod spent;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::prerequisites::{GNUTLS, OPENSSL, POSTGRESQL, ensure};
use crate::running::Failure;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which part: a (a batch), b (one certificate), c (a large ledger), d (a large CRL) [default: all]
    parts: Vec<Part>,
    /// Where the batch is written: a directory on the file system to measure
    #[arg(long, value_name = "DIR", default_value = "target")]
    dir: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    A,
    B,
    C,
    D,
}

pub(crate) use spent::{Args as SpentArgs, run as spent};

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    ensure(&[&OPENSSL, &GNUTLS])?;
    build()?;
    let dir = tempfile::TempDir::with_prefix_in("bench-", &args.dir).map_err(said)?;
    let program = installed(dir.path())?;
    let wants = |part| args.parts.is_empty() || args.parts.contains(&part);
    if wants(Part::A) {
        batch::run(&program, &part_dir(dir.path(), "a")?)?;
    }
    if wants(Part::B) {
        single::run(&program, &part_dir(dir.path(), "b")?)?;
    }
    if wants(Part::C) {
        listing::run(&program, &part_dir(dir.path(), "c")?)?;
    }
    if wants(Part::D) {
        ensure(&[&POSTGRESQL])?;
        revocation::run(&program, &part_dir(dir.path(), "d")?)?;
    }
    Ok(())
}

/// Builds `target/release/pgpki`.
pub(crate) fn build() -> Result<(), Failure> {
    must(Command::new(env!("CARGO")).args(["build", "--release", "--quiet", "--package", "pgpki"]))
}

/// The program as the README has it installed, and as it is run from day to day. Of a file that a linker has just made, which
/// writes here and there, the kernel has every page by itself, and mapping them one by one is a fifth of a short run.
fn installed(dir: &Path) -> Result<PathBuf, Failure> {
    let program = std::path::absolute(dir.join("pgpki")).map_err(said)?;
    must(
        Command::new("install")
            .arg("target/release/pgpki")
            .arg(&program),
    )?;
    Ok(program)
}

fn part_dir(above: &Path, name: &str) -> Result<PathBuf, Failure> {
    let dir = above.join(name);
    std::fs::create_dir(&dir).map_err(said)?;
    std::path::absolute(dir).map_err(said)
}

/// An authority for one part, with an unencrypted root.
pub(crate) fn init(program: &Path, dir: &Path) -> Result<PathBuf, Failure> {
    let home = dir.join("home");
    let owner = nix::unistd::Uid::effective();
    must(
        Command::new(program)
            .args(["init", "localhost", "--no-root-passphrase", "--owner"])
            .arg(format!("{owner}:{}", nix::unistd::Gid::effective()))
            .args(["--home".as_ref(), home.as_os_str()])
            .args(["--install".as_ref(), dir.join("tls").as_os_str()]),
    )?;
    Ok(home)
}

/// Runs a program that must succeed, without its output.
pub(crate) fn must(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(said)?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Said(format!("{command:?} failed: {stderr}")))
}

pub(crate) fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}

/// The middle one of a few measurements.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

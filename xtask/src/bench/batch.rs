//! (a) Ten thousand client credentials to disk, against the floor: the same number of raw key
//! generations and signatures, and the same files written and synced by a bare loop.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::syncfs;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use super::{init, median, must, said};
use crate::running::Failure;

const CREDENTIALS: usize = 10_000;
const ROUNDS: usize = 3;

pub(super) fn run(program: &Path, dir: &Path) -> Result<(), Failure> {
    let home = init(program, dir)?;
    let roles = dir.join("roles");
    let names: Vec<String> = (0..CREDENTIALS).map(|n| format!("role_{n:05}")).collect();
    fs::write(&roles, names.join("\n")).map_err(said)?;

    let sizes = sizes(program, &home, dir)?;
    let mut against_one = Vec::new();
    let mut against_all = Vec::new();
    for round in 0..ROUNDS {
        let ours = issue(program, &home, &roles, &dir.join(format!("out-{round}")))?;
        let one = floor(&names, &sizes, &dir.join(format!("one-{round}")), 1)?;
        let cores = std::thread::available_parallelism().map_err(said)?.get();
        let all = floor(&names, &sizes, &dir.join(format!("all-{round}")), cores)?;
        against_one.push(ours.as_secs_f64() / one.as_secs_f64());
        against_all.push(ours.as_secs_f64() / all.as_secs_f64());
    }
    println!(
        "a. {CREDENTIALS} client credentials to disk, durable, the middle of {ROUNDS} rounds:"
    );
    println!(
        "   {:.2} x the time of a bare loop on one core",
        median(against_one)
    );
    println!(
        "   {:.2} x the time of the same loop on every core",
        median(against_all)
    );
    Ok(())
}

/// How large the files of a credential are, in bytes.
fn sizes(program: &Path, home: &Path, dir: &Path) -> Result<Vec<(String, usize)>, Failure> {
    let sample = dir.join("sample");
    must(
        Command::new(program)
            .args(["issue-client", "role_sample", "--out"])
            .arg(&sample)
            .arg("--home")
            .arg(home),
    )?;
    let mut sizes = Vec::new();
    for entry in fs::read_dir(sample.join("role_sample")).map_err(said)? {
        let entry = entry.map_err(said)?;
        let length = entry.metadata().map_err(said)?.len() as usize;
        sizes.push((entry.file_name().to_string_lossy().into_owned(), length));
    }
    Ok(sizes)
}

fn issue(program: &Path, home: &Path, roles: &Path, out: &Path) -> Result<Duration, Failure> {
    let started = Instant::now();
    must(
        Command::new(program)
            .args(["issue-client", "--from"])
            .arg(roles)
            .arg("--out")
            .arg(out)
            .arg("--home")
            .arg(home),
    )?;
    Ok(started.elapsed())
}

fn floor(
    names: &[String],
    sizes: &[(String, usize)],
    out: &Path,
    cores: usize,
) -> Result<Duration, Failure> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let ca = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(said)?;
    let ca = EcdsaKeyPair::from_pkcs8(algorithm, ca.as_ref(), &random).map_err(said)?;
    let started = Instant::now();
    fs::create_dir(out).map_err(said)?;
    std::thread::scope(|scope| {
        let share = names.len().div_ceil(cores);
        let workers: Vec<_> = names
            .chunks(share)
            .map(|names| scope.spawn(|| write_all(names, sizes, out, &ca)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| Failure::Said("the loop panicked".to_owned()))?
        })
    })?;
    syncfs(File::open(out).map_err(said)?).map_err(said)?;
    Ok(started.elapsed())
}

fn write_all(
    names: &[String],
    sizes: &[(String, usize)],
    out: &Path,
    ca: &EcdsaKeyPair,
) -> Result<(), Failure> {
    let random = SystemRandom::new();
    for name in names {
        let key =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(said)?;
        let signature = ca.sign(&random, name.as_bytes()).map_err(said)?;
        let folder: PathBuf = out.join(name);
        fs::create_dir(&folder).map_err(said)?;
        for (file, size) in sizes {
            let mut bytes = Vec::with_capacity(*size);
            bytes.extend_from_slice(key.as_ref());
            bytes.extend_from_slice(signature.as_ref());
            bytes.resize(*size, b'.');
            let mut file = File::create_new(folder.join(file)).map_err(said)?;
            file.write_all(&bytes).map_err(said)?;
        }
    }
    Ok(())
}

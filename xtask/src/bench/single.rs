//! (b) Processor time of issuing one client certificate from the command line, against GnuTLS's
//! certtool and the openssl commands that articles paste. On a disk, and once more where files are
//! kept in memory: pgpki syncs what it writes, and the others do not, so the difference between the
//! two is what that takes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::spent::measure;
use super::{init, median, must, said};
use crate::running::Failure;

const ROUNDS: usize = 7;
const TIMES: u32 = 20;

/// A file system in memory, on every Linux.
const MEMORY: &str = "/dev/shm";

pub(super) fn run(program: &Path, dir: &Path) -> Result<(), Failure> {
    println!("b. processor time of one issue-client, the middle of {ROUNDS} rounds of {TIMES}:");
    compare(program, dir, "on disk")?;
    let memory = TempDir::with_prefix_in("bench-", MEMORY).map_err(said)?;
    compare(program, memory.path(), "in memory")
}

fn compare(program: &Path, dir: &Path, place: &str) -> Result<(), Failure> {
    let home = init(program, dir)?;
    prepare_certtool(dir)?;
    let ours = arguments(&[
        "issue-client".as_ref(),
        "role-{}".as_ref(),
        "--out".as_ref(),
        dir.join("out").as_os_str(),
        "--home".as_ref(),
        home.as_os_str(),
    ]);
    let certtool = script(dir, "certtool.sh", CERTTOOL)?;
    let openssl = script(dir, "openssl.sh", OPENSSL)?;
    let shell = Path::new("/bin/sh");
    let empty = script(dir, "empty.sh", "")?;
    let mut against_certtool = Vec::new();
    let mut against_openssl = Vec::new();
    for _ in 0..ROUNDS {
        // A shell runs the scripts; what it takes by itself is not theirs.
        let shells = cpu(shell, &empty)?;
        let ours = cpu(program, &ours)?;
        let script = |arguments| Ok::<_, Failure>(cpu(shell, arguments)? - shells);
        against_certtool.push(ours / script(&certtool)?);
        against_openssl.push(ours / script(&openssl)?);
    }
    println!(
        "   {:.2} x that of certtool, {:.2} x that of openssl genpkey, req, x509 ({place})",
        median(against_certtool),
        median(against_openssl)
    );
    Ok(())
}

/// Seconds for one run.
fn cpu(program: &Path, arguments: &[OsString]) -> Result<f64, Failure> {
    Ok(measure(TIMES, program, arguments)?.cpu.as_secs_f64())
}

const CERTTOOL: &str = "\
certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile $1.key
certtool --generate-certificate --load-privkey $1.key --load-ca-certificate ca.crt \
  --load-ca-privkey ca.key --template alice.cfg --outfile $1.crt
";

const OPENSSL: &str = "\
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key
openssl req -new -key $1.key -subj /CN=$1 -out $1.csr
openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -days 365 -out $1.crt
";

fn prepare_certtool(dir: &Path) -> Result<(), Failure> {
    let template = "cn = \"alice\"\nexpiration_days = 365\nsigning_key\ntls_www_client\n";
    fs::write(dir.join("alice.cfg"), template).map_err(said)?;
    must(Command::new("openssl").current_dir(dir).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-subj",
        "/CN=CA",
        "-days",
        "3650",
    ]))
}

fn script(dir: &Path, name: &str, text: &str) -> Result<Vec<OsString>, Failure> {
    let path = dir.join(name);
    let head = format!("set -e\ncd '{}'\n", dir.display());
    fs::write(&path, head + text).map_err(said)?;
    // Like each of our folders, its files are new ones.
    Ok(vec![path.into_os_string(), "role-{}".into()])
}

fn arguments(arguments: &[&std::ffi::OsStr]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

//! Other implementations, run as programs: what they say about a certificate counts more than our
//! own opinion.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// Runs a command that must succeed; panics with the command and everything it printed when it does
/// not.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    match attempt(command) {
        Ok(output) => output,
        Err(failure) => panic!("{failure}"),
    }
}

/// Runs a command that may fail. The error holds the command, its exit status and everything it
/// printed.
pub fn attempt(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().display();
        format!("cannot run {program}: {error}\n(`cargo xtask test` installs what the tests need, or names it)")
    })?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!(
        "{status} from {command:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
        status = output.status,
        stdout = String::from_utf8_lossy(&output.stdout).trim_end(),
        stderr = String::from_utf8_lossy(&output.stderr).trim_end(),
    ))
}

/// Runs `openssl` with these arguments; panics with its output when it fails.
#[track_caller]
pub fn openssl<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    run(Command::new("openssl").args(args))
}

/// Runs GnuTLS's `certtool` with these arguments; panics with its output when it fails.
#[track_caller]
pub fn certtool<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    run(Command::new("certtool").args(args))
}

/// How the serial number begins that a CRL lists for a server to be tried with, and that no certificate has: "pgpkicrl".
const WITNESS: &str = "7067706b6963726c";

/// The serial numbers of the certificates that a CRL revokes, as pgpki prints them, from what `openssl crl -text` says.
pub fn revoked(crl: &str) -> Vec<String> {
    let serials = crl.lines().filter_map(|line| {
        let serial = line.trim().strip_prefix("Serial Number: ")?;
        Some(format!("{:0>32}", serial.to_lowercase()))
    });
    serials
        .filter(|serial| !serial.starts_with(WITNESS))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_command_and_both_streams() {
        let failure = attempt(Command::new("sh").args(["-c", "echo seen; echo wrong >&2; exit 3"]))
            .unwrap_err();
        for part in ["exit status: 3", "\"sh\" \"-c\"", "seen", "wrong"] {
            assert!(failure.contains(part), "{part:?} is not in {failure}");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = attempt(&mut Command::new("no-such-program")).unwrap_err();
        assert!(failure.contains("cannot run no-such-program"), "{failure}");
    }

    #[test]
    fn the_judges_are_here() {
        openssl(["version"]);
        certtool(["--version"]);
    }
}

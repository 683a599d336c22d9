//! `cargo xtask test`: every test, on a machine that has what they need.

use std::env;
use std::process::Command;

use clap::builder::RangedI64ValueParser;
use pgpki_testing::ServerPrograms;

use crate::drivers;
use crate::fetch;
use crate::prerequisites::{
    self, AGE, FAKETIME, GNUTLS, OPENSC, OPENSSH, OPENSSL, POSTGRESQL, PYTHON, PYTHON_CRYPTOGRAPHY,
    PYTHON_YAML, SOFTHSM, STRACE, SYSTEMD, UTIL_LINUX,
};
use crate::running::{self, Failure};
use crate::vectors;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run everything on PostgreSQL of this major version, fetched, instead of on the machine's own
    /// (and, where a test is about all versions, on all of them)
    #[arg(long, value_name = "MAJOR", value_parser = major_versions())]
    pg: Option<u32>,
    /// Handed on to `cargo test`, such as a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo_test_args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    prerequisites::ensure(&[
        &POSTGRESQL,
        &OPENSSL,
        &GNUTLS,
        &STRACE,
        &UTIL_LINUX,
        &AGE,
        &FAKETIME,
        &PYTHON,
        &PYTHON_CRYPTOGRAPHY,
        &PYTHON_YAML,
        &OPENSSH,
        &SYSTEMD,
        &SOFTHSM,
        &OPENSC,
    ])?;
    drivers::ensure()?;
    vectors::ensure()?;
    let versions = fetch::all()?;
    let mut tests = cargo();
    tests.env(ServerPrograms::VERSIONS_VARIABLE, versions);
    if let Some(major) = args.pg {
        let programs = ServerPrograms::of_major(major)?;
        println!("everything runs on {programs}");
        tests.env(ServerPrograms::BINDIR_VARIABLE, programs.folder());
    }
    // Without a list of targets it is everything but the benches: libraries, programs, tests,
    // examples and doc tests.
    tests.args(["test", "--no-fail-fast"]);
    if !names_packages(&args.cargo_test_args) {
        tests.arg("--workspace");
    }
    running::run(tests.args(&args.cargo_test_args))
}

fn major_versions() -> RangedI64ValueParser<u32> {
    let majors = ServerPrograms::MAJORS;
    clap::value_parser!(u32).range(i64::from(*majors.start())..=i64::from(*majors.end()))
}

/// Whether these arguments of `cargo test` say which packages are meant: beside `--workspace` it
/// would not heed them.
fn names_packages(args: &[String]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
}

/// The cargo that runs us, in the environment that whoever called it had.
///
/// What cargo tells the program that it runs, such as `CARGO_PKG_NAME`, ring's build script looks at: cargo would build it
/// anew, and all that depends on it, each time that one cargo follows the other.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_about_us =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_about_us) {
            cargo.env_remove(name);
        }
    }
    cargo
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn a_version_is_ours_and_the_rest_is_cargos() {
        let args = parsed("test --pg 17 -p pgpki --test postgres -- --exact").expect("a line");
        assert_eq!(args.pg, Some(17));
        let rest = ["-p", "pgpki", "--test", "postgres", "--", "--exact"];
        assert_eq!(args.cargo_test_args, rest);
    }

    #[test]
    fn only_versions_that_are_fetched_can_be_asked_for() {
        for wrong in ["12", "19", "x"] {
            let line = format!("test --pg {wrong}");
            assert!(parsed(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn packages_are_named_before_the_dashes() {
        let named = |line: &str| {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            names_packages(&args)
        };
        for line in ["-p pgpki", "--package=pgpki", "rotation -ppgpki"] {
            assert!(named(line), "{line}");
        }
        for line in ["rotation", "--test postgres -- -p"] {
            assert!(!named(line), "{line}");
        }
    }
}

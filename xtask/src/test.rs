//! `cargo xtask test`: every test, on a machine that has what they need.

use std::env;
use std::process::Command;

use crate::prerequisites::{
    self, FAKETIME, GNUTLS, OPENSSL, POSTGRESQL, PYTHON, STRACE, UTIL_LINUX,
};
use crate::running::{self, Failure};

#[derive(clap::Args)]
pub(crate) struct Args {
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
        &FAKETIME,
        &PYTHON,
    ])?;
    // Without a list of targets it is everything but the benches: libraries, programs, tests,
    // examples and doc tests.
    running::run(
        cargo()
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(&args.cargo_test_args),
    )
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

//! `cargo xtask drivers`: the clients in other languages, and the tests that connect with them.

mod making;

use std::fs;

use pgpki_testing::Toolbox;

use crate::fetch::{cannot, lock};
use crate::prerequisites::{
    self, ACTIVE_RECORD, COMPOSE, DBD_PG, ETCD, FAKETIME, GO, JDBC, JDK, LIB_PQ, NODE, NPM,
    OPENSSL, PATRONI, PGBOUNCER, PGX, PHP, PHP_PDO, POSTGRESQL, PYTHON_ETCD, PYTHON_VENV, RUBY_PG,
};
use crate::running::{self, Failure};
use crate::test::cargo;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed on to `cargo test`, such as a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo_test_args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    prerequisites::ensure(&[&POSTGRESQL, &OPENSSL, &FAKETIME])?;
    ensure()?;
    let mut tests = cargo();
    tests.args(["test", "--package", "pgpki"]);
    tests.args(["--test", "drivers", "--test", "connect"]);
    running::run(tests.args(&args.cargo_test_args))
}

/// Makes the programs that are missing or older than their sources.
pub(crate) fn ensure() -> Result<(), Failure> {
    prerequisites::ensure(&[&GO, &LIB_PQ, &PGX, &JDK, &JDBC, &NODE, &NPM, &PYTHON_VENV])?;
    prerequisites::ensure(&[&RUBY_PG, &ACTIVE_RECORD, &PHP, &PHP_PDO, &DBD_PG])?;
    prerequisites::ensure(&[&PGBOUNCER, &PATRONI, &ETCD, &PYTHON_ETCD, &COMPOSE])?;
    for toolbox in Toolbox::ALL {
        let folder = toolbox.folder();
        fs::create_dir_all(&folder).map_err(|error| cannot("make", &folder, &error))?;
        let _lock = lock(&folder)?;
        // Cargo knows better than a stamp, because the versions in Cargo.lock count as well.
        if toolbox == Toolbox::Rust || toolbox.made().is_err() || !making::still_runs(toolbox) {
            making::make(toolbox)?;
            toolbox
                .finish()
                .map_err(|error| cannot("write to", &folder, &error))?;
        }
    }
    Ok(())
}

//! PostgreSQL's clients in other languages, each a small program that connects with one driver: what
//! TLS libraries other than ours make of a certificate, and how they word what they do not like.
//!
//! The programs are made by `cargo xtask drivers` (and by `cargo xtask test`) from the files in
//! `crates/testing/clients`, each language's in a [`Toolbox`] of its own.

mod command;
mod connection;
mod toolbox;

use std::fmt::{self, Display};
use std::process::Output;

use tempfile::TempDir;

pub use connection::{Connection, Credential, Refusal, Session};
pub use toolbox::Toolbox;

/// A driver, and the program that connects with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// The machine's own psql.
    Psql,
    /// Go's crypto/tls without a driver.
    GoTls,
    /// lib/pq.
    GoPq,
    /// pgx 4.
    GoPgx,
    /// pgJDBC.
    PgJdbc,
    /// node-postgres, on node's own OpenSSL.
    NodePostgres,
    /// tokio-postgres on rustls.
    Rustls,
    /// psycopg2-binary, with a libpq and an OpenSSL of its own.
    Psycopg2,
    /// psycopg-binary, with a libpq and an OpenSSL of its own.
    Psycopg3,
    /// asyncpg, on Python's OpenSSL.
    Asyncpg,
    /// pg8000, on Python's OpenSSL.
    Pg8000,
}

impl Client {
    /// Every client.
    pub const ALL: [Self; 11] = [
        Self::Psql,
        Self::GoTls,
        Self::GoPq,
        Self::GoPgx,
        Self::PgJdbc,
        Self::NodePostgres,
        Self::Rustls,
        Self::Psycopg2,
        Self::Psycopg3,
        Self::Asyncpg,
        Self::Pg8000,
    ];

    /// Connects, with `sslmode=verify-full` or what the driver has for it, and asks the server who
    /// has come. Nothing of the caller's environment or home helps or hinders. Panics when the
    /// program is missing or older than its source, when it does not end within a minute, and when
    /// it ends in a way of its own, such as a module that is not found.
    #[track_caller]
    pub fn connect(self, connection: &Connection) -> Result<Session, Refusal> {
        let home = TempDir::with_prefix("pgpki-client-").unwrap();
        let mut command = match self.command(connection, home.path()) {
            Ok(command) => command,
            Err(failure) => panic!("{self}: {failure}"),
        };
        match command.output() {
            Ok(output) => self.outcome(&output),
            Err(error) => panic!("{self}: cannot run {command:?}: {error}"),
        }
    }

    #[track_caller]
    fn outcome(self, output: &Output) -> Result<Session, Refusal> {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            let session = Session::read(&stdout);
            return Ok(session.unwrap_or_else(|| panic!("{self} is in and says: {stdout}{stderr}")));
        }
        let refusal = Refusal::read(&stdout, &stderr);
        match refusal.filter(|_| output.status.code() != Some(command::TIMED_OUT)) {
            Some(refusal) => Err(refusal),
            None => panic!(
                "{self} was not refused, it failed: {}\n{stdout}{stderr}",
                output.status
            ),
        }
    }
}

impl Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psql => "psql",
            Self::GoTls => "Go's crypto/tls",
            Self::GoPq => "lib/pq",
            Self::GoPgx => "pgx",
            Self::PgJdbc => "pgJDBC",
            Self::NodePostgres => "node-postgres",
            Self::Rustls => "tokio-postgres with rustls",
            Self::Psycopg2 => "psycopg2",
            Self::Psycopg3 => "psycopg 3",
            Self::Asyncpg => "asyncpg",
            Self::Pg8000 => "pg8000",
        })
    }
}

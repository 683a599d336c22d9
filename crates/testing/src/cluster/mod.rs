//! A throwaway PostgreSQL cluster.

mod builder;
mod client;
mod configuration;
mod server;

pub use builder::ClusterBuilder;
pub use client::{quote_identifier, quote_literal};
pub use configuration::{append, replace};
pub use server::Shutdown;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::owner::Owner;
use crate::programs::ServerPrograms;
use server::Server;

/// A real PostgreSQL cluster in a directory of its own, on a free port of the loopback addresses,
/// with superuser `postgres`. Dropping it ends the server at once and removes everything, after a
/// panic too; so keep it in a variable, not in a `static`, which is never dropped.
///
/// The server speaks English, whatever the locale, so that its messages can be compared.
///
/// ```no_run
/// let mut cluster = pgpki_testing::Cluster::running();
/// assert_eq!(cluster.sql("select 6 * 7"), "42");
/// cluster.set_hba("hostssl all all all cert");
/// cluster.reload().unwrap();
/// ```
#[derive(Debug)]
pub struct Cluster {
    programs: ServerPrograms,
    owner: Owner,
    port: u16,
    /// What initdb wrote into `postgresql.conf`; what a test sets comes after it, so that it wins.
    pristine_conf: String,
    extra_conf: String,
    /// No server has run yet, so nobody knows the port and it may still change.
    port_is_unknown_outside: bool,
    server: Option<Server>,
    // Last, because fields are dropped in order: the directory goes when nothing runs in it.
    dir: TempDir,
}

impl Cluster {
    /// A running cluster with the default settings; panics when there is no PostgreSQL to run.
    #[track_caller]
    pub fn running() -> Self {
        match Self::builder().start() {
            Ok(cluster) => cluster,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Settings for a cluster that is still to be made.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The directory that everything of this cluster is in. Files put here are removed with it; the
    /// server's user may enter it, and owns only what it is given.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// PostgreSQL's data directory, which holds its configuration files too.
    pub fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// The directory of the Unix socket: `host=` of a local connection.
    pub fn socket_dir(&self) -> PathBuf {
        self.dir().join("socket")
    }

    /// The port on 127.0.0.1, on ::1 where the machine has it, and in the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The operating system's user that the server runs as.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// PostgreSQL's major version, such as 15.
    pub fn major(&self) -> u32 {
        self.programs.major()
    }

    /// The programs that this cluster runs on, for a test that calls `pg_ctl` or `pg_basebackup`
    /// itself. Not every server has all of them beside it: see [`ServerPrograms::program`].
    pub fn programs(&self) -> &ServerPrograms {
        &self.programs
    }

    fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("server.log")
    }
}

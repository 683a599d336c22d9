//! `pgpki doctor`.

use clap::Args;

use super::{Home, WhichCluster};

/// `pgpki doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sudo pgpki doctor
  sudo pgpki doctor --cluster 15/main --fix
  pgpki doctor --client --role alice 'host=db.example.com dbname=prod sslmode=verify-full'
  pgpki doctor --explain 'tlsv1 alert unknown ca'")]
pub struct Doctor {
    /// With --client: how the client connects, as libpq reads it: host=… or postgresql://…
    #[arg(value_name = "CONNECTION-STRING", requires = "client")]
    pub connection: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: WhichCluster,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// Look at what a client on this machine has, then connect as it would
    #[arg(long, conflicts_with_all = ["pgdata", "cluster", "fix"])]
    pub client: bool,
    /// The role that the client connects as [default: as in the connection string]
    #[arg(long, value_name = "ROLE", requires = "client")]
    pub role: Option<String>,
    /// Explain an error message of PostgreSQL, libpq or a driver
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["client", "pgdata", "cluster", "fix"])]
    pub explain: Option<String>,
    /// Mend what is safe to mend, after showing it: modes, owners, a CRL that has lapsed
    #[arg(long)]
    pub fix: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

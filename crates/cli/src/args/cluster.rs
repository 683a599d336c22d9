//! A cluster of this machine, what it is to use, and `pgpki configure`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Home;

/// Which cluster of this machine is meant.
#[derive(Debug, Args)]
pub struct WhichCluster {
    /// The cluster's data directory
    #[arg(long, value_name = "DIR", conflicts_with = "cluster", value_hint = ValueHint::DirPath)]
    pub pgdata: Option<PathBuf>,
    /// The cluster, as Debian's tools call it [default: the only one on this machine]
    #[arg(long, value_name = "VERSION/NAME")]
    pub cluster: Option<String>,
}

/// A cluster that is to use what is installed, if one is named.
#[derive(Debug, Args)]
pub struct Configured {
    /// Have the cluster with this data directory use what is installed, as pgpki configure does
    #[arg(long, value_name = "DIR", conflicts_with = "cluster", help_heading = "Cluster", value_hint = ValueHint::DirPath)]
    pub pgdata: Option<PathBuf>,
    /// The same for the cluster that Debian's tools call so
    #[arg(long, value_name = "VERSION/NAME", help_heading = "Cluster")]
    pub cluster: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rules: Rules,
    /// Do not reload the server, and do not look what it serves
    #[arg(long, help_heading = "Cluster")]
    pub no_reload: bool,
}

/// What `pg_hba.conf` is to say.
#[derive(Debug, Args)]
pub struct Rules {
    /// Refuse connections over TCP without TLS
    #[arg(long, help_heading = "Access")]
    pub require_tls: bool,
    /// Ask these roles for a client certificate, or all of them
    #[arg(long, value_name = "ROLE", num_args = 1.., help_heading = "Access")]
    pub client_certs: Vec<String>,
    /// Ask for a password beside the certificate
    #[arg(long, requires = "client_certs", help_heading = "Access")]
    pub with_password: bool,
}

impl Rules {
    /// Whether any rule is asked for.
    pub fn is_any(&self) -> bool {
        self.require_tls || !self.client_certs.is_empty()
    }
}

/// `pgpki configure`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Sets ssl, ssl_cert_file, ssl_key_file, ssl_ca_file, ssl_crl_file and ssl_min_protocol_version in a file of its own, and \
writes one marked block at the top of pg_hba.conf. Lines for local connections stay as they are. The server judges the \
files before it loads them; if it does not serve what is installed, they are put back.

Examples:
  sudo pgpki configure --dry-run --require-tls
  sudo pgpki configure --cluster 15/main --require-tls --client-certs all
  sudo pgpki configure --remove")]
pub struct Configure {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: WhichCluster,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// The installation that it is to use [default: the authority's that it uses, else the authority's only one;
    /// /etc/ssl/postgres, where that is one of several, or the authority cannot be read]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub install: Option<PathBuf>,
    /// Where the server's key is encrypted, the file with its passphrase [default: as the authority has it]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub server_key_passphrase: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rules: Rules,
    /// Show what would be changed, as a unified diff
    #[arg(long)]
    pub dry_run: bool,
    /// Take out what configure has put in
    #[arg(long, conflicts_with_all = ["require_tls", "client_certs", "with_password"])]
    pub remove: bool,
    /// Do not reload the server, and do not look what it serves
    #[arg(long)]
    pub no_reload: bool,
}

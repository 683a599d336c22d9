//! `pgpki inspect`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Home;
use super::values::patience;

/// `pgpki inspect`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
What exists as a path is a file or folder, and so is what contains a slash. Anything else that can be a host name or an address is a \
server; a port or postgresql:// makes that sure.

Of a server, inspect shows what a client would see. It also begins to log in without TLS, as the role and to the database of a \
postgresql:// URL or else as pgpki-probe, sends no password, and gives up at the first answer: whether plaintext is taken is \
known for that role, that database and this machine alone.

Examples:
  sudo pgpki inspect
  sudo pgpki inspect /etc/ssl/postgres
  pgpki inspect ~/.postgresql --json
  pgpki inspect db.example.com
  pgpki inspect --root root.crt postgresql://app@db1,db2:6432/orders
  pgpki inspect --from servers.txt --timeout 3s")]
pub struct Inspect {
    /// A file (.crt, .pem, .key, .csr, .crl, .p12), a folder, or servers: HOST, HOST:PORT,
    /// postgresql://… [default: everything issued]
    #[arg(value_name = "TARGET", value_hint = ValueHint::AnyPath)]
    pub targets: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// List every certificate, not only the most urgent
    #[arg(long, conflicts_with_all = ["targets", "from"])]
    pub all: bool,
    /// The passphrase of a PKCS#12 file: the first line of this file
    #[arg(long, value_name = "FILE", requires = "targets", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
    /// Read more servers from a file, one a line; - is standard input
    #[arg(long, value_name = "FILE", help_heading = "Servers", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// How long to wait for one server in all
    #[arg(long, value_name = "DURATION", default_value = "10s", help_heading = "Servers", value_parser = patience)]
    pub timeout: std::time::Duration,
    /// The roots that clients have [default: this authority's, and the system's]
    #[arg(long, value_name = "FILE", help_heading = "Servers", value_hint = ValueHint::FilePath)]
    pub root: Option<PathBuf>,
}

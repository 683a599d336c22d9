//! `pgpki issue-server` and `pgpki issue-client`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::validity::Days;

use super::values::{any_algorithm, ca_algorithm, days};
use super::{Formats, Home, IssuingPassphrase, ServerKeyPassphrase, Token};

/// `pgpki issue-server`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sudo pgpki issue-server db2.example.com --out /root/db2
  sudo pgpki issue-server db.example.com --install /etc/ssl/postgres-reporting")]
#[command(group = clap::ArgGroup::new("where").required(true).args(["out", "install"]))]
pub struct IssueServer {
    /// Names and addresses under which clients reach the server; the first is the common name
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub token: Token,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuing_passphrase: IssuingPassphrase,
    /// Write a folder to carry to the other machine
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Make an installation on this machine
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub install: Option<PathBuf>,
    /// Who owns the installed files [default: postgres for root, otherwise the caller]
    #[arg(long, value_name = "USER[:GROUP]", conflicts_with = "out")]
    pub owner: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub server_key: ServerKeyPassphrase,
    /// Leave the server's key open where it was encrypted before
    #[arg(long, conflicts_with = "server_key_passphrase")]
    pub no_server_key_passphrase: bool,
    /// Replace a certificate that has names which this one has not
    #[arg(long)]
    pub drop_names: bool,
    /// Days until the certificate ends [default: as in pgpki.toml]
    #[arg(long, value_name = "N", value_parser = days, allow_hyphen_values = true)]
    pub days: Option<Days>,
    /// The kind of key [default: as in pgpki.toml]
    #[arg(long, value_name = "KIND", value_parser = ca_algorithm())]
    pub key_algorithm: Option<KeyAlgorithm>,
    /// Leave the server as it is: neither reload it nor look what it serves
    #[arg(long)]
    pub no_reload: bool,
}

/// `pgpki issue-client`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sudo pgpki issue-client alice bob --out /root/hand-over
  psql -XAtc 'select rolname from pg_roles where rolcanlogin and not rolsuper' |
      pgpki issue-client --from - --out ./hand-over")]
pub struct IssueClient {
    /// The roles, exactly as PostgreSQL knows them
    #[arg(value_name = "ROLE", required_unless_present = "from")]
    pub roles: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub token: Token,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuing_passphrase: IssuingPassphrase,
    /// Read more roles from a file, one a line; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// Where to put the folders: each role gets DIR/ROLE
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Write DIR/ROLE.age instead, which only the recipient can open: an age1… or ssh-ed25519 public key, or a file with
    /// such, one a line
    #[arg(long, value_name = "RECIPIENT|FILE", value_hint = ValueHint::FilePath)]
    pub encrypt_to: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub formats: Formats,
    /// Days until the certificates end [default: as in pgpki.toml]
    #[arg(long, value_name = "N", value_parser = days, allow_hyphen_values = true)]
    pub days: Option<Days>,
    /// The kind of key [default: as in pgpki.toml]
    #[arg(long, value_name = "KIND", value_parser = any_algorithm())]
    pub key_algorithm: Option<KeyAlgorithm>,
}

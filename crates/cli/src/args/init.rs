//! `pgpki init`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::validity::Days;

use super::values::{ca_algorithm, days};
use super::{
    Configured, FirstKeys, Home, Issuer, NewIssuingPassphrase, NewPassphrase, Permit, Requested,
    ServerKeyPassphrase, Token,
};

/// `pgpki init`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sudo pgpki init db.example.com 10.0.0.5
  sudo pgpki init db.example.com --cluster 15/main --require-tls
  pgpki init --home ./pki --install ./tls --no-root-passphrase localhost
  sudo pgpki init db.example.com --issuer-cert company.pem --issuer-key company.key")]
pub struct Init {
    /// Names and addresses under which clients reach the server; the first is the common name
    /// [default: this machine's full name]
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub token: Token,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: FirstKeys,
    /// Where PostgreSQL reads its certificate and key from
    #[arg(long, value_name = "DIR", default_value = "/etc/ssl/postgres", value_hint = ValueHint::DirPath)]
    pub install: PathBuf,
    /// Who owns the installed files [default: postgres for root, otherwise the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub server_key: ServerKeyPassphrase,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub passphrase: NewPassphrase,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuing_passphrase: NewIssuingPassphrase,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuer: Issuer,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub requested: Requested,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub permit: Permit,
    /// O, the organization in every subject
    #[arg(long, value_name = "TEXT", help_heading = "Subject")]
    pub organization: Option<String>,
    /// OU, the organizational unit in every subject
    #[arg(long, value_name = "TEXT", help_heading = "Subject")]
    pub organizational_unit: Option<String>,
    /// C, the country in every subject: two capital letters
    #[arg(long, value_name = "CODE", help_heading = "Subject")]
    pub country: Option<String>,
    /// ST, the state or province in every subject
    #[arg(long, value_name = "TEXT", help_heading = "Subject")]
    pub state: Option<String>,
    /// L, the locality in every subject
    #[arg(long, value_name = "TEXT", help_heading = "Subject")]
    pub locality: Option<String>,
    /// The kind of key for both CAs, the server, and later for everything else
    #[arg(long, value_name = "KIND", default_value = "p256", value_parser = ca_algorithm())]
    pub key_algorithm: KeyAlgorithm,
    /// Days until the server's certificate ends [default: 365]
    #[arg(long, value_name = "N", value_parser = days, allow_hyphen_values = true)]
    pub days: Option<Days>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub configure: Configured,
}

//! `pgpki sign` and `pgpki request`: the two ends of a certificate whose key stays where it was made.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::validity::Days;

use super::values::{any_algorithm, days};
use super::{Home, IssuingPassphrase, Token};

/// `pgpki sign`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A request (PKCS#10, PEM or DER) proves that its sender has the private key, and nothing about who that is: compare the \
key's SHA-256 with what pgpki request has printed there. Only the key is taken from it, and with --trust-request \
the names; whatever else it asks for is left out.

Examples:
  sudo pgpki sign alice.csr --role alice --out ./signed
  sudo pgpki sign db2.csr --host db2.example.com --host 10.0.0.6 --out ./signed
  sudo pgpki sign requests/*.csr --trust-request --out ./signed")]
#[command(group = ArgGroup::new("whom").required(true).args(["role", "hosts", "trust_request"]))]
pub struct Sign {
    /// Files, each with one request
    #[arg(value_name = "REQUEST", required = true, value_hint = ValueHint::FilePath)]
    pub requests: Vec<PathBuf>,
    /// The role that it is for, exactly as PostgreSQL knows it
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// A name or address of the server that it is for; the first is the common name
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Take role or hosts from the request; on a terminal it asks before it signs
    #[arg(long)]
    pub trust_request: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub token: Token,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuing_passphrase: IssuingPassphrase,
    /// Where to put the certificates: each gets DIR/ROLE, or DIR/HOST
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Days until the certificate ends [default: as in pgpki.toml]
    #[arg(long, value_name = "N", value_parser = days, allow_hyphen_values = true)]
    pub days: Option<Days>,
}

/// `pgpki request`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
For the machine of whoever is to have the certificate: no authority is needed there, and the key never leaves it.

Examples:
  pgpki request alice
  sudo pgpki request --host db2.example.com --host 10.0.0.6 --out /root")]
#[command(group = ArgGroup::new("whom").required(true).args(["role", "hosts"]))]
pub struct Request {
    /// The role, exactly as PostgreSQL knows it
    #[arg(value_name = "ROLE")]
    pub role: Option<String>,
    /// A name or address of the server; the first is the common name
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Where to put key and request: in DIR/ROLE, or DIR/HOST
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// The kind of key
    #[arg(long, value_name = "KIND", default_value = "p256", value_parser = any_algorithm())]
    pub key_algorithm: KeyAlgorithm,
}

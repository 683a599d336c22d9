//! `pgpki revoke`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use pgpki_core::crl::Reason;

use super::values::reason;
use super::{Home, IssuingPassphrase, Token};

/// `pgpki revoke`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A role's every certificate that still counts is revoked; a serial number or a file names one. The new CRL is \
installed, every server on this machine reloads and is seen to refuse what it lists, and the sessions that came in with \
the certificate end.

Examples:
  sudo pgpki revoke alice
  sudo pgpki revoke 7d4a0c3be1f24c7ea1b0aa5c5f6d1e42 --reason key-compromise
  sudo pgpki revoke ./laptop/postgresql.crt")]
pub struct Revoke {
    /// A role, a serial number as `pgpki inspect` prints it, or a file with a certificate
    #[arg(value_name = "ROLE|SERIAL|FILE", required = true, value_hint = ValueHint::AnyPath)]
    pub targets: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub token: Token,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuing_passphrase: IssuingPassphrase,
    /// Why, for the CRL
    #[arg(long, value_name = "REASON", value_parser = reason())]
    pub reason: Option<Reason>,
    /// Let the sessions run that came in with it
    #[arg(long)]
    pub keep_sessions: bool,
    /// Do not reload the servers: they accept it until they do
    #[arg(long)]
    pub no_reload: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

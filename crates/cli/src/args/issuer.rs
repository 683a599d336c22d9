//! The arguments about a CA of somebody else's, under which the issuing CA is to stand, and about the names for which it
//! may sign.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// The CA that certifies a new issuing CA beside the root of one's own.
#[derive(Debug, Args)]
pub struct Issuer {
    /// Have the issuing CA certified by this CA, such as the company's: its certificate, and the CAs above it up to their
    /// root, PEM, DER or PKCS#7. In rotate: for an authority that was made under somebody else's CA
    #[arg(long, value_name = "FILE", help_heading = "Existing CA", value_hint = ValueHint::FilePath)]
    pub issuer_cert: Option<PathBuf>,
    /// Its private key: a file, or the URI of a key in a token (RFC 7512). It is used once and not kept
    #[arg(long, value_name = "FILE|URI", help_heading = "Existing CA", requires = "issuer_cert", value_hint = ValueHint::FilePath)]
    pub issuer_key: Option<String>,
    /// The first line of this file opens that key, if it is encrypted [default: ask at the terminal]
    #[arg(long, value_name = "FILE", help_heading = "Existing CA", requires = "issuer_key", value_hint = ValueHint::FilePath)]
    pub issuer_passphrase_file: Option<PathBuf>,
}

/// The same where the CA's key is not at hand: a request, and its answer.
#[derive(Debug, Args)]
pub struct Requested {
    /// Make the issuing CA's key, and write a request to this file, for a CA such as the company's to sign. The authority
    /// is made when the answer is there: what is about its root or a cluster is said then
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Existing CA",
        conflicts_with_all = [
            "issuer_cert", "install_issuing", "root_key", "root_passphrase_file", "root_passphrase_command",
            "no_root_passphrase", "pgdata", "cluster"
        ],
        value_hint = ValueHint::FilePath
    )]
    pub request_issuing: Option<PathBuf>,
    /// Take the answer to that request: the issuing CA's certificate, PEM, DER or PKCS#7. The CAs above it up to their root
    /// are in the same file, or in the one of --issuer-cert
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Existing CA",
        conflicts_with_all = [
            "hosts", "issuer_key", "issuing_key", "install", "owner", "days", "key_algorithm", "organization",
            "organizational_unit", "country", "state", "locality", "permit_dns", "permit_ip", "server_key_passphrase"
        ],
        value_hint = ValueHint::FilePath
    )]
    pub install_issuing: Option<PathBuf>,
}

/// The same for the next issuing CA.
#[derive(Debug, Args)]
pub struct NextRequested {
    /// Make the next issuing CA's key, and write a request to this file, for the company's CA to sign
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Existing CA",
        conflicts_with_all = [
            "issuer_cert", "install_issuing", "issuing", "root", "dry_run", "force", "within", "no_reload", "json",
        ],
        value_hint = ValueHint::FilePath
    )]
    pub request_issuing: Option<PathBuf>,
    /// Take the answer to that request: it becomes the issuing CA. The CAs above it are in the same file, or in the one of
    /// --issuer-cert
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Existing CA",
        conflicts_with_all = ["issuer_key", "issuing_key", "finish", "undo", "dry_run"],
        value_hint = ValueHint::FilePath
    )]
    pub install_issuing: Option<PathBuf>,
    /// The company changes its root: hand this one to every client beside the old one, and then have the next issuing CA certified
    /// under it
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Existing CA",
        conflicts_with_all = [
            "issuer_cert", "install_issuing", "request_issuing", "issuing", "root", "dry_run", "force", "within", "json",
        ],
        value_hint = ValueHint::FilePath
    )]
    pub issuer_root: Option<PathBuf>,
}

/// For which names one's own issuing CAs may sign.
#[derive(Debug, Args)]
pub struct Permit {
    /// The issuing CA may sign for this DNS name and all below it, and for no other
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Name constraints",
        value_delimiter = ','
    )]
    pub permit_dns: Vec<String>,
    /// The same for addresses in this network, such as 10.0.0.0/8
    #[arg(
        long,
        value_name = "CIDR",
        help_heading = "Name constraints",
        value_delimiter = ','
    )]
    pub permit_ip: Vec<String>,
}

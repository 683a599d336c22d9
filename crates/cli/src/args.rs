//! The arguments: what the flags say. What they mean is each command's business.

#[macro_use]
mod commands;

mod backup;
mod cluster;
mod connect;
mod convert;
mod doctor;
mod format;
mod init;
mod inspect;
mod issue;
mod issuer;
mod keys;
mod revoke;
mod rotate;
mod sign;
mod tokens;
mod values;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, ValueHint};

pub use self::backup::{Backup, Restore};
pub use self::cluster::{Configure, Configured, Rules, WhichCluster};
pub(crate) use self::connect::ALL;
pub use self::connect::Connect;
pub use self::convert::{Convert, Form, OutputPassphrase};
pub use self::doctor::Doctor;
pub use self::format::{Export, Formats};
pub use self::init::Init;
pub use self::inspect::Inspect;
pub use self::issue::{IssueClient, IssueServer};
pub use self::issuer::{Issuer, NextRequested, Permit, Requested};
pub use self::keys::{
    IssuingPassphrase, Key, KeyAct, KeyChangePassphrase, KeyDecrypt, KeyEncrypt, KeyOf,
    NewIssuingPassphrase, NewPassphrase, OldPassphrase, RootPassphrase, ServerKeyPassphrase,
};
pub use self::revoke::Revoke;
pub use self::rotate::Rotate;
pub use self::sign::{Request, Sign};
pub use self::tokens::{FirstKeys, NextKeys, Token};

/// A certificate authority for a PostgreSQL cluster.
///
/// pgpki puts TLS on the server, hands each role a client certificate, and renews everything
/// before it expires.
#[derive(Debug, Parser)]
#[command(name = "pgpki", version, arg_required_else_help = true)]
#[command(after_long_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  done, or nothing to do
  1  there are findings, or something is due
  2  wrong usage
  3  refused: it would have broken something
  4  bad input
  5  failed, and nothing has changed
  6  a server did not take up what was installed, and what it had before was put back
  70 a defect in pgpki itself";

commands! {
    /// Make the authority, and install the server's certificate
    Init(Box<Init>) = "init",
    /// Issue a certificate to another server
    IssueServer(IssueServer) = "issue-server",
    /// Issue a certificate to each role, as a folder ready for ~/.postgresql
    IssueClient(IssueClient) = "issue-client",
    /// Sign a request for a certificate, whose key stays with its owner
    Sign(Sign) = "sign",
    /// Make a key and a request for its certificate, where the key is to stay
    Request(Request) = "request",
    /// Write a credential that is there already in other forms
    Export(Export) = "export",
    /// Renew whatever is due; where nothing is, change nothing
    Rotate(Rotate) = "rotate",
    /// Make a certificate stop counting now, and end the sessions that live on it
    Revoke(Revoke) = "revoke",
    /// Write the authority to one encrypted file
    Backup(Backup) = "backup",
    /// Make the authority from a backup, on this machine or another
    Restore(Restore) = "restore",
    /// Encrypt the keys of the CAs, or change what they are encrypted with
    Key(Key) = "key",
    /// Make a cluster use what is installed, and prove that it does
    Configure(Configure) = "configure",
    /// Show what has been issued, what a file or folder holds, or what a server serves
    Inspect(Inspect) = "inspect",
    /// Find what is wrong with a cluster's or a client's TLS before users do
    Doctor(Doctor) = "doctor",
    /// Print what to paste, so that a program connects with a role's certificate
    Connect(Connect) = "connect",
    /// Write certificates and keys as PEM, DER, PKCS#12 or PKCS#8, encrypted or not
    Convert(Convert) = "convert",
}

/// Where the authority is.
#[derive(Debug, Args)]
pub struct Home {
    /// The authority's directory [default: /var/lib/pgpki for root, otherwise
    /// $XDG_DATA_HOME/pgpki or ~/.local/share/pgpki]
    #[arg(long, value_name = "DIR", env = "PGPKI_HOME", value_hint = ValueHint::DirPath)]
    pub home: Option<PathBuf>,
}

/// The definition of the command line, for man pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn values_are_checked_where_they_are_parsed() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("pgpki init --key-algorithm p384 localhost").is_ok());
        for wrong in [
            "pgpki init --key-algorithm ed25519",
            "pgpki init --root-passphrase-file x --no-root-passphrase",
            "pgpki init --days 0",
            "pgpki issue-client --out d",
            "pgpki issue-client alice",
            "pgpki issue-server db --out a --install b",
            "pgpki issue-server db",
            "pgpki rotate --within 30",
            "pgpki rotate --root-key pkcs11:object=k",
            "pgpki rotate --root --undo --root-key pkcs11:object=k",
            "pgpki init --root-key pkcs11:object=k --root-passphrase-file x",
            "pgpki inspect --timeout 10 db",
            "pgpki inspect --timeout 0s db",
            "pgpki inspect --all db",
        ] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
        let Command::Rotate(rotate) = parse("pgpki rotate --within 30d").unwrap().command else {
            panic!("another command");
        };
        assert_eq!(rotate.within, Some(time::Duration::days(30)));
    }
}

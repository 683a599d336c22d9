//! The arguments: what the flags say. What they mean is each command's business.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::validity::Days;

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
  70 a defect in pgpki itself";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the authority, and install the server's certificate
    Init(Init),
    /// Issue a certificate to another server
    IssueServer(IssueServer),
    /// Issue a certificate to each role, as a folder ready for ~/.postgresql
    IssueClient(IssueClient),
    /// Renew whatever is due; where nothing is, change nothing
    Rotate(Rotate),
    /// Show what has been issued, or what a file or folder holds
    Inspect(Inspect),
}

/// Where the authority is.
#[derive(Debug, Args)]
pub struct Home {
    /// The authority's directory [default: /var/lib/pgpki for root, otherwise
    /// $XDG_DATA_HOME/pgpki or ~/.local/share/pgpki]
    #[arg(long, value_name = "DIR", env = "PGPKI_HOME", value_hint = ValueHint::DirPath)]
    pub home: Option<PathBuf>,
}

/// `pgpki init`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sudo pgpki init db.example.com 10.0.0.5
  pgpki init --home ./pki --install ./tls --no-root-passphrase localhost")]
pub struct Init {
    /// Names and addresses under which clients reach the server; the first is the common name
    /// [default: this machine's full name]
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// Where PostgreSQL reads its certificate and key from
    #[arg(long, value_name = "DIR", default_value = "/etc/ssl/postgres", value_hint = ValueHint::DirPath)]
    pub install: PathBuf,
    /// Who owns the installed files [default: postgres for root, otherwise the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub passphrase: NewPassphrase,
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
}

/// How the root key is guarded.
#[derive(Debug, Args)]
pub struct NewPassphrase {
    /// Encrypt the root key with the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "no_root_passphrase", value_hint = ValueHint::FilePath)]
    pub root_passphrase_file: Option<PathBuf>,
    /// Leave the root key unencrypted
    #[arg(long)]
    pub no_root_passphrase: bool,
}

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
    /// Write a folder to carry to the other machine
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Make an installation on this machine
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub install: Option<PathBuf>,
    /// Who owns the installed files [default: postgres for root, otherwise the caller]
    #[arg(long, value_name = "USER[:GROUP]", conflicts_with = "out")]
    pub owner: Option<String>,
    /// Replace a certificate that has names which this one has not
    #[arg(long)]
    pub drop_names: bool,
    /// Days until the certificate ends [default: as in pgpki.toml]
    #[arg(long, value_name = "N", value_parser = days, allow_hyphen_values = true)]
    pub days: Option<Days>,
    /// The kind of key [default: as in pgpki.toml]
    #[arg(long, value_name = "KIND", value_parser = ca_algorithm())]
    pub key_algorithm: Option<KeyAlgorithm>,
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
    /// Read more roles from a file, one a line; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// Where to put the folders: each role gets DIR/ROLE
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Days until the certificates end [default: as in pgpki.toml]
    #[arg(long, value_name = "N", value_parser = days, allow_hyphen_values = true)]
    pub days: Option<Days>,
    /// The kind of key [default: as in pgpki.toml]
    #[arg(long, value_name = "KIND", value_parser = any_algorithm())]
    pub key_algorithm: Option<KeyAlgorithm>,
}

/// `pgpki rotate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Prints nothing when nothing is due, except to a terminal.

Examples:
  17 3 * * *  root  pgpki rotate; systemctl reload postgresql
  pgpki rotate --dry-run --within 60d
  pgpki rotate --root-passphrase-file /root/passphrase")]
pub struct Rotate {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// Renew what ends within this time, such as 30d or 12h [default: when a third of its
    /// lifetime is left]
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    pub within: Option<time::Duration>,
    /// Renew every server's and client's certificate, due or not
    #[arg(long)]
    pub force: bool,
    /// Show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// The root key's passphrase: needed when the issuing CA is due
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub root_passphrase_file: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// `pgpki inspect`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sudo pgpki inspect
  sudo pgpki inspect /etc/ssl/postgres
  pgpki inspect ~/.postgresql --json")]
pub struct Inspect {
    /// A file (.crt, .pem, .key, .csr, .crl, .p12) or a folder [default: everything issued]
    #[arg(value_name = "TARGET", value_hint = ValueHint::AnyPath)]
    pub target: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// List every certificate, not only the most urgent
    #[arg(long, conflicts_with = "target")]
    pub all: bool,
    /// The passphrase of a PKCS#12 file: the first line of this file
    #[arg(long, value_name = "FILE", requires = "target", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// The definition of the command line, for man pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

fn any_algorithm() -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    algorithms(|_| true)
}

fn ca_algorithm() -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    algorithms(KeyAlgorithm::may_sign_certificates)
}

fn algorithms(
    keep: fn(KeyAlgorithm) -> bool,
) -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = KeyAlgorithm::ALL
        .into_iter()
        .filter(move |algorithm| keep(*algorithm))
        .map(KeyAlgorithm::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<KeyAlgorithm>())
}

fn days(text: &str) -> Result<Days, String> {
    let number = text
        .parse()
        .map_err(|_| "it must be a whole number of days".to_owned())?;
    Days::new(number).map_err(|e| e.to_string())
}

fn duration(text: &str) -> Result<time::Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|e| format!("{e}; give a number and a unit, such as 30d, 2w or 12h"))?;
    time::Duration::try_from(parsed).map_err(|e| e.to_string())
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
        ] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
        let Command::Rotate(rotate) = parse("pgpki rotate --within 30d").unwrap().command else {
            panic!("another command");
        };
        assert_eq!(rotate.within, Some(time::Duration::days(30)));
    }
}

//! The arguments: what the flags say. What they mean is each command's business.

mod format;
mod issuer;
mod keys;
mod sign;
mod tokens;

#[macro_use]
mod commands;
mod connect;
mod convert;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, ValueHint};
use pgpki_core::crl::Reason;
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::validity::Days;

pub(crate) use connect::ALL;
pub use connect::Connect;
pub use convert::{Convert, Form, OutputPassphrase};

pub use self::format::{Export, Formats};
pub use self::issuer::{Issuer, NextRequested, Permit, Requested};
pub use self::keys::{
    IssuingPassphrase, Key, KeyAct, KeyChangePassphrase, KeyDecrypt, KeyEncrypt, KeyOf,
    NewIssuingPassphrase, OldPassphrase, RootPassphrase, ServerKeyPassphrase,
};
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

/// How the root key is guarded.
#[derive(Debug, Args)]
pub struct NewPassphrase {
    /// Encrypt the root key with the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "no_root_passphrase", value_hint = ValueHint::FilePath)]
    pub root_passphrase_file: Option<PathBuf>,
    /// The same with the first line of what a command prints, which sh runs
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["no_root_passphrase", "root_passphrase_file"])]
    pub root_passphrase_command: Option<String>,
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

/// `pgpki rotate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Prints nothing when nothing is due, except to a terminal.

Examples:
  17 3 * * *  root  pgpki rotate
  pgpki rotate --dry-run --within 60d
  pgpki rotate --root-passphrase-file /root/passphrase
  pgpki rotate --issuing --compromised
  pgpki rotate --root
  pgpki rotate --root --finish --dry-run")]
pub struct Rotate {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub token: Token,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuing_passphrase: IssuingPassphrase,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: NextKeys,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub issuer: Issuer,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub requested: NextRequested,
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
    /// Leave the servers as they are: neither reload them nor look what they serve
    #[arg(long)]
    pub no_reload: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub root_passphrase: RootPassphrase,
    /// Make a new issuing CA, due or not; the old one stays good for what it has signed
    #[arg(long, help_heading = "CAs", conflicts_with = "root")]
    pub issuing: bool,
    /// The issuing key is lost or stolen: revoke every issuing CA so far, and all that they have signed
    #[arg(
        long,
        help_heading = "CAs",
        requires = "issuing",
        conflicts_with = "within"
    )]
    pub compromised: bool,
    /// Let the sessions run that came in with a certificate of such a CA
    #[arg(long, help_heading = "CAs", requires = "compromised")]
    pub keep_sessions: bool,
    /// Make a new root, signed by the old one as well; clients that know either go on connecting
    #[arg(long, help_heading = "CAs")]
    pub root: bool,
    /// Retire the old root, unless somebody depends on it
    #[arg(long, help_heading = "CAs", requires = "root", conflicts_with_all = ["force", "within", "undo", "issuer_cert", "root_passphrase_file", "root_passphrase_command"])]
    pub finish: bool,
    /// Go back to the old root
    #[arg(long, help_heading = "CAs", requires = "root", conflicts_with_all = ["force", "within", "dry_run", "issuer_cert", "root_passphrase_file", "root_passphrase_command"])]
    pub undo: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// `pgpki revoke`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A role's every certificate that still counts is revoked; a serial number or a file names one. The new CRL is \
installed, every server on this machine reloads and is seen to refuse the certificate where its key is at hand, and the \
sessions that came in with it end.

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

/// `pgpki backup`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The backup is the authority: settings, ledger, and every CA with its key, as of one instant, whatever else runs. It is an \
age file; with pgpki lost, age -d FILE | tar x in a directory of mode 0700 makes the home from it. Keep the passphrase \
apart from it: without it nobody can open the file, and whoever has both can issue certificates.

Not in it are installations and folders that were handed over: servers and roles go on with what they have, and the \
next rotation makes their certificates again where they are lost.

Examples:
  sudo pgpki backup /mnt/backup/pki.age
  pgpki backup --passphrase-file /root/backup-passphrase --force /mnt/backup/pki.age
  pgpki backup --passphrase-file /root/backup-passphrase - | ssh vault 'cat > pki.age'")]
pub struct Backup {
    /// Where to write it; - is standard output
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// Encrypt it with the first line of this file [default: ask at the terminal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// `pgpki restore`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
What has happened since the backup is taken from the installations and folders on this machine that the ledger knows: \
who was revoked, the numbers of CRLs, certificates and CAs that were made since. Where they are on another machine, \
restore there.

Not in a backup are installations and folders that were handed over. Those of the ledger that are not on this machine \
are listed.

Examples:
  sudo pgpki restore /mnt/backup/pki.age
  ssh vault cat pki.age | pgpki restore --passphrase-file passphrase --home ./pki -")]
pub struct Restore {
    /// The backup; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// The first line of this file opens it [default: ask at the terminal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
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
    /// The installation that it is to use
    #[arg(long, value_name = "DIR", default_value = "/etc/ssl/postgres", value_hint = ValueHint::DirPath)]
    pub install: PathBuf,
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

/// The definition of the command line, for man pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

fn reason() -> impl clap::builder::TypedValueParser<Value = Reason> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = Reason::ALL.into_iter().map(Reason::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Reason>())
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

/// Longer than this nobody waits for a server.
const LONGEST_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3600);

fn patience(text: &str) -> Result<std::time::Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|e| format!("{e}; give a number and a unit, such as 10s or 500ms"))?;
    match parsed.is_zero() || parsed > LONGEST_PATIENCE {
        true => Err("it must be more than nothing, and at most 1h".to_owned()),
        false => Ok(parsed),
    }
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

//! `pgpki rotate`.

use clap::Args;

use super::values::duration;
use super::{Home, Issuer, IssuingPassphrase, NextKeys, NextRequested, RootPassphrase, Token};

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

//! `pgpki backup` and `pgpki restore`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Home;

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

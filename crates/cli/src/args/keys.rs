//! The arguments about the CAs' keys at rest: what opens them, and `pgpki key`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::{Home, OutputPassphrase};

/// What opens the root key.
#[derive(Clone, Debug, Default, Args)]
pub struct RootPassphrase {
    /// The root key's passphrase, which is needed when the issuing CA or the root is due: the first line of this file
    /// [default: $CREDENTIALS_DIRECTORY/pgpki.root-passphrase, or ask at the terminal]
    #[arg(long, value_name = "FILE", help_heading = "Passphrases", value_hint = ValueHint::FilePath)]
    pub root_passphrase_file: Option<PathBuf>,
    /// The same from a command, which sh runs: the first line of what it prints
    #[arg(
        long,
        value_name = "COMMAND",
        help_heading = "Passphrases",
        conflicts_with = "root_passphrase_file"
    )]
    pub root_passphrase_command: Option<String>,
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

/// What opens the issuing CA's key.
#[derive(Clone, Debug, Default, Args)]
pub struct IssuingPassphrase {
    /// Where the issuing CA's key is encrypted, its passphrase: the first line of this file [default:
    /// $CREDENTIALS_DIRECTORY/pgpki.issuing-passphrase, or ask at the terminal]
    #[arg(long, value_name = "FILE", help_heading = "Passphrases", value_hint = ValueHint::FilePath)]
    pub issuing_passphrase_file: Option<PathBuf>,
    /// The same from a command, which sh runs: the first line of what it prints
    #[arg(
        long,
        value_name = "COMMAND",
        help_heading = "Passphrases",
        conflicts_with = "issuing_passphrase_file"
    )]
    pub issuing_passphrase_command: Option<String>,
}

/// What the key of the first issuing CA is encrypted with.
#[derive(Debug, Args)]
pub struct NewIssuingPassphrase {
    /// Encrypt the issuing CA's key with the first line of this file; whatever signs with it needs that from then on
    #[arg(long, value_name = "FILE", help_heading = "Passphrases", conflicts_with_all = ["issuing_key", "issuing_passphrase_command"], value_hint = ValueHint::FilePath)]
    pub issuing_passphrase_file: Option<PathBuf>,
    /// The same with the first line of what a command prints, which sh runs
    #[arg(
        long,
        value_name = "COMMAND",
        help_heading = "Passphrases",
        conflicts_with = "issuing_key"
    )]
    pub issuing_passphrase_command: Option<String>,
}

/// What a server's key is encrypted with.
#[derive(Debug, Args)]
pub struct ServerKeyPassphrase {
    /// Encrypt the server's key with the first line of this file, from which the server has it at each start; one that is
    /// not there is made. It should be on another file system than the key, such as a tmpfs
    #[arg(long, value_name = "FILE", help_heading = "Passphrases", value_hint = ValueHint::FilePath)]
    pub server_key_passphrase: Option<PathBuf>,
}

/// `pgpki key`.
#[derive(Debug, Args)]
pub struct Key {
    /// What to do with the keys.
    #[command(subcommand)]
    pub act: KeyAct,
}

/// What to do with the keys of one kind of CA.
#[derive(Debug, Subcommand)]
pub enum KeyAct {
    /// Encrypt keys that are open
    #[command(after_long_help = "\
Every key of the kind that is kept is encrypted, those of former CAs too, with one passphrase. What was there is removed \
from the directory; a disk, a snapshot or a backup may still hold it.

Examples:
  sudo pgpki key encrypt issuing --new-passphrase-file /root/issuing
  sudo pgpki key encrypt root --generate-passphrase")]
    Encrypt(KeyEncrypt),
    /// Leave keys open that were encrypted
    Decrypt(KeyDecrypt),
    /// Encrypt keys with another passphrase
    #[command(after_long_help = "\
Every key of the kind gets the new passphrase. A backup that was made before has the old one.

Examples:
  sudo pgpki key change-passphrase root
  sudo pgpki key change-passphrase issuing --passphrase-file old --new-passphrase-file new")]
    ChangePassphrase(KeyChangePassphrase),
}

/// Whose keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyOf {
    /// The roots'
    Root,
    /// The issuing CAs'
    Issuing,
}

/// `pgpki key encrypt`.
#[derive(Debug, Args)]
pub struct KeyEncrypt {
    /// Whose keys
    #[arg(value_enum)]
    pub whose: KeyOf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub new: OutputPassphrase,
}

/// `pgpki key decrypt`.
#[derive(Debug, Args)]
pub struct KeyDecrypt {
    /// Whose keys
    #[arg(value_enum)]
    pub whose: KeyOf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub old: OldPassphrase,
}

/// `pgpki key change-passphrase`.
#[derive(Debug, Args)]
pub struct KeyChangePassphrase {
    /// Whose keys
    #[arg(value_enum)]
    pub whose: KeyOf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub old: OldPassphrase,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub new: OutputPassphrase,
}

/// What opens the keys now.
#[derive(Clone, Debug, Args)]
pub struct OldPassphrase {
    /// The first line of this file opens the keys now [default: $CREDENTIALS_DIRECTORY/pgpki.root-passphrase, or
    /// pgpki.issuing-passphrase there, or ask at the terminal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// The same from a command, which sh runs: the first line of what it prints
    #[arg(long, value_name = "COMMAND", conflicts_with = "passphrase_file")]
    pub passphrase_command: Option<String>,
}

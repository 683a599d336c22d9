//! The arguments of every command that signs, as far as keys in tokens are concerned.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// How the tokens are reached that keys are in.
#[derive(Clone, Debug, Default, Args)]
pub struct Token {
    /// Where a CA's key is in a token: the PIN is the first line of this file [default: the URI's pin-source, or ask at
    /// the terminal]
    #[arg(long, value_name = "FILE", help_heading = "Hardware", value_hint = ValueHint::FilePath)]
    pub pin_file: Option<PathBuf>,
    /// The PKCS#11 library of the token [default: as the URI has it, else PGPKI_PKCS11_MODULE, else p11-kit]
    #[arg(long, value_name = "FILE", help_heading = "Hardware", value_hint = ValueHint::FilePath)]
    pub pkcs11_module: Option<PathBuf>,
}

/// Where the keys of a new authority are.
#[derive(Debug, Args)]
pub struct FirstKeys {
    /// The root key is, or is to be made, in a token: its URI (RFC 7512), such as
    /// 'pkcs11:token=vault;object=root'
    #[arg(
        long,
        value_name = "URI",
        help_heading = "Hardware",
        conflicts_with_all = ["root_passphrase_file", "root_passphrase_command"]
    )]
    pub root_key: Option<String>,
    /// The same for the issuing CA's key
    #[arg(long, value_name = "URI", help_heading = "Hardware")]
    pub issuing_key: Option<String>,
}

/// Where the keys of CAs are that take over.
#[derive(Debug, Args)]
pub struct NextKeys {
    /// With --root: the new root's key is, or is to be made, in a token: its URI (RFC 7512) [default: where the
    /// old one's is]
    #[arg(long, value_name = "URI", help_heading = "Hardware", requires = "root", conflicts_with_all = ["finish", "undo"])]
    pub root_key: Option<String>,
    /// With --issuing or --root: the same for the new issuing CA's key
    #[arg(long, value_name = "URI", help_heading = "Hardware", conflicts_with_all = ["finish", "undo"])]
    pub issuing_key: Option<String>,
}

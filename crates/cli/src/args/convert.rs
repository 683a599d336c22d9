//! The arguments of `pgpki convert`, and how any command is told what to encrypt with.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// `pgpki convert`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
What goes in: certificates, chains, CRLs, requests, private keys (PKCS#8, PKCS#1, SEC 1, encrypted or not) and PKCS#12, \
as PEM or DER; a file is told by what is in it, not by its name. What comes out:

  pem     everything, in order; of a PKCS#12 the key, its certificate, and the chain
  der     the one thing that is in the files; a key as PKCS#8, which pgJDBC takes as .pk8
  pkcs12  the key, its certificate and the chain, under the alias user and a passphrase
  pkcs8   the key alone, as PEM

A key that comes out is not encrypted, except in PKCS#12, unless --encrypt or a new passphrase says so. A file with a \
key has mode 0600, any other 0644.

Examples:
  pgpki convert server.p12 --to pem --out server.pem
  pgpki convert alice.key alice.crt chain.crt --to pkcs12 --generate-passphrase --out alice.p12
  pgpki convert old.key --to pkcs8 --new-passphrase-file passphrase --out server.key
  pgpki convert postgresql.key --to der --out postgresql.pk8
  pgpki convert crl.der --to pem > root.crl
  curl -s https://pki.example.com/ca.der | pgpki convert - --to pem --out ca.crt")]
pub struct Convert {
    /// What to convert; several files make one; - is standard input
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// What to make of it
    #[arg(long, value_name = "FORM", value_enum)]
    pub to: Form,
    /// Where to write it; - is standard output [default: standard output, where there is no key in it]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// The first line of this file opens what is encrypted [default: ask at the terminal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Encrypt the key that is written
    #[arg(long)]
    pub encrypt: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub new: OutputPassphrase,
}

/// What a key or a container that is written is encrypted with.
#[derive(Clone, Debug, Args)]
pub struct OutputPassphrase {
    /// Encrypt what is written with the first line of this file [default: ask at the terminal]
    #[arg(long, value_name = "FILE", conflicts_with = "generate_passphrase", value_hint = ValueHint::FilePath)]
    pub new_passphrase_file: Option<PathBuf>,
    /// Encrypt what is written with a passphrase that is made for it, and shown once
    #[arg(long)]
    pub generate_passphrase: bool,
}

impl OutputPassphrase {
    /// Whether one of the flags is there.
    pub fn is_given(&self) -> bool {
        self.new_passphrase_file.is_some() || self.generate_passphrase
    }
}

/// What `pgpki convert` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Text with a block for each thing
    Pem,
    /// One thing, binary
    Der,
    /// A key with its certificates, for pgJDBC, Java and Windows
    Pkcs12,
    /// The key alone
    Pkcs8,
}

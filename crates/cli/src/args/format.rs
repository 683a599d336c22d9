//! In which forms a credential is handed over, and `pgpki export`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use pgpki_authority::format::Format;

use super::{Home, OutputPassphrase};

/// What the key is put into.
#[derive(Clone, Debug, Args)]
pub struct Formats {
    /// What holds the key: libpq (postgresql.key), pkcs12 (postgresql.p12, under a passphrase), jdbc (postgresql.pk8, plain
    /// DER), pem (postgresql.pem, all in one), k8s-secret (postgresql-secret.yaml), docker (postgresql-compose.yaml and
    /// postgresql.key). Several are separated by commas [default: libpq]
    #[arg(long = "format", value_name = "FORMAT", value_delimiter = ',', value_parser = format(), help_heading = "Formats")]
    pub formats: Vec<Format>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub passphrase: OutputPassphrase,
}

impl Formats {
    /// Those that were asked for, each once; libpq's if none was.
    pub fn chosen(&self) -> Vec<Format> {
        let mut chosen = Vec::new();
        for format in &self.formats {
            if !chosen.contains(format) {
                chosen.push(*format);
            }
        }
        if chosen.is_empty() {
            chosen.push(Format::Libpq);
        }
        chosen
    }
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str))
        .try_map(|name| name.parse::<Format>())
}

/// `pgpki export`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A credential that is there already, in other forms; it stays as it is. A folder of any origin will do that has \
postgresql.crt, postgresql.key and root.crt, or server.crt, server.key and root.crt. No rotation renews what is exported.

Examples:
  sudo pgpki export /root/hand-over/alice --format pkcs12 --out ./alice-laptop
  sudo pgpki export d45d4b708a4386e24d7cd5ab5f23f171 --format k8s-secret --out ./manifests
  sudo pgpki export /etc/ssl/postgres/current --format pem --out ./db1")]
pub struct Export {
    /// A folder, or the serial number of a certificate whose folder is still where it was made
    #[arg(value_name = "SERIAL|FOLDER", value_hint = ValueHint::DirPath)]
    pub what: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub formats: Formats,
    /// The first line of this file opens the key, if it is encrypted [default: ask at the terminal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// The folder to make
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

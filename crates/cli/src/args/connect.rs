//! `pgpki connect`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueHint};

use super::Home;
use crate::connect::DRIVERS;

/// `pgpki connect`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Prints a command line for psql and a URI, or with --for what to paste into a program. Everything verifies the server in \
full. Where there is an authority, the folder and the host are what it has handed over and issued last; anywhere else, \
as on an analyst's machine, name the host. No file is read or changed.

Examples:
  sudo pgpki connect alice
  pgpki connect alice --host db.example.com --dbname prod --for psycopg
  pgpki connect reports --host 10.0.0.5 --folder /etc/reports/tls --for pgjdbc --for spring
  pgpki connect alice --host db.example.com --for service >> ~/.pg_service.conf")]
pub struct Connect {
    /// The role, exactly as PostgreSQL knows it
    #[arg(value_name = "ROLE")]
    pub role: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub home: Home,
    /// What to print it for; all is every one of them
    #[arg(long = "for", value_name = "DRIVER", value_parser = drivers())]
    pub drivers: Vec<String>,
    /// The server, by a name or address that its certificate has [default: the first one of the
    /// authority's server]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The server's port [default: that of the cluster on this machine that uses the authority's certificate, else 5432]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The database
    #[arg(long, value_name = "DB", default_value = "postgres")]
    pub dbname: String,
    /// The folder with the role's files, where they are used [default: the role's newest one that
    /// the authority knows, otherwise ~/.postgresql]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
}

/// What stands for every driver.
pub(crate) const ALL: &str = "all";

fn drivers() -> PossibleValuesParser {
    let driver = |it: &&'static crate::connect::Driver| {
        let value = PossibleValue::new(it.name).help(it.what);
        value.aliases(it.aliases)
    };
    let all = PossibleValue::new(ALL).help("every one of them");
    PossibleValuesParser::new(DRIVERS.iter().map(driver).chain([all]))
}

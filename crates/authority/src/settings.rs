//! `pgpki.toml`: what people may change about an authority.

use std::fmt::Write as _;
use std::path::PathBuf;

use pgpki_core::key::KeyAlgorithm;
use pgpki_core::name::{Organization, OrganizationError};
use pgpki_core::name_constraints::{Permitted, PermittedError};
use pgpki_core::validity::{Days, InvalidDays};
use serde::Deserialize;

/// The name of the settings file within the home.
pub const FILE: &str = "pgpki.toml";

/// More than any settings file; a larger one is a mistake.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// The settings of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the names of the CAs begin with.
    pub name: String,
    /// How long a new root lasts.
    pub root: Days,
    /// How long a new issuing CA lasts.
    pub issuing: Days,
    /// How long a new certificate of a server or a role lasts.
    pub leaf: Days,
    /// The kind of key that is made where a command names none.
    pub algorithm: KeyAlgorithm,
    /// What stands in every subject beside the common name.
    pub organization: Organization,
    /// For which names new issuing CAs may sign.
    pub permitted: Permitted,
    /// Whom to tell when an installation has another live generation, besides PostgreSQL.
    pub reload: Vec<Reload>,
}

/// A program that reads an installation's files and has to be told when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The installation that it uses; any, if none is named.
    pub installation: Option<PathBuf>,
    /// How it is told.
    pub tell: Tell,
    /// Where it serves what is installed, `host:port`, if it is to be asked.
    pub prove: Option<String>,
}

/// How a program is told to reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tell {
    /// `systemctl reload` of this unit.
    Unit(String),
    /// SIGHUP to the process whose number stands in this file, which is read each time.
    PidFile(PathBuf),
    /// A program and its arguments, without a shell.
    Command(Vec<String>),
}

/// Why a settings file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not UTF-8.
    #[error("{FILE} is not UTF-8 text")]
    NotText,
    /// Not TOML, or with an entry that does not exist.
    #[error("{FILE}: {0}")]
    Syntax(String),
    /// A lifetime that is not possible.
    #[error("{FILE}, [lifetimes] {entry}: {source}")]
    Days {
        /// Which lifetime.
        entry: &'static str,
        /// What is wrong with it.
        source: InvalidDays,
    },
    /// A kind of key that does not exist, or that no CA may have.
    #[error("{FILE}, [keys] algorithm: {0:?} is none of p256, p384, rsa2048, rsa3072, rsa4096")]
    Algorithm(String),
    /// A part of the subject that does not fit.
    #[error("{FILE}, [subject]: {0}")]
    Organization(OrganizationError),
    /// A name or network that is none.
    #[error("{FILE}, [permit]: {0}")]
    Permitted(PermittedError),
    /// An entry that does not say how to tell the program.
    #[error(
        "{FILE}, [[reload]] number {0}: it takes exactly one of unit, pid_file and command, and a command is not empty"
    )]
    Reload(usize),
    /// A path that depends on where the program is started.
    #[error("{FILE}, [[reload]] number {number}: {} must be an absolute path", path.display())]
    RelativePath {
        /// Which entry, from 1.
        number: usize,
        /// The path.
        path: PathBuf,
    },
    /// The name is too long, or empty.
    #[error("{FILE}: name: {0:?} must have 1 to {MAX_NAME} characters, none of them a control one")]
    Name(String),
}

/// The longest name that leaves room for " issuing CA 9999" within a common name.
const MAX_NAME: usize = 48;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    lifetimes: Lifetimes,
    keys: Keys,
    #[serde(default)]
    subject: Subject,
    #[serde(default)]
    permit: Permit,
    #[serde(default)]
    reload: Vec<ReloadEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadEntry {
    installation: Option<PathBuf>,
    unit: Option<String>,
    pid_file: Option<PathBuf>,
    command: Option<Vec<String>>,
    prove: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifetimes {
    root: u32,
    issuing: u32,
    leaf: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    algorithm: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Permit {
    dns: Vec<String>,
    ip: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    country: Option<String>,
    state: Option<String>,
    locality: Option<String>,
    organization: Option<String>,
    organizational_unit: Option<String>,
}

impl Settings {
    /// The settings of a new authority; `name` is cut to what fits.
    pub fn new(name: &str, algorithm: KeyAlgorithm, organization: Organization) -> Self {
        Self {
            name: name.chars().take(MAX_NAME).collect(),
            root: Days::ROOT,
            issuing: Days::ISSUING,
            leaf: Days::LEAF,
            algorithm,
            organization,
            permitted: Permitted::default(),
            reload: Vec::new(),
        }
    }

    /// Reads a settings file.
    pub fn parse(bytes: &[u8]) -> Result<Self, SettingsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SettingsError::NotText)?;
        let file: File = toml::from_str(text).map_err(|e| SettingsError::Syntax(e.to_string()))?;
        let days =
            |entry, days| Days::new(days).map_err(|source| SettingsError::Days { entry, source });
        let settings = Self {
            root: days("root", file.lifetimes.root)?,
            issuing: days("issuing", file.lifetimes.issuing)?,
            leaf: days("leaf", file.lifetimes.leaf)?,
            algorithm: parse_algorithm(file.keys.algorithm)?,
            organization: Organization {
                country: file.subject.country,
                state: file.subject.state,
                locality: file.subject.locality,
                organization: file.subject.organization,
                organizational_unit: file.subject.organizational_unit,
            },
            permitted: Permitted::new(&file.permit.dns, &file.permit.ip)
                .map_err(SettingsError::Permitted)?,
            name: file.name,
            reload: file
                .reload
                .into_iter()
                .enumerate()
                .map(|(index, entry)| parse_reload(index + 1, entry))
                .collect::<Result<_, _>>()?,
        };
        settings
            .organization
            .check()
            .map_err(SettingsError::Organization)?;
        let length = settings.name.chars().count();
        if !(1..=MAX_NAME).contains(&length) || settings.name.chars().any(char::is_control) {
            return Err(SettingsError::Name(settings.name));
        }
        Ok(settings)
    }

    /// The text of the settings file, with comments for those who edit it.
    pub fn to_toml(&self) -> String {
        let Self {
            name,
            root,
            issuing,
            leaf,
            algorithm,
            organization,
            permitted,
            // People add these; init knows of none.
            reload: _,
        } = self;
        let mut text = format!(
            "# Settings of this certificate authority, made by pgpki. Changes count from the next\n\
             # command on; what has been issued stays as it is until it is renewed.\n\
             \n\
             # What the names of the CAs begin with.\n\
             name = {name}\n\
             \n\
             # Days. A certificate never outlasts the CA that signed it.\n\
             [lifetimes]\n\
             root = {root}\n\
             issuing = {issuing}\n\
             leaf = {leaf}\n\
             \n\
             # p256, p384, rsa2048, rsa3072 or rsa4096: new CAs, servers and clients.\n\
             [keys]\n\
             algorithm = \"{algorithm}\"\n\
             \n\
             # What stands in every subject beside the common name. All of it may be left out.\n\
             [subject]\n",
            name = quoted(name),
            root = root.get(),
            issuing = issuing.get(),
            leaf = leaf.get(),
        );
        let parts = [
            ("country", &organization.country, "\"DE\""),
            ("state", &organization.state, "\"Bavaria\""),
            ("locality", &organization.locality, "\"Munich\""),
            (
                "organization",
                &organization.organization,
                "\"Example GmbH\"",
            ),
            (
                "organizational_unit",
                &organization.organizational_unit,
                "\"Data\"",
            ),
        ];
        for (key, value, example) in parts {
            // Writing to a String cannot fail.
            let _ = match value {
                Some(value) => writeln!(text, "{key} = {}", quoted(value)),
                None => writeln!(text, "# {key} = {example}"),
            };
        }
        text + &permit(permitted) + RELOAD_EXAMPLE
    }
}

/// The names for which new issuing CAs may sign; what is not set is shown as an example.
fn permit(permitted: &Permitted) -> String {
    let networks: Vec<String> = permitted.ip().iter().map(ToString::to_string).collect();
    let line = |key: &str, values: &[String], example: &str| match values {
        [] => format!("# {key} = [{example}]\n"),
        values => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("{key} = [{}]\n", values.join(", "))
        }
    };
    format!(
        "\n\
         # For which names new issuing CAs may sign: DNS names, each with all below it, and networks. With\n\
         # either, nothing else is permitted. All of it may be left out.\n\
         [permit]\n{}{}",
        line("dns", permitted.dns(), "\"example.com\""),
        line("ip", &networks, "\"10.0.0.0/8\""),
    )
}

const RELOAD_EXAMPLE: &str = "
# What else reads an installation's files, and is told when they change. PostgreSQL itself is found
# without being named here. One of unit, pid_file (SIGHUP) and command (no shell); with prove, it is
# asked over TLS for what is installed.
# [[reload]]
# installation = \"/etc/ssl/pgbouncer\"
# unit = \"pgbouncer.service\"
# prove = \"localhost:6432\"
";

fn parse_reload(number: usize, entry: ReloadEntry) -> Result<Reload, SettingsError> {
    let tell = match (entry.unit, entry.pid_file, entry.command) {
        (Some(unit), None, None) => Tell::Unit(unit),
        (None, Some(file), None) => Tell::PidFile(file),
        (None, None, Some(command)) if !command.is_empty() => Tell::Command(command),
        _ => return Err(SettingsError::Reload(number)),
    };
    let pid_file = match &tell {
        Tell::PidFile(file) => Some(file),
        _ => None,
    };
    let mut paths = entry.installation.iter().chain(pid_file);
    match paths.find(|path| !path.is_absolute()) {
        Some(path) => Err(SettingsError::RelativePath {
            number,
            path: path.clone(),
        }),
        None => Ok(Reload {
            installation: entry.installation,
            tell,
            prove: entry.prove,
        }),
    }
}

fn parse_algorithm(text: String) -> Result<KeyAlgorithm, SettingsError> {
    match text.parse::<KeyAlgorithm>() {
        Ok(algorithm) if algorithm.may_sign_certificates() => Ok(algorithm),
        _ => Err(SettingsError::Algorithm(text)),
    }
}

/// A TOML basic string. Control characters have been refused before they get here.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings() -> Settings {
        let organization = Organization {
            country: Some("DE".into()),
            organization: Some("Quote \" and \\ GmbH".into()),
            ..Organization::default()
        };
        Settings::new("db.example.com", KeyAlgorithm::P384, organization)
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let plain = settings();
        assert_eq!(Settings::parse(plain.to_toml().as_bytes()), Ok(plain));
        let long = Settings::new(
            &"ö".repeat(200),
            KeyAlgorithm::P256,
            Organization::default(),
        );
        assert_eq!(Settings::parse(long.to_toml().as_bytes()), Ok(long));
        let permitted = Settings {
            permitted: Permitted::new(&["example.com".into()], &["fd00::/8".into()]).unwrap(),
            ..settings()
        };
        assert_eq!(
            Settings::parse(permitted.to_toml().as_bytes()),
            Ok(permitted)
        );
    }

    #[test]
    fn mistakes_are_named() {
        let text = settings().to_toml();
        let error = |from: &str, to: &str| {
            assert!(text.contains(from));
            let broken = text.replace(from, to);
            Settings::parse(broken.as_bytes()).unwrap_err().to_string()
        };
        assert!(error("leaf = 365", "leaf = 0").contains("[lifetimes] leaf"));
        assert!(error("leaf = 365", "leef = 365").contains("leef"));
        assert!(error("p384", "ed25519").contains("ed25519"));
        assert!(error("\"DE\"", "\"Germany\"").contains("Germany"));
        assert!(error("name = \"db.example.com\"", "name = \"\"").contains("name"));
        assert_eq!(Settings::parse(&[0xff]), Err(SettingsError::NotText));
        let with = |entry: &str| Settings::parse(format!("{text}[[reload]]\n{entry}\n").as_bytes());
        assert_eq!(
            with("unit = 'a'\npid_file = '/b'"),
            Err(SettingsError::Reload(1))
        );
        assert_eq!(with("command = []"), Err(SettingsError::Reload(1)));
        assert!(
            with("pid_file = 'b'")
                .unwrap_err()
                .to_string()
                .contains("absolute")
        );
        assert!(with("unit = 'a'\nproof = 'b'").is_err());
        assert!(error("# ip = [\"10.0.0.0/8\"]", "ip = [\"10.0.0.1/8\"]").contains("[permit]"));
        assert!(error("# dns = [\"example.com\"]", "dns = [\"*.example.com\"]").contains("*."));
    }

    #[test]
    fn the_example_of_a_reload_is_one() {
        let text = settings().to_toml();
        let (before, example) = text.split_once("# [[reload]]").unwrap();
        let text = format!("{before}[[reload]]{}", example.replace("\n# ", "\n"));
        let settings = Settings::parse(text.as_bytes()).unwrap();
        let [reload] = &settings.reload[..] else {
            panic!("{settings:?}");
        };
        assert_eq!(reload.tell, Tell::Unit("pgbouncer.service".into()));
        assert_eq!(reload.prove.as_deref(), Some("localhost:6432"));
    }
}

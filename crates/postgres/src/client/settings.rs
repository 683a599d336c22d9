//! What libpq would use: the connection string, then the environment, then its defaults.

mod servers;

use std::path::{Path, PathBuf};

use super::Parameters;
use crate::probe::{Login, Negotiation};
use servers::MOST_HOSTS;
pub use servers::Server;

/// Where a setting was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the connection string.
    ConnectionString,
    /// In an environment variable of this name.
    Environment(&'static str),
    /// Nowhere.
    Default,
}

/// `sslmode`, the weakest first (PostgreSQL documentation, "Protection Provided in Different
/// Modes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What the server is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Who named it.
        source: Source,
    },
    /// `sslrootcert=system`, which is a file's name before PostgreSQL 16.
    System,
}

/// Why there is nothing that libpq could do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A value that the setting does not have.
    #[error("{keyword} is none of {allowed}")]
    Value {
        /// The setting.
        keyword: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// No DNS name and no address.
    #[error("{0:?} is neither a DNS name nor an address")]
    Host(String),
    /// Not a number from 1 to 65535.
    #[error("the port {0:?} is no number from 1 to 65535")]
    Port(String),
    /// hostaddr holds something else.
    #[error("hostaddr is no IP address: {0:?}")]
    Address(String),
    /// Lists of different lengths.
    #[error("there are {hosts} hosts, and {others} values of {keyword}")]
    Lists {
        /// The other list.
        keyword: &'static str,
        /// How many hosts there are.
        hosts: usize,
        /// How many values the other list has.
        others: usize,
    },
    /// More servers than any cluster has.
    #[error("more than {MOST_HOSTS} hosts are named")]
    TooMany,
}

/// The environment variables that stand in for keywords (PostgreSQL documentation, "Environment
/// Variables" of libpq).
const VARIABLES: [(&str, &str); 13] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("service", "PGSERVICE"),
    ("sslmode", "PGSSLMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcrl", "PGSSLCRL"),
];

/// Who connects, and from where. The caller looks it up; nothing here reads an environment.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The values of the `PG…` variables that are set, and of `HOME`.
    pub variables: Vec<(String, String)>,
    /// The user's home in the password database, which libpq takes before version 15, and later
    /// where `HOME` is not set.
    pub passwd_home: Option<PathBuf>,
    /// The operating system's name of the user: libpq's default role.
    pub user: Option<String>,
}

impl Surroundings {
    fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.variables.iter();
        let found = variables.find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// `~` of libpq from version 15 on: `HOME`, or else the password database.
    pub fn home(&self) -> Option<PathBuf> {
        let own = self.variable("HOME").filter(|home| !home.is_empty());
        own.map(PathBuf::from).or_else(|| self.passwd_home.clone())
    }
}

/// The settings of a connection.
#[derive(Clone, Debug)]
pub struct Settings {
    parameters: Parameters,
    surroundings: Surroundings,
}

impl Settings {
    /// Joins what a connection string says with what surrounds it.
    pub fn new(parameters: Parameters, surroundings: Surroundings) -> Self {
        Self {
            parameters,
            surroundings,
        }
    }

    /// A keyword's value and who set it. An empty value in the connection string hides a variable,
    /// and is as good as none.
    fn setting(&self, keyword: &str) -> Option<(&str, Source)> {
        let variable = VARIABLES.iter().find(|(own, _)| *own == keyword);
        let own = self
            .parameters
            .get(keyword)
            .map(|value| (value, Source::ConnectionString));
        let found = own.or_else(|| {
            let (_, variable) = variable?;
            let value = self.surroundings.variable(variable)?;
            Some((value, Source::Environment(variable)))
        });
        found.filter(|(value, _)| !value.is_empty())
    }

    fn value(&self, keyword: &str) -> Option<&str> {
        self.setting(keyword).map(|(value, _)| value)
    }

    /// Where libpq looks for what is not named: `~/.postgresql`.
    pub fn folder(&self) -> Option<PathBuf> {
        self.surroundings
            .home()
            .map(|home| home.join(".postgresql"))
    }

    /// Where libpq before version 15 would look instead, if that is another folder.
    pub fn older_folder(&self) -> Option<PathBuf> {
        let older = self.surroundings.passwd_home.as_ref()?.join(".postgresql");
        (Some(&older) != self.folder().as_ref()).then_some(older)
    }

    fn file(&self, keyword: &str, default: &str) -> Option<(PathBuf, Source)> {
        match self.setting(keyword) {
            Some((path, source)) => Some((PathBuf::from(path), source)),
            None => Some((self.folder()?.join(default), Source::Default)),
        }
    }

    /// The client's certificate; `None` with `sslcertmode=disable`, or without a home.
    pub fn certificate(&self) -> Option<(PathBuf, Source)> {
        match self.value("sslcertmode") {
            Some("disable") => None,
            _ => self.file("sslcert", "postgresql.crt"),
        }
    }

    /// The client's key. One with a colon names an OpenSSL engine and no file: [`Settings::engine`].
    pub fn key(&self) -> Option<(PathBuf, Source)> {
        self.file("sslkey", "postgresql.key")
    }

    /// The key in an OpenSSL engine (`engine:key`), which is what libpq takes any path with a colon for.
    pub fn engine(&self) -> Option<&str> {
        self.value("sslkey").filter(|key| key.contains(':'))
    }

    /// What the server is checked with; `None` without a home.
    pub fn roots(&self) -> Option<Roots> {
        match self.file("sslrootcert", "root.crt")? {
            (path, source) if source != Source::Default && path == Path::new("system") => {
                Some(Roots::System)
            }
            (path, source) => Some(Roots::File { path, source }),
        }
    }

    /// The CRLs that the server is checked with. `sslcrldir` takes the default's place as well.
    pub fn crl(&self) -> Option<(PathBuf, Source)> {
        let has_directory = self
            .parameters
            .get("sslcrldir")
            .is_some_and(|it| !it.is_empty())
            || self
                .surroundings
                .variable("PGSSLCRLDIR")
                .is_some_and(|it| !it.is_empty());
        match (has_directory, self.value("sslcrl")) {
            (true, None) => None,
            _ => self.file("sslcrl", "root.crl"),
        }
    }

    /// A service whose file is not read here.
    pub fn service(&self) -> Option<&str> {
        self.value("service")
    }

    /// How much is demanded of the server, and who demands it.
    ///
    /// # Errors
    /// libpq knows no such mode.
    pub fn ssl_mode(&self) -> Result<(SslMode, Source), SettingsError> {
        let Some((value, source)) = self.setting("sslmode") else {
            let old = self.surroundings.variable("PGREQUIRESSL");
            return Ok(match (self.roots(), old) {
                // libpq 16 and later.
                (Some(Roots::System), _) => (SslMode::VerifyFull, Source::Default),
                (_, Some(text)) if text.starts_with('1') => {
                    (SslMode::Require, Source::Environment("PGREQUIRESSL"))
                }
                _ => (SslMode::Prefer, Source::Default),
            });
        };
        SslMode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == value)
            .map(|mode| (mode, source))
            .ok_or(SettingsError::Value {
                keyword: "sslmode",
                allowed: "disable, allow, prefer, require, verify-ca, verify-full",
            })
    }

    /// How TLS begins.
    ///
    /// # Errors
    /// libpq knows no such way.
    pub fn negotiation(&self) -> Result<Negotiation, SettingsError> {
        match self.value("sslnegotiation") {
            Some("direct") => Ok(Negotiation::Direct),
            Some("postgres") | None => Ok(Negotiation::Postgres),
            Some(_) => Err(SettingsError::Value {
                keyword: "sslnegotiation",
                allowed: "postgres, direct",
            }),
        }
    }

    /// The role and the database. `role` goes before what the settings say.
    pub fn login(&self, role: Option<&str>) -> Option<Login> {
        let own = || self.value("user").or(self.surroundings.user.as_deref());
        let user = role.or_else(own)?.to_owned();
        let database = self.value("dbname").unwrap_or(&user).to_owned();
        Some(Login { user, database })
    }
}

impl SslMode {
    const ALL: [Self; 6] = [
        Self::Disable,
        Self::Allow,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
    ];

    /// libpq's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConnectionString => f.write_str("the connection string"),
            Self::Environment(variable) => f.write_str(variable),
            Self::Default => f.write_str("libpq's default"),
        }
    }
}

#[cfg(test)]
mod tests;

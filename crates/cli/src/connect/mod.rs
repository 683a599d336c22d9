//! What to paste into a program so that it connects with a role's certificate: always with full
//! verification, and with what each driver trips over beside the line that avoids it.
//!
//! Everything here is text in, text out. It reads no file and does not ask whether one is there.
//! Each driver's snippet is run by the tests in `tests/connect` as it is printed; `docs/connect.md`
//! says which could not be.

mod containers;
mod dotnet;
mod go;
mod javascript;
mod jvm;
mod libpq;
mod literal;
mod perl;
mod php;
mod python;
mod ruby;
mod rust;
mod servers;

use pgpki_core::name::{Host, Role};

pub(crate) use literal::{conninfo, shell};

/// Who connects, to what, and with which files.
#[derive(Debug)]
pub(crate) struct Target {
    /// The role, which is the certificate's common name as well.
    pub role: Role,
    /// The host, as it stands in the server's certificate; no wildcard.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// The database.
    pub dbname: String,
    /// The absolute path of the folder with the role's files.
    pub folder: String,
}

/// A file of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// The roots that the server's certificate is checked against, in PEM.
    Root,
    /// The role's certificate with its chain, in PEM.
    Certificate,
    /// Its key, in PEM.
    Key,
    /// Its key, as PKCS#8 in DER.
    Pk8,
}

/// The files of most drivers.
const PEM: &[File] = &[File::Root, File::Certificate, File::Key];

/// One driver, or another program that connects.
pub(crate) struct Driver {
    /// What `--for` takes.
    pub name: &'static str,
    /// What else `--for` takes.
    pub aliases: &'static [&'static str],
    /// What it is, for the list of drivers.
    pub what: &'static str,
    /// The files that the snippet names.
    pub files: &'static [File],
    /// Whether libpq reads the files.
    is_libpq: bool,
    write: fn(&Target) -> Result<String, Unwritable>,
}

/// Every driver, in the order in which they are listed.
pub(crate) const DRIVERS: [&Driver; 28] = [
    &libpq::PSQL,
    &libpq::URI,
    &libpq::SERVICE,
    &containers::COMPOSE,
    &python::PSYCOPG,
    &python::PSYCOPG2,
    &python::ASYNCPG,
    &python::PG8000,
    &python::SQLALCHEMY,
    &python::SQLALCHEMY_ASYNCPG,
    &python::DJANGO,
    &javascript::NODE_POSTGRES,
    &javascript::POSTGRES_JS,
    &javascript::PRISMA,
    &jvm::PGJDBC,
    &jvm::SPRING,
    &dotnet::NPGSQL,
    &go::PGX,
    &go::LIB_PQ,
    &rust::TOKIO_POSTGRES,
    &rust::SQLX,
    &ruby::RAILS,
    &php::PDO,
    &perl::DBD_PG,
    &servers::PGBOUNCER,
    &servers::PATRONI,
    &servers::PATRONI_REWIND,
    &servers::PRIMARY_CONNINFO,
];

/// What a snippet's language has no way to write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} cannot be written in {place}: {why}")]
pub(crate) struct Unwritable {
    /// The name or path.
    value: String,
    /// The file, or the form.
    place: &'static str,
    /// What stands in the way.
    why: &'static str,
}

impl Driver {
    /// The driver of this name, or with this alias.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        let mut drivers = DRIVERS.into_iter();
        drivers.find(|it| it.name == name || it.aliases.contains(&name))
    }

    /// What to paste, with a newline at its end.
    pub(crate) fn snippet(&self, target: &Target) -> Result<String, Unwritable> {
        let key = target.file(File::Key);
        match self.is_libpq && key.contains(':') {
            false => (self.write)(target),
            true => Err(Unwritable {
                value: key,
                place: "libpq's sslkey",
                why: "what stands before a colon is taken for the name of an OpenSSL engine",
            }),
        }
    }
}

impl Target {
    /// The path of a file of the folder.
    pub(crate) fn file(&self, file: File) -> String {
        let folder = self.folder.trim_end_matches('/');
        format!("{folder}/{}", file.name())
    }

    /// libpq's keywords with their values (PostgreSQL documentation, "Parameter Key Words").
    fn settings(&self) -> [(&'static str, String); 8] {
        let [host, port, dbname, user] = self.address();
        let [mode, root, certificate, key] = self.tls();
        [host, port, dbname, user, mode, root, certificate, key]
    }

    /// The part of [`Target::settings`] that says whom to connect to, as whom.
    fn address(&self) -> [(&'static str, String); 4] {
        [
            ("host", self.host.to_string()),
            ("port", self.port.to_string()),
            ("dbname", self.dbname.clone()),
            ("user", self.role.as_str().to_owned()),
        ]
    }

    /// The part of [`Target::settings`] that says how.
    fn tls(&self) -> [(&'static str, String); 4] {
        [
            ("sslmode", "verify-full".to_owned()),
            ("sslrootcert", self.file(File::Root)),
            ("sslcert", self.file(File::Certificate)),
            ("sslkey", self.file(File::Key)),
        ]
    }

    /// The host as it stands in a URL (RFC 3986 section 3.2.2).
    fn host_in_url(&self) -> String {
        match self.host {
            Host::Ip(address) if address.is_ipv6() => format!("[{address}]"),
            _ => self.host.to_string(),
        }
    }

    /// What makes the file, as a command line.
    pub(crate) fn made_by(&self, file: File) -> String {
        let role = match self.role.as_str() {
            role if role.starts_with('-') => format!("--out DIR -- {}", shell(role)),
            role => format!("{} --out DIR", shell(role)),
        };
        match file {
            File::Root | File::Certificate | File::Key => format!("pgpki issue-client {role}"),
            File::Pk8 => format!("pgpki issue-client --format libpq,jdbc {role}"),
        }
    }
}

impl File {
    /// Its name.
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root.crt",
            Self::Certificate => "postgresql.crt",
            Self::Key => "postgresql.key",
            Self::Pk8 => "postgresql.pk8",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    pub(super) fn target(role: &str) -> Target {
        Target {
            role: role.parse().unwrap(),
            host: "db.example.com".parse().unwrap(),
            port: 5432,
            dbname: "prod".to_owned(),
            folder: "/home/alice/.postgresql".to_owned(),
        }
    }

    #[test]
    fn no_two_drivers_have_one_name() {
        let names = |it: &&'static Driver| [&[it.name], it.aliases].concat();
        let names: Vec<&str> = DRIVERS.iter().flat_map(names).collect();
        let distinct: HashSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len(), "{names:?}");
        for name in names {
            assert!(Driver::named(name).is_some(), "{name}");
        }
    }

    /// What a terminal would obey, or hide, never reaches it.
    #[test]
    fn no_snippet_has_a_control_character() {
        let target = target("a\u{1b}[2J\u{202e}\u{85}\n");
        for driver in DRIVERS {
            for line in driver.snippet(&target).iter().flat_map(|text| text.lines()) {
                // Go's own indentation.
                let line = line.trim_start_matches('\t');
                let hides = |c: char| c.is_control() || c == '\u{202e}';
                assert!(!line.contains(hides), "{}: {line:?}", driver.name);
            }
        }
    }

    /// libpq tries to load it as a shared library (`initialize_SSL` in its `fe-secure-openssl.c`).
    #[test]
    fn a_key_with_a_colon_in_its_path_is_not_for_libpq() {
        let mut target = target("alice");
        target.folder = "/home/a:b".to_owned();
        for driver in DRIVERS {
            let is_written = driver.snippet(&target).is_ok();
            assert_eq!(is_written, !driver.is_libpq, "{}", driver.name);
        }
    }

    #[test]
    fn every_snippet_verifies_in_full() {
        for driver in DRIVERS {
            let text = driver.snippet(&target("alice")).unwrap();
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
            for file in driver.files {
                assert!(text.contains(&target("alice").file(*file)), "{text}");
            }
            for weak in [
                "=require",
                "=prefer",
                "=verify-ca",
                "rejectUnauthorized: false",
            ] {
                let code = text.lines().filter(|line| !is_comment(line));
                assert!(!code.clone().any(|it| it.contains(weak)), "{text}");
            }
        }
    }

    fn is_comment(line: &str) -> bool {
        let line = line.trim_start();
        ["#", "//", ";"].iter().any(|mark| line.starts_with(mark))
    }
}

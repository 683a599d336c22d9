//! What a driver has to do with what is printed for it: come in under the right name, and refuse a
//! server with the wrong one or with another root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pgpki_testing::attempt;

use crate::stage::{ODD_DATABASE, OTHER_ADDRESS, STRANGER, Stage};

/// What every program asks the server once it is in: one row with one column, in which the role, the
/// database and the certificate's subject are hexadecimal, so that nothing on the way can spoil them.
pub(crate) const WHO_AM_I: &str = "select 'ok ' || encode(convert_to(current_user::text, 'UTF8'), 'hex') || ' ' \
     || encode(convert_to(current_database()::text, 'UTF8'), 'hex') || ' ' || encode(convert_to(client_dn, 'UTF8'), 'hex') \
     from pg_stat_ssl where pid = pg_backend_pid() and ssl";

/// What is printed for one connection, and what has to come of it.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) snippet: String,
    pub(crate) role: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    In {
        database: &'static str,
    },
    /// The driver does not like the server.
    Refused,
}

impl Expected {
    fn database(self) -> &'static str {
        match self {
            Self::In { database } => database,
            Self::Refused => "postgres",
        }
    }
}

/// A driver, and which roles it has to manage.
pub(crate) struct Trial {
    pub(crate) stage: Arc<Stage>,
    driver: &'static str,
    shelf: &'static str,
    roles: Vec<String>,
    can_write: fn(&str) -> bool,
}

impl Trial {
    /// With every role.
    pub(crate) fn of(driver: &'static str) -> Self {
        let stage = Stage::shared();
        Self {
            roles: stage.roles.clone(),
            stage,
            driver,
            shelf: "clients",
            can_write: |_| true,
        }
    }

    /// With the roles that were made by hand alone: each costs a process.
    pub(crate) fn few(self) -> Self {
        let roles = crate::roles::BY_HAND.map(str::to_owned).into();
        Self { roles, ..self }
    }

    /// With the files that belong to the user of servers.
    pub(crate) fn by_a_server(self) -> Self {
        Self {
            shelf: "servers",
            ..self
        }
    }

    /// Where no language is there to write everything in: which roles, paths and databases it holds.
    /// The program must refuse to print the others.
    pub(crate) fn if_it(self, can_write: fn(&str) -> bool) -> Self {
        Self { can_write, ..self }
    }

    /// The printed connections: every role as itself, alice by the server's address and to a database
    /// with an odd name, and what must be refused.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let port = self.stage.cluster.port();
        let other_port = self.stage.misnamed.port();
        let here = Expected::In {
            database: "postgres",
        };
        let there = Expected::In {
            database: ODD_DATABASE,
        };
        let mut cases = Vec::new();
        for role in &self.roles {
            cases.extend(self.case(role, role, "localhost", port, here));
        }
        let alice = |folder: &str, host: &str, port: u16, expected: Expected| {
            self.case("alice", folder, host, port, expected)
        };
        cases.extend(alice("alice", "localhost", port, there));
        cases.extend(alice("alice", "127.0.0.1", port, here));
        let refused = [
            alice("alice", "localhost", other_port, Expected::Refused),
            alice("alice", OTHER_ADDRESS, port, Expected::Refused),
            alice(STRANGER, "localhost", port, Expected::Refused),
        ];
        assert!(refused.iter().all(Option::is_some));
        cases.extend(refused.into_iter().flatten());
        cases
    }

    /// The folder has the role's name, unless that cannot be written; the role then may be.
    fn case(
        &self,
        role: &str,
        folder: &str,
        host: &str,
        port: u16,
        expected: Expected,
    ) -> Option<Case> {
        let database = expected.database();
        let folder = self.stage.scene().path(self.shelf).join(folder);
        let plain = self.stage.plain_folder(&folder);
        let printed = |folder: &Path| self.print(role, folder, host, port, database);
        let printed = match printed(&folder) {
            Ok(snippet) => Ok(snippet),
            Err(_) => printed(&plain),
        };
        let can_write = (self.can_write)(role) && (self.can_write)(database);
        match printed {
            Ok(snippet) => {
                assert!(can_write, "{}: {role:?} is written: {snippet}", self.driver);
                let title = format!("{}: {role:?} with {folder:?} to {host}:{port}", self.driver);
                let (role, host) = (role.to_owned(), host.to_owned());
                Some(Case {
                    title,
                    snippet,
                    role,
                    host,
                    port,
                    expected,
                })
            }
            Err(refusal) => {
                assert!(!can_write, "{}: {role:?}: {refusal}", self.driver);
                assert!(refusal.contains("cannot be written"), "{refusal}");
                None
            }
        }
    }

    fn print(
        &self,
        role: &str,
        folder: &Path,
        host: &str,
        port: u16,
        database: &str,
    ) -> Result<String, String> {
        let port = port.to_string();
        let args = [
            "--host", host, "--port", &port, "--dbname", database, "--folder",
        ];
        let mut command = self.stage.connect(
            self.driver,
            role,
            &[&args[..], &[folder.to_str().unwrap()]].concat(),
        );
        let output = attempt(&mut command)?;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
        Ok(String::from_utf8(output.stdout).unwrap())
    }

    /// Writes each case to a file of its own, and runs a program that takes the files as arguments
    /// and prints a line for each: `ok …`, or `no` and why.
    pub(crate) fn run(
        &self,
        ending: &str,
        paste: impl Fn(&Case) -> String,
        program: impl FnOnce(&[PathBuf]) -> Command,
    ) {
        let cases = self.cases();
        let workshop = self.stage.workshop();
        let mut files = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let file = workshop.join(format!("case{number}.{ending}"));
            fs::write(&file, paste(case)).unwrap();
            files.push(file);
        }
        let mut program = program(&files);
        self.judge(&cases, &mut program);
    }

    /// Runs a program that prints a line for each case.
    pub(crate) fn judge(&self, cases: &[Case], program: &mut Command) {
        let output = alone(program, &self.stage.workshop()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let also = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("ok ") || line.starts_with("no "))
            .collect();
        assert_eq!(
            lines.len(),
            cases.len(),
            "{program:?}: {}\n{said}\n{also}",
            output.status
        );
        for (case, line) in cases.iter().zip(lines) {
            case.judge(line);
        }
    }
}

/// A program that ends, in an environment where only a home is, and nothing in it.
pub(crate) fn alone<'a>(program: &'a mut Command, home: &Path) -> &'a mut Command {
    let kept: Vec<_> = program
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    program.env_clear();
    for (name, value) in kept {
        if let Some(value) = value {
            program.env(name, value);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    program
        .env("PATH", path)
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .env("PGCONNECT_TIMEOUT", "10");
    program.stdin(std::process::Stdio::null())
}

/// A word that drivers have in what they say of a server's certificate, in whatever language.
const ABOUT_CERTIFICATES: [&str; 6] = [
    "certificate",
    "host name",
    "hostname",
    "altnames",
    "PKIX",
    "IP address mismatch",
];

impl Case {
    /// The database that is named in what is printed.
    pub(crate) fn database(&self) -> &'static str {
        self.expected.database()
    }

    /// `line` is what the program around the snippet has printed.
    #[track_caller]
    pub(crate) fn judge(&self, line: &str) {
        let Self {
            title,
            snippet,
            role,
            ..
        } = self;
        match self.expected {
            Expected::In { database } => {
                let seen: Vec<_> = line.split(' ').map(unhex).collect();
                let [_, Some(current), Some(there), Some(subject)] = seen.as_slice() else {
                    panic!("{title}: {line}\n{snippet}");
                };
                assert_eq!(
                    (current, there.as_str()),
                    (role, database),
                    "{title}\n{snippet}"
                );
                let name = unescaped(subject);
                // The server keeps 63 bytes of it.
                let is_cut = subject.len() >= 60 && format!("/CN={role}").starts_with(&name);
                assert!(
                    is_cut || name == format!("/CN={role}"),
                    "{title}: {subject}"
                );
            }
            Expected::Refused => {
                assert!(
                    line.starts_with("no "),
                    "{title}: it is in: {line}\n{snippet}"
                );
                let is_why = ABOUT_CERTIFICATES.iter().any(|it| line.contains(it));
                assert!(
                    is_why,
                    "{title}: refused for another reason: {line}\n{snippet}"
                );
            }
        }
    }
}

fn unhex(word: &str) -> Option<String> {
    let digits = word.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.map(byte).collect();
    String::from_utf8(bytes?).ok()
}

/// A subject as the server shows it (`X509_NAME_to_cstring` in its `be-secure-openssl.c`), without
/// the backslashes that OpenSSL puts before some characters, or before two digits for others.
fn unescaped(subject: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = subject.bytes();
    while let Some(byte) = rest.next() {
        let next = rest.clone().take(2).collect::<Vec<u8>>();
        match (byte, next.as_slice()) {
            (b'\\', [high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = String::from_utf8(next).unwrap();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                rest.nth(1);
            }
            (b'\\', [_, ..]) => bytes.extend(rest.next()),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\u{fffd}')
        .to_owned()
}

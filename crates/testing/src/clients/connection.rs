//! What a client is told, and what comes of it.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use crate::Cluster;

/// Where a client connects to, and with what.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The host, which is looked up and compared with the server's certificate.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The role to log in as.
    pub role: String,
    /// The database.
    pub database: String,
    /// Whether to use TLS: `verify-full`, or not at all.
    pub tls: bool,
    /// The file with the certificates, in PEM, that are trusted. Drivers read it themselves.
    pub root: PathBuf,
    /// The client's own certificate, if it has one.
    pub credential: Option<Credential>,
}

/// The files of a client's certificate.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The chain in PEM, the leaf first.
    pub certificate: PathBuf,
    /// The key in PEM.
    pub key: PathBuf,
    /// Whether pgJDBC, which reads no PEM, gets the key as it is. Otherwise it gets it as PKCS#8 in
    /// DER, made from it with openssl.
    pub as_it_is: bool,
}

/// A connection that a server has accepted, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `current_user`.
    pub role: String,
    /// `client_dn` of `pg_stat_ssl`, such as `/CN=alice`; empty without a client certificate.
    pub client_dn: String,
}

/// A connection that did not come about, as users of the language see it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Texts of which each could be all that somebody sees: the error's own, in the forms that are
    /// usual; and last what is on the terminal when the program does nothing about the error, such as
    /// a stack or a traceback.
    pub texts: Vec<String>,
}

impl Connection {
    /// To `localhost`, to the database `postgres`, over TLS, without a client certificate.
    pub fn to(cluster: &Cluster, role: &str, root: impl Into<PathBuf>) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: cluster.port(),
            role: role.to_owned(),
            database: "postgres".to_owned(),
            tls: true,
            root: root.into(),
            credential: None,
        }
    }

    /// With `postgresql.crt` and `postgresql.key` of a folder.
    #[must_use]
    pub fn with_folder(self, folder: &Path) -> Self {
        Self {
            credential: Some(Credential {
                certificate: folder.join("postgresql.crt"),
                key: folder.join("postgresql.key"),
                as_it_is: false,
            }),
            ..self
        }
    }

    /// libpq's word for how TLS is used.
    pub(super) fn mode(&self) -> &'static str {
        if self.tls { "verify-full" } else { "disable" }
    }
}

impl Session {
    /// Reads what every program prints: `ok`, the role and the name, between tabs.
    pub(super) fn read(stdout: &str) -> Option<Self> {
        let mut words = stdout.trim_end_matches('\n').split('\t');
        let session = (words.next()? == "ok").then_some(Self {
            role: words.next()?.to_owned(),
            client_dn: words.next()?.to_owned(),
        });
        session.filter(|_| words.next().is_none())
    }
}

impl Refusal {
    /// Reads what every program prints: texts with an ASCII record separator between them on its
    /// standard output, and the last one on its standard error.
    pub(super) fn read(stdout: &str, stderr: &str) -> Option<Self> {
        let own = stdout.split('\u{1e}').map(str::trim);
        let own = own.filter(|text| !text.is_empty());
        let texts: Vec<_> = own.chain([stderr.trim()]).map(str::to_owned).collect();
        let is_said = texts.iter().all(|text| !text.is_empty());
        is_said.then_some(Self { texts })
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_print() {
        let session = Session::read("ok\talice\t/CN=alice\n").unwrap();
        assert_eq!(session.role, "alice");
        assert_eq!(session.client_dn, "/CN=alice");
        assert_eq!(Session::read("ok\talice\t\n").unwrap().client_dn, "");
        let refusal = Refusal::read("no\u{1e}no: cause\n", "Error: no\n").unwrap();
        assert_eq!(refusal.texts, ["no", "no: cause", "Error: no"]);
        // psql has only one way to say it.
        assert_eq!(Refusal::read("", "no").unwrap().texts, ["no"]);
        assert!(Refusal::read("no", "").is_none());
        for wrong in ["", "ok", "ok\talice", "no\ta\tb", "ok\ta\tb\tc"] {
            assert_eq!(Session::read(wrong), None, "{wrong:?}");
        }
    }
}

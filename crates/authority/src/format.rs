//! The forms in which a credential is put into a folder: what each program can read, and nothing else beside it that
//! holds the key. The certificate and the roots, which are no secrets, are in every folder.

mod compose;
mod secret;

use std::fmt;
use std::str::FromStr;

use pgpki_core::key::{KeyError, PrivateKey};
use pgpki_core::pkcs12::{self, WriteError};
use zeroize::Zeroizing;

/// A form of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A key in PEM form, for libpq and whatever is built on it.
    Libpq,
    /// PKCS#12, under a passphrase: for pgJDBC, Java, Windows.
    Pkcs12,
    /// The key as plain PKCS#8 DER, which pgJDBC takes beside a certificate in PEM form.
    Jdbc,
    /// Key, certificate and chain in one PEM file.
    Pem,
    /// A Secret for Kubernetes, with `tls.crt`, `tls.key` and `ca.crt`.
    K8sSecret,
    /// A fragment for `compose.yaml` that gives the files to a container as secrets.
    Docker,
}

impl Format {
    /// Every format, in the order in which help texts list them.
    pub const ALL: [Self; 6] = [
        Self::Libpq,
        Self::Pkcs12,
        Self::Jdbc,
        Self::Pem,
        Self::K8sSecret,
        Self::Docker,
    ];

    /// The name used on the command line and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Libpq => "libpq",
            Self::Pkcs12 => "pkcs12",
            Self::Jdbc => "jdbc",
            Self::Pem => "pem",
            Self::K8sSecret => "k8s-secret",
            Self::Docker => "docker",
        }
    }

    /// The files that it adds to the certificate and the roots of a role.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Libpq => &["postgresql.key"],
            Self::Pkcs12 => &["postgresql.p12"],
            Self::Jdbc => &["postgresql.pk8"],
            Self::Pem => &["postgresql.pem"],
            Self::K8sSecret => &["postgresql-secret.yaml"],
            Self::Docker => &["postgresql.key", "postgresql-compose.yaml"],
        }
    }

    /// Whether it can be made only with a passphrase, and so by no rotation.
    pub fn needs_passphrase(self) -> bool {
        self == Self::Pkcs12
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no [`Format`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format: use libpq, pkcs12, jdbc, pem, k8s-secret or docker")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let format = Self::ALL.into_iter().find(|it| it.as_str() == text);
        format.ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Why a credential could not be written in a format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The key cannot be encoded.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The container cannot be made.
    #[error(transparent)]
    Pkcs12(#[from] WriteError),
    /// Only a person can give one.
    #[error("the format pkcs12 needs a passphrase, and none was given")]
    PassphraseNeeded,
}

/// A credential as it is before it has any form.
pub struct Material<'a> {
    /// The common name: a role, or a server's first host.
    pub name: &'a str,
    /// How its files begin: [`CLIENT`] or [`SERVER`].
    pub stem: &'a str,
    /// The key.
    pub key: &'a PrivateKey,
    /// The certificate and its chain, PEM.
    pub certificate: &'a str,
    /// The certificates of the roots, PEM.
    pub roots: &'a str,
    /// A server's CRLs, PEM.
    pub crls: Option<&'a str>,
    /// What a container is encrypted with, if there is one.
    pub passphrase: Option<&'a str>,
    /// What libpq's or the server's own key is encrypted with, if it is.
    pub key_passphrase: Option<&'a [u8]>,
}

/// How the names of a client's files begin: libpq looks for them.
pub const CLIENT: &str = "postgresql";
/// How the names of a server's files begin: `server.crt` is PostgreSQL's own default.
pub const SERVER: &str = "server";

/// A file that holds the key in some form, or says where it is. The owner's alone.
pub struct FormFile {
    /// Its name.
    pub name: &'static str,
    /// Its content.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The files that some formats add to the certificate and the roots, each once.
///
/// # Errors
/// As for each of them.
pub fn all(formats: &[Format], material: &Material<'_>) -> Result<Vec<FormFile>, FormatError> {
    let mut all: Vec<FormFile> = Vec::new();
    for format in formats {
        for file in files(*format, material)? {
            if all.iter().all(|other| other.name != file.name) {
                all.push(file);
            }
        }
    }
    Ok(all)
}

/// The files that a format adds to the certificate and the roots.
///
/// # Errors
/// It needs a passphrase, or the key is of a kind that it has no place for.
fn files(format: Format, material: &Material<'_>) -> Result<Vec<FormFile>, FormatError> {
    let names = names(material.stem);
    let key = || Ok::<_, FormatError>(material.key.to_pem()?);
    let file = |name, bytes: Zeroizing<Vec<u8>>| FormFile { name, bytes };
    Ok(match format {
        Format::Libpq => {
            let pem = match material.key_passphrase {
                Some(passphrase) => material.key.to_encrypted_pem(passphrase)?,
                None => key()?,
            };
            vec![file(names.key, bytes(pem))]
        }
        Format::Jdbc => vec![file(names.pk8, material.key.to_der())],
        Format::Pem => {
            let pem = Zeroizing::new([key()?.as_str(), material.certificate].concat());
            vec![file(names.pem, bytes(pem))]
        }
        Format::Pkcs12 => {
            let passphrase = material.passphrase.ok_or(FormatError::PassphraseNeeded)?;
            let certificates = pgpki_core::certificates(material.certificate.as_bytes());
            let made = pkcs12::write(material.key, &certificates, pkcs12::ALIAS, passphrase)?;
            vec![file(names.p12, Zeroizing::new(made))]
        }
        Format::K8sSecret => vec![file(names.secret, secret::manifest(material, &key()?))],
        Format::Docker => vec![
            file(names.key, bytes(key()?)),
            file(names.compose, compose::fragment(material)),
        ],
    })
}

fn bytes(text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    // The text's own buffer, so that there is one copy to wipe.
    let mut text = text;
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

struct Names {
    key: &'static str,
    pk8: &'static str,
    p12: &'static str,
    pem: &'static str,
    secret: &'static str,
    compose: &'static str,
}

fn names(stem: &str) -> Names {
    match stem {
        SERVER => Names {
            key: "server.key",
            pk8: "server.pk8",
            p12: "server.p12",
            pem: "server.pem",
            secret: "server-secret.yaml",
            compose: "server-compose.yaml",
        },
        _ => Names {
            key: "postgresql.key",
            pk8: "postgresql.pk8",
            p12: "postgresql.p12",
            pem: "postgresql.pem",
            secret: "postgresql-secret.yaml",
            compose: "postgresql-compose.yaml",
        },
    }
}

/// A text between double quotes in YAML (YAML 1.2.2 section 5.7), whatever it holds.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

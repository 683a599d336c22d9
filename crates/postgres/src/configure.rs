//! Making a cluster use an installation: what its configuration files are to say, whether the
//! server agrees, and the way back.
//!
//! A plan is made first, from what the files say now; it changes nothing. Applying it writes the
//! files, lets the server itself judge them before it loads any of it, and puts them back byte for
//! byte if it does not like what it sees.

mod access;
mod apply;
mod earlier;
mod managed;
mod settings;

use std::path::{Path, PathBuf};

use pgpki_core::name::Role;
use pgpki_fs::{Owner, Text, TextError, WalkError};
use similar::TextDiff;

use crate::cluster::{Cluster, ClusterError, MAX_CONFIG};
use crate::conf::effective::Fault;
use crate::conf::marked::BlockError;
use crate::conf::quote::ZeroByte;
use crate::hba::problem::Problem;
use crate::sql::SqlError;

pub use apply::{Applied, Judgement};
pub use earlier::{Earlier, earlier};
pub use managed::{Managed, Manager};
pub use settings::{about_passphrase, settings};

/// What the cluster is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// The installation: certificate, key, CAs and CRLs are read from its `current`.
    pub installation: PathBuf,
    /// The file with the passphrase of the server's key, if that is encrypted.
    pub passphrase_file: Option<PathBuf>,
    /// Whether connections over TCP without TLS are to be refused.
    pub require_tls: bool,
    /// Who is to have a client certificate.
    pub client_certs: ClientCerts,
    /// Whether a certificate is to do instead of a password, or beside it.
    pub authentication: Authentication,
}

/// Who is to have a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCerts {
    /// As the rules say now.
    AsBefore,
    /// Every role.
    All,
    /// These roles.
    Roles(Vec<Role>),
}

/// What a client certificate is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The certificate is enough: `cert`.
    Certificate,
    /// A password as well: `scram-sha-256 clientcert=verify-full`.
    CertificateAndPassword,
}

/// One file that is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, canonical.
    pub path: PathBuf,
    /// What it says now; nothing if it is not there.
    pub before: Option<Text>,
    /// What it is to say; nothing if it is to go.
    pub after: Option<Text>,
}

/// Why a cluster is not configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// Something else writes these files.
    #[error(
        "the configuration of this cluster is written by {}, which would overwrite it: {}",
        .0.manager.name(),
        .0.seen()
    )]
    Managed(Box<Managed>),
    /// Another line wins.
    #[error("{name} is also set by {by}, which wins over {}", file.display())]
    Shadowed {
        /// The parameter.
        name: &'static str,
        /// The line or argument that wins, for people.
        by: String,
        /// What to do about it.
        remedy: String,
        /// Where pgpki would set it.
        file: PathBuf,
    },
    /// The server would refuse all of it for another reason.
    #[error("{0}")]
    Faulty(Fault),
    /// `pg_hba.conf` has a line already that this server refuses.
    #[error("{}, line {line}: {problem}", path.display())]
    BadRule {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
    /// `pg_hba.conf` has no rule, and PostgreSQL loads none without. With pgpki's it would, and let nobody in by a socket.
    #[error("{} has no rules, and with those of pgpki alone nobody could come in by a Unix-domain socket", path.display())]
    NoRules {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to somebody who is not the server's user, and lies elsewhere.
    #[error("{} belongs to {owner}, and lies outside of where this cluster keeps its configuration", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: Owner,
    },
    /// A file of this name is there, and not pgpki's.
    #[error("{} is there already, and pgpki did not write it", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// pgpki's lines cannot be found again as they were.
    #[error("{}: {source}", path.display())]
    Block {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: BlockError,
    },
    /// The file is missing.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A path that no configuration file can hold.
    #[error(transparent)]
    Path(#[from] ZeroByte),
    /// A path leads where it should not.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file cannot be read or changed.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Another run is at work on it.
    #[error("somebody else is configuring {0} at this moment")]
    Busy(String),
    /// It cannot be told whether the server runs.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The server runs, and has no socket on which it could be asked.
    #[error(
        "the server runs, but on no Unix-domain socket (unix_socket_directories), where it could be asked \
         whether it accepts the new files"
    )]
    NoSocket,
    /// The server runs, and cannot be asked.
    #[error("the server cannot be asked whether it accepts the new files: {0}")]
    Sql(#[from] SqlError),
    /// The server does not accept the new files; what they said before is back.
    #[error("the server does not accept the new files, and they are as before: {}", .0.join("; "))]
    Rejected(Vec<String>),
    /// Roles would be locked out.
    #[error("the passwords of these roles are stored as MD5, and scram-sha-256 would lock them out: {}", .0.join(", "))]
    Md5Passwords(Vec<String>),
    /// A file could not be put back.
    #[error("{}; and then {} could not be put back: {source}", because, path.display())]
    Stuck {
        /// Why it was to be put back.
        because: String,
        /// The file.
        path: PathBuf,
        /// Why it could not be.
        source: TextError,
    },
}

impl ConfigureError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Shadowed { remedy, .. } => Some(remedy.clone()),
            Self::Faulty(_) | Self::BadRule { .. } => Some(
                "The server would not load any of it while that line is there: put it right first"
                    .to_owned(),
            ),
            Self::NoRules { .. } => Some(
                "PostgreSQL does not load it as it is. Write the rules into it that you want beside those of pgpki, such as\n\
                 local  all  all  peer"
                    .to_owned(),
            ),
            Self::NotOurs { path } => {
                Some(format!("Move {} away, if nobody needs it", path.display()))
            }
            Self::Foreign { .. } => Some(
                "The server's user names this file, and could have root change any. Change it yourself: --dry-run shows the lines for a file of its own"
                    .to_owned(),
            ),
            Self::Walk(error) => error.hint(),
            Self::Text(error) => error.hint(),
            Self::Busy(_) => Some("Run it again when that one is done".to_owned()),
            Self::Cluster(error) => error.hint(),
            Self::NoSocket => Some(
                "If it is only just starting, run it again; otherwise stop it, run it again, and start it"
                    .to_owned(),
            ),
            Self::Sql(error) => error.hint(),
            Self::Md5Passwords(_) => Some(
                "SET password_encryption = 'scram-sha-256', then give each its password again (\\password ROLE in psql)"
                    .to_owned(),
            ),
            Self::Stuck { path, .. } => Some(format!(
                "Take pgpki's lines out of {} yourself, then reload",
                path.display()
            )),
            _ => None,
        }
    }
}

/// What is to change so that `cluster` does what is wished. Nothing is written.
///
/// # Errors
/// It would be overwritten, have no effect, or break something else.
pub fn plan(cluster: &Cluster, wishes: &Wishes) -> Result<Vec<Change>, ConfigureError> {
    if let Some(managed) = Managed::of(cluster) {
        return Err(ConfigureError::Managed(Box::new(managed)));
    }
    if wishes.authentication == Authentication::CertificateAndPassword {
        let mut locked_out = apply::roles_with_md5(cluster)?;
        if let ClientCerts::Roles(roles) = &wishes.client_certs {
            locked_out.retain(|name| roles.iter().any(|role| role.as_str() == name));
        }
        if !locked_out.is_empty() {
            return Err(ConfigureError::Md5Passwords(locked_out));
        }
    }
    let mut changes = settings::plan(cluster, wishes)?;
    changes.extend(access::plan(cluster, wishes)?);
    changes.retain(|change| change.before != change.after);
    Ok(changes)
}

/// What is to change so that nothing of pgpki's is left in the configuration of `cluster`.
///
/// # Errors
/// Somebody has edited pgpki's lines, or a file cannot be read.
pub fn plan_removal(cluster: &Cluster) -> Result<Vec<Change>, ConfigureError> {
    let mut changes = settings::plan_removal(cluster)?;
    changes.extend(access::plan_removal(cluster)?);
    changes.retain(|change| change.before != change.after);
    Ok(changes)
}

impl Change {
    /// The change as a unified diff.
    #[must_use]
    pub fn diff(&self) -> String {
        let text = |text: &Option<Text>| {
            let bytes = text.as_ref().map(|text| text.bytes.as_slice());
            String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
        };
        let name = |text: &Option<Text>| match text {
            Some(_) => self.path.display().to_string(),
            None => "/dev/null".to_owned(),
        };
        let (before, after) = (text(&self.before), text(&self.after));
        TextDiff::from_lines(&before, &after)
            .unified_diff()
            .header(&name(&self.before), &name(&self.after))
            .to_string()
    }
}

/// A file of the configuration as it is.
struct Current {
    path: PathBuf,
    text: Option<Text>,
}

impl Current {
    fn read(cluster: &Cluster, path: &Path) -> Result<Self, ConfigureError> {
        let path = pgpki_fs::canonical(path)?;
        let text = Text::read(&path, MAX_CONFIG)?;
        // The server's user decides which files these are (`hba_file`), and may name one of root's.
        let owner = text.as_ref().map(|text| text.owner);
        match owner.filter(|owner| owner.uid != cluster.owner.uid) {
            Some(owner) if !cluster.keeps(&path) => Err(ConfigureError::Foreign { path, owner }),
            _ => Ok(Self { path, text }),
        }
    }

    fn bytes(&self) -> &[u8] {
        self.text.as_ref().map_or(b"", |text| &text.bytes)
    }

    fn existing(self) -> Result<Self, ConfigureError> {
        match self.text {
            Some(_) => Ok(self),
            None => Err(ConfigureError::Missing { path: self.path }),
        }
    }

    fn block_error(&self) -> impl FnOnce(BlockError) -> ConfigureError + use<> {
        let path = self.path.clone();
        move |source| ConfigureError::Block { path, source }
    }

    /// With other bytes, or without any.
    fn change(self, bytes: Option<Vec<u8>>, like: Option<&Text>) -> Change {
        let after = bytes.and_then(|bytes| {
            let like = self.text.as_ref().or(like)?;
            Some(Text {
                bytes,
                ..like.clone()
            })
        });
        Change {
            path: self.path,
            before: self.text,
            after,
        }
    }
}

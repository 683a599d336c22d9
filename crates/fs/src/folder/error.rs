//! What goes wrong on a shelf.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::dir::{IoError, MakeError};
use crate::lock::LockError;
use crate::staging::StageError;
use crate::{Kind, Owner, WalkError};

/// What went wrong with a shelf or a folder on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// The shelf cannot be used.
    #[error(transparent)]
    Directory(#[from] WalkError),
    /// The name is none that a folder on a shelf can have.
    #[error("{name:?} cannot be the name of a folder")]
    BadName {
        /// The name as given.
        name: OsString,
    },
    /// Something else than a folder has the name.
    #[error("{} is {kind}, not a folder", path.display())]
    InTheWay {
        /// Where the folder should be.
        path: PathBuf,
        /// What stands there.
        kind: Kind,
    },
    /// A folder that nobody said may be replaced has the name.
    #[error("{} exists and was not made by this authority", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Somebody else has put something where secrets are to be kept.
    #[error("{} is {kind} of {owner}, mode {mode:04o}, where only {} may look", path.display(), Owner::caller())]
    ReservedTaken {
        /// Where the reserved directory should be.
        path: PathBuf,
        /// What stands there.
        kind: Kind,
        /// Whose it is.
        owner: Owner,
        /// Its permission bits.
        mode: u32,
    },
    /// The filesystem cannot swap two directories in one step.
    #[error("{} cannot be replaced in one step on its filesystem", path.display())]
    NoExchange {
        /// The folder.
        path: PathBuf,
    },
    /// Another process keeps `.pgpki` for itself.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The files could not be staged.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A directory could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ShelfError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.hint(),
            Self::BadName { .. } => Some(
                "A folder's name is not empty, has no / in it, and is none of . .. .pgpki".into(),
            ),
            Self::InTheWay { .. } | Self::Occupied { .. } | Self::ReservedTaken { .. } => {
                Some("Move it away, or choose another directory".into())
            }
            Self::NoExchange { .. } => {
                Some("NFS is one that cannot: choose a directory on a local filesystem".into())
            }
            Self::Lock(error) => error.hint(),
            Self::Stage(error) => error.hint(),
            Self::Make(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

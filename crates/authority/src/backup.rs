//! A home in one file: a tar of its own files, in an age file under a passphrase.
//!
//! The file is standard to the last byte. With this program lost, `age -d FILE | tar x` in a
//! directory of mode 0700 gives the home.
//!
//! The ledger is copied as it stands on disk. The home's lock keeps other runs from changing it,
//! and SQLite's own lock, which an open transaction holds, everybody else; a journal that a killed
//! run has left was rolled back when it was opened. So the file alone is the ledger, and is copied
//! in one pass, in constant memory, without a second copy in the clear.

mod archive;
mod memory;
mod restore;
mod seal;
mod write;

use std::io;
use std::path::PathBuf;

use pgpki_fs::{IoError, OutputError, PrivateError, ReadError};

use crate::authority::AuthorityError;

pub use self::memory::{Found, Remembered};
pub use self::restore::Restored;
pub use self::seal::Seal;
pub use self::write::Written;

/// Why a home could not be backed up or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The authority cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file of the home cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The home cannot be made.
    #[error(transparent)]
    Home(#[from] PrivateError),
    /// The ledger cannot be made.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file of the home is not there.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file was changed by somebody who did not wait for the home's lock.
    #[error("{} was changed by another program while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The backup could not be written.
    #[error("cannot write the backup: {0}")]
    Write(#[source] io::Error),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The passphrase is not text.
    #[error("the passphrase is not UTF-8, which an age file needs")]
    PassphraseNotText,
    /// It is no age file that a passphrase opens.
    #[error("it is not a backup: {why}")]
    NotABackup {
        /// What it is not.
        why: &'static str,
    },
    /// Opening it would take more memory and time than any backup.
    #[error("it is not a backup of pgpki: to try a passphrase would take {0} times the work")]
    TooMuchWork(u64),
    /// Another passphrase, or a damaged beginning.
    #[error("the passphrase does not open it")]
    WrongPassphrase,
    /// It ends early, or is not what was written.
    #[error("it is damaged or cut off: {why}")]
    Damaged {
        /// Where.
        why: String,
    },
    /// It could not be read.
    #[error("cannot read the backup: {0}")]
    Unreadable(#[source] io::Error),
    /// Something is in it that no backup has.
    #[error("it is not a backup of pgpki: {name:?} in it {why}")]
    Unexpected {
        /// Its name in the archive.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is in it is no authority.
    #[error("what is in it cannot be used: {0}")]
    Unsound(#[source] AuthorityError),
}

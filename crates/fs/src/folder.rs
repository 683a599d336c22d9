//! Plain folders, one for each client: `hand-over/alice/postgresql.crt` and so on. A folder can be
//! copied as it is, so there is no link in it. The folders stand on a shelf, which may be anybody's.
//!
//! `.pgpki.new-<random>` is being staged: on the shelf itself, or in `.pgpki` where somebody else may
//! write to the shelf. `.pgpki` is 0700 and the caller's; `alice/g0001` in it is what stood in alice's
//! folder before.

mod error;
mod former;
mod publish;
mod reserved;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub use self::error::ShelfError;
use self::reserved::RESERVED;
use crate::claim::Place;
use crate::dir::{Dir, IoError, is_plain_name};
use crate::entry::Entry;
use crate::read::{Demands, read_in};
use crate::removal;
use crate::temporary::is_fresh;
use crate::walk;
use crate::{Created, Kind, Owner, ReadError, Swept, WalkError};

const NEW_FILES: &str = ".pgpki.new-";

/// What stands where a folder is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderState {
    /// Nothing.
    Missing,
    /// A folder.
    Folder {
        /// Whose it is.
        owner: Owner,
    },
    /// Something else.
    Other(Kind),
}

/// A directory that folders stand in. Several threads may stage and publish; one run at a time may
/// change it.
#[derive(Debug)]
pub struct Shelf {
    place: Arc<Place>,
    /// `.pgpki`, once it was needed. It is removed with the last that uses it, if it is empty.
    reserved: Mutex<Option<Arc<Place>>>,
    changed: Mutex<Changed>,
}

/// What [`Shelf::settle`] has to bring to the disk, beside the shelf's own directory.
#[derive(Debug, Default)]
struct Changed {
    /// Directories that were changed, in the order in which they are to be on disk: one more than few stand for any number.
    dirs: Vec<Dir>,
    /// Why one of them could not be synced before.
    failed: Option<IoError>,
}

impl Shelf {
    /// Opens a shelf at a canonical path, making what is missing: the directory 0700, its ancestors
    /// 0755, all the caller's. One that exists may be anybody's.
    ///
    /// # Errors
    /// The directory cannot be opened or made. Whatever was made is removed again.
    pub fn prepare(path: &Path) -> Result<(Self, Created), ShelfError> {
        let (dir, created) = walk::prepare_any(path)?;
        Ok((Self::new(dir), created))
    }

    /// Opens an existing shelf at a canonical path.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ShelfError> {
        Ok(Self::new(walk::open_path(path)?))
    }

    fn new(dir: Dir) -> Self {
        Self {
            place: Arc::new(Place::new(dir)),
            reserved: Mutex::new(None),
            changed: Mutex::default(),
        }
    }

    fn dir(&self) -> &Dir {
        &self.place.dir
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir().path()
    }

    /// What stands where a folder is to be.
    ///
    /// # Errors
    /// The name can be no folder's, or a system call failed.
    pub fn folder_state(&self, name: &OsStr) -> Result<FolderState, ShelfError> {
        check_name(name)?;
        Ok(match self.dir().look(name)? {
            None => FolderState::Missing,
            Some(Entry {
                kind: Kind::Directory,
                owner,
                ..
            }) => FolderState::Folder { owner },
            Some(seen) => FolderState::Other(seen.kind),
        })
    }

    /// Whether a folder has nothing in it, so that it can be given a content without replacing any.
    ///
    /// # Errors
    /// The name can be no folder's, there is none, or a system call failed.
    pub fn folder_is_empty(&self, name: &OsStr) -> Result<bool, ShelfError> {
        check_name(name)?;
        match self.dir().open_dir(name)? {
            Some(folder) => Ok(folder.is_empty()?),
            None => Err(WalkError::Missing {
                path: self.path().join(name),
            }
            .into()),
        }
    }

    /// Reads a file of a folder, at most `limit` bytes; nothing if there is no such folder or file.
    ///
    /// # Errors
    /// It is no regular file, has a second name, or is not the folder's owner's; it is larger; or a
    /// system call failed.
    pub fn read(&self, name: &OsStr, file: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        if check_name(name).is_err() {
            return Err(ReadError::BadName {
                name: name.to_string_lossy().into(),
            });
        }
        let Some(folder) = self.dir().open_dir(name)? else {
            return Ok(None);
        };
        let owner = folder.entry()?.owner;
        read_in(
            &folder,
            file,
            limit,
            Demands {
                owner,
                secret: false,
            },
        )
    }

    /// Whether nobody but the caller can put folders here.
    ///
    /// # Errors
    /// A system call failed.
    pub fn is_callers_alone(&self) -> Result<bool, ShelfError> {
        Ok(self.dir().is_callers_alone()?)
    }

    /// Removes what killed runs left, unless something is being staged here: then the next run does. Writes nothing when
    /// there is nothing.
    ///
    /// # Errors
    /// `.pgpki` is somebody else's, or a directory cannot be listed.
    pub fn sweep(&self) -> Result<Swept, ShelfError> {
        let is_leftover = |name: &OsStr| is_fresh(name, NEW_FILES);
        let mut swept = Swept::default();
        // Where somebody else may write, whatever has such a name is not ours.
        if self.dir().is_callers_alone()? {
            let alone = |dir: &Dir| removal::sweep(dir, is_leftover);
            swept = self.place.alone(alone)?.unwrap_or_default();
        }
        if let Some(reserved) = self.open_reserved()? {
            let alone = |dir: &Dir| removal::sweep(dir, is_leftover);
            swept.extend(reserved.alone(alone)?.unwrap_or_default());
        }
        Ok(swept)
    }
}

fn check_name(name: &OsStr) -> Result<(), ShelfError> {
    if is_plain_name(name) && name != RESERVED && !is_fresh(name, NEW_FILES) {
        Ok(())
    } else {
        Err(ShelfError::BadName { name: name.into() })
    }
}

//! Files that belong together, complete but not published: a directory under a name that only this
//! run knows.

use std::ffi::OsStr;
use std::fs::File;
use std::sync::Arc;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::Owner;
use crate::claim::{Claim, Place};
use crate::dir::{Dir, IoError, MakeError, is_plain_name};
use crate::entry::FileId;
use crate::removal::{Contents, remove_dir_of_files};
use crate::temporary::fresh;

/// Up to this many folders are synced one by one: their files take a few milliseconds, while a
/// sync of the file system would wait for everything that a database beside them has written.
pub(crate) const FEW: usize = 32;

/// A file to be made.
#[derive(Clone, Copy)]
pub struct NewFile<'a> {
    /// Its name, without any directory.
    pub name: &'a str,
    /// Its permission bits, exactly as they are to be: no umask applies.
    pub mode: u32,
    /// What is to be in it.
    pub bytes: &'a [u8],
}

/// Why files could not be staged or synced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The name is none that a file in a directory can have.
    #[error("{name:?} is not a file name")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// The directory could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl StageError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BadName { .. } => None,
            Self::Make(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

/// Staged files that may still be lost in a crash. Dropping it removes them.
#[derive(Debug)]
#[must_use = "dropping it removes the staged files"]
pub struct Staged(Staging);

/// Staged files that are on disk and can be published. Dropping it removes them.
#[derive(Debug)]
#[must_use = "dropping it removes the staged files"]
pub struct Synced(Staging);

impl Staged {
    /// Waits until these files are on disk.
    ///
    /// # Errors
    /// A system call failed; the staged files are removed.
    pub fn sync(self) -> Result<Synced, StageError> {
        self.0.sync()?;
        Ok(Synced(self.0))
    }
}

/// Waits until all of these are on disk: a few by themselves, many with their whole file system. Of a few each has a result of
/// its own: where somebody else may enter the shelf, a folder's owner can spoil what is staged for him.
///
/// # Errors
/// The file system could not be synced; all the staged files are removed.
pub fn sync_all(staged: Vec<Staged>) -> Result<Vec<Result<Synced, StageError>>, StageError> {
    if staged.len() <= FEW {
        return Ok(staged.into_iter().map(Staged::sync).collect());
    }
    let mut devices = Vec::new();
    for Staged(staging) in &staged {
        if !devices.contains(&staging.id.device) {
            staging.place.dir.sync_filesystem()?;
            devices.push(staging.id.device);
        }
    }
    Ok(staged
        .into_iter()
        .map(|Staged(staging)| Ok(Synced(staging)))
        .collect())
}

impl Synced {
    pub(crate) fn staging(&self) -> &Staging {
        &self.0
    }

    /// To be called when the directory has its final name: from then on it is not removed.
    pub(crate) fn published(mut self) {
        self.0.is_published = true;
    }
}

/// A staging directory. It holds no descriptor of its own: there may be ten thousand of them. The
/// device and inode numbers tell whether a name still means it.
#[derive(Debug)]
pub(crate) struct Staging {
    /// Let go of before the place, which goes with the last who uses it, if nobody stages there.
    _claim: Option<Arc<Claim>>,
    pub(crate) place: Arc<Place>,
    pub(crate) name: String,
    pub(crate) id: FileId,
    files: Vec<String>,
    is_published: bool,
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        let files: Vec<&str> = self.file_names().collect();
        // Nobody is left to tell; the next run's sweep tries again, and does tell.
        let _ = remove_dir_of_files(
            &self.place.dir,
            self.name.as_ref(),
            Some(self.id),
            Contents::Named(&files),
        );
    }
}

impl Staging {
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    fn sync(&self) -> Result<(), StageError> {
        let dir = self.open()?;
        let mut begun = Vec::with_capacity(self.files.len());
        for name in &self.files {
            let file = dir.open_file(name)?;
            begin_to_write(&file);
            begun.push((file, name));
        }
        for (file, name) in begun {
            dir.sync_file(&file, name)?;
        }
        Ok(dir.sync()?)
    }

    fn open(&self) -> Result<Dir, StageError> {
        let path = || self.place.dir.path().join(&self.name);
        let Some(dir) = self.place.dir.open_dir(&self.name)? else {
            return Err(IoError::new("open", &path(), nix::errno::Errno::ENOENT).into());
        };
        let seen = dir.entry()?;
        if seen.id != self.id {
            return Err(MakeError::Replaced {
                path: path(),
                owner: seen.owner,
                mode: seen.mode,
            }
            .into());
        }
        Ok(dir)
    }
}

/// Has the kernel begin to write a file, so that the disk has the next one to do while this one is waited for. PostgreSQL does
/// the same (`pg_flush_data` in its `fd.c`): who says that pages are not needed any more has them written.
fn begin_to_write(file: &File) {
    // Advice that is not taken costs time, and nothing else: the sync tells what went wrong.
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// Makes the files in a new directory and gives all to the owner: the directory last, so that
/// nobody else can touch what is in it before it is complete.
pub(crate) fn stage(
    place: &Arc<Place>,
    claim: Option<Arc<Claim>>,
    prefix: &str,
    files: &[NewFile<'_>],
    owner: Owner,
) -> Result<Staged, StageError> {
    if let Some(file) = files
        .iter()
        .find(|file| !is_plain_name(OsStr::new(file.name)))
    {
        return Err(StageError::BadName {
            name: file.name.into(),
        });
    }
    let name = fresh(prefix);
    let (dir, made) = place.dir.make_dir(&name, 0o700)?;
    let staged = Staged(Staging {
        _claim: claim,
        place: Arc::clone(place),
        name,
        id: made.id,
        files: files.iter().map(|file| file.name.into()).collect(),
        is_published: false,
    });
    for file in files {
        dir.create_file(file.name, file.mode, owner, file.bytes)?;
    }
    dir.set_owner(&made, owner)?;
    Ok(staged)
}

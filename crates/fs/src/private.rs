//! A directory that is the caller's alone: the home of an authority.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::dir::{Dir, IoError, MakeError, is_plain_name};
use crate::read::{Demands, open_in, read_in};
use crate::removal::{remove_tree, sweep};
use crate::temporary::{fresh, is_fresh};
use crate::walk::{self, check_private};
use crate::{Created, Lock, Owner, ReadError, Swept, WalkError};

const NEW_FILE: &str = ".new-";

/// What went wrong with a private directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// The directory is missing, a symbolic link, somebody else's, or open to others.
    #[error(transparent)]
    Directory(#[from] WalkError),
    /// Something already has the name.
    #[error("{} already exists", path.display())]
    AlreadyExists {
        /// What was to be made.
        path: PathBuf,
    },
    /// The name is none that something in a directory can have.
    #[error("{name:?} is not a file name")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// A directory could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl PrivateError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.hint(),
            Self::AlreadyExists { .. } => {
                Some("Nothing was changed: choose another place, or use what is there".into())
            }
            Self::BadName { .. } => None,
            Self::Make(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

/// An open directory, 0700 and the caller's.
#[derive(Debug)]
pub struct PrivateDir {
    dir: Dir,
}

impl PrivateDir {
    /// Opens a private directory at a canonical path.
    ///
    /// # Errors
    /// It is missing, a symbolic link, somebody else's, or open to others.
    pub fn open(path: &Path) -> Result<Self, PrivateError> {
        Self::checked(walk::open_path(path)?)
    }

    /// Begins a private directory that is to stand at a canonical path, and makes the directory
    /// above it if it is missing. It gets its name when it is committed. What inits that were
    /// killed left beside it is removed.
    ///
    /// # Errors
    /// Something stands there already, or a system call failed. Whatever was made is removed again.
    pub fn stage_new(path: &Path) -> Result<NewPrivateDir, PrivateError> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(WalkError::NotCanonical { path: path.into() }.into());
        };
        let (parent, created) = walk::prepare_any(above)?;
        match begin(&parent, name) {
            Ok(begun) => Ok(NewPrivateDir {
                parent,
                name: name.into(),
                begun,
                created: Some(created),
                is_committed: false,
            }),
            Err(error) => {
                created.undo();
                Err(error)
            }
        }
    }

    /// Removes what runs that were killed left of directories that were to stand at a canonical path. Writes nothing when
    /// there are none.
    ///
    /// # Errors
    /// The directory above is missing or cannot be listed, or a system call failed.
    pub fn remove_unfinished(path: &Path) -> Result<(), PrivateError> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(WalkError::NotCanonical { path: path.into() }.into());
        };
        Ok(remove_abandoned(
            &walk::open_path(above)?,
            &new_prefix(name),
        )?)
    }

    fn checked(dir: Dir) -> Result<Self, PrivateError> {
        check_private(&dir, Owner::caller())?;
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn into_dir(self) -> Dir {
        self.dir
    }

    /// The path it was opened by, for whoever must open something in it himself (a database).
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Reads a file of the caller's, at most `limit` bytes; nothing if there is none.
    ///
    /// # Errors
    /// It is no regular file, has a second name, or is not the caller's; it is larger; or a system
    /// call failed.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        read_in(
            &self.dir,
            name,
            limit,
            Demands {
                owner: Owner::caller(),
                secret: false,
            },
        )
    }

    /// [`PrivateDir::read`] for a key: refuses one that others have access to.
    ///
    /// # Errors
    /// As for [`PrivateDir::read`], and when the mode has bits for group or others.
    pub fn read_secret(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        read_in(
            &self.dir,
            name,
            limit,
            Demands {
                owner: Owner::caller(),
                secret: true,
            },
        )
    }

    /// Looks at a file that somebody else is going to open by its path, such as a database: whether
    /// it is there, and could be read with [`PrivateDir::read_secret`].
    ///
    /// # Errors
    /// As for [`PrivateDir::read_secret`].
    pub fn has_secret(&self, name: &str) -> Result<bool, ReadError> {
        let demands = Demands {
            owner: Owner::caller(),
            secret: true,
        };
        Ok(open_in(&self.dir, name, demands)?.is_some())
    }

    /// Opens a file for reading that [`PrivateDir::read_secret`] could read, of any length; with it,
    /// its length in bytes. Nothing if there is none.
    ///
    /// # Errors
    /// As for [`PrivateDir::read_secret`].
    pub fn open_secret(&self, name: &str) -> Result<Option<(std::fs::File, u64)>, ReadError> {
        let demands = Demands {
            owner: Owner::caller(),
            secret: true,
        };
        let opened = open_in(&self.dir, name, demands)?;
        Ok(opened.map(|(file, seen)| (file, seen.size)))
    }

    /// Makes a file with exactly this mode, whole and on disk.
    ///
    /// # Errors
    /// The name is taken, or a system call failed; then there is no such file.
    pub fn write_new(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), PrivateError> {
        let draft = self.draft(name, mode, bytes)?;
        match self.dir.rename_new(&draft.name, &self.dir, name) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::EEXIST) => {
                return Err(PrivateError::AlreadyExists {
                    path: self.path().join(name),
                });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(self.dir.sync().inspect_err(|_| {
            let _ = self.dir.remove_file(name);
        })?)
    }

    /// Makes a file with exactly this mode, in place of the one that has the name, if any. At every
    /// instant one of the two is there, whole.
    ///
    /// # Errors
    /// A system call failed; then the old one is there, unless it was the last sync.
    pub fn replace(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), PrivateError> {
        let draft = self.draft(name, mode, bytes)?;
        self.dir.rename(&draft.name, &self.dir, name)?;
        Ok(self.dir.sync()?)
    }

    fn draft(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<Draft<'_>, PrivateError> {
        check_name(name)?;
        let draft = Draft {
            dir: &self.dir,
            name: fresh(NEW_FILE),
        };
        let file = self
            .dir
            .create_file(&draft.name, mode, Owner::caller(), bytes)?;
        self.dir.sync_file(&file, &draft.name)?;
        Ok(draft)
    }

    /// Opens a private directory inside.
    ///
    /// # Errors
    /// It is missing, somebody else's, open to others, or no directory.
    pub fn subdir(&self, name: &str) -> Result<Self, PrivateError> {
        check_name(name)?;
        match self.dir.open_dir(name) {
            Ok(Some(dir)) => Self::checked(dir),
            Ok(None) => Err(WalkError::Missing {
                path: self.path().join(name),
            }
            .into()),
            Err(error) => Err(walk::explain(&self.dir, name.as_ref(), error).into()),
        }
    }

    /// Makes a private directory inside.
    ///
    /// # Errors
    /// The name is taken, or a system call failed.
    pub fn create_subdir(&self, name: &str) -> Result<Self, PrivateError> {
        check_name(name)?;
        if self.dir.look(name)?.is_some() {
            return Err(PrivateError::AlreadyExists {
                path: self.path().join(name),
            });
        }
        let (dir, _) = self.dir.make_dir(name, 0o700)?;
        self.dir.sync().inspect_err(|_| {
            let _ = self.dir.remove_dir(name);
        })?;
        Ok(Self { dir })
    }

    /// Removes the directory with all that is in it: a step after [`NewPrivateDir::commit`] failed.
    ///
    /// # Errors
    /// Something else has its name by now, or a system call failed.
    pub fn remove(self) -> Result<(), PrivateError> {
        let (Some(above), Some(name)) = (self.path().parent(), self.path().file_name()) else {
            return Err(WalkError::NotCanonical {
                path: self.path().into(),
            }
            .into());
        };
        let parent = walk::open_path(above)?;
        match parent.look(name)? {
            Some(seen) if seen.id == self.dir.entry()?.id => Ok(remove_tree(&parent, name)?),
            _ => Err(WalkError::Missing {
                path: self.path().into(),
            }
            .into()),
        }
    }

    /// Removes the drafts that killed runs left behind. Writes nothing when there are none. No
    /// other run may be active.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn sweep(&self) -> Result<Swept, PrivateError> {
        Ok(sweep(&self.dir, |name| is_fresh(name, NEW_FILE))?)
    }
}

/// A file that has no final name yet. Dropping it removes it; once renamed there is nothing to
/// remove.
struct Draft<'a> {
    dir: &'a Dir,
    name: String,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let _ = self.dir.remove_file(&self.name);
    }
}

/// A private directory that has no final name yet. Dropping it removes all that is in it, and the
/// directories above that were made for it.
#[derive(Debug)]
#[must_use = "dropping it removes it"]
pub struct NewPrivateDir {
    parent: Dir,
    name: OsString,
    begun: Begun,
    created: Option<Created>,
    is_committed: bool,
}

/// A private directory under a name for the time being.
#[derive(Debug)]
struct Begun {
    name: String,
    private: PrivateDir,
    /// Tells other inits that this one is alive: the kernel lets go of it when we die.
    alive: Lock,
}

impl NewPrivateDir {
    /// The directory, under its name for the time being.
    #[must_use]
    pub fn dir(&self) -> &PrivateDir {
        &self.begun.private
    }

    /// Gives the directory its name, in one step, and waits until that is on disk.
    ///
    /// # Errors
    /// Something has the name by now, or a system call failed; then nothing is left of it.
    pub fn commit(self) -> Result<PrivateDir, PrivateError> {
        Ok(self.commit_locked()?.0)
    }

    /// [`NewPrivateDir::commit`] for more to be done: nobody else can have its lock before that is
    /// dropped.
    ///
    /// # Errors
    /// Something has the name by now, or a system call failed; then nothing is left of it.
    pub fn commit_locked(mut self) -> Result<(PrivateDir, Lock), PrivateError> {
        let path = self.parent.path().join(&self.name);
        let dir = self.dir().dir();
        dir.sync()?;
        let committed = Dir::new(dir.reopen()?, path.clone());
        self.parent
            .rename_new_dir(&self.begun.name, &self.parent, &self.name)
            .map_err(|error| match error.errno() {
                Some(Errno::EEXIST) => PrivateError::AlreadyExists { path },
                _ => error.into(),
            })?;
        self.parent.sync().inspect_err(|_| {
            let _ = remove_tree(&self.parent, &self.name);
        })?;
        self.is_committed = true;
        let lock = self.begun.alive.hand_on();
        Ok((PrivateDir { dir: committed }, lock))
    }
}

impl Drop for NewPrivateDir {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        // The caller hears of the failure that led here, not of this one; the next init tries
        // again.
        let _ = remove_tree(&self.parent, self.begun.name.as_ref());
        if let Some(created) = self.created.take() {
            created.undo();
        }
    }
}

fn begin(parent: &Dir, name: &OsStr) -> Result<Begun, PrivateError> {
    if parent.look(name)?.is_some() {
        return Err(PrivateError::AlreadyExists {
            path: parent.path().join(name),
        });
    }
    let prefix = new_prefix(name);
    remove_abandoned(parent, &prefix)?;
    let name = fresh(&prefix);
    let (dir, _) = parent.make_dir(&name, 0o700)?;
    let locked = Lock::try_take(&dir)
        .and_then(|lock| lock.ok_or_else(|| IoError::new("lock", dir.path(), Errno::EWOULDBLOCK)));
    let alive = locked.inspect_err(|_| {
        let _ = parent.remove_dir(&name);
    })?;
    Ok(Begun {
        name,
        private: PrivateDir { dir },
        alive,
    })
}

/// What a directory is called on its way to its name, before the random part.
fn new_prefix(name: &OsStr) -> String {
    format!(".{}.new-", name.to_string_lossy())
}

/// Removes what killed inits left: a key may be in it. One that is still locked is alive.
fn remove_abandoned(parent: &Dir, prefix: &str) -> Result<(), IoError> {
    for name in parent.names()? {
        let name = name?;
        if !is_fresh(&name, prefix) {
            continue;
        }
        if let Ok(Some(dir)) = parent.open_dir(&name)
            && check_private(&dir, Owner::caller()).is_ok()
            && let Some(_abandoned) = Lock::try_take(&dir)?
        {
            remove_tree(parent, &name)?;
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), PrivateError> {
    if is_plain_name(OsStr::new(name)) {
        Ok(())
    } else {
        Err(PrivateError::BadName { name: name.into() })
    }
}

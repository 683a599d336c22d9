//! Plain folders, one for each client: `hand-over/alice/postgresql.crt` and so on. A folder can be
//! copied as it is, so there is no link in it. The folders stand on a shelf, which may be anybody's.
//!
//! `.pgpki.new-<random>` is being staged: on the shelf itself, or in `.pgpki` where somebody else may
//! write to the shelf. `.pgpki` is 0700 and the caller's; `alice/g0001` in it is what stood in alice's
//! folder before.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;

use crate::dir::{Dir, IoError, MakeError, is_plain_name};
use crate::entry::{Entry, FileId};
use crate::generation;
use crate::installation::generation_numbers;
use crate::read::{Demands, read_in};
use crate::removal::{self, Contents, remove_dir_of_files};
use crate::staging::{Place, StageError, Staging, stage};
use crate::temporary::is_fresh;
use crate::walk;
use crate::{Created, Kind, NewFile, Owner, Pruned, ReadError, Staged, Swept, Synced, WalkError};

const RESERVED: &str = ".pgpki";
const NEW_FILES: &str = ".pgpki.new-";

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
            Self::Stage(error) => error.hint(),
            Self::Make(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

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
    /// Whether a folder was replaced since the last settling.
    has_replaced: AtomicBool,
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
            place: Arc::new(Place {
                dir,
                remove_from: None,
            }),
            reserved: Mutex::new(None),
            has_replaced: AtomicBool::new(false),
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

    /// Makes the files of a folder, with their owner. They are not synced, and not to be seen.
    ///
    /// # Errors
    /// A system call failed, or `.pgpki` is somebody else's. Whatever was made is removed again.
    pub fn stage(&self, files: &[NewFile<'_>], owner: Owner) -> Result<Staged, ShelfError> {
        // A directory that somebody else may move is not safe from being swept in another's place.
        let place = match self.dir().is_callers_alone()? {
            true => Arc::clone(&self.place),
            false => self.make_reserved()?,
        };
        Ok(stage(&place, NEW_FILES, files, owner)?)
    }

    /// Gives the staged files the folder's name, in one step. An empty directory is replaced, a
    /// folder with something in it only with `replace`: it is then kept as a former generation,
    /// except for files that pgpki did not make, which move over. Returns those that could not.
    ///
    /// It is not on disk before [`Shelf::settle`], which is for many folders at once.
    ///
    /// # Errors
    /// The name is taken, or can be no folder's; the filesystem cannot swap folders; or a system
    /// call failed. Then everything is as it was.
    pub fn publish(
        &self,
        synced: Synced,
        name: &OsStr,
        replace: bool,
    ) -> Result<Vec<IoError>, ShelfError> {
        self.put(synced, name, replace.then_some(&[]))
    }

    /// [`Shelf::publish`] over a folder which pgpki may have made with other files: those with a name in `made` do not
    /// move over either.
    ///
    /// # Errors
    /// As there.
    pub fn publish_over(
        &self,
        synced: Synced,
        name: &OsStr,
        made: &[&str],
    ) -> Result<Vec<IoError>, ShelfError> {
        self.put(synced, name, Some(made))
    }

    fn put(
        &self,
        synced: Synced,
        name: &OsStr,
        replace: Option<&[&str]>,
    ) -> Result<Vec<IoError>, ShelfError> {
        check_name(name)?;
        let staging = synced.staging();
        let path = || self.path().join(name);
        match staging.place.dir.rename(&staging.name, self.dir(), name) {
            Ok(()) => {
                synced.published();
                Ok(Vec::new())
            }
            Err(error) => match error.errno() {
                Some(Errno::ENOTEMPTY | Errno::EEXIST) => match replace {
                    Some(made) => self.replace(synced, name, made),
                    None => Err(ShelfError::Occupied { path: path() }),
                },
                Some(Errno::ENOTDIR) => Err(self.in_the_way(name, error)),
                _ => Err(error.into()),
            },
        }
    }

    /// Waits until everything published so far is on disk.
    ///
    /// # Errors
    /// A system call failed.
    pub fn settle(&self) -> Result<(), ShelfError> {
        if self.has_replaced.swap(false, Ordering::Relaxed) {
            // Every folder replaced has changed a directory of its own in `.pgpki` as well.
            return Ok(self.dir().sync_filesystem()?);
        }
        // The name that a folder was staged under may come back in a crash: then it is swept.
        Ok(self.dir().sync()?)
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

    /// Removes the oldest former generations of a folder, so that `keep` are left with the live
    /// one. Only `files` are removed: with anything else in it, a generation stays and is reported.
    ///
    /// # Errors
    /// The name can be no folder's, or it cannot be told which generations there are.
    pub fn prune(&self, name: &OsStr, keep: usize, files: &[&str]) -> Result<Pruned, ShelfError> {
        check_name(name)?;
        let mut pruned = Pruned::default();
        let Some(reserved) = self.open_reserved()? else {
            return Ok(pruned);
        };
        let Some(former) = reserved.dir.open_dir(name)? else {
            return Ok(pruned);
        };
        let mut numbers = generation_numbers(&former)?;
        numbers.sort_unstable();
        let excess = numbers.len().saturating_sub(keep.saturating_sub(1));
        for number in numbers.into_iter().take(excess) {
            let generation = generation::name(number);
            match remove_dir_of_files(&former, generation.as_ref(), None, Contents::Named(files)) {
                Ok(()) => pruned.removed.push(number),
                Err(error) => pruned.left.push(error),
            }
        }
        // Fails when some are left, as it should.
        let _ = reserved.dir.remove_dir(name);
        Ok(pruned)
    }

    /// Moves a user's own files, which are all but `files`, from former generations to the folder:
    /// a run that was killed while it replaced the folder has left them there. Returns those that
    /// could not be moved. Writes nothing when there is nothing. No other run may be active.
    ///
    /// # Errors
    /// The name can be no folder's, or it cannot be told which generations there are.
    pub fn bring_back(&self, name: &OsStr, files: &[&str]) -> Result<Vec<IoError>, ShelfError> {
        check_name(name)?;
        let Some(reserved) = self.open_reserved()? else {
            return Ok(Vec::new());
        };
        let Some(former) = reserved.dir.open_dir(name)? else {
            return Ok(Vec::new());
        };
        let Some(live) = self.dir().open_dir(name)? else {
            return Ok(Vec::new());
        };
        let mut numbers = generation_numbers(&former)?;
        numbers.sort_unstable();
        let mut left = Vec::new();
        // Of two files with one name, the newer one goes back.
        for number in numbers.into_iter().rev() {
            let Some(old) = former.open_dir(generation::name(number))? else {
                continue;
            };
            for file in own_files(&old, |name| files.iter().any(|made| name == *made))? {
                left.extend(old.rename_new(&file, &live, &file).err());
            }
        }
        Ok(left)
    }

    /// Whether nobody but the caller can put folders here.
    ///
    /// # Errors
    /// A system call failed.
    pub fn is_callers_alone(&self) -> Result<bool, ShelfError> {
        Ok(self.dir().is_callers_alone()?)
    }

    /// Removes what killed runs left. Writes nothing when there is nothing. No other run may be active.
    ///
    /// # Errors
    /// `.pgpki` is somebody else's, or a directory cannot be listed.
    pub fn sweep(&self) -> Result<Swept, ShelfError> {
        let is_leftover = |name: &OsStr| is_fresh(name, NEW_FILES);
        let mut swept = Swept::default();
        // Where somebody else may write, whatever has such a name is not ours.
        if self.dir().is_callers_alone()? {
            swept = removal::sweep(self.dir(), is_leftover)?;
        }
        if let Some(reserved) = self.open_reserved()? {
            swept.extend(removal::sweep(&reserved.dir, is_leftover)?);
        }
        Ok(swept)
    }
}

/// `.pgpki`.
impl Shelf {
    fn open_reserved(&self) -> Result<Option<Arc<Place>>, ShelfError> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if reserved.is_none() {
            *reserved = self.find_reserved()?.map(|dir| self.share(dir));
        }
        Ok(reserved.clone())
    }

    fn make_reserved(&self) -> Result<Arc<Place>, ShelfError> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = &*reserved {
            return Ok(Arc::clone(place));
        }
        let dir = match self.find_reserved()? {
            Some(dir) => dir,
            None => self.dir().make_dir(RESERVED, 0o700)?.0,
        };
        let place = self.share(dir);
        *reserved = Some(Arc::clone(&place));
        Ok(place)
    }

    fn share(&self, dir: Dir) -> Arc<Place> {
        Arc::new(Place {
            dir,
            remove_from: Some((Arc::clone(&self.place), RESERVED)),
        })
    }

    fn find_reserved(&self) -> Result<Option<Dir>, ShelfError> {
        let taken = |seen: &Entry| ShelfError::ReservedTaken {
            path: self.path().join(RESERVED),
            kind: seen.kind,
            owner: seen.owner,
            mode: seen.mode,
        };
        let dir = match self.dir().open_dir(RESERVED) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(None),
            Err(error) => {
                return Err(self
                    .dir()
                    .look(RESERVED)?
                    .map_or(error.into(), |seen| taken(&seen)));
            }
        };
        let seen = dir.entry()?;
        if seen.owner.uid != Owner::caller().uid || seen.is_open_to_others() {
            return Err(taken(&seen));
        }
        Ok(Some(dir))
    }
}

/// Replacing a folder.
impl Shelf {
    /// Puts the new folder where the former one is to be kept, then swaps the two: so there is no
    /// instant at which the former one has a name that the next run would sweep. A run killed
    /// between the two leaves a complete set that was never live among the former ones.
    fn replace(
        &self,
        synced: Synced,
        name: &OsStr,
        made: &[&str],
    ) -> Result<Vec<IoError>, ShelfError> {
        let staging = synced.staging();
        let reserved = self.make_reserved()?;
        let former = match reserved.dir.open_dir(name)? {
            Some(former) => former,
            None => reserved.dir.make_dir(name, 0o700)?.0,
        };
        let swapped = self.swap(staging, &former, name);
        let slot = swapped.inspect_err(|_| {
            // Fails when something is in it, as it should.
            let _ = reserved.dir.remove_dir(name);
        })?;
        self.has_replaced.store(true, Ordering::Relaxed);
        let made: Vec<&str> = staging.file_names().chain(made.iter().copied()).collect();
        let left = self.move_over(&made, &former, &slot, name);
        synced.published();
        Ok(left)
    }

    /// Swaps the staged folder with the one on the shelf, and returns the name of the former one.
    fn swap(&self, staging: &Staging, former: &Dir, name: &OsStr) -> Result<String, ShelfError> {
        let highest = generation_numbers(former)?.into_iter().max().unwrap_or(0);
        let slot = generation::name(highest.saturating_add(1));
        staging.place.dir.rename(&staging.name, former, &slot)?;
        let swapped = self.exchange_folders(former, &slot, name);
        if swapped.is_err() && is_directory(former, &slot, staging.id) {
            // Under its old name it is removed when `staging` is dropped.
            let _ = former.rename(&slot, &staging.place.dir, &staging.name);
        }
        swapped.map(|()| slot)
    }

    fn exchange_folders(&self, former: &Dir, slot: &str, name: &OsStr) -> Result<(), ShelfError> {
        former
            .exchange(slot, self.dir(), name)
            .map_err(|error| match error.errno() {
                Some(Errno::EINVAL) => ShelfError::NoExchange {
                    path: self.path().join(name),
                },
                _ => error.into(),
            })?;
        // The shelf's owner may have put something else there in between.
        let error = match former.look(slot) {
            Ok(Some(seen)) if seen.kind != Kind::Directory => ShelfError::InTheWay {
                path: self.path().join(name),
                kind: seen.kind,
            },
            Ok(_) => return Ok(()),
            Err(error) => error.into(),
        };
        former.exchange(slot, self.dir(), name)?;
        Err(error)
    }

    /// Moves what pgpki did not make from the former folder to the new one. Returns what stays
    /// behind: the new folder is published, so nothing here can fail it any more.
    fn move_over(&self, made: &[&str], former: &Dir, slot: &str, name: &OsStr) -> Vec<IoError> {
        let moved = open_former(former, slot).and_then(|old| {
            let own = own_files(&old, |name| made.iter().any(|made| name == *made))?;
            if own.is_empty() {
                return Ok(Vec::new());
            }
            // On a filesystem that does not keep the order, a crash must not undo the swap and
            // keep the move.
            former.sync()?;
            self.dir().sync()?;
            let Some(new) = self.dir().open_dir(name)? else {
                return Err(IoError::new("open", &self.path().join(name), Errno::ENOENT));
            };
            Ok(own
                .iter()
                .filter_map(|file| old.rename_new(file, &new, file).err())
                .collect())
        });
        moved.unwrap_or_else(|error| vec![error])
    }

    fn in_the_way(&self, name: &OsStr, error: IoError) -> ShelfError {
        match self.dir().kind_of(name) {
            Some(kind) if kind != Kind::Directory => ShelfError::InTheWay {
                path: self.path().join(name),
                kind,
            },
            _ => error.into(),
        }
    }
}

fn open_former(former: &Dir, slot: &str) -> Result<Dir, IoError> {
    let missing = || IoError::new("open", &former.path().join(slot), Errno::ENOENT);
    former.open_dir(slot)?.ok_or_else(missing)
}

/// What pgpki did not make.
fn own_files(folder: &Dir, is_made: impl Fn(&OsStr) -> bool) -> Result<Vec<OsString>, IoError> {
    let mut own = Vec::new();
    for name in folder.names()? {
        let name = name?;
        if !is_made(&name) {
            own.push(name);
        }
    }
    Ok(own)
}

/// Whether a name means this very directory.
fn is_directory(parent: &Dir, name: &str, id: FileId) -> bool {
    matches!(parent.look(name), Ok(Some(seen)) if seen.id == id)
}

fn check_name(name: &OsStr) -> Result<(), ShelfError> {
    if is_plain_name(name) && name != RESERVED && !is_fresh(name, NEW_FILES) {
        Ok(())
    } else {
        Err(ShelfError::BadName { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// The shelf's owner puts a link where the folder was, just before it is replaced.
    #[test]
    fn what_is_no_folder_any_more_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap();
        let shelf = Shelf::open(&path).unwrap();
        let file = NewFile {
            name: "a.key",
            mode: 0o600,
            bytes: b"",
        };
        let synced = shelf
            .stage(&[file], Owner::caller())
            .unwrap()
            .sync()
            .unwrap();
        symlink("/etc", path.join("alice")).unwrap();
        let refused = shelf.replace(synced, "alice".as_ref(), &[]);
        assert!(matches!(
            refused,
            Err(ShelfError::InTheWay {
                kind: Kind::Symlink,
                ..
            })
        ));
        assert_eq!(
            fs::read_link(path.join("alice")).unwrap(),
            Path::new("/etc")
        );
        drop(shelf);
        assert!(
            !path.join(".pgpki").exists(),
            "nothing of the new folder stays"
        );
    }
}

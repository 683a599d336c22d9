//! Making a folder, and putting it in the place of the one before it.

use std::ffi::OsStr;
use std::mem;
use std::sync::{Arc, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::former::{open_former, own_files};
use super::{Changed, NEW_FILES, Shelf, ShelfError, check_name};
use crate::dir::{Dir, IoError};
use crate::entry::FileId;
use crate::generation;
use crate::installation::generation_numbers;
use crate::staging::{FEW, Staging, stage};
use crate::{Kind, NewFile, Owner, Staged, Synced};

impl Shelf {
    /// Makes the files of a folder, with their owner. They are not synced, and not to be seen.
    ///
    /// # Errors
    /// A system call failed, or `.pgpki` is somebody else's. Whatever was made is removed again.
    pub fn stage(&self, files: &[NewFile<'_>], owner: Owner) -> Result<Staged, ShelfError> {
        // A directory that somebody else may move is not safe from being swept in another's place.
        let claim = match self.dir().is_callers_alone()? {
            true => self.place.claim()?,
            false => None,
        };
        let (claim, place) = match claim {
            Some(claim) => (claim, Arc::clone(&self.place)),
            // Whoever may read the shelf may lock it for ever. Nobody else comes into `.pgpki`.
            None => self.make_reserved()?,
        };
        Ok(stage(&place, Some(claim), NEW_FILES, files, owner)?)
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
        let Changed { dirs, failed } = mem::take(&mut *self.changed());
        if let Some(error) = failed {
            return Err(error.into());
        }
        if dirs.len() > FEW {
            return Ok(self.dir().sync_filesystem()?);
        }
        for dir in &dirs {
            dir.sync()?;
        }
        let reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reserved) = &*reserved {
            // Where a file system without a journal kept it, the name that a folder was staged under would mean the folder.
            reserved.dir.sync()?;
        }
        Ok(self.dir().sync()?)
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
        let (_claim, reserved) = self.make_reserved()?;
        let former = match reserved.dir.open_dir(name)? {
            Some(former) => former,
            None => reserved.dir.make_dir(name, 0o700)?.0,
        };
        let swapped = self.swap(staging, &former, name);
        let slot = swapped.inspect_err(|_| {
            // Fails when something is in it, as it should.
            let _ = reserved.dir.remove_dir(name);
        })?;
        let made: Vec<&str> = staging.file_names().chain(made.iter().copied()).collect();
        let left = self.move_over(&made, &former, &slot, name);
        self.sync_later([former]);
        synced.published();
        Ok(left)
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_later(&self, dirs: impl IntoIterator<Item = Dir>) {
        let changed = &mut self.changed().dirs;
        // With more than few it is their file system that is synced: no need for their descriptors.
        if changed.len() <= FEW {
            changed.extend(dirs);
        }
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
            let synced = former.sync().and_then(|()| self.dir().sync());
            if let Err(error) = synced {
                // The kernel tells it once, and would tell settle nothing.
                self.changed().failed.get_or_insert(error);
                return Ok(Vec::new());
            }
            let Some(new) = self.dir().open_dir(name)? else {
                return Err(IoError::new("open", &self.path().join(name), Errno::ENOENT));
            };
            let left = own
                .iter()
                .filter_map(|file| old.rename_new(file, &new, file).err())
                .collect();
            self.sync_later([new, old]);
            Ok(left)
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

/// Whether a name means this very directory.
fn is_directory(parent: &Dir, name: &str, id: FileId) -> bool {
    matches!(parent.look(name), Ok(Some(seen)) if seen.id == id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

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

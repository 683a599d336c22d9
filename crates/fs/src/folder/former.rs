//! What stood in a folder before: generations in `.pgpki/<folder>`.

use std::ffi::{OsStr, OsString};

use nix::errno::Errno;

use super::{Shelf, ShelfError, check_name};
use crate::dir::{Dir, IoError};
use crate::generation;
use crate::installation::generation_numbers;
use crate::removal::{Contents, Pruned, remove_dir_of_files};

impl Shelf {
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
            let own = own_files(&old, |name| files.iter().any(|made| name == *made))?;
            if own.is_empty() {
                continue;
            }
            for file in own {
                left.extend(old.rename_new(&file, &live, &file).err());
            }
            // In this order: a crash may keep a file in both, and must not take it from both.
            live.sync()?;
            old.sync()?;
        }
        Ok(left)
    }
}

pub(super) fn open_former(former: &Dir, slot: &str) -> Result<Dir, IoError> {
    let missing = || IoError::new("open", &former.path().join(slot), Errno::ENOENT);
    former.open_dir(slot)?.ok_or_else(missing)
}

/// What pgpki did not make.
pub(super) fn own_files(
    folder: &Dir,
    is_made: impl Fn(&OsStr) -> bool,
) -> Result<Vec<OsString>, IoError> {
    let mut own = Vec::new();
    for name in folder.names()? {
        let name = name?;
        if !is_made(&name) {
            own.push(name);
        }
    }
    Ok(own)
}

//! Removing directories by handle, so that nothing outside them can be reached.

use std::ffi::OsStr;

use nix::errno::Errno;

use crate::dir::{Dir, IoError};
use crate::entry::FileId;

/// What pruning did.
#[derive(Debug, Default)]
#[must_use = "it tells what is left over"]
pub struct Pruned {
    /// The generations that are gone, oldest first.
    pub removed: Vec<u32>,
    /// What could not be removed, and why: mostly a directory that somebody put there.
    pub left: Vec<IoError>,
}

/// What sweeping up after killed runs did.
#[derive(Debug, Default)]
#[must_use = "it tells what is left over"]
pub struct Swept {
    /// How many leftovers are gone.
    pub removed: usize,
    /// What could not be removed, and why.
    pub left: Vec<IoError>,
}

impl Swept {
    pub(crate) fn extend(&mut self, other: Self) {
        self.removed += other.removed;
        self.left.extend(other.left);
    }
}

/// Which files of a directory go with it.
#[derive(Clone, Copy)]
pub(crate) enum Contents<'a> {
    /// All that are no directories.
    Files,
    /// These. Anything else is a user's own.
    Named(&'a [&'a str]),
}

/// Removes a directory with the files in it. What is in a directory inside it is never touched:
/// then it stays, and the error says so. `only` is the directory that is meant, if another may
/// have taken its name.
pub(crate) fn remove_dir_of_files(
    parent: &Dir,
    name: &OsStr,
    only: Option<FileId>,
    contents: Contents<'_>,
) -> Result<(), IoError> {
    let Some(dir) = parent.open_dir(name)? else {
        return Ok(());
    };
    if let Some(id) = only
        && dir.entry()?.id != id
    {
        return Err(IoError::new("remove", dir.path(), Errno::ESTALE));
    }
    match contents {
        Contents::Named(names) => {
            for name in names {
                remove_if_file(&dir, name.as_ref())?;
            }
        }
        Contents::Files => {
            for name in dir.names()? {
                remove_if_file(&dir, &name?)?;
            }
        }
    }
    parent.remove_dir(name)
}

fn remove_if_file(dir: &Dir, name: &OsStr) -> Result<(), IoError> {
    match dir.remove_file(name) {
        Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::EISDIR)) => Ok(()),
        done => done,
    }
}

/// Removes a leftover of a killed run, whatever it is.
pub(crate) fn remove_leftover(parent: &Dir, name: &OsStr) -> Result<(), IoError> {
    match parent.remove_file(name) {
        Err(error) if error.errno() == Some(Errno::EISDIR) => {
            remove_dir_of_files(parent, name, None, Contents::Files)
        }
        done => done,
    }
}

/// Removes a directory with all that is below it. Only for what is the caller's own.
pub(crate) fn remove_tree(parent: &Dir, name: &OsStr) -> Result<(), IoError> {
    if let Some(dir) = parent.open_dir(name)? {
        for name in dir.names()? {
            let name = name?;
            match dir.remove_file(&name) {
                Err(error) if error.errno() == Some(Errno::EISDIR) => remove_tree(&dir, &name)?,
                done => done?,
            }
        }
    }
    parent.remove_dir(name)
}

/// Removes everything in a directory whose name says that a killed run left it.
pub(crate) fn sweep(dir: &Dir, is_leftover: impl Fn(&OsStr) -> bool) -> Result<Swept, IoError> {
    let mut swept = Swept::default();
    for name in dir.names()? {
        let name = name?;
        if !is_leftover(&name) {
            continue;
        }
        match remove_leftover(dir, &name) {
            Ok(()) => swept.removed += 1,
            Err(error) => swept.left.push(error),
        }
    }
    Ok(swept)
}

//! A configuration file of somebody else's: changed as a whole, in one step, with its owner and
//! mode.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dir::{Dir, IoError};
use crate::read::{Demands, read_in};
use crate::temporary::{fresh, is_fresh};
use crate::walk::{self, WalkError};
use crate::{Kind, MakeError, Owner, ReadError};

/// PostgreSQL's `include_dir` passes over names that begin with a dot.
const NEW_TEXT: &str = ".pgpki-new-";

/// A text that stands, or is to stand, under a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub owner: Owner,
    /// Its permission bits.
    pub mode: u32,
}

/// The bytes may be anybody's, and long.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.bytes.len();
        write!(
            f,
            "{length} bytes of {} with mode {:o}",
            self.owner, self.mode
        )
    }
}

/// Why a text could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The path has no directory or no name.
    #[error("{} is not the path of a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// It is not what it was when it was read.
    #[error("{} was changed by somebody else meanwhile", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] WalkError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new text could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl TextError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAFile { .. } => None,
            Self::Changed { .. } => Some("Nothing was overwritten: run it again".to_owned()),
            Self::Directory(error) => error.hint(),
            Self::Read(error) => error.hint(),
            Self::Make(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

impl Text {
    /// The text under a canonical path, at most `limit` bytes; nothing if nothing stands there.
    ///
    /// # Errors
    /// It is no regular file, has a second name, is larger, or a system call failed.
    pub fn read(path: &Path, limit: u64) -> Result<Option<Self>, TextError> {
        let (dir, name) = open(path)?;
        read(&dir, name, limit)
    }

    /// Puts `after` in the place of `before`, in one step, and waits until it is on disk; nothing
    /// stands for a file that is not there. A leftover of a run that was killed is removed.
    ///
    /// # Errors
    /// What stands there is not `before`, or a system call failed; then it is what it was.
    pub fn exchange(
        path: &Path,
        before: Option<&Self>,
        after: Option<&Self>,
    ) -> Result<(), TextError> {
        let (dir, name) = open(path)?;
        sweep(&dir)?;
        let limit = before.map_or(0, |text| text.bytes.len() as u64);
        let is_as_before = match read(&dir, name, limit) {
            Ok(found) => found.as_ref() == before,
            Err(TextError::Read(ReadError::TooLarge { .. })) => false,
            Err(error) => return Err(error),
        };
        if !is_as_before {
            let path = path.to_owned();
            return Err(TextError::Changed { path });
        }
        match after {
            Some(after) => after.put(&dir, name)?,
            None if before.is_some() => dir.remove_file(name)?,
            None => {}
        }
        Ok(dir.sync()?)
    }

    fn put(&self, dir: &Dir, name: &str) -> Result<(), TextError> {
        let new = fresh(NEW_TEXT);
        let put = || {
            let file = dir.create_file(&new, self.mode, self.owner, &self.bytes)?;
            dir.sync_file(&file, &new)?;
            dir.rename(&new, dir, name)
        };
        put().inspect_err(|_| {
            // The next run removes it.
            let _ = dir.remove_file(&new);
        })?;
        Ok(())
    }
}

fn open(path: &Path) -> Result<(Dir, &str), TextError> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(above), Some(name)) => Ok((walk::open_path(above)?, name)),
        _ => Err(TextError::NotAFile { path: path.into() }),
    }
}

fn read(dir: &Dir, name: &str, limit: u64) -> Result<Option<Text>, TextError> {
    let Some(seen) = dir.look(name)? else {
        return Ok(None);
    };
    if seen.kind != Kind::File {
        let path = dir.path().join(name);
        let kind = seen.kind;
        return Err(ReadError::NotAFile { path, kind }.into());
    }
    let demands = Demands {
        owner: seen.owner,
        secret: false,
    };
    let bytes = read_in(dir, name, limit, demands)?;
    Ok(bytes.map(|bytes| Text {
        bytes,
        owner: seen.owner,
        mode: seen.mode,
    }))
}

fn sweep(dir: &Dir) -> Result<(), IoError> {
    for name in dir.names()? {
        let name = name?;
        if is_fresh(&name, NEW_TEXT) {
            dir.remove_file(&name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn text(bytes: &str, mode: u32) -> Text {
        Text {
            bytes: bytes.into(),
            owner: Owner::caller(),
            mode,
        }
    }

    #[test]
    fn a_text_is_exchanged_with_its_mode_and_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("a.conf");
        let (one, two) = (text("one", 0o640), text("two", 0o640));
        Text::exchange(&path, None, Some(&one)).unwrap();
        assert_eq!(Text::read(&path, 10).unwrap().as_ref(), Some(&one));
        fs::write(dir.path().join(".pgpki-new-0123456789abcdef"), "").unwrap();
        Text::exchange(&path, Some(&one), Some(&two)).unwrap();
        assert_eq!(Text::read(&path, 10).unwrap().as_ref(), Some(&two));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a leftover");
        Text::exchange(&path, Some(&two), None).unwrap();
        assert!(Text::read(&path, 10).unwrap().is_none());
    }

    #[test]
    fn what_somebody_else_has_changed_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("a.conf");
        let one = text("one", 0o644);
        for (there, expected) in [
            (Some("longer"), Some(&one)),
            (Some("one"), None),
            (None, Some(&one)),
        ] {
            let _ = fs::remove_file(&path);
            if let Some(there) = there {
                fs::write(&path, there).unwrap();
            }
            let refused = Text::exchange(&path, expected, Some(&text("two", 0o644)));
            assert!(
                matches!(refused, Err(TextError::Changed { .. })),
                "{refused:?}"
            );
            let now = fs::read(&path).ok();
            assert_eq!(now, there.map(|text| text.as_bytes().to_vec()));
        }
        fs::write(dir.path().join("target"), "x").unwrap();
        symlink("target", &path).unwrap();
        Text::exchange(&path, None, Some(&one)).unwrap_err();
        assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"x");
    }
}

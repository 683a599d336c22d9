//! Reading a file that somebody else may have put there: never more than asked for, never waiting,
//! never through a link that was planted.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

use crate::dir::{Dir, IoError, is_plain_name};
use crate::entry::Entry;
use crate::{Kind, Owner, shell_word};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing stands there.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// Something else than a regular file.
    #[error("{} is {kind}, not a file", path.display())]
    NotAFile {
        /// What was to be read.
        path: PathBuf,
        /// What stands there.
        kind: Kind,
    },
    /// More than anything of its kind can have.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that was to be read, in bytes.
        limit: u64,
    },
    /// The file has a second name, under which it may be somebody else's secret.
    #[error("{} is a hard link: the file has {links} names", path.display())]
    HardLink {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The file belongs to somebody else.
    #[error("{} belongs to {seen}, not to {expected}", path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Whose it should be.
        expected: Owner,
        /// Whose it is.
        seen: Owner,
    },
    /// Others than the owner can read or write a secret.
    #[error("{} is a secret, and open to others than its owner: its mode is {mode:04o}", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The name is none that a file in a directory can have.
    #[error("{name:?} is not a file name")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ReadError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::HardLink { path, .. } => Some(format!(
                "Replace it by a copy of its own, if it is the right file: cp --remove-destination -p FILE {}",
                shell_word(path)
            )),
            Self::WrongOwner { path, expected, .. } => Some(format!(
                "If it is the right file: chown {expected} {}",
                shell_word(path)
            )),
            Self::TooOpen { path, .. } => Some(format!(
                "chmod 0600 {}, and take the key for known to others",
                shell_word(path)
            )),
            Self::Io(error) => error.hint(),
            Self::NotFound { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::BadName { .. } => None,
        }
    }
}

/// Reads a file that the user named: a request, a certificate, a passphrase. Symbolic links are
/// followed, since he may read what they lead to.
///
/// # Errors
/// No such file, something else than a regular file (a FIFO does not block), more than `limit`
/// bytes, or a system call that failed.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (file, seen) = open_named(path)?;
    read_whole(&file, path, &seen, limit)
}

/// Opens a file that the user named, for whoever reads it piece by piece. Otherwise as
/// [`read_bounded`].
///
/// # Errors
/// As for [`read_bounded`], whatever its length.
pub fn open_file(path: &Path) -> Result<File, ReadError> {
    Ok(open_named(path)?.0)
}

fn open_named(path: &Path) -> Result<(File, Entry), ReadError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Ok(fd) => {
            let file = File::from(fd);
            let seen = examine(&file, path)?;
            Ok((file, seen))
        }
        Err(Errno::ENOENT) => Err(ReadError::NotFound { path: path.into() }),
        // What open(2) says of a socket.
        Err(Errno::ENXIO) => Err(ReadError::NotAFile {
            path: path.into(),
            kind: Kind::Socket,
        }),
        Err(errno) => Err(IoError::new("open", path, errno).into()),
    }
}

/// What a file in a directory must be, besides a regular file with one name.
#[derive(Clone, Copy)]
pub(crate) struct Demands {
    pub(crate) owner: Owner,
    /// Nobody but the owner may have access.
    pub(crate) secret: bool,
}

/// Reads a file in a directory, at most `limit` bytes; nothing if there is none.
pub(crate) fn read_in(
    dir: &Dir,
    name: &str,
    limit: u64,
    demands: Demands,
) -> Result<Option<Vec<u8>>, ReadError> {
    match open_in(dir, name, demands)? {
        None => Ok(None),
        Some((file, seen)) => read_whole(&file, &dir.path().join(name), &seen, limit).map(Some),
    }
}

/// Opens a file that meets the demands; nothing if there is none.
pub(crate) fn open_in(
    dir: &Dir,
    name: &str,
    demands: Demands,
) -> Result<Option<(File, Entry)>, ReadError> {
    if !is_plain_name(OsStr::new(name)) {
        return Err(ReadError::BadName { name: name.into() });
    }
    let path = dir.path().join(name);
    let file = match dir.open_file(name) {
        Ok(file) => file,
        Err(error) => {
            return match (error.errno(), dir.kind_of(name)) {
                (Some(Errno::ENOENT), _) => Ok(None),
                (_, Some(kind)) if kind != Kind::File => Err(ReadError::NotAFile { path, kind }),
                _ => Err(error.into()),
            };
        }
    };
    let seen = examine(&file, &path)?;
    if seen.links != 1 {
        return Err(ReadError::HardLink {
            path,
            links: seen.links,
        });
    }
    if seen.owner.uid != demands.owner.uid {
        return Err(ReadError::WrongOwner {
            path,
            expected: demands.owner,
            seen: seen.owner,
        });
    }
    if demands.secret && seen.is_open_to_others() {
        return Err(ReadError::TooOpen {
            path,
            mode: seen.mode,
        });
    }
    Ok(Some((file, seen)))
}

fn examine(file: &File, path: &Path) -> Result<Entry, ReadError> {
    let seen = Entry::from(fstat(file).map_err(|errno| IoError::new("examine", path, errno))?);
    match seen.kind {
        Kind::File => Ok(seen),
        kind => Err(ReadError::NotAFile {
            path: path.into(),
            kind,
        }),
    }
}

fn read_whole(file: &File, path: &Path, seen: &Entry, limit: u64) -> Result<Vec<u8>, ReadError> {
    let too_large = || ReadError::TooLarge {
        path: path.into(),
        limit,
    };
    if seen.size > limit {
        return Err(too_large());
    }
    // Room for everything at once: a buffer that grows leaves copies of a key behind in memory.
    let mut bytes =
        Vec::with_capacity(usize::try_from(seen.size).map_or(0, |size| size.saturating_add(1)));
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|source| IoError::new("read", path, source))?;
    // A file may grow while it is read, and those in /proc have no size at all.
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

//! From an absolute path to an open directory, following no symbolic link and making what is
//! missing.
//!
//! The path is walked one component at a time with `O_NOFOLLOW`. openat2(2) would do it in one
//! call, but is missing from RHEL 8's kernel and forbidden in older containers, and a walk is
//! needed for making directories anyway.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::dir::{Dir, IoError, MakeError};
use crate::entry::{Entry, FileId};
use crate::{Kind, Owner, shell_word};

/// Why a path does not lead to a directory that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// The path is relative, or has `..` in it.
    #[error("{} is not an absolute path without `..`", path.display())]
    NotCanonical {
        /// The path as given.
        path: PathBuf,
    },
    /// Nothing stands there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The first component that is missing.
        path: PathBuf,
    },
    /// A component is something else than a directory.
    #[error("{} is {kind}, not a directory", path.display())]
    NotADirectory {
        /// The component.
        path: PathBuf,
        /// What stands there.
        kind: Kind,
    },
    /// A symbolic link in a place where somebody else could have put it, to lead root astray.
    #[error("{} is a symbolic link that somebody else may have put there", path.display())]
    UntrustedLink {
        /// The link.
        path: PathBuf,
    },
    /// Symbolic links that lead to one another.
    #[error("{} leads through too many symbolic links", path.display())]
    LinkLoop {
        /// The path as given.
        path: PathBuf,
    },
    /// The directory belongs to somebody else.
    #[error("{} belongs to {seen}, not to {expected}", path.display())]
    WrongOwner {
        /// The directory.
        path: PathBuf,
        /// Whose it should be.
        expected: Owner,
        /// Whose it is.
        seen: Owner,
    },
    /// Others than the owner have access to the directory.
    #[error("{} is open to others than its owner: its mode is {mode:04o}", path.display())]
    TooOpen {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl WalkError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotCanonical { .. } => Some("Give the path from / down".into()),
            Self::Missing { .. } | Self::LinkLoop { .. } => None,
            Self::NotADirectory {
                kind: Kind::Symlink,
                ..
            } => {
                Some("Symbolic links are not followed here: give the path that it leads to".into())
            }
            Self::NotADirectory { .. } => Some("Move it away, or choose another path".into()),
            Self::UntrustedLink { .. } => {
                Some("Give the path that it leads to, if that is the one meant".into())
            }
            Self::WrongOwner { path, expected, .. } => Some(format!(
                "If it is the right directory: chown {expected} {path}; otherwise choose another path",
                path = shell_word(path)
            )),
            Self::TooOpen { path, .. } => Some(format!("chmod 0700 {}", shell_word(path))),
            Self::Make(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

/// What [`crate::Installation::prepare`] and its like made or took over on the way, so that a run
/// that fails later can put it back. Dropping it keeps everything.
#[derive(Debug, Default)]
#[must_use = "a run that fails later should undo it"]
pub struct Created {
    made: Vec<Made>,
    adopted: Option<Adopted>,
}

#[derive(Debug)]
struct Made {
    parent: Dir,
    name: OsString,
    id: FileId,
}

#[derive(Debug)]
struct Adopted {
    dir: Dir,
    before: Entry,
}

impl Created {
    /// Removes the directories that were made, deepest first, unless something is in them, and
    /// gives back one that was taken over. Returns those that stay because they are in use.
    pub fn undo(self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        if let Some(adopted) = self.adopted
            && adopted.give_back().is_err()
        {
            left.push(adopted.dir.path().into());
        }
        for made in self.made.iter().rev() {
            if !made.remove() {
                left.push(made.parent.path().join(&made.name));
            }
        }
        left
    }
}

impl Made {
    /// Whether it is gone.
    fn remove(&self) -> bool {
        match self.parent.look(&self.name) {
            Ok(Some(seen)) if seen.id == self.id => self.parent.remove_dir(&self.name).is_ok(),
            Ok(_) => true,
            Err(_) => false,
        }
    }
}

impl Adopted {
    fn give_back(&self) -> Result<(), IoError> {
        if !self.dir.is_empty()? {
            return Err(IoError::new("give back", self.dir.path(), Errno::ENOTEMPTY));
        }
        let now = self.dir.entry()?;
        self.dir.set_owner(&now, self.before.owner)?;
        self.dir.set_mode(&now, self.before.mode)
    }
}

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// The path with its symbolic links resolved, as everything here wants it; what does not exist yet
/// is left as it is. A relative path starts at the working directory.
///
/// Only links that nobody but root and the caller could have made are followed. A plain
/// `fs::canonicalize` would follow one that an analyst planted in his home, and have root write
/// where he likes.
///
/// # Errors
/// A link that somebody else may have made, or too many of them; a component that cannot be
/// examined.
pub fn canonical(path: &Path) -> Result<PathBuf, WalkError> {
    let absolute =
        std::path::absolute(path).map_err(|source| IoError::new("resolve", path, source))?;
    let mut resolved = PathBuf::from("/");
    let mut ahead = components_reversed(&absolute);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&name);
        let Some(target) = trusted_link(&resolved, &next)? else {
            resolved = next;
            continue;
        };
        links += 1;
        if links > MOST_LINKS {
            return Err(WalkError::LinkLoop { path: path.into() });
        }
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        ahead.extend(components_reversed(&target));
    }
    Ok(resolved)
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let names = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names
        .rev()
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// Where the link at `path` leads; nothing if it is no link.
fn trusted_link(directory: &Path, path: &Path) -> Result<Option<PathBuf>, WalkError> {
    let link = match fs::symlink_metadata(path) {
        Ok(seen) if seen.is_symlink() => seen,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(WalkError::NotADirectory {
                path: directory.into(),
                kind: Kind::File,
            });
        }
        Err(source) => return Err(IoError::new("examine", path, source).into()),
    };
    let around = fs::symlink_metadata(directory)
        .map_err(|source| IoError::new("examine", directory, source))?;
    let is_trusted = |uid| uid == 0 || uid == Owner::caller().uid;
    let others_may_write = around.mode() & 0o022 != 0;
    let others_may_replace = others_may_write && around.mode() & 0o1000 == 0;
    if !is_trusted(link.uid()) || !is_trusted(around.uid()) || others_may_replace {
        return Err(WalkError::UntrustedLink { path: path.into() });
    }
    Ok(Some(
        fs::read_link(path).map_err(|source| IoError::new("read", path, source))?,
    ))
}

/// Opens the directory at an absolute path.
pub(crate) fn open_path(path: &Path) -> Result<Dir, WalkError> {
    let (mut dir, names) = start(path)?;
    let Some((last, ancestors)) = names.split_last() else {
        return Ok(readable(dir)?);
    };
    for name in ancestors {
        dir = pass(&dir, name)?.ok_or_else(|| missing(&dir, name))?;
    }
    enter(&dir, last)?.ok_or_else(|| missing(&dir, last))
}

/// Opens the directory at an absolute path, for the owner and nobody else: makes it (0700, the
/// owner's) and its ancestors (0755, the caller's) where they are missing, and takes over an empty
/// one of the caller's.
pub(crate) fn prepare_private(path: &Path, owner: Owner) -> Result<(Dir, Created), WalkError> {
    let mut created = Created::default();
    let prepared = make_path(path, &mut created).and_then(|(dir, is_new)| {
        settle_owner(&dir, owner, is_new, &mut created)?;
        Ok(dir)
    });
    finish(prepared, created)
}

/// Opens the directory at an absolute path, whoever it belongs to; makes it (0700, the caller's)
/// and its ancestors (0755, the caller's) where they are missing.
pub(crate) fn prepare_any(path: &Path) -> Result<(Dir, Created), WalkError> {
    let mut created = Created::default();
    let prepared = make_path(path, &mut created).map(|(dir, _)| dir);
    finish(prepared, created)
}

/// Refuses a directory that is not the owner's alone.
pub(crate) fn check_private(dir: &Dir, owner: Owner) -> Result<(), WalkError> {
    let seen = dir.entry()?;
    let path = || dir.path().to_owned();
    if seen.owner.uid != owner.uid {
        return Err(WalkError::WrongOwner {
            path: path(),
            expected: owner,
            seen: seen.owner,
        });
    }
    if seen.is_open_to_others() {
        return Err(WalkError::TooOpen {
            path: path(),
            mode: seen.mode,
        });
    }
    Ok(())
}

fn finish(prepared: Result<Dir, WalkError>, created: Created) -> Result<(Dir, Created), WalkError> {
    match prepared {
        Ok(dir) => Ok((dir, created)),
        Err(error) => {
            created.undo();
            Err(error)
        }
    }
}

/// A new directory is the owner's; one that stood there must be already, or be the caller's and
/// empty: what root made with a plain mkdir.
fn settle_owner(
    dir: &Dir,
    owner: Owner,
    is_new: bool,
    created: &mut Created,
) -> Result<(), WalkError> {
    let before = dir.entry()?;
    if is_new {
        return Ok(dir.set_owner(&before, owner)?);
    }
    let checked = check_private(dir, owner);
    if checked.is_ok() || before.owner.uid != Owner::caller().uid || !dir.is_empty()? {
        return checked;
    }
    let kept = Dir::new(dir.reopen()?, dir.path().into());
    created.adopted = Some(Adopted { dir: kept, before });
    dir.set_mode(&before, 0o700)?;
    Ok(dir.set_owner(&before, owner)?)
}

/// The directory, and whether it is new.
fn make_path(path: &Path, created: &mut Created) -> Result<(Dir, bool), WalkError> {
    let (mut dir, names) = start(path)?;
    let Some((last, ancestors)) = names.split_last() else {
        return Ok((readable(dir)?, false));
    };
    for name in ancestors {
        dir = match pass(&dir, name)? {
            Some(next) => next,
            None => make(dir, name, 0o755, created)?,
        };
    }
    match enter(&dir, last)? {
        Some(found) => Ok((found, false)),
        None => Ok((make(dir, last, 0o700, created)?, true)),
    }
}

fn make(parent: Dir, name: &OsStr, mode: u32, created: &mut Created) -> Result<Dir, WalkError> {
    let (dir, seen) = parent.make_dir(name, mode)?;
    let listable = parent.reopen().map(|fd| Dir::new(fd, parent.path().into()));
    created.made.push(Made {
        parent,
        name: name.into(),
        id: seen.id,
    });
    // A parent that may be written to but not listed cannot be synced, and need not be refused.
    if let Ok(listable) = listable {
        listable.sync()?;
    }
    Ok(dir)
}

fn start(path: &Path) -> Result<(Dir, Vec<&OsStr>), WalkError> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => names.push(name),
            _ => return Err(WalkError::NotCanonical { path: path.into() }),
        }
    }
    if !path.is_absolute() {
        return Err(WalkError::NotCanonical { path: path.into() });
    }
    Ok((root()?, names))
}

fn root() -> Result<Dir, IoError> {
    let path = Path::new("/");
    let fd =
        open(path, PASSING, Mode::empty()).map_err(|errno| IoError::new("open", path, errno))?;
    Ok(Dir::new(fd, path.into()))
}

fn readable(dir: Dir) -> Result<Dir, IoError> {
    let fd: OwnedFd = dir.reopen()?;
    Ok(Dir::new(fd, dir.path().into()))
}

fn missing(dir: &Dir, name: &OsStr) -> WalkError {
    WalkError::Missing {
        path: dir.path().join(name),
    }
}

/// A handle for passing through, which asks for no permission to list the directory.
const PASSING: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

fn pass(dir: &Dir, name: &OsStr) -> Result<Option<Dir>, WalkError> {
    let path = dir.path().join(name);
    match openat(dir, name, PASSING, Mode::empty()) {
        Ok(fd) => Ok(Some(Dir::new(fd, path))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(explain(dir, name, IoError::new("open", &path, errno))),
    }
}

fn enter(dir: &Dir, name: &OsStr) -> Result<Option<Dir>, WalkError> {
    dir.open_dir(name)
        .map_err(|error| explain(dir, name, error))
}

pub(crate) fn explain(dir: &Dir, name: &OsStr, error: IoError) -> WalkError {
    match dir.kind_of(name) {
        Some(kind) if kind != Kind::Directory => WalkError::NotADirectory {
            path: error.path,
            kind,
        },
        _ => error.into(),
    }
}

//! A file that is written as it comes, of any length: whole under its name, or not there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fchmod};

use crate::dir::{Dir, IoError, is_plain_name};
use crate::temporary::{fresh, is_fresh};
use crate::walk::{self, WalkError};
use crate::{Kind, PrivateDir};

const NEW_OUTPUT: &str = ".pgpki-output-";

/// How often other runs may take a draft for abandoned, in the moment before it is marked as alive.
const ATTEMPTS: usize = 100;

/// The owner's alone.
const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The path has no directory or no name.
    #[error("{} is not the path of a file", path.display())]
    NotAPath {
        /// The path.
        path: PathBuf,
    },
    /// Something stands there that is no file.
    #[error("{} is {kind}, not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What stands there.
        kind: Kind,
    },
    /// A file stands there, and is not to be replaced.
    #[error("{} already exists", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] WalkError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl OutputError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAPath { .. } | Self::AlreadyExists { .. } => None,
            Self::NotAFile {
                kind: Kind::Symlink,
                ..
            } => Some("Give the path that it leads to; - stands for standard output".to_owned()),
            Self::NotAFile { .. } => {
                Some("Choose another name; - stands for standard output".to_owned())
            }
            Self::Directory(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

/// Everybody's to read.
const PUBLIC: Mode = MODE.union(Mode::S_IRGRP).union(Mode::S_IROTH);

/// A file on its way to its name, 0600 and the caller's. Dropping it removes it.
#[derive(Debug)]
#[must_use = "dropping it removes what was written"]
pub struct Output {
    dir: Dir,
    name: OsString,
    draft: String,
    /// Locked: tells other runs that this one is alive. The kernel lets go when we die.
    file: Flock<File>,
    replace: bool,
}

impl Output {
    /// Whether a file could be made at `path`, whose directory is canonical, as far as can be told
    /// beforehand. With `replace` a file that stands there is no hindrance.
    ///
    /// # Errors
    /// As for [`Output::create`].
    pub fn check(path: &Path, replace: bool) -> Result<(), OutputError> {
        let (dir, name) = open(path)?;
        check(&dir, name, replace)
    }

    /// Begins a file at `path`, whose directory exists and is canonical. What runs that were killed
    /// have left in that directory is removed.
    ///
    /// # Errors
    /// Something stands there already: with `replace`, something else than a file. The directory
    /// is missing. A system call failed.
    pub fn create(path: &Path, replace: bool) -> Result<Self, OutputError> {
        let (dir, name) = open(path)?;
        check(&dir, name, replace)?;
        remove_abandoned(&dir)?;
        Self::begin(dir, name.to_owned(), replace)
    }

    /// Begins a new file in a private directory.
    ///
    /// # Errors
    /// The name is taken, or a system call failed.
    pub fn create_in(home: &PrivateDir, name: &str) -> Result<Self, OutputError> {
        let dir = Dir::new(home.dir().reopen()?, home.path().into());
        if !is_plain_name(OsStr::new(name)) {
            let path = dir.path().join(name);
            return Err(OutputError::NotAPath { path });
        }
        check(&dir, OsStr::new(name), false)?;
        Self::begin(dir, name.into(), false)
    }

    fn begin(dir: Dir, name: OsString, replace: bool) -> Result<Self, OutputError> {
        for _ in 0..ATTEMPTS {
            let draft = fresh(NEW_OUTPUT);
            if let Some(file) = create_locked(&dir, &draft)? {
                return Ok(Self {
                    dir,
                    name,
                    draft,
                    file,
                    replace,
                });
            }
        }
        Err(IoError::new("keep a file in", dir.path(), Errno::ESTALE).into())
    }

    /// For what is no secret: everybody may read it, 0644, whatever the umask.
    pub fn for_everybody(self) -> Self {
        // File systems without modes (a memory stick) refuse it.
        let _ = fchmod(&*self.file, PUBLIC);
        self
    }

    /// Where the file is going to be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// Gives the file its name, in one step, after all of it is on disk.
    ///
    /// # Errors
    /// Something has the name by now, or a system call failed; then nothing is left of it, unless
    /// it was the last sync.
    pub fn commit(self) -> Result<(), OutputError> {
        self.dir.sync_file(&self.file, &self.draft)?;
        check(&self.dir, &self.name, self.replace)?;
        match self.replace {
            true => self.dir.rename(&self.draft, &self.dir, &self.name)?,
            false => self.rename_new()?,
        }
        Ok(self.dir.sync()?)
    }

    fn rename_new(&self) -> Result<(), OutputError> {
        match self.dir.rename_new(&self.draft, &self.dir, &self.name) {
            Ok(()) => Ok(()),
            Err(error) if error.errno() == Some(Errno::EEXIST) => {
                Err(OutputError::AlreadyExists { path: self.path() })
            }
            // NFS and others cannot promise it; it was looked at a moment ago.
            Err(error) if error.errno() == Some(Errno::EINVAL) => {
                Ok(self.dir.rename(&self.draft, &self.dir, &self.name)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Once it was renamed there is nothing to remove; otherwise the next run tries again.
        let _ = self.dir.remove_file(&self.draft);
    }
}

impl PrivateDir {
    /// A file without a name, for reading and writing: what is in it lasts as long as it is open.
    ///
    /// # Errors
    /// A system call failed.
    pub fn spool(&self) -> Result<File, IoError> {
        let draft = fresh(NEW_OUTPUT);
        let file = create_new(self.dir(), &draft, OFlag::O_RDWR)?;
        self.dir().remove_file(&draft)?;
        Ok(file)
    }
}

/// A draft that is marked as alive; nothing if another run has taken it for abandoned before that.
fn create_locked(dir: &Dir, draft: &str) -> Result<Option<Flock<File>>, IoError> {
    let path = dir.path().join(draft);
    let file = create_new(dir, draft, OFlag::O_WRONLY)?;
    // Others have no access from the start. This is for an umask that takes the owner's own, and
    // file systems without modes (a memory stick) refuse it.
    let _ = fchmod(&file, MODE);
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => file,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => {
            let _ = dir.remove_file(draft);
            return Err(IoError::new("lock", &path, errno));
        }
    };
    // Whoever held the lock before has removed the file.
    Ok(dir.look(draft)?.is_some().then_some(file))
}

fn create_new(dir: &Dir, name: &str, access: OFlag) -> Result<File, IoError> {
    let flags = access | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd: OwnedFd = openat(dir, name, flags, MODE)
        .map_err(|errno| IoError::new("create", &dir.path().join(name), errno))?;
    Ok(File::from(fd))
}

fn open(path: &Path) -> Result<(Dir, &OsStr), OutputError> {
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => Ok((walk::open_path(above)?, name)),
        _ => Err(OutputError::NotAPath { path: path.into() }),
    }
}

fn check(dir: &Dir, name: &OsStr, replace: bool) -> Result<(), OutputError> {
    let path = || dir.path().join(name);
    match dir.look(name)?.map(|seen| seen.kind) {
        None => Ok(()),
        Some(Kind::File) if replace => Ok(()),
        Some(Kind::File) => Err(OutputError::AlreadyExists { path: path() }),
        Some(kind) => Err(OutputError::NotAFile { path: path(), kind }),
    }
}

/// Removes what killed runs have left. One that is still locked is alive.
fn remove_abandoned(dir: &Dir) -> Result<(), IoError> {
    for name in dir.names()? {
        let name = name?;
        if !is_fresh(&name, NEW_OUTPUT) || dir.kind_of(&name) != Some(Kind::File) {
            continue;
        }
        // One that is somebody else's may neither be opened nor removed, and is not ours to mind.
        if let Ok(file) = dir.open_file(&name)
            && let Ok(_abandoned) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        {
            let _ = dir.remove_file(&name);
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

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("a");
        (dir, path)
    }

    fn names(dir: &tempfile::TempDir) -> usize {
        fs::read_dir(dir.path()).unwrap().count()
    }

    #[test]
    fn it_is_whole_or_not_there() {
        let (dir, path) = place();
        let mut output = Output::create(&path, false).unwrap();
        output.write_all(b"one").unwrap();
        assert!(!path.exists());
        drop(output);
        assert_eq!(names(&dir), 0, "what was dropped is gone");
        let mut output = Output::create(&path, false).unwrap();
        output.write_all(b"one").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((mode & 0o7777, names(&dir)), (0o600, 1));
    }

    #[test]
    fn a_file_is_replaced_only_where_that_is_meant() {
        let (dir, path) = place();
        let mut late = Output::create(&path, false).unwrap();
        late.write_all(b"late").unwrap();
        fs::write(&path, "old").unwrap();
        let refused = late.commit();
        assert!(matches!(refused, Err(OutputError::AlreadyExists { .. })));
        let refused = Output::create(&path, false);
        assert!(matches!(refused, Err(OutputError::AlreadyExists { .. })));
        assert_eq!((fs::read(&path).unwrap(), names(&dir)), (b"old".into(), 1));
        let mut output = Output::create(&path, true).unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        output.commit().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(&dir)), (b"new".into(), 1));
    }

    #[test]
    fn nothing_but_a_file_is_written_over() {
        let (dir, path) = place();
        fs::write(dir.path().join("target"), "old").unwrap();
        symlink("target", &path).unwrap();
        for kind in [Kind::Symlink, Kind::Fifo, Kind::Directory] {
            if kind != Kind::Symlink {
                fs::remove_file(&path).unwrap();
            }
            match kind {
                Kind::Fifo => nix::unistd::mkfifo(&path, MODE).unwrap(),
                Kind::Directory => fs::create_dir(&path).unwrap(),
                _ => {}
            }
            for replace in [false, true] {
                match Output::create(&path, replace) {
                    Err(OutputError::NotAFile { kind: seen, .. }) => assert_eq!(seen, kind),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"old");
    }

    #[test]
    fn what_killed_runs_left_goes_and_what_is_alive_stays() {
        let (dir, path) = place();
        let left = dir.path().join(".pgpki-output-0123456789abcdef");
        fs::write(&left, "half").unwrap();
        let alive = Output::create(&path, false).unwrap();
        assert!(!left.exists());
        let second = Output::create(&path.with_file_name("b"), false).unwrap();
        alive.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(names(&dir), 2);
    }
}

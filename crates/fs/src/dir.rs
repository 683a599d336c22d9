//! An open directory, and everything that is done inside one.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, readlinkat, renameat, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, symlinkat, syncfs, unlinkat};

use crate::entry::Entry;
use crate::{Kind, Owner};

/// A system call that failed: what it was to do, where, and why it did not.
#[derive(Debug, thiserror::Error)]
pub struct IoError {
    /// What was to be done, as the verb that follows "cannot".
    pub operation: &'static str,
    /// Where.
    pub path: PathBuf,
    /// Why it was not done.
    pub source: io::Error,
}

/// `cannot write /etc/ssl/postgres/.new-…/server.key: No space left on device`
impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: ", self.operation, self.path.display())?;
        match self.source.raw_os_error() {
            Some(code) => f.write_str(Errno::from_raw(code).desc()),
            None => self.source.fmt(f),
        }
    }
}

impl IoError {
    pub(crate) fn new(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self {
            operation,
            path: path.into(),
            source: source.into(),
        }
    }

    pub(crate) fn errno(&self) -> Option<Errno> {
        self.source.raw_os_error().map(Errno::from_raw)
    }

    /// What to do about it, where there is something general to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let path = self.path.display();
        match self.errno()? {
            Errno::ENOSPC => Some(format!(
                "Make room on that filesystem, or free some of its inodes (df -h, df -i {path})"
            )),
            Errno::EDQUOT => Some("The quota of the user on that filesystem is used up".into()),
            Errno::EROFS => Some(
                "That filesystem is mounted read-only: remount it, or choose another place".into(),
            ),
            Errno::EACCES | Errno::EPERM => Some(format!(
                "{} may not do that: run as root, or as the owner of the directory",
                Owner::caller()
            )),
            _ => None,
        }
    }
}

/// Why a new directory could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// What stands under the name is not the directory that was just made there.
    #[error("{} is not the directory that was just made there: it belongs to {owner}, mode {mode:04o}", path.display())]
    Replaced {
        /// Where the directory was made.
        path: PathBuf,
        /// Whose the one is that stands there.
        owner: Owner,
        /// The permission bits of the one that stands there.
        mode: u32,
    },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl MakeError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Replaced { .. } => Some(
                "Either the owner of the directory above is interfering, or the filesystem changes owners (NFS root_squash)".into(),
            ),
            Self::Io(error) => error.hint(),
        }
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// An open directory. What is done goes through the handle; the path is for messages only.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Looking.
impl Dir {
    pub(crate) fn new(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, operation: &'static str, name: &OsStr) -> impl FnOnce(Errno) -> IoError {
        move |errno| IoError::new(operation, &self.path.join(name), errno)
    }

    fn own_error(&self, operation: &'static str) -> impl FnOnce(Errno) -> IoError {
        move |errno| IoError::new(operation, &self.path, errno)
    }

    /// What this directory is.
    pub(crate) fn entry(&self) -> Result<Entry, IoError> {
        fstat(&self.fd)
            .map(Entry::from)
            .map_err(self.own_error("examine"))
    }

    /// Whether nobody but the caller can put anything into this directory, or take something out.
    pub(crate) fn is_callers_alone(&self) -> Result<bool, IoError> {
        const OTHERS_MAY_WRITE: u32 = 0o022;
        let seen = self.entry()?;
        Ok(seen.owner.uid == Owner::caller().uid && seen.mode & OTHERS_MAY_WRITE == 0)
    }

    /// What stands under a name, if anything does.
    pub(crate) fn look(&self, name: impl AsRef<OsStr>) -> Result<Option<Entry>, IoError> {
        let name = name.as_ref();
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.error("examine", name)(errno)),
        }
    }

    /// The directory under a name, if anything stands there. Whatever is no directory is `ENOTDIR`.
    pub(crate) fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, IoError> {
        let name = name.as_ref();
        match openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self::new(fd, self.path.join(name)))),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ELOOP) => Err(self.error("open", name)(Errno::ENOTDIR)),
            Err(errno) => Err(self.error("open", name)(errno)),
        }
    }

    /// A file under a name, for reading. Opening never blocks: not on a FIFO, not on a lease.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File, IoError> {
        let flags = OFlag::O_RDONLY
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let name = name.as_ref();
        openat(&self.fd, name, flags, Mode::empty())
            .map(File::from)
            .map_err(self.error("open", name))
    }

    /// The same directory as a separate open file: a position, and locks, of its own.
    pub(crate) fn reopen(&self) -> Result<OwnedFd, IoError> {
        openat(&self.fd, ".", DIRECTORY, Mode::empty()).map_err(self.own_error("open"))
    }

    /// Every name in it but `.` and `..`, read as it goes: there may be any number of them.
    pub(crate) fn names(
        &self,
    ) -> Result<impl Iterator<Item = Result<OsString, IoError>> + use<'_>, IoError> {
        let listing = nix::dir::Dir::from_fd(self.reopen()?).map_err(self.own_error("list"))?;
        Ok(listing.into_iter().filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                (name != b"." && name != b"..").then(|| Ok(OsString::from_vec(name.to_vec())))
            }
            Err(errno) => Some(Err(self.own_error("list")(errno))),
        }))
    }

    pub(crate) fn is_empty(&self) -> Result<bool, IoError> {
        Ok(self.names()?.next().transpose()?.is_none())
    }

    /// Where a symbolic link points; nothing if nothing stands there. What is no link is `EINVAL`.
    pub(crate) fn read_link(&self, name: &str) -> Result<Option<OsString>, IoError> {
        match readlinkat(&self.fd, name) {
            Ok(target) => Ok(Some(target)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.error("read", name.as_ref())(errno)),
        }
    }
}

/// Making.
impl Dir {
    /// Makes a directory of the caller's with exactly this mode, and makes sure that the handle
    /// returned is the very one that was made: the owner of this directory may have put another
    /// in its place. Returns as well what was seen of it, so that nothing can fail between its
    /// making and its maker's knowing which it is.
    pub(crate) fn make_dir(
        &self,
        name: impl AsRef<OsStr>,
        mode: u32,
    ) -> Result<(Self, Entry), MakeError> {
        let name = name.as_ref();
        mkdirat(&self.fd, name, Mode::S_IRWXU).map_err(self.error("create", name))?;
        self.open_made(name, mode).inspect_err(|_| {
            // Removes an empty directory or nothing.
            let _ = self.remove_dir(name);
        })
    }

    fn open_made(&self, name: &OsStr, mode: u32) -> Result<(Self, Entry), MakeError> {
        let made = match self.open_dir(name) {
            Ok(Some(made)) => made,
            Ok(None) => return Err(self.error("open", name)(Errno::ENOENT).into()),
            Err(error) if error.errno() == Some(Errno::EACCES) => self.open_barred(name)?,
            Err(error) => return Err(error.into()),
        };
        let seen = made.entry()?;
        // Where nobody else can have put it there, that is one system call instead of the seven that
        // looking into it takes, ten thousand times a batch.
        if seen.owner.uid != Owner::caller().uid
            || seen.is_open_to_others()
            || !(self.is_callers_alone()? || made.is_empty()?)
        {
            return Err(made.replaced(&seen));
        }
        made.set_mode(&seen, mode)?;
        Ok((made, seen))
    }

    /// Opens a directory that an umask like 0777 has closed to the caller himself. Neither of the
    /// obvious ways will do: chmod by name is open to a swap, and umask(2) is the whole process's.
    /// An `O_PATH` handle needs no permission, and its name in /proc leads to that very inode.
    fn open_barred(&self, name: &OsStr) -> Result<Self, MakeError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let pinned =
            openat(&self.fd, name, flags, Mode::empty()).map_err(self.error("open", name))?;
        let pinned = Self::new(pinned, self.path.join(name));
        let seen = pinned.entry()?;
        if seen.owner.uid != Owner::caller().uid || seen.is_open_to_others() {
            return Err(pinned.replaced(&seen));
        }
        let by_handle = format!("/proc/self/fd/{}", pinned.fd.as_raw_fd());
        fchmodat(
            AT_FDCWD,
            by_handle.as_str(),
            Mode::S_IRWXU,
            FchmodatFlags::FollowSymlink,
        )
        .map_err(pinned.own_error("set the mode of"))?;
        let fd = pinned.reopen()?;
        Ok(Self { fd, ..pinned })
    }

    fn replaced(&self, seen: &Entry) -> MakeError {
        MakeError::Replaced {
            path: self.path.clone(),
            owner: seen.owner,
            mode: seen.mode,
        }
    }

    /// Makes a file with these bytes and exactly this mode and owner, whatever the umask. Not
    /// synced. Until it is whole, only the caller can read it.
    pub(crate) fn create_file(
        &self,
        name: &str,
        mode: u32,
        owner: Owner,
        bytes: &[u8],
    ) -> Result<File, IoError> {
        let error = |operation| self.error(operation, name.as_ref());
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(error("create"))?;
        let mut file = File::from(fd);
        file.write_all(bytes)
            .map_err(|source| IoError::new("write", &self.path.join(name), source))?;
        let made = Entry::from(fstat(&file).map_err(error("examine"))?);
        if made.mode != mode {
            fchmod(&file, Mode::from_bits_truncate(mode)).map_err(error("set the mode of"))?;
        }
        if made.owner != owner {
            change_owner(&file, owner).map_err(error("change the owner of"))?;
        }
        Ok(file)
    }

    pub(crate) fn symlink(&self, target: &str, name: &str) -> Result<(), IoError> {
        symlinkat(target, &self.fd, name).map_err(self.error("create", name.as_ref()))
    }
}

/// Changing.
impl Dir {
    /// Gives this directory a mode that it does not have yet. The sticky and set-id bits go.
    pub(crate) fn set_mode(&self, seen: &Entry, mode: u32) -> Result<(), IoError> {
        if seen.mode == mode {
            return Ok(());
        }
        fchmod(&self.fd, Mode::from_bits_truncate(mode)).map_err(self.own_error("set the mode of"))
    }

    /// Gives this directory away, unless it is the owner's already.
    pub(crate) fn set_owner(&self, seen: &Entry, owner: Owner) -> Result<(), IoError> {
        if seen.owner == owner {
            return Ok(());
        }
        change_owner(&self.fd, owner).map_err(self.own_error("change the owner of"))
    }

    /// Renames, over whatever stands there. rename(2) puts a directory over nothing but an empty
    /// directory, and a file or link over no directory.
    pub(crate) fn rename(
        &self,
        name: impl AsRef<OsStr>,
        to: &Self,
        new_name: impl AsRef<OsStr>,
    ) -> Result<(), IoError> {
        let new_name = new_name.as_ref();
        renameat(&self.fd, name.as_ref(), &to.fd, new_name).map_err(to.error("rename to", new_name))
    }

    /// Renames where nothing stands yet; `EEXIST` if something does, `EINVAL` on filesystems that
    /// cannot promise it (NFS).
    pub(crate) fn rename_new(
        &self,
        name: impl AsRef<OsStr>,
        to: &Self,
        new_name: impl AsRef<OsStr>,
    ) -> Result<(), IoError> {
        self.rename_with(
            RenameFlags::RENAME_NOREPLACE,
            name.as_ref(),
            to,
            new_name.as_ref(),
        )
    }

    /// [`Dir::rename_new`] for a directory, on every filesystem: where the kernel cannot promise
    /// it, the plain rename can replace nothing but an empty directory.
    pub(crate) fn rename_new_dir(
        &self,
        name: &str,
        to: &Self,
        new_name: impl AsRef<OsStr>,
    ) -> Result<(), IoError> {
        match self.rename_new(name, to, &new_name) {
            Err(error) if error.errno() == Some(Errno::EINVAL) => match self
                .rename(name, to, &new_name)
            {
                Err(error) if matches!(error.errno(), Some(Errno::ENOTEMPTY | Errno::ENOTDIR)) => {
                    Err(to.error("rename to", new_name.as_ref())(Errno::EEXIST))
                }
                done => done,
            },
            done => done,
        }
    }

    /// Swaps what stands under two names, in one step.
    pub(crate) fn exchange(&self, name: &str, to: &Self, new_name: &OsStr) -> Result<(), IoError> {
        self.rename_with(RenameFlags::RENAME_EXCHANGE, name.as_ref(), to, new_name)
    }

    fn rename_with(
        &self,
        flags: RenameFlags,
        name: &OsStr,
        to: &Self,
        new_name: &OsStr,
    ) -> Result<(), IoError> {
        renameat2(&self.fd, name, &to.fd, new_name, flags).map_err(to.error("rename to", new_name))
    }

    /// Removes a name that is no directory. What it links to stays.
    pub(crate) fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), IoError> {
        self.remove(name.as_ref(), UnlinkatFlags::NoRemoveDir)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<(), IoError> {
        self.remove(name.as_ref(), UnlinkatFlags::RemoveDir)
    }

    fn remove(&self, name: &OsStr, flags: UnlinkatFlags) -> Result<(), IoError> {
        unlinkat(&self.fd, name, flags).map_err(self.error("remove", name))
    }

    /// Waits until the names in this directory are on disk.
    pub(crate) fn sync(&self) -> Result<(), IoError> {
        fsync(&self.fd).map_err(self.own_error("sync"))
    }

    /// Waits until a file in this directory is on disk.
    pub(crate) fn sync_file(&self, file: &File, name: &str) -> Result<(), IoError> {
        fsync(file).map_err(self.error("sync", name.as_ref()))
    }

    /// Waits until everything on this directory's filesystem is on disk. Since Linux 5.8 this
    /// reports what failed to be written since the handle was opened, so the handle must be older
    /// than what it is to vouch for.
    pub(crate) fn sync_filesystem(&self) -> Result<(), IoError> {
        syncfs(&self.fd).map_err(self.own_error("sync the filesystem of"))
    }

    /// What is in the way when a name could not be used as a directory.
    pub(crate) fn kind_of(&self, name: impl AsRef<OsStr>) -> Option<Kind> {
        self.look(name).ok().flatten().map(|seen| seen.kind)
    }
}

fn change_owner(fd: impl AsFd, owner: Owner) -> Result<(), Errno> {
    fchown(
        fd,
        Some(Uid::from_raw(owner.uid)),
        Some(Gid::from_raw(owner.gid)),
    )
}

/// Whether a text can be the name of something in a directory, and of nothing outside it.
pub(crate) fn is_plain_name(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.iter().any(|byte| matches!(byte, b'/' | 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// What the owner of a directory may put in place of the one that was just made in it.
    #[test]
    fn a_directory_that_was_swapped_while_it_was_made_is_refused() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let fd = nix::fcntl::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        let dir = Dir::new(fd, place.path().into());
        let plant = |name: &str, mode| {
            fs::create_dir(place.path().join(name)).unwrap();
            fs::set_permissions(place.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        };
        let is_replaced = |name: &str| {
            matches!(
                dir.open_made(name.as_ref(), 0o700),
                Err(MakeError::Replaced { .. })
            )
        };
        plant("ours", 0o700);
        assert!(!is_replaced("ours"));
        plant("full", 0o700);
        fs::write(place.path().join("full/x"), "").unwrap();
        assert!(is_replaced("full"));
        plant("open", 0o750);
        assert!(is_replaced("open"));
        symlink("ours", place.path().join("link")).unwrap();
        assert!(dir.open_made("link".as_ref(), 0o700).is_err());
        if Owner::caller().uid == 0 {
            plant("theirs", 0o700);
            chown(place.path().join("theirs"), Some(65534), Some(65534)).unwrap();
            assert!(is_replaced("theirs"));
        }
    }

    #[test]
    fn a_name_is_plain_or_leads_elsewhere() {
        for name in ["a", "...", ".a", "a b", "ä"] {
            assert!(is_plain_name(name.as_ref()), "{name}");
        }
        for name in ["", ".", "..", "/", "a/", "../a", "a\0"] {
            assert!(!is_plain_name(name.as_ref()), "{name}");
        }
    }
}

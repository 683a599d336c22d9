//! What stands under a name.

use std::fmt;

use nix::sys::stat::{FileStat, SFlag};

use crate::Owner;

/// What kind of thing stands under a name. A symbolic link is itself, never what it points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix-domain socket.
    Socket,
    /// A character or block device.
    Device,
}

/// With its article: `a FIFO`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

/// What tells one file from every other while it exists, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What fstat(2) says, as far as anyone here asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) id: FileId,
    pub(crate) owner: Owner,
    /// Permission bits with set-id and sticky, no file type.
    pub(crate) mode: u32,
    pub(crate) links: u64,
    /// In bytes.
    pub(crate) size: u64,
}

impl Entry {
    /// Whether anyone but the owner may do anything with it.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

impl From<FileStat> for Entry {
    fn from(stat: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Symlink,
            SFlag::S_IFIFO => Kind::Fifo,
            SFlag::S_IFSOCK => Kind::Socket,
            _ => Kind::Device,
        };
        Self {
            kind,
            id: FileId {
                device: stat.st_dev,
                inode: stat.st_ino,
            },
            owner: Owner {
                uid: stat.st_uid,
                gid: stat.st_gid,
            },
            mode: stat.st_mode & 0o7777,
            links: widen(stat.st_nlink),
            size: u64::try_from(stat.st_size).unwrap_or(0),
        }
    }
}

/// `st_nlink` is 64 bits wide on x86-64 and 32 on ARM.
fn widen(links: impl Into<u64>) -> u64 {
    links.into()
}

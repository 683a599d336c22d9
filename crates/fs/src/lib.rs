//! Files that must never leak or tear. Knows no X.509.
//!
//! pgpki runs as root and writes into directories that belong to somebody else: the database's OS
//! user, an analyst. That somebody is taken to be hostile, and may put symbolic links, FIFOs, hard
//! links and directories under every name used here, before and during a run. The crate promises:
//!
//! * nothing outside the given directory is written, given away, deleted, or read into it;
//! * a process killed at any instant, or any system call failing, leaves the whole old set of files
//!   or the whole new one;
//! * no key is ever readable by anyone but its owner, whatever the umask.
//!
//! How: every operation is relative to an open directory handle and follows no link. New files are
//! made in a closed directory that belongs to the caller, which gets its owner last and its final
//! name by one rename. Only the owner of a place can spoil it, and only for himself.
//!
//! One thing rests on the caller: **one run at a time** per place ([`Lock`] on the home does it). On a shelf, runs that
//! make different folders may be side by side.
//! Paths are absolute and canonical, as [`canonical`] makes them.

mod claim;
mod dir;
mod entry;
mod folder;
mod generation;
mod installation;
mod lock;
mod output;
mod owner;
mod private;
mod read;
mod removal;
mod rewriting;
mod shell_word;
mod staging;
mod temporary;
mod text_file;
mod walk;

pub use dir::{IoError, MakeError};
pub use entry::Kind;
pub use folder::{FolderState, Shelf, ShelfError};
pub use installation::{Installation, InstallationError};
pub use lock::{Holder, Lock, LockError};
pub use output::{Output, OutputError};
pub use owner::{Owner, OwnerError};
pub use private::{NewPrivateDir, PrivateDir, PrivateError};
pub use read::{ReadError, open_file, read_bounded};
pub use removal::{Pruned, Swept};
pub use rewriting::Rewriting;
pub use shell_word::shell_word;
pub use staging::{NewFile, StageError, Staged, Synced, sync_all};
pub use text_file::{Text, TextError};
pub use walk::{Created, WalkError, canonical};

//! One run at a time: a lock on the home directory itself, so that there is no lock file to be left
//! behind. The kernel lets go of it when its holder dies.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{major, minor};

use crate::dir::{Dir, IoError};
use crate::entry::FileId;
use crate::private::PrivateDir;

/// flock(2) cannot be told when to give up, and a signal to interrupt it would be the whole
/// process's. So it is asked again and again; this often is not felt, by people or by the machine.
const RETRY: Duration = Duration::from_millis(50);

/// As much of a command line as an error message has room for, in characters.
const COMMAND_LENGTH: usize = 120;

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}", path.display(), Held(holder.as_ref()))]
    Busy {
        /// The locked directory.
        path: PathBuf,
        /// Who has it, if that can be told.
        holder: Option<Holder>,
    },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl LockError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some("Wait until it is done, or give it longer".into()),
            Self::Io(error) => error.hint(),
        }
    }
}

/// The process that has a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process number.
    pub pid: u32,
    /// Its command line, without control characters and cut to a line; empty if it cannot be told.
    pub command: String,
}

/// `process 4711 (pgpki rotate)`
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.command.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.command)
        }
    }
}

struct Held<'a>(Option<&'a Holder>);

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => holder.fmt(f),
            None => f.write_str("another process"),
        }
    }
}

/// A lock on a private directory, held until it is dropped. It stops nobody who does not ask for
/// it.
#[derive(Debug)]
#[must_use = "dropping it lets go of the lock"]
pub struct Lock {
    _lock: Flock<OwnedFd>,
}

impl Lock {
    /// Takes the lock together with others who only read. If somebody is writing, tells `on_wait`
    /// who, and waits for at most `timeout`; with a timeout of zero it neither tells nor waits.
    ///
    /// # Errors
    /// The time is over, or a system call failed.
    pub fn shared(
        dir: &PrivateDir,
        timeout: Duration,
        on_wait: impl FnOnce(Option<Holder>),
    ) -> Result<Self, LockError> {
        Self::take(dir.dir(), FlockArg::LockSharedNonblock, timeout, on_wait)
    }

    /// Takes the lock alone. Otherwise as [`Lock::shared`].
    ///
    /// # Errors
    /// The time is over, or a system call failed.
    pub fn exclusive(
        dir: &PrivateDir,
        timeout: Duration,
        on_wait: impl FnOnce(Option<Holder>),
    ) -> Result<Self, LockError> {
        Self::take(dir.dir(), FlockArg::LockExclusiveNonblock, timeout, on_wait)
    }

    fn take(
        dir: &Dir,
        how: FlockArg,
        timeout: Duration,
        on_wait: impl FnOnce(Option<Holder>),
    ) -> Result<Self, LockError> {
        let started = Instant::now();
        let id = dir.entry()?.id;
        let mut on_wait = Some(on_wait);
        // A descriptor of its own: the lock belongs to the open file, and goes with it.
        let mut file = dir.reopen()?;
        loop {
            file = match Flock::lock(file, how) {
                Ok(lock) => return Ok(Self { _lock: lock }),
                Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) => file,
                Err((_, errno)) => return Err(IoError::new("lock", dir.path(), errno).into()),
            };
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(LockError::Busy {
                    path: dir.path().into(),
                    holder: find_holder(id),
                });
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait(find_holder(id));
            }
            sleep(left.min(RETRY));
        }
    }
}

/// Who has the lock of a file, as /proc tells. Nothing if it does not: the holder may be in another
/// container, and on btrfs the kernel lists another device number than it reports.
fn find_holder(id: FileId) -> Option<Holder> {
    let pid = holder_in(&fs::read_to_string("/proc/locks").ok()?, id)?;
    Some(Holder {
        pid,
        command: command_of(pid),
    })
}

/// A line is `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`: process, device in hexadecimal,
/// inode. Those who wait have `->` as their second field, and those out of sight the process 0.
fn holder_in(locks: &str, id: FileId) -> Option<u32> {
    let file = format!(
        "{:02x}:{:02x}:{}",
        major(id.device),
        minor(id.device),
        id.inode
    );
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, pid, of, ..] if of == file => {
                pid.parse().ok().filter(|&pid| pid > 0)
            }
            _ => None,
        }
    })
}

fn command_of(pid: u32) -> String {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut command = read("cmdline");
    if command.is_empty() {
        command = read("comm");
    }
    let text = String::from_utf8_lossy(&command);
    // Whoever named the process may want to paint on our terminal.
    let line: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(COMMAND_LENGTH)
        .collect();
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_read_from_proc_locks() {
        let locks = "\
            1: POSIX  ADVISORY  WRITE 11 fd:01:1234 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 12 fd:02:1234 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 13 fd:01:1234 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 14 fd:01:1234 0 EOF\n\
            4: FLOCK  ADVISORY  READ 0 fd:01:5678 0 EOF\n";
        let id = |inode| FileId {
            device: nix::sys::stat::makedev(0xfd, 1),
            inode,
        };
        assert_eq!(holder_in(locks, id(1234)), Some(13));
        assert_eq!(holder_in(locks, id(5678)), None);
        assert_eq!(holder_in(locks, id(1)), None);
    }
}

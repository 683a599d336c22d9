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

/// What is over sooner than this is not worth a word: dozens of runs side by side each wait for a
/// moment.
const NOTICED: Duration = Duration::from_secs(1);

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
            Self::Busy { .. } => Some("Run it again when that one is done".into()),
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
pub struct Lock(Option<Flock<OwnedFd>>);

impl Lock {
    /// Takes the lock. If somebody else has it, waits for at most `patience`, and tells `on_wait`
    /// who it is once that takes longer than people notice.
    ///
    /// # Errors
    /// The time is over, or a system call failed.
    pub fn take(
        dir: &PrivateDir,
        patience: Duration,
        on_wait: impl FnOnce(Option<Holder>),
    ) -> Result<Self, LockError> {
        let dir = dir.dir();
        let started = Instant::now();
        let mut on_wait = Some(on_wait);
        loop {
            if let Some(lock) = Self::try_take(dir)? {
                return Ok(lock);
            }
            let waited = started.elapsed();
            if waited >= patience {
                return Err(Self::busy(dir)?);
            }
            if waited >= NOTICED
                && let Some(on_wait) = on_wait.take()
            {
                on_wait(find_holder(dir.entry()?.id));
            }
            sleep(RETRY.min(patience - waited));
        }
    }

    /// The lock, or nothing if somebody else has it.
    pub(crate) fn try_take(dir: &Dir) -> Result<Option<Self>, IoError> {
        Self::try_lock(dir, FlockArg::LockExclusiveNonblock)
    }

    /// The lock together with all others who ask for it in this way, or nothing if somebody has it alone.
    pub(crate) fn try_share(dir: &Dir) -> Result<Option<Self>, IoError> {
        Self::try_lock(dir, FlockArg::LockSharedNonblock)
    }

    /// That somebody else has it.
    pub(crate) fn busy(dir: &Dir) -> Result<LockError, IoError> {
        Ok(LockError::Busy {
            path: dir.path().into(),
            holder: find_holder(dir.entry()?.id),
        })
    }

    fn try_lock(dir: &Dir, how: FlockArg) -> Result<Option<Self>, IoError> {
        // A descriptor of its own: the lock belongs to the open file, and goes with it.
        match Flock::lock(dir.reopen()?, how) {
            Ok(lock) => Ok(Some(Self(Some(lock)))),
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
            Err((_, errno)) => Err(IoError::new("lock", dir.path(), errno)),
        }
    }
}

impl Lock {
    /// The lock, for somebody who outlives its keeper.
    pub(crate) fn hand_on(&mut self) -> Self {
        Self(self.0.take())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(lock) = self.0.take()
            && let Err((lock, _)) = lock.unlock()
        {
            // Its own drop would try once more, and panic. The kernel lets go when we end.
            std::mem::forget(lock);
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

//! Connecting as somebody else, for a moment.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_socket, setsockopt, socket,
};
use nix::unistd::{Uid, User, geteuid};
use rustix::thread::set_thread_res_uid;

use super::SqlCause;

/// The role that `peer` authentication lets in: the one that is called like the user.
pub(super) fn name_of(uid: Uid) -> Result<String, SqlCause> {
    let unknown = |reason: &str| SqlCause::User {
        uid,
        reason: reason.to_owned(),
    };
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) => Err(unknown("this machine knows no such user")),
        Err(error) => Err(unknown(error.desc())),
    }
}

/// Connects to a socket as `uid`. The server sees the user who connected, so nothing else needs to
/// be done as that user.
///
/// The kernel keeps the user of the moment of `connect(2)`; see `unix(7)`, `SO_PEERCRED`. Where a
/// server that hangs has more callers waiting than it has room for, it is over after `patience`.
pub(super) fn connect(path: &Path, uid: Uid, patience: Duration) -> Result<UnixStream, SqlCause> {
    let caller = geteuid();
    if caller == uid {
        return Ok(connect_within(path, patience)?);
    }
    if !caller.is_root() {
        let reason = "only root and that user itself can".to_owned();
        return Err(SqlCause::User { uid, reason });
    }
    let taken_on = TakenOn::take_on(uid, caller)?;
    let connected = connect_within(path, patience);
    drop(taken_on);
    Ok(connected?)
}

/// `SO_SNDTIMEO` limits `connect(2)` too, which else waits for room without end (`unix_wait_for_peer`
/// in Linux).
fn connect_within(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let patience = nix::libc::timeval {
        tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
        tv_usec: patience.subsec_micros().max(1).into(),
    };
    setsockopt(&socket, SendTimeout, &patience.into())?;
    connect_socket(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// While it lives, this thread acts as another user, and the others do not: what a process shares by POSIX, Linux keeps for
/// each thread.
struct TakenOn {
    caller: Uid,
}

impl TakenOn {
    fn take_on(uid: Uid, caller: Uid) -> Result<Self, SqlCause> {
        match act_as(uid) {
            Ok(()) => Ok(Self { caller }),
            Err(error) => Err(SqlCause::User {
                uid,
                reason: error.to_string(),
            }),
        }
    }
}

impl Drop for TakenOn {
    fn drop(&mut self) {
        // The real user is still root, so this cannot be refused; and nothing may go on as anybody
        // else.
        if let Err(error) = act_as(self.caller) {
            panic!("cannot be the user {} again: {error}", self.caller);
        }
    }
}

/// Changes the effective user of this thread.
fn act_as(uid: Uid) -> rustix::io::Result<()> {
    set_thread_res_uid(None, rustix::thread::Uid::from_raw(uid.as_raw()), None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// `nobody`, on every Linux.
    const NOBODY: Uid = Uid::from_raw(65534);

    #[test]
    fn other_threads_stay_who_they_are() {
        let caller = geteuid();
        let (ask, asked) = mpsc::channel();
        let (say, said) = mpsc::channel();
        // Begun before: a new thread is who the one was that began it.
        let beside = thread::spawn(move || {
            asked.recv().unwrap();
            say.send(geteuid()).unwrap();
        });
        let taken_on = TakenOn::take_on(NOBODY, caller);
        assert_eq!(taken_on.is_ok(), caller.is_root());
        assert_eq!(geteuid() == NOBODY, caller.is_root());
        ask.send(()).unwrap();
        assert_eq!(said.recv().unwrap(), caller);
        drop(taken_on);
        assert_eq!(geteuid(), caller);
        beside.join().unwrap();
    }
}

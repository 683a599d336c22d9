//! What pgpki must withstand, shown on the real program: every system call failed in turn, killed
//! at every step and at random moments, a hostile owner of the directories it writes to, any
//! umask, full and read-only disks, homes that are not the caller's.
//!
//! Much of it needs root (mounts, other users) and all of `faults` needs strace. What is missing is
//! a failure, never a reason to skip.
#![allow(clippy::unwrap_used)]

mod attacker;
mod disk;
mod faults;
mod fixture;
mod homes;
mod hostile;
mod kills;
mod state;
mod strace;
mod tree;
mod umask;
mod waits;

/// A test that calls this must be run as root: as anybody else it would prove nothing.
#[track_caller]
fn need_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test mounts filesystems or gives files to other users: run it as root, as CI does"
    );
}

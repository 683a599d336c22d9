//! What pgpki does when nobody says otherwise: the commands of the README with the paths they
//! have there, inside a mount namespace of their own, and what a terminal changes.
//!
//! Most of it needs root, for the mounts and to act as another user; anybody else gets a failure,
//! not a skip.
#![allow(clippy::unwrap_used)]

mod debian;
mod machine;
mod root;
mod terminal;
mod user;

/// A test that calls this must be run as root: as anybody else it would prove nothing.
#[track_caller]
fn need_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test mounts filesystems and acts as other users: run it as root, as CI does"
    );
}

//! `pgpki inspect`: what it says of the ledger, of files and of folders, and that nothing makes it
//! panic, hang, or print what a stranger put into a name.
//!
//! Some of it gives files to other users and needs root; anybody else gets a failure, not a skip.
#![allow(clippy::unwrap_used)]

mod files;
mod folders;
mod ledger;
mod names;
mod paths;
mod report;
mod wrong;

/// A test that calls this must be run as root: as anybody else it would prove nothing.
#[track_caller]
fn need_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test acts as other users: run it as root, as CI does"
    );
}

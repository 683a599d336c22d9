//! A terminal that shows nothing of what is typed.

use std::fs::{File, OpenOptions};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// While it lives, the process's terminal echoes nothing. rpassword writes its prompt before it does the same, and what
/// somebody types in between, or a program that waits for the prompt, would be seen.
pub(super) struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    /// `None` where there is no terminal: whoever asks then finds that out, and says so.
    pub(super) fn begin() -> Option<Self> {
        let mut open = OpenOptions::new();
        let terminal = open.read(true).write(true).open("/dev/tty").ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSANOW, &silent).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing either.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

//! A terminal that shows nothing of what is typed.

use std::fs::{File, OpenOptions};
use std::os::unix::thread::JoinHandleExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::sys::pthread::pthread_kill;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// What ends a process whose owner has thought better of it.
const ENDS: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// What tells the watcher that it is over.
const OVER: Signal = Signal::SIGUSR1;

/// While it lives, the process's terminal echoes nothing. rpassword writes its prompt before it does the same, and what
/// somebody types in between, or a program that waits for the prompt, would be seen. It also leaves the terminal silent where
/// a `^C` ends the process.
pub(super) struct Silence {
    terminal: File,
    before: Termios,
    watcher: Option<Watcher>,
}

impl Silence {
    /// `None` where there is no terminal: whoever asks then finds that out, and says so.
    pub(super) fn begin() -> Option<Self> {
        let mut open = OpenOptions::new();
        let terminal = open.read(true).write(true).open("/dev/tty").ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        let this = Self {
            watcher: Watcher::begin(&terminal, &before, &silent),
            terminal,
            before,
        };
        tcsetattr(&this.terminal, SetArg::TCSANOW, &silent).ok()?;
        Some(this)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing either.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
        if let Some(watcher) = self.watcher.take() {
            watcher.end();
        }
    }
}

/// Gives the terminal its voice back before a signal ends the process.
struct Watcher {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    mask: SigSet,
}

impl Watcher {
    /// `None` where a signal ends the process as ever.
    fn begin(terminal: &File, before: &Termios, silent: &Termios) -> Option<Self> {
        let terminal = terminal.try_clone().ok()?;
        let (before, silent) = (before.clone(), silent.clone());
        let is_over = Arc::new(AtomicBool::new(false));
        let watched: SigSet = ENDS.into_iter().chain([OVER]).collect();
        let mask = watched.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        let told = is_over.clone();
        let watch = move || {
            while let Ok(signal) = watched.wait() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                if signal != OVER {
                    let _ = tcsetattr(&terminal, SetArg::TCSANOW, &before);
                    // Nothing handles it, so that it ends the process as if it had not been held up,
                    let _ = watched.thread_unblock();
                    let _ = raise(signal);
                    // or is ignored, as whoever started the process wants it.
                    let _ = watched.thread_block();
                    let _ = tcsetattr(&terminal, SetArg::TCSANOW, &silent);
                }
            }
        };
        let spawned = thread::Builder::new().spawn(watch);
        match spawned {
            Ok(thread) => Some(Self {
                is_over,
                thread,
                mask,
            }),
            Err(_) => {
                let _ = mask.thread_set_mask();
                None
            }
        }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for nothing else, and has been told.
        if pthread_kill(self.thread.as_pthread_t(), OVER).is_ok() {
            let _ = self.thread.join();
        }
        let _ = self.mask.thread_set_mask();
    }
}

//! Between the ledger and the disk there is no good moment to end.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// What ends a process whose owner has thought better of it. `SIGQUIT` still does at once, for whoever has to do with a disk
/// that does not answer.
const ENDS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// Does `act`, with the threads that it starts, before a signal ends the process: those that arrive meanwhile do so afterwards.
pub(crate) fn uninterrupted<T>(act: impl FnOnce() -> T) -> T {
    let ends: SigSet = ENDS.into_iter().collect();
    // Without it, what is cut short is mended by the next run as after a power cut.
    let before = ends.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
    let result = act();
    if let Some(before) = before {
        let _ = before.thread_set_mask();
    }
    result
}

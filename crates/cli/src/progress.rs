//! Progress, for what takes longer than a second: on standard error, and only on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is quicker than this needs no progress.
const SILENCE: Duration = Duration::from_secs(1);

/// How often the line is drawn again: often enough to look alive.
const PAUSE: Duration = Duration::from_millis(100);

/// The length of the bar, in columns.
const BAR: usize = 30;

/// Goes to the start of the line and empties it.
const CLEAR: &str = "\r\x1b[K";

/// Counts what has been made. Dropping it clears the line.
pub(crate) struct Progress {
    total: Option<usize>,
    made: AtomicUsize,
    on_terminal: bool,
    /// When the line is to be drawn next, and whether it has been.
    next: Mutex<(Instant, bool)>,
}

impl Progress {
    /// Towards `total`, if that is known.
    pub(crate) fn new(total: Option<usize>) -> Self {
        Self {
            total,
            made: AtomicUsize::new(0),
            on_terminal: io::stderr().is_terminal(),
            next: Mutex::new((Instant::now() + SILENCE, false)),
        }
    }

    pub(crate) fn add(&self, number: usize) {
        let made = self.made.fetch_add(number, Ordering::Relaxed) + number;
        if !self.on_terminal {
            return;
        }
        // Whoever finds it locked leaves the drawing to the one who draws.
        if let Ok(mut next) = self.next.try_lock()
            && Instant::now() >= next.0
        {
            // A terminal that has gone away is no reason to stop.
            let _ = write!(io::stderr(), "{CLEAR}{}", line(made, self.total));
            *next = (Instant::now() + PAUSE, true);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let next = self.next.get_mut().unwrap_or_else(PoisonError::into_inner);
        if next.1 {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

fn line(made: usize, total: Option<usize>) -> String {
    match total {
        None => format!("{made} certificates"),
        Some(total) => {
            let full = BAR * made.min(total) / total.max(1);
            format!("{:░<BAR$} {made} of {total} certificates", "█".repeat(full))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_fills_and_never_overflows() {
        assert_eq!(line(7, None), "7 certificates");
        for (made, full) in [(0, 0), (1, 10), (3, 30), (4, 30)] {
            let line = line(made, Some(3));
            let (bar, _) = line.split_once(' ').unwrap_or_default();
            assert_eq!(bar.chars().count(), 30, "{line}");
            assert_eq!(bar.chars().filter(|&c| c == '█').count(), full, "{line}");
        }
        assert!(line(0, Some(0)).ends_with("0 of 0 certificates"));
    }
}

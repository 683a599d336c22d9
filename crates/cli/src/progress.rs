//! Progress, for what takes longer than a second: on standard error, and only on a terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is quicker than this needs no progress.
const SILENCE: Duration = Duration::from_secs(1);

/// Counts what has been made. Dropping it clears the line.
pub(crate) struct Progress {
    bar: ProgressBar,
    made: AtomicU64,
    started: Instant,
}

impl Progress {
    /// Towards `total`, if that is known.
    pub(crate) fn new(total: Option<usize>) -> Self {
        let length = total.map(|total| total as u64);
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{bar:30} {pos} of {len} certificates",
            None => "{pos} certificates",
        };
        // Without a template that parses, the default style does as well.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            made: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    pub(crate) fn add(&self, number: usize) {
        let made = self.made.fetch_add(number as u64, Ordering::Relaxed) + number as u64;
        if self.started.elapsed() >= SILENCE {
            self.bar.set_position(made);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

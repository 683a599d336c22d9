//! Waiting for something that happens in another process.

use std::thread;
use std::time::{Duration, Instant};

/// Short enough to cost nothing in a test, long enough to leave the processor to the process that
/// is waited for.
const POLL: Duration = Duration::from_millis(10);

/// Whether `condition` came true before `limit` was over.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// Waits until `condition` is true; panics, naming `what`, when it is still false after `limit`.
pub fn await_that(what: &str, limit: Duration, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(limit, condition),
        "waited {limit:?} in vain: {what}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        await_that("the third answer is yes", Duration::from_secs(5), || {
            asked += 1;
            asked == 3
        });
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_condition_is_asked_at_least_once() {
        assert!(holds_within(Duration::ZERO, || true));
        assert!(!holds_within(Duration::ZERO, || false));
    }

    #[test]
    #[should_panic(expected = "in vain: pigs fly")]
    fn what_never_holds_is_named() {
        await_that("pigs fly", Duration::from_millis(20), || false);
    }
}

//! Forty years of daily cron, with missed weeks, a passphrase that comes months late, clocks that jump, folders whose
//! copies are taken elsewhere weeks later: real files and a real ledger, and webpki and OpenSSL as judges.
#![allow(clippy::unwrap_used)]

mod chance;
mod judges;
mod material;
mod story;
mod world;

use story::{Story, Told};
use time::Duration;

/// What a plan can only mend: until cron has run again, what another clock has made may not count.
const FAR: &[Duration] = &[Duration::HOUR, Duration::DAY, Duration::days(365)];

/// Less than the five minutes by which everything begins before it is made.
const STEPS: &[Duration] = &[Duration::seconds(30), Duration::minutes(4)];

fn tell(seed: u64, is_encrypted: bool, far: &'static [Duration]) -> Told {
    let mut story = Story::begin(seed, is_encrypted, far);
    story.tell();
    println!("{:?}", story.told);
    story.told
}

#[test]
fn root_key_at_hand() {
    tell(1, false, FAR);
}

#[test]
fn root_key_at_hand_and_old_roots_retired() {
    tell(2, false, FAR);
}

#[test]
fn passphrase_comes_late() {
    tell(3, true, FAR);
}

#[test]
fn passphrase_comes_late_and_old_roots_are_retired() {
    tell(4, true, FAR);
}

#[test]
fn steps_of_the_clock_harm_nobody_at_any_instant() {
    let told = tell(5, true, STEPS);
    assert!(told.jumps > 20, "{told:?}");
    assert_eq!(told.excused.total(), 0, "{told:?}");
}

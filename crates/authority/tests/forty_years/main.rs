//! Forty years of daily cron, with missed weeks, a passphrase that comes months late, clocks that jump, folders whose
//! copies are taken elsewhere weeks later: real files and a real ledger, and webpki and OpenSSL as judges.
#![allow(clippy::unwrap_used)]

mod chance;
mod judges;
mod material;
mod story;
mod world;

use story::Story;

fn tell(seed: u64, is_encrypted: bool) {
    let mut story = Story::begin(seed, is_encrypted);
    story.tell();
    println!("{:?}", story.told);
}

#[test]
fn root_key_at_hand() {
    tell(1, false);
}

#[test]
fn root_key_at_hand_and_old_roots_retired() {
    tell(2, false);
}

#[test]
fn passphrase_comes_late() {
    tell(3, true);
}

#[test]
fn passphrase_comes_late_and_old_roots_are_retired() {
    tell(4, true);
}

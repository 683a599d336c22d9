//! The program itself, by a clock that stands still a second before a boundary, and then on it.
#![allow(clippy::unwrap_used)]

use pgpki_testing::{Scene, run};
use serde_json::Value;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};

const START: OffsetDateTime = datetime!(2026-01-01 03:17 UTC);

struct Clock {
    scene: Scene,
}

impl Clock {
    /// An authority made at [`START`], with a server and a client, and the root's key at hand.
    fn new() -> Self {
        let clock = Self {
            scene: Scene::new(env!("CARGO_BIN_EXE_pgpki")),
        };
        let tls = clock.scene.tls();
        let tls = tls.to_str().unwrap();
        let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
        let owner = format!("{}:{}", owner.uid, owner.gid);
        clock.at(
            START,
            &[
                "init",
                "localhost",
                "--no-root-passphrase",
                "--install",
                tls,
                "--owner",
                &owner,
            ],
        );
        let shelf = clock.scene.path("clients");
        clock.at(
            START,
            &["issue-client", "alice", "--out", shelf.to_str().unwrap()],
        );
        clock
    }

    /// What the program says when the clock stands at `now`.
    fn at(&self, now: OffsetDateTime, args: &[&str]) -> String {
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let when = now.format(format).unwrap();
        let output = run(&mut self.scene.command_at(&when, args));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a rotation says of the root, of the issuing CA, and how many places it renews.
    fn rotate(&self, now: OffsetDateTime) -> (String, String, usize) {
        let report: Value = serde_json::from_str(&self.at(now, &["rotate", "--json"])).unwrap();
        let word = |name: &str| report[name].as_str().unwrap().to_owned();
        let places = report["places"].as_array().unwrap().iter();
        let renewed = places.filter(|place| place["outcome"] == "renewed");
        (word("root"), word("issuing_ca"), renewed.count())
    }
}

/// When something that was made at `from` and lasts for `days` has a third left.
fn third(from: OffsetDateTime, days: i64) -> OffsetDateTime {
    let end = from + Duration::days(days);
    end - (Duration::days(days) + Duration::minutes(5)) / 3
}

fn said(root: &str, issuing: &str, renewed: usize) -> (String, String, usize) {
    (root.to_owned(), issuing.to_owned(), renewed)
}

#[test]
fn leaves_an_issuing_ca_and_a_root_on_the_second() {
    let clock = Clock::new();
    let leaf = third(START, 365);
    assert_eq!(
        clock.rotate(leaf - Duration::SECOND),
        said("not-due", "not-due", 0)
    );
    assert_eq!(clock.rotate(leaf), said("not-due", "not-due", 2));
    assert_eq!(
        clock.rotate(leaf + Duration::SECOND),
        said("not-due", "not-due", 0)
    );

    let issuing = third(START, 1825);
    let fresh = issuing - Duration::days(10);
    assert_eq!(clock.rotate(fresh), said("not-due", "not-due", 2));
    assert_eq!(
        clock.rotate(issuing - Duration::SECOND),
        said("not-due", "not-due", 0)
    );
    // The server has to know the new CA before any client comes from it.
    assert_eq!(clock.rotate(issuing), said("not-due", "renewed", 1));
    assert_eq!(
        clock.rotate(issuing + Duration::SECOND),
        said("not-due", "not-due", 0)
    );

    let root = third(START, 3650);
    let second = third(issuing, 1825);
    assert!(second < root && root - second < Duration::MINUTE * 5);
    assert_eq!(
        clock.rotate(second - Duration::SECOND),
        said("not-due", "not-due", 2)
    );
    let (said_of_root, ..) = clock.rotate(root);
    assert_eq!(said_of_root, "renewed");
    assert_eq!(
        clock.rotate(root + Duration::SECOND),
        said("not-due", "not-due", 0)
    );
}

#[test]
fn a_clock_that_was_ahead_and_one_that_is_behind() {
    let clock = Clock::new();
    let ahead = START + Duration::days(400);
    assert_eq!(clock.rotate(ahead), said("not-due", "not-due", 2));
    // Five minutes are tolerated: what was made then counts from there on.
    let counts = ahead - Duration::minutes(5);
    assert_eq!(clock.rotate(counts), said("not-due", "not-due", 0));
    assert_eq!(
        clock.rotate(counts - Duration::SECOND),
        said("not-due", "not-due", 2)
    );
    assert_eq!(
        clock.rotate(counts - Duration::SECOND),
        said("not-due", "not-due", 0)
    );
}

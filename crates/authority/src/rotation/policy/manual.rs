//! `docs/rotation.md` says what the code does, as far as numbers can tell.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use pgpki_core::key::KeyAlgorithm;
use pgpki_core::name::Organization;
use pgpki_core::validity::CLOCK_TOLERANCE;
use time::Duration;

use super::tests::{Paper, START, settings};
use super::*;
use crate::deliver::KEPT_GENERATIONS;
use crate::hierarchy::CLOSING;

fn manual() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rotation.md");
    fs::read_to_string(path).unwrap()
}

fn defaults() -> Settings {
    Settings::new("pki", KeyAlgorithm::P256, Organization::default())
}

#[test]
fn the_manual_has_the_lifetimes() {
    let (text, defaults) = (manual(), defaults());
    for (what, days) in [
        ("root", defaults.root),
        ("issuing CA", defaults.issuing),
        ("server's certificate in an installation", defaults.leaf),
        ("server's certificate in a folder", defaults.leaf),
        ("client's certificate in its folder", defaults.leaf),
        ("client's folder that was moved away", defaults.leaf),
    ] {
        let row = format!("| {what} | {} days |", days.get());
        assert!(text.contains(&row), "{row}");
    }
}

#[test]
fn the_manual_has_the_other_numbers() {
    let text = manual();
    let issuing = defaults().issuing.get();
    for said in [
        format!("| {KEPT_GENERATIONS} are kept, the live one included |"),
        format!(
            "begin {} minutes before the clock",
            CLOCK_TOLERANCE.whole_minutes()
        ),
        format!("({} days of {issuing})", issuing / CLOSING.unsigned_abs()),
    ] {
        assert!(text.contains(&said), "{said}");
    }
    assert_eq!(CLOSING, 12, "\"the last twelfth\"");
}

/// Forty years of cron, the root's key at hand.
fn timeline() -> String {
    let days = [defaults().root, defaults().issuing, defaults().leaf].map(|days| days.get());
    let mut paper = Paper::new(settings(days[0], days[1], days[2]));
    let mut lines = "| 0 | 0.0 | root 1 begins, with issuing CA 1 |\n".to_owned();
    let (mut roots, mut issuing) = (1, 1);
    let mut ends = vec![(1, paper.root(START).not_after)];
    for day in 1..=40 * 365 {
        let now = START + Duration::days(day);
        let (step, _) = paper.rotate(&Request::default(), true, now);
        let mut line = |what: String| {
            let years = day as f64 / 365.0;
            lines += &format!("| {day} | {years:.1} | {what} |\n");
        };
        if let Some(index) = ends.iter().position(|(_, end)| *end < now) {
            line(format!("root {} has ended", ends.remove(index).0));
        }
        match step {
            Some(Step::Root) => {
                (roots, issuing) = (roots + 1, issuing + 1);
                ends.push((roots, paper.root(now).not_after));
                line(format!("root {roots} begins, with issuing CA {issuing}"));
            }
            Some(_) => {
                issuing += 1;
                line(format!("issuing CA {issuing}, under root {roots}"));
            }
            None => {}
        }
    }
    lines
}

#[test]
fn the_manual_has_the_timeline() {
    let timeline = timeline();
    assert!(
        manual().contains(&format!("|---|---|---|\n{timeline}\n")),
        "{timeline}"
    );
}

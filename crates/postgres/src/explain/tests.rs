#![allow(clippy::unwrap_used)]
use std::collections::HashSet;
use std::path::Path;

use super::*;
use proptest::prelude::*;

fn names(text: &str) -> Vec<&'static str> {
    let explanations = explain(text);
    explanations.iter().map(|it| it.entry.name).collect()
}

#[test]
fn each_entry_is_whole_and_has_a_name_of_its_own() {
    let mut seen = HashSet::new();
    for entry in entries() {
        assert!(seen.insert(entry.name), "{} stands there twice", entry.name);
        assert!(!entry.checks.is_empty() && !entry.texts.is_empty());
        assert!(entry.cause.ends_with('.'), "{}", entry.name);
        for text in entry.texts {
            assert_eq!(*text, text.to_lowercase(), "{}", entry.name);
            assert_eq!(text.trim(), *text, "{}", entry.name);
        }
    }
}

/// A text by which two entries are known would be explained twice.
#[test]
fn each_text_leads_to_its_own_entry() {
    for entry in entries() {
        for text in entry.texts {
            let text = text.trim_start_matches('=').replace('…', "\"x\"");
            assert_eq!(names(&text), [entry.name], "{text}");
        }
    }
}

#[test]
fn the_manual_has_the_pages_that_entries_name() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    for entry in entries() {
        for code in entry.findings {
            assert!(
                manual.contains(&format!("\n## {code}\n")),
                "{}: {code}",
                entry.name
            );
        }
    }
}

/// What servers and clients say is captured from them, in the tests of the program. This is our own.
#[test]
fn the_words_of_the_probe() {
    for (alert, name) in [
        ("certificate expired", "client-certificate-expired"),
        ("certificate revoked", "client-certificate-revoked"),
        ("bad certificate", "client-certificate-bad"),
        ("unsupported certificate", "client-certificate-purpose"),
        ("unknown ca", "client-issuer-unknown"),
    ] {
        let probe = format!("the server refused: alert {alert}");
        assert_eq!(names(&probe), [name]);
    }
}

#[test]
fn what_is_not_known_stays_unexplained() {
    for text in [
        "",
        "\n\n",
        "ERROR:  relation \"certificate\" does not exist",
        "ERROR:  permission denied for database prod",
        "a network error occurred",
        "the certificate is fine",
    ] {
        assert_eq!(names(text), [""; 0], "{text:?}");
    }
}

#[test]
fn a_line_that_a_terminal_has_broken_is_known() {
    let text =
        "private key file \"/home/alice/.postgresql/postgresql.key\" has\n  group or world access";
    assert_eq!(names(text), ["key-mode"]);
}

#[test]
fn what_was_recognised_is_shown_escaped() {
    let explanations = explain("  alert unknown ca \x1b[2J \n");
    assert_eq!(explanations[0].line, "alert unknown ca \\u{1b}[2J");
}

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        let _ = explain(&text);
    }
}

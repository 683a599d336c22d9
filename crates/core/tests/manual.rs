//! `docs/findings.md` explains every code that a finding can have, and no other.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates that make findings, from this one's folder.
const SOURCES: [&str; 3] = ["src", "../postgres/src", "../cli/src"];

/// What stands before a code, and the severity that it gives; none where an argument gives it.
const CONSTRUCTORS: [(&str, Option<&str>); 5] = [
    ("Finding::error(", Some("error")),
    ("Finding::warning(", Some("warning")),
    ("Finding::info(", Some("info")),
    ("Finding::new(", None),
    ("code: \"", None),
];

type Codes = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_manual_has_every_code_and_no_other() {
    let (source, manual) = (in_source(), in_manual());
    let only = |one: &Codes, other: &Codes| -> Vec<String> {
        let missing = one.keys().filter(|code| !other.contains_key(*code));
        missing.cloned().collect()
    };
    assert_eq!(only(&source, &manual), [""; 0], "not in docs/findings.md");
    assert_eq!(only(&manual, &source), [""; 0], "not in the program");
}

#[test]
fn the_manual_has_every_severity_that_a_code_is_reported_with() {
    let manual = in_manual();
    for (code, severities) in in_source() {
        let known = manual.get(&code).cloned().unwrap_or_default();
        let missing: Vec<_> = severities.difference(&known).collect();
        assert!(missing.is_empty(), "{code} lacks {missing:?}");
    }
}

#[test]
fn the_manual_is_in_order_and_each_entry_says_three_things() {
    let text = manual_text();
    let headings: Vec<_> = entries(&text).into_iter().map(|(code, _)| code).collect();
    assert!(headings.is_sorted(), "not in alphabetical order");
    for (code, body) in entries(&text) {
        let items = body.lines().filter(|line| line.starts_with("- ")).count();
        assert_eq!(items, 3, "{code}");
    }
}

#[test]
fn links_in_the_manual_lead_somewhere() {
    let (text, known) = (manual_text(), in_manual());
    let links = text.split("](#").skip(1);
    for link in links.filter_map(|rest| rest.split(')').next()) {
        assert!(known.contains_key(link), "#{link}");
    }
}

fn in_source() -> Codes {
    let mut codes = Codes::new();
    for folder in SOURCES {
        for path in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            collect(&fs::read_to_string(&path).unwrap(), &path, &mut codes);
        }
    }
    // A scan that sees nothing would be content with anything.
    assert!(codes.len() > 50, "{codes:?}");
    codes
}

/// The first string literal behind each constructor. Where that is no code, the constructor is
/// given one by other means, which this scan cannot follow.
fn collect(text: &str, path: &Path, codes: &mut Codes) {
    for (constructor, severity) in CONSTRUCTORS {
        for (at, _) in text.match_indices(constructor) {
            let rest = text.get(at + constructor.len()..).unwrap();
            let mut parts = rest.splitn(3, '"');
            let before = parts.next().unwrap();
            let code = match constructor.ends_with('"') {
                true => before,
                false => parts.next().unwrap(),
            };
            assert!(
                is_code(code) && (severity.is_none() || before.trim().is_empty()),
                "{}: {constructor} with no literal code: {code}",
                path.display()
            );
            let known = codes.entry(code.to_owned()).or_default();
            known.extend(severity.map(str::to_owned));
        }
    }
}

fn is_code(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(is_part)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

fn manual_text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    fs::read_to_string(path).unwrap()
}

/// Each heading, and what stands below it.
fn entries(text: &str) -> Vec<(&str, &str)> {
    let sections = text.split("\n## ").skip(1);
    sections.map(|s| s.split_once('\n').unwrap()).collect()
}

fn in_manual() -> Codes {
    let text = manual_text();
    let mut codes = Codes::new();
    for (code, body) in entries(&text) {
        let severities = body.split("**").nth(1).unwrap_or_default();
        let severities = severities.split(", ").map(str::to_owned).collect();
        let before = codes.insert(code.to_owned(), severities);
        assert!(before.is_none(), "{code} stands there twice");
    }
    codes
}

//! What an error message means: its cause, what to look at, and what to do.
//!
//! [`explain`] looks a text up in a table that is data and nothing else. What is not in it stays
//! unexplained: a guess would send somebody the wrong way.

mod certificate_files;
mod client_refused;
mod closed;
mod key_files;
mod login;
mod negotiation;
mod pattern;
mod reach;
mod server_refused;
pub(crate) mod session;

use pgpki_core::document::printable;

use pattern::{Found, Line};

/// An error that PostgreSQL, libpq or a driver reports.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// A stable name in kebab-case, for scripts.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to look at, the likeliest first.
    pub checks: &'static [&'static str],
    /// What to do: a sentence or two.
    pub fix: &'static str,
    /// The codes of findings whose pages in `docs/findings.md` say more.
    pub findings: &'static [&'static str],
    /// The texts by which it is known, see [`pattern`].
    texts: &'static [&'static str],
}

/// An entry that fits, and what it fits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it is.
    pub entry: &'static Entry,
    /// The line of the text that was recognised, without its indentation; escaped.
    pub line: String,
}

/// Every entry. Where several fit, they are given in this order: what names a cause stands before
/// what a cause leads to, and both before what says next to nothing.
const TABLE: [&[Entry]; 9] = [
    key_files::ENTRIES,
    certificate_files::ENTRIES,
    client_refused::ENTRIES,
    server_refused::ENTRIES,
    negotiation::ENTRIES,
    login::ENTRIES,
    session::ENTRIES,
    reach::ENTRIES,
    closed::ENTRIES,
];

/// The most of a text that is looked at, in characters: more than any error message has.
const LONGEST_TEXT: usize = 64 << 10;

/// The entries that fit a text: a message alone, a line of a log, everything that psql printed. The
/// most specific one comes first; none means that the text is not known.
///
/// The text is looked at line by line. Only where no line says anything are they taken as one, for
/// what a terminal has broken.
pub fn explain(text: &str) -> Vec<Explanation> {
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    let by_line: Vec<_> = text.lines().flat_map(in_line).collect();
    let found = match by_line.is_empty() {
        true => in_line(&text),
        false => by_line,
    };
    let mut explanations: Vec<Explanation> = Vec::new();
    for entry in TABLE.into_iter().flatten() {
        let first = found.iter().find(|it| it.entry == entry);
        explanations.extend(first.cloned());
    }
    explanations
}

/// Every entry, in the order of the table.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    TABLE.into_iter().flatten()
}

fn in_line(line: &str) -> Vec<Explanation> {
    let folded = Line::new(line);
    let found: Vec<(&Entry, Found)> = entries()
        .filter_map(|entry| Some((entry, folded.find(entry.texts)?)))
        .collect();
    let is_hidden = |one: &Found| found.iter().any(|(_, other)| other.says_more_than(one));
    let visible = found.iter().filter(|(_, own)| !is_hidden(own));
    visible
        .map(|(entry, _)| Explanation {
            entry,
            line: printable(line.trim()),
        })
        .collect()
}

#[cfg(test)]
mod tests;

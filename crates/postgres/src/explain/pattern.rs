//! How a text is recognised.
//!
//! A pattern is a text in lower case that a line contains. `…` stands for anything in between, such
//! as a path or a role; a pattern that begins with `=` is the whole line. Neither the case of
//! letters nor the number of spaces counts.

use std::ops::Range;

/// A line as it is compared.
pub(super) struct Line(String);

/// Where a pattern's pieces stand in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found(Vec<Range<usize>>);

impl Line {
    pub(super) fn new(text: &str) -> Self {
        let words: Vec<_> = text.split_whitespace().collect();
        Self(words.join(" ").to_lowercase())
    }

    /// The longest of some patterns that the line contains.
    pub(super) fn find(&self, patterns: &[&str]) -> Option<Found> {
        let found = patterns.iter().filter_map(|pattern| self.find_one(pattern));
        found.max_by_key(Found::length)
    }

    fn find_one(&self, pattern: &str) -> Option<Found> {
        let Self(line) = self;
        if let Some(whole) = pattern.strip_prefix('=') {
            return (line == whole).then(|| Found(std::iter::once(0..line.len()).collect()));
        }
        let mut pieces = Vec::new();
        let mut from = 0;
        for piece in pattern.split('…').map(str::trim) {
            let start = from + line.get(from..)?.find(piece)?;
            from = start + piece.len();
            pieces.push(start..from);
        }
        Some(Found(pieces))
    }
}

impl Found {
    fn length(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// Whether everything that `other` is known by is only a part of this: `certificate verify
    /// failed` means one thing in a server's log, and another by itself.
    pub(super) fn says_more_than(&self, other: &Self) -> bool {
        let holds = |piece: &Range<usize>| {
            let mut own = self.0.iter();
            own.any(|own| own.start <= piece.start && piece.end <= own.end)
        };
        self.length() > other.length() && other.0.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_follow_each_other() {
        let line = Line::new("FATAL:  private  key file \"/a b\" has\tGroup access");
        assert!(line.find(&["private key file … group access"]).is_some());
        assert!(line.find(&["group access … private key file"]).is_none());
        assert!(line.find(&["=group access"]).is_none());
        assert!(
            Line::new(" Network error ")
                .find(&["=network error"])
                .is_some()
        );
    }

    #[test]
    fn the_longer_one_counts() {
        let line = Line::new("could not accept SSL connection: certificate verify failed");
        let short = line.find(&["certificate verify failed"]).unwrap();
        let long = line.find(&["failed", "accept ssl … certificate verify failed"]);
        let long = long.unwrap();
        assert!(long.says_more_than(&short) && !short.says_more_than(&long));
        assert!(!short.says_more_than(&short));
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC{0,40}", pattern in "[a-zé …=]{0,12}") {
            let _ = Line::new(&text).find(&[&pattern]);
        }
    }
}

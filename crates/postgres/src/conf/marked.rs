//! A block of lines between two comments, which can be found again and taken out without a trace.
//!
//! ```text
//! # BEGIN pgpki 0123456789abcdef (written by pgpki, which puts back what was here; do not edit up to END)
//! …
//! # END pgpki
//! ```
//!
//! Both `postgresql.conf` and `pg_hba.conf` have comments from `#` to the end of the line. The
//! number is a checksum of the lines: it tells a block that somebody has edited, which is theirs
//! then and not to be thrown away.

use std::ops::Range;

const BEGIN: &str = "# BEGIN pgpki";
const END: &str = "# END pgpki";
const ADVICE: &str = "(written by pgpki, which puts back what was here; do not edit up to END)";
/// Says that the line break before the block is ours too, because the file's last line had none.
const NO_LINE_BREAK_BEFORE: &str = "no-line-break-before";

/// The lines that stand between the markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    lines: Vec<Vec<u8>>,
}

/// A block in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The line of the first marker, from 1.
    pub first_line: u32,
    /// The line of the last marker.
    pub last_line: u32,
    /// What stands between them.
    pub block: Block,
    /// From the first marker's first byte to behind the last marker's line ending.
    bytes: Range<usize>,
    line_break_is_ours: bool,
}

/// Why a block cannot be written, or cannot be taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Not one line of text, or one that would not stay what it is.
    #[error(
        "the line {0:?} cannot stand in a block: it holds a line break, ends in a backslash, or looks like a marker"
    )]
    Line(String),
    /// Lines were changed, added or removed between the markers.
    #[error(
        "somebody has edited pgpki's block in lines {first} to {last}: move the lines that you need out of it, then delete both markers and what is between them"
    )]
    Edited {
        /// The line of the first marker, from 1.
        first: u32,
        /// The line of the last marker.
        last: u32,
    },
    /// The second marker is missing.
    #[error(
        "line {line} begins a block of pgpki's, but no line {END:?} ends it: delete the line, and those below it that pgpki wrote"
    )]
    NoEnd {
        /// The line of the first marker, from 1.
        line: u32,
    },
    /// The first marker is missing.
    #[error(
        "line {line} ends a block of pgpki's that no line begins: delete it, and the lines above it that pgpki wrote"
    )]
    NoBegin {
        /// The line of the second marker, from 1.
        line: u32,
    },
    /// There can be only one.
    #[error(
        "a second block of pgpki's begins in line {line}, after the one in line {first}: delete one of the two, with its markers"
    )]
    Second {
        /// The line of the first block's first marker, from 1.
        first: u32,
        /// The line of the second block's first marker.
        line: u32,
    },
    /// There is one already.
    #[error("pgpki's block is there already, from line {line} on")]
    AlreadyThere {
        /// The line of its first marker, from 1.
        line: u32,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Eol {
    Lf,
    CrLf,
}

impl Block {
    /// Takes lines without their line endings.
    pub fn new<L: Into<Vec<u8>>>(lines: impl IntoIterator<Item = L>) -> Result<Self, BlockError> {
        let lines: Vec<Vec<u8>> = lines.into_iter().map(Into::into).collect();
        let unfit = |line: &&Vec<u8>| {
            line.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0))
                || line.ends_with(b"\\")
                || is_begin(line)
                || is_end(line)
        };
        match lines.iter().find(unfit) {
            Some(line) => Err(BlockError::Line(String::from_utf8_lossy(line).into_owned())),
            None => Ok(Self { lines }),
        }
    }

    /// The lines, without line endings.
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// FNV-1a, 64 bits: it has to notice people at work, not forgers. Line endings do not count,
    /// since version control may convert them.
    fn checksum(&self) -> u64 {
        self.lines
            .iter()
            .flat_map(|line| line.iter().chain(b"\n"))
            .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            })
    }

    fn render(&self, eol: Eol, line_break_is_ours: bool) -> Vec<u8> {
        let note = if line_break_is_ours {
            format!(" {NO_LINE_BREAK_BEFORE}")
        } else {
            String::new()
        };
        let begin = format!("{BEGIN} {:016x}{note} {ADVICE}", self.checksum());
        let lines = [begin.as_bytes()]
            .into_iter()
            .chain(self.lines.iter().map(Vec::as_slice))
            .chain([END.as_bytes()]);
        lines
            .flat_map(|line| [line, eol.bytes()])
            .collect::<Vec<_>>()
            .concat()
    }
}

impl Eol {
    /// What the first line of a file ends in; a file without line breaks gets line feeds.
    fn of(text: &[u8]) -> Self {
        match text.iter().position(|&byte| byte == b'\n') {
            Some(end) if text[..end].ends_with(b"\r") => Self::CrLf,
            _ => Self::Lf,
        }
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// The block in `text`.
pub fn find(text: &[u8]) -> Result<Option<Found>, BlockError> {
    let mut found: Option<Found> = None;
    let mut open: Option<(u32, usize, Vec<Vec<u8>>)> = None;
    let mut at = 0;
    for (number, line) in (1..).zip(text.split_inclusive(|&byte| byte == b'\n')) {
        let content = without_ending(line);
        let start = at;
        at += line.len();
        if is_begin(content) {
            let earlier = found.as_ref().map(|it| it.first_line);
            if let Some(first) = earlier.or(open.as_ref().map(|it| it.0)) {
                return Err(BlockError::Second {
                    first,
                    line: number,
                });
            }
            open = Some((number, start, Vec::new()));
        } else if is_end(content) {
            let (first_line, start, lines) =
                open.take().ok_or(BlockError::NoBegin { line: number })?;
            found = Some(closed(
                text,
                (first_line, number),
                start..at,
                Block { lines },
            )?);
        } else if let Some((.., lines)) = &mut open {
            lines.push(content.to_vec());
        }
    }
    match open {
        Some((line, ..)) => Err(BlockError::NoEnd { line }),
        None => Ok(found),
    }
}

/// Compares a block with what its first marker says about it.
fn closed(
    text: &[u8],
    (first_line, last_line): (u32, u32),
    bytes: Range<usize>,
    block: Block,
) -> Result<Found, BlockError> {
    let edited = BlockError::Edited {
        first: first_line,
        last: last_line,
    };
    let marker = text[bytes.start..]
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let marker = String::from_utf8_lossy(marker);
    let mut words = marker[BEGIN.len()..].split_ascii_whitespace();
    let checksum = format!("{:016x}", block.checksum());
    if words.next() != Some(checksum.as_str()) {
        return Err(edited);
    }
    Ok(Found {
        first_line,
        last_line,
        block,
        bytes,
        line_break_is_ours: words.next() == Some(NO_LINE_BREAK_BEFORE),
    })
}

/// `text` with `block` before its first line.
pub fn insert_first(text: &[u8], block: &Block) -> Result<Vec<u8>, BlockError> {
    refuse_second(text)?;
    Ok([&block.render(Eol::of(text), false), text].concat())
}

/// `text` with `block` after its last line.
pub fn insert_last(text: &[u8], block: &Block) -> Result<Vec<u8>, BlockError> {
    refuse_second(text)?;
    let eol = Eol::of(text);
    let unfinished = text.last().is_some_and(|&byte| byte != b'\n');
    let line_break = if unfinished { eol.bytes() } else { b"" };
    Ok([text, line_break, &block.render(eol, unfinished)].concat())
}

/// `text` with `block` where another one is; `None` where none is.
pub fn replace(text: &[u8], block: &Block) -> Result<Option<Vec<u8>>, BlockError> {
    Ok(find(text)?.map(|found| {
        let eol = Eol::of(&text[found.bytes.clone()]);
        let new = block.render(eol, found.line_break_is_ours);
        [&text[..found.bytes.start], &new, &text[found.bytes.end..]].concat()
    }))
}

/// `text` as it was before the block came; `None` where none is.
pub fn remove(text: &[u8]) -> Result<Option<Vec<u8>>, BlockError> {
    Ok(find(text)?.map(|found| {
        let before = &text[..found.bytes.start];
        let after = &text[found.bytes.end..];
        // Where lines have been added below it since, the line above needs its end.
        let ours = match found.line_break_is_ours && after.is_empty() {
            true => Eol::of(&text[found.bytes]).bytes(),
            false => b"",
        };
        [before.strip_suffix(ours).unwrap_or(before), after].concat()
    }))
}

fn refuse_second(text: &[u8]) -> Result<(), BlockError> {
    match find(text)? {
        Some(found) => Err(BlockError::AlreadyThere {
            line: found.first_line,
        }),
        None => Ok(()),
    }
}

fn without_ending(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_begin(line: &[u8]) -> bool {
    line.strip_prefix(BEGIN.as_bytes())
        .is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

fn is_end(line: &[u8]) -> bool {
    line.trim_ascii_end() == END.as_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn block() -> Block {
        Block::new(["hostnossl all all all reject", "# é", ""]).unwrap()
    }

    #[test]
    fn a_block_stands_between_its_markers() {
        let text = insert_first(b"a\nb", &block()).unwrap();
        let lines: Vec<&str> = std::str::from_utf8(&text).unwrap().split('\n').collect();
        assert!(lines[0].starts_with("# BEGIN pgpki "), "{lines:?}");
        assert_eq!(
            lines[1..],
            [
                "hostnossl all all all reject",
                "# é",
                "",
                "# END pgpki",
                "a",
                "b"
            ]
        );
        let found = find(&text).unwrap().unwrap();
        assert_eq!((found.first_line, found.last_line), (1, 5));
        assert_eq!(found.block, block());
    }

    #[test]
    fn lines_that_would_not_stay_lines_are_refused() {
        for line in ["a\nb", "a\r", "a\\", "# END pgpki ", "# BEGIN pgpki", "\0"] {
            assert!(
                matches!(Block::new([line]), Err(BlockError::Line(_))),
                "{line:?}"
            );
        }
        assert!(Block::new(["# BEGIN pgpkix"]).is_ok());
    }

    #[test]
    fn a_block_that_is_not_as_it_was_is_left_alone() {
        let text = String::from_utf8(insert_first(b"x\n", &block()).unwrap()).unwrap();
        let edited = BlockError::Edited { first: 1, last: 5 };
        let end = "# END pgpki\n";
        for (changed, expected) in [
            (text.replace("reject", "trust"), edited.clone()),
            (text.replace("# BEGIN pgpki ", "# BEGIN pgpki 0"), edited),
            (text.replace(end, ""), BlockError::NoEnd { line: 1 }),
            (
                text.split_once('\n').unwrap().1.to_owned(),
                BlockError::NoBegin { line: 4 },
            ),
            (
                format!("{text}{text}"),
                BlockError::Second { first: 1, line: 7 },
            ),
            (
                text.replace(end, &text),
                BlockError::Second { first: 1, line: 5 },
            ),
        ] {
            let changed = changed.as_bytes();
            assert_eq!(find(changed), Err(expected.clone()));
            assert_eq!(remove(changed), Err(expected.clone()));
            assert_eq!(replace(changed, &block()), Err(expected.clone()));
            assert_eq!(insert_last(changed, &block()), Err(expected));
        }
        let again = insert_first(text.as_bytes(), &block());
        assert_eq!(again, Err(BlockError::AlreadyThere { line: 1 }));
    }

    #[test]
    fn line_endings_that_were_converted_are_no_edit() {
        let text = String::from_utf8(insert_last(b"a\nb", &block()).unwrap()).unwrap();
        let converted = text.replace('\n', "\r\n");
        assert_eq!(remove(converted.as_bytes()).unwrap().unwrap(), b"a\r\nb");
    }

    #[test]
    fn lines_that_came_below_the_block_stay_lines() {
        let mut text = insert_last(b"a", &block()).unwrap();
        text.extend(b"b\n");
        assert_eq!(remove(&text).unwrap().unwrap(), b"a\nb\n");
    }

    /// Files whose ends and line endings are of every kind.
    fn files() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\\".to_vec()),
            Just(b"\xef\xbb\xbf".to_vec()),
            Just(b"# BEGIN pgpk".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..20),
            "[ -~]{0,20}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(piece, 0..20).prop_map(|it| it.concat())
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out_again(text in files(), lines in proptest::collection::vec("[ -\\[\\]-~]{0,9}", 0..4)) {
            let block = Block::new(lines).unwrap();
            for insert in [insert_first, insert_last] {
                let with = insert(&text, &block).unwrap();
                prop_assert_eq!(&find(&with).unwrap().unwrap().block, &block);
                prop_assert_eq!(remove(&with).unwrap().unwrap(), text.clone());
                let replaced = replace(&with, &Block::new(["x"]).unwrap()).unwrap().unwrap();
                prop_assert_eq!(remove(&replaced).unwrap().unwrap(), text.clone());
            }
            prop_assert_eq!(remove(&text).unwrap(), None);
        }
    }
}

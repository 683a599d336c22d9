//! Lines, fields and tokens of `pg_hba.conf`, after `next_token`, `next_field_expand` and
//! `tokenize_auth_file` in PostgreSQL's `hba.c`.

use std::borrow::Cow;

use super::problem::Problem;

/// From this version on, a backslash at the end of a line continues it.
const CONTINUATION_SINCE: u32 = 14;

/// Until version 13, the buffer that a line is read into, with its line feed and a terminating
/// zero; 8192 before November 2023.
const LINE_BUFFER: usize = 20_480;

/// Until version 15, the buffer that a token is read into, with its terminating zero. Servers from
/// before November 2023 have 256; a token between the two sizes is refused by those.
const TOKEN_BUFFER: usize = 10_240;

/// One item of a field, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it says.
    pub(super) text: Vec<u8>,
    /// Whether it began with a quote; a keyword has no meaning then.
    pub(super) quoted: bool,
    /// `@file`, which nobody has put the file's contents in place of.
    pub(super) is_file: bool,
}

/// A line as the server sees it: continuations joined, line endings off.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) text: Cow<'a, [u8]>,
}

/// The tokens of one field, of which the list of databases and the one of roles may have several.
pub(super) type Field = Vec<Token>;

/// What stands for `@name`. Without a file to read, the reference itself.
pub(super) type Expand<'a> = dyn FnMut(&[u8]) -> Result<Vec<Token>, Problem> + 'a;

impl Token {
    /// Whether it is this keyword.
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword.as_bytes()
    }

    /// For people; bytes that are not UTF-8 are replaced.
    pub(super) fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// The lines of a file for a server of this major version.
pub(super) fn lines(text: &[u8], major: u32) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut physical = (1..).zip(text.split_inclusive(|&byte| byte == b'\n'));
    while let Some((first, line)) = physical.next() {
        let mut last = first;
        let mut joined = Cow::Borrowed(without_ending(line));
        // A second backslash before the end is not looked at again: see the comment in
        // tokenize_auth_file.
        let mut continued_at = 0;
        while major >= CONTINUATION_SINCE && joined.len() > continued_at && joined.ends_with(b"\\")
        {
            let joined = joined.to_mut();
            joined.pop();
            continued_at = joined.len();
            let Some((number, line)) = physical.next() else {
                break;
            };
            last = number;
            joined.extend(line);
            joined.truncate(without_ending(joined).len());
        }
        lines.push(Line {
            first,
            last,
            text: joined,
        });
    }
    lines
}

/// All carriage returns and line feeds at the end (`pg_strip_crlf`).
fn without_ending(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'))
        .map_or(0, |last| last + 1);
    &line[..end]
}

/// The fields of a line; none where it is blank or a comment.
pub(super) fn fields(
    line: &[u8],
    major: u32,
    expand: &mut Expand<'_>,
) -> Result<Vec<Field>, Problem> {
    if line.contains(&0) {
        return Err(Problem::ZeroByte);
    }
    if major < CONTINUATION_SINCE && line.len() + 2 >= LINE_BUFFER {
        return Err(Problem::LineTooLong {
            limit: LINE_BUFFER - 3,
        });
    }
    let longest_token = if major <= 15 {
        TOKEN_BUFFER - 1
    } else {
        usize::MAX
    };
    let mut scanner = Scanner {
        rest: line,
        longest_token,
    };
    let mut fields = Vec::new();
    while !scanner.rest.is_empty() {
        let field = scanner.field(expand)?;
        // An empty file in the place of a whole field leaves no field at all.
        if !field.is_empty() {
            fields.push(field);
        }
    }
    Ok(fields)
}

struct Scanner<'a> {
    rest: &'a [u8],
    longest_token: usize,
}

impl Scanner<'_> {
    /// Tokens up to one that no comma follows at once.
    fn field(&mut self, expand: &mut Expand<'_>) -> Result<Field, Problem> {
        let mut field = Vec::new();
        loop {
            let Some((token, comma)) = self.token()? else {
                return Ok(field);
            };
            match token.text.strip_prefix(b"@") {
                Some(name) if !token.quoted && !name.is_empty() => field.extend(expand(name)?),
                _ => field.push(token),
            }
            if !comma {
                return Ok(field);
            }
        }
    }

    /// The next token, and whether a comma ends it; the comma is left for the next call to skip.
    fn token(&mut self) -> Result<Option<(Token, bool)>, Problem> {
        let skipped = self
            .rest
            .iter()
            .take_while(|&&byte| is_blank(byte) || byte == b',')
            .count();
        let mut at = skipped;
        let mut text = Vec::new();
        let (mut in_quote, mut was_quote, mut saw_quote, mut quoted) = (false, false, false, false);
        let mut comma = false;
        while let Some(&byte) = self.rest.get(at) {
            if is_blank(byte) && !in_quote {
                break;
            }
            if byte == b'#' && !in_quote {
                at = self.rest.len();
                break;
            }
            if text.len() >= self.longest_token {
                return Err(Problem::TokenTooLong {
                    limit: self.longest_token,
                });
            }
            if byte == b',' && !in_quote {
                comma = true;
                break;
            }
            // A quote is a quote only where another one precedes it inside of quotes.
            if byte != b'"' || was_quote {
                text.push(byte);
            }
            was_quote = in_quote && byte == b'"' && !was_quote;
            if byte == b'"' {
                in_quote = !in_quote;
                saw_quote = true;
                quoted |= text.is_empty();
            }
            at += 1;
        }
        self.rest = &self.rest[at..];
        let found = saw_quote || !text.is_empty();
        Ok(found.then_some((
            Token {
                text,
                quoted,
                is_file: false,
            },
            comma,
        )))
    }
}

/// `pg_isblank`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Leaves `@name` as it is.
pub(super) fn unexpanded(name: &[u8]) -> Result<Vec<Token>, Problem> {
    Ok(vec![Token {
        text: name.to_vec(),
        quoted: false,
        is_file: true,
    }])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(line: &str) -> Vec<Vec<String>> {
        let mark = |token: Token| {
            let mark = match (token.quoted, token.is_file) {
                (true, _) => "q:",
                (_, true) => "@:",
                _ => "",
            };
            format!("{mark}{}", token.to_text())
        };
        fields(line.as_bytes(), 18, &mut unexpanded)
            .unwrap()
            .into_iter()
            .map(|field| field.into_iter().map(mark).collect())
            .collect()
    }

    #[test]
    fn fields_end_at_blanks_and_go_on_after_commas() {
        for (line, expected) in [
            (
                "a b\tc\rd",
                vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"]],
            ),
            ("a,b, c ,d", vec![vec!["a", "b", "c"], vec!["d"]]),
            ("a,,b,", vec![vec!["a", "b"]]),
            ("a#b c", vec![vec!["a"]]),
            ("  # b", vec![]),
            (
                "\"a b\",\"#,\" \"\"",
                vec![vec!["q:a b", "q:#,"], vec!["q:"]],
            ),
            ("\"a\"\"b\" a\"b c\"d", vec![vec!["q:a\"b"], vec!["ab cd"]]),
            ("\"open a", vec![vec!["q:open a"]]),
            (
                "@f,\"@f\",@\"a b\",@",
                vec![vec!["@:f", "q:@f", "@:a b", "@"]],
            ),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn backslashes_continue_lines_from_version_14_on() {
        let text = b"a \\\r\nb\\\n\nc\\\\\n\nd\\";
        let joined: Vec<_> = lines(text, 14)
            .into_iter()
            .map(|it| (it.first, it.last, it.text.into_owned()))
            .collect();
        // Of two backslashes the first one stays: it stands where the second was cut off.
        assert_eq!(
            joined,
            [
                (1, 3, b"a b".to_vec()),
                (4, 5, b"c\\".to_vec()),
                (6, 6, b"d".to_vec())
            ]
        );
        assert_eq!(lines(text, 13).len(), 6);
    }

    #[test]
    fn what_the_server_has_no_room_for_is_refused() {
        let long = "x".repeat(10_240);
        let refused = |line: &str, major| fields(line.as_bytes(), major, &mut unexpanded).err();
        assert_eq!(
            refused(&long, 15),
            Some(Problem::TokenTooLong { limit: 10_239 })
        );
        assert_eq!(refused(&long[1..], 15), None);
        assert_eq!(refused(&long, 16), None);
        assert_eq!(
            refused(&"a ".repeat(10_239), 13),
            Some(Problem::LineTooLong { limit: 20_477 })
        );
        assert_eq!(refused("a\0", 15), Some(Problem::ZeroByte));
    }
}

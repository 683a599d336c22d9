//! The tokens of one line, after `guc-file.l`. No token reaches across a line break, so a line can
//! be read by itself.

use super::Near;

/// What one line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    /// Blank, or a comment.
    Nothing,
    /// `name [=] value`.
    Setting { name: &'a [u8], value: Vec<u8> },
    /// Neither.
    Error(Near),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Id,
    QualifiedId,
    String,
    UnquotedString,
    Number,
    Equals,
    Error,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a [u8],
}

/// Reads a line without its line feed. A carriage return is white space.
pub(super) fn read_line(line: &[u8]) -> Reading<'_> {
    let mut rest = line;
    let Some(name) = next_token(&mut rest) else {
        return Reading::Nothing;
    };
    match setting(name, &mut rest) {
        Ok((name, value)) => Reading::Setting { name, value },
        Err(near) => Reading::Error(near),
    }
}

fn setting<'a>(name: Token<'a>, rest: &mut &'a [u8]) -> Result<(&'a [u8], Vec<u8>), Near> {
    if !matches!(name.kind, Kind::Id | Kind::QualifiedId) {
        return Err(near(Some(name)));
    }
    let mut value = next_token(rest);
    if value.is_some_and(|it| it.kind == Kind::Equals) {
        value = next_token(rest);
    }
    let value = match value {
        Some(it) if it.text.contains(&0) => return Err(Near::Nul),
        Some(it) if it.kind == Kind::String => unquoted(it.text),
        // A name with a dot is no value, unlike a word with two dots: the scanner knows it as
        // another kind of token.
        Some(it) if matches!(it.kind, Kind::Id | Kind::UnquotedString | Kind::Number) => {
            it.text.to_vec()
        }
        other => return Err(near(other)),
    };
    match next_token(rest) {
        None => Ok((name.text, value)),
        other => Err(near(other)),
    }
}

fn near(token: Option<Token<'_>>) -> Near {
    match token {
        None => Near::EndOfLine,
        Some(it) if it.text.contains(&0) => Near::Nul,
        Some(it) => Near::Token(String::from_utf8_lossy(it.text).into_owned()),
    }
}

/// The longest token at the start, as flex finds it; `None` at the end of the line or at a comment.
fn next_token<'a>(rest: &mut &'a [u8]) -> Option<Token<'a>> {
    let blanks = count(rest, |byte| matches!(byte, b' ' | b'\t' | b'\r'));
    let line = &rest[blanks..];
    let first = *line.first().filter(|&&byte| byte != b'#')?;
    let number = number_length(line);
    let (kind, length) = match first {
        _ if is_letter(first) => word(line),
        b'\'' => match string_length(line) {
            Some(length) => (Kind::String, length),
            None => (Kind::Error, 1),
        },
        b'=' => (Kind::Equals, 1),
        _ if number > 0 => (Kind::Number, number),
        _ => (Kind::Error, 1),
    };
    let (text, after) = line.split_at(length);
    *rest = after;
    Some(Token { kind, text })
}

/// Bytes from 0x80 on are letters, so that names and values in any encoding pass.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_letter_or_digit(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit()
}

fn is_id(text: &[u8]) -> bool {
    text.first().is_some_and(|&byte| is_letter(byte))
        && text.iter().all(|&byte| is_letter_or_digit(byte))
}

fn word(line: &[u8]) -> (Kind, usize) {
    let length = count(line, |byte| {
        is_letter_or_digit(byte) || matches!(byte, b'-' | b'.' | b'_' | b':' | b'/')
    });
    let text = &line[..length];
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let kind = match (parts.next(), parts.next()) {
        (Some(only), None) if is_id(only) => Kind::Id,
        (Some(class), Some(name)) if is_id(class) && is_id(name) => Kind::QualifiedId,
        _ => Kind::UnquotedString,
    };
    (kind, length)
}

/// `INTEGER` or `REAL`, whichever reaches further; 0 for neither.
fn number_length(line: &[u8]) -> usize {
    let sign = usize::from(matches!(line.first(), Some(b'+' | b'-')));
    let body = &line[sign..];
    let longest = integer_length(body).max(real_length(body));
    if longest == 0 { 0 } else { sign + longest }
}

/// Digits, decimal or hexadecimal, and the letters of a unit.
fn integer_length(body: &[u8]) -> usize {
    let with_unit = |digits: usize| digits + count(&body[digits..], |it| it.is_ascii_alphabetic());
    let decimal = match count(body, |it| it.is_ascii_digit()) {
        0 => 0,
        digits => with_unit(digits),
    };
    let hexadecimal = match body.strip_prefix(b"0x") {
        Some(rest) => match count(rest, |it| it.is_ascii_hexdigit()) {
            0 => 0,
            digits => with_unit(2 + digits),
        },
        None => 0,
    };
    decimal.max(hexadecimal)
}

/// A dot with or without digits around it; an exponent only with digits of its own.
fn real_length(body: &[u8]) -> usize {
    let whole = count(body, |it| it.is_ascii_digit());
    if body.get(whole) != Some(&b'.') {
        return 0;
    }
    let mantissa = whole + 1 + count(&body[whole + 1..], |it| it.is_ascii_digit());
    let exponent = &body[mantissa..];
    if !matches!(exponent.first(), Some(b'e' | b'E')) {
        return mantissa;
    }
    let sign = usize::from(matches!(exponent.get(1), Some(b'+' | b'-')));
    match count(&exponent[1 + sign..], |it| it.is_ascii_digit()) {
        0 => mantissa,
        digits => mantissa + 1 + sign + digits,
    }
}

/// How far a quoted string reaches. With an odd quote later in the line, the longest prefix that is
/// a string counts.
fn string_length(line: &[u8]) -> Option<usize> {
    let mut longest = None;
    let mut at = 1;
    while let Some(byte) = line.get(at) {
        match byte {
            b'\'' => {
                longest = Some(at + 1);
                if line.get(at + 1) != Some(&b'\'') {
                    break;
                }
                at += 2;
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    longest
}

/// `DeescapeQuotedString`: what stands between the quotes, `''` and backslash escapes resolved.
fn unquoted(quoted: &[u8]) -> Vec<u8> {
    let inner = &quoted[1..quoted.len() - 1];
    let mut value = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        match inner[at] {
            b'\\' if at + 1 < inner.len() => {
                let (byte, length) = escape(&inner[at + 1..]);
                value.push(byte);
                at += 1 + length;
            }
            b'\'' => {
                value.push(b'\'');
                at += 2;
            }
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
    // A zero byte can be written, but the server's strings end at it.
    if let Some(end) = value.iter().position(|&byte| byte == 0) {
        value.truncate(end);
    }
    value
}

/// What follows a backslash: the byte that it means, and how many bytes that took. Not called with
/// nothing.
fn escape(after: &[u8]) -> (u8, usize) {
    match after[0] {
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'0'..=b'7' => {
            let digits = count(&after[..after.len().min(3)], |it| matches!(it, b'0'..=b'7'));
            let byte = after[..digits].iter().fold(0u8, |value, digit| {
                value.wrapping_mul(8).wrapping_add(digit - b'0')
            });
            (byte, digits)
        }
        other => (other, 1),
    }
}

fn count(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|&byte| !wanted(byte))
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn value(text: &str) -> Option<String> {
        match read_line(format!("a = {text}").as_bytes()) {
            Reading::Setting { value, .. } => Some(String::from_utf8(value).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn values_are_read_as_the_server_reads_them() {
        for (text, expected) in [
            ("on", "on"),
            ("-5", "-5"),
            ("0x1FkB", "0x1FkB"),
            ("128MB", "128MB"),
            ("1.5e-3", "1.5e-3"),
            (".", "."),
            ("a.b.c", "a.b.c"),
            ("/x", ""),
            ("C:/x", "C:/x"),
            ("''", ""),
            ("'it''s'", "it's"),
            (r"'\101\t\q\\'", "A\tq\\"),
            (r"'a\000b'", "a"),
            ("'a' # 'b'", "a"),
            ("1e5", ""),
            ("a.b", ""),
            ("1.5MB", ""),
            ("'a''", ""),
            ("'a' 'b'", ""),
            (r"'a\'", ""),
        ] {
            let quoted = text.starts_with("''");
            let expected = (quoted || !expected.is_empty()).then(|| expected.to_owned());
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn no_equals_sign_and_no_blanks_are_needed() {
        for text in ["a'b'", "a 'b'", "a=b", "\ta\r=\r'b'\r#c"] {
            let Reading::Setting { name, value } = read_line(text.as_bytes()) else {
                panic!("{text}");
            };
            assert_eq!((name, &value[..]), (&b"a"[..], &b"b"[..]), "{text}");
        }
    }
}

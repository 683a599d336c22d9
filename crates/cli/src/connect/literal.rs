//! How each language writes a string that may contain anything.

use super::Unwritable;

/// Whether a character must not be printed as it is: a terminal would obey it, or it makes a line
/// look like another one (Unicode's bidirectional controls), or a language takes it for a line's
/// end.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{feff}'
        )
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// Whether any character of the text [`is_hidden`].
pub(super) fn has_hidden(text: &str) -> bool {
    text.contains(is_hidden)
}

/// One word of a POSIX shell. What is hidden in it stays as it is: see [`has_hidden`].
pub(crate) fn shell(text: &str) -> String {
    pgpki_fs::shell_word(text)
}

/// A value of libpq's connection string (PostgreSQL documentation, "Keyword/Value Connection
/// Strings").
pub(crate) fn conninfo(value: &str) -> String {
    let is_special = |c: char| c.is_whitespace() || c == '\'' || c == '\\';
    match value.is_empty() || value.contains(is_special) {
        false => value.to_owned(),
        true => format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
    }
}

/// A part of a URL: everything but unreserved characters is encoded (RFC 3986 section 2.3).
pub(super) fn percent(text: &str) -> String {
    percent_but(text, "")
}

/// A path as the value of a URL's query, where a slash may stand (RFC 3986 section 3.4).
pub(super) fn percent_path(path: &str) -> String {
    percent_but(path, "/")
}

fn percent_but(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(character) || kept.contains(character) {
            encoded.push(character);
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// A literal of Python, JavaScript, Go or C#, a scalar of YAML: in double quotes, hidden characters
/// as `\u` and four digits.
pub(super) fn double_quoted(text: &str) -> String {
    quoted(text, "", |code| format!("\\u{code:04x}"))
}

/// A literal of Rust.
pub(super) fn rust(text: &str) -> String {
    quoted(text, "", |code| format!("\\u{{{code:x}}}"))
}

/// A literal of PHP, in which no variable begins.
pub(super) fn php(text: &str) -> String {
    quoted(text, "$", |code| format!("\\u{{{code:x}}}"))
}

/// A literal of Perl, in which no variable begins. Beyond ASCII it is bytes, so that it is the same
/// with `use utf8` and without.
pub(super) fn perl(text: &str) -> String {
    let bytes = |c: char| {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).bytes();
        bytes
            .map(|byte| format!("\\x{byte:02x}"))
            .collect::<String>()
    };
    let write = |c: char| match c {
        '\\' | '"' | '$' | '@' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        other => bytes(other),
    };
    format!("\"{}\"", text.chars().map(write).collect::<String>())
}

/// A scalar of YAML in a file that ERB reads first: no `<%` begins in it.
pub(super) fn yaml_in_erb(text: &str) -> String {
    double_quoted(text).replace("<%", "\\u003c%")
}

/// A scalar of YAML in a file for docker compose, which takes `$` for a variable's name.
pub(super) fn yaml_in_compose(text: &str) -> String {
    double_quoted(text).replace('$', "$$")
}

/// A value of `postgresql.conf` (PostgreSQL documentation, "Parameter Names and Values"): hidden
/// characters as octal bytes.
pub(super) fn setting(text: &str) -> String {
    let octal = |c: char| {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).bytes();
        bytes.map(|byte| format!("\\{byte:03o}")).collect()
    };
    let write = |c: char| match c {
        '\'' => "''".to_owned(),
        '\\' => r"\\".to_owned(),
        other if is_hidden(other) => octal(other),
        other => other.to_string(),
    };
    format!("'{}'", text.chars().map(write).collect::<String>())
}

/// The rest of a line: what has no escapes at all, and loses white space at its end.
pub(super) fn rest_of_line(text: &str, place: &'static str) -> Result<String, Unwritable> {
    let why = match text {
        _ if has_hidden(text) => "it has a control character",
        _ if text.ends_with(char::is_whitespace) => "a space at a line's end is lost",
        _ => return Ok(text.to_owned()),
    };
    let value = text.to_owned();
    Err(Unwritable { value, place, why })
}

fn quoted(text: &str, special: &str, hidden: fn(u32) -> String) -> String {
    let write = |c: char| match c {
        '\\' | '"' => format!("\\{c}"),
        other if special.contains(other) => format!("\\{other}"),
        other if is_hidden(other) => hidden(other.into()),
        other => other.to_string(),
    };
    format!("\"{}\"", text.chars().map(write).collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ODD: &str = "o'B \"x\" Ä$@\\\n\u{202e}";

    #[test]
    fn each_language_has_its_own_way() {
        assert_eq!(shell("a-b.c"), "a-b.c");
        assert_eq!(shell("~"), "'~'");
        assert_eq!(shell("o'B \"$x\""), r#"'o'\''B "$x"'"#);
        assert_eq!(conninfo("a=b;c"), "a=b;c");
        assert_eq!(conninfo(r"o'B \ x"), r"'o\'B \\ x'");
        assert_eq!(conninfo(""), "''");
        assert_eq!(percent("a/b ä+%~"), "a%2Fb%20%C3%A4%2B%25~");
        assert_eq!(percent_path("/a b/c"), "/a%20b/c");
        assert_eq!(double_quoted(ODD), r#""o'B \"x\" Ä$@\\\u000a\u202e""#);
        assert_eq!(rust(ODD), r#""o'B \"x\" Ä$@\\\u{a}\u{202e}""#);
        assert_eq!(php(ODD), r#""o'B \"x\" Ä\$@\\\u{a}\u{202e}""#);
        let perls = r#""o'B \"x\" \xc3\x84\$\@\\\x0a\xe2\x80\xae""#;
        assert_eq!(perl(ODD), perls);
        assert_eq!(yaml_in_erb("<%= x %>"), r#""\u003c%= x %>""#);
        assert_eq!(yaml_in_compose("a$b"), r#""a$$b""#);
        let settings = r#"'o''B "x" Ä$@\\\012\342\200\256'"#;
        assert_eq!(setting(ODD), settings);
    }

    #[test]
    fn a_line_without_escapes_does_not_hold_everything() {
        assert_eq!(rest_of_line(" a ä", "x").unwrap(), " a ä");
        for wrong in ["a ", "a\t", "a\nb", "\u{1b}"] {
            assert!(rest_of_line(wrong, "x").is_err(), "{wrong:?}");
        }
    }
}

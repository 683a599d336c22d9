//! JSON for programs, which people look at in a terminal all the same: to the letter once it is
//! parsed, and without a character that a terminal would act upon.

use std::io::{self, BufWriter, StdoutLock, Write};

use pgpki_core::document::printable;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::exit::Failure;

/// Standard output for JSON: as it is, where the report for people would lose what a terminal
/// cannot show.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A serializer of compact JSON.
pub(crate) fn serializer<W: Write>(out: W) -> Serializer<W, Escaped> {
    Serializer::with_formatter(out, Escaped)
}

/// Writes one value.
pub(crate) fn write(value: &impl Serialize, out: &mut impl Write) -> Result<(), Failure> {
    value.serialize(&mut serializer(&mut *out))?;
    Ok(())
}

/// Writes one value, a line, and nothing else.
pub(crate) fn report(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = stdout();
    write(value, &mut out)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// serde_json escapes what JSON demands (RFC 8259 section 7); this escapes what terminals do, too.
pub(crate) struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut buffer = [0; 4];
        for character in fragment.chars() {
            let plain = character.encode_utf8(&mut buffer);
            if *printable(plain) == *plain {
                writer.write_all(plain.as_bytes())?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_escaped_is_still_the_same() {
        let text = "zoë \"o'brien\" \\ \u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}\u{e0001}";
        let mut out = Vec::new();
        write(&text, &mut out).unwrap();
        let json = String::from_utf8(out).unwrap();
        assert!(json.starts_with("\"zoë "), "{json}");
        assert!(
            json.chars()
                .all(|c| printable(&c.to_string()) == c.to_string()),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}

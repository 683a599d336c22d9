//! Percent-encoding (RFC 3986 section 2.1).

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Decodes; nothing if a `%` is not followed by two hexadecimal digits, or a character is there that a URI cannot have.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let octet = match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            // What people paste: only what would be cut off, or hidden, by whoever passes it on.
            0..=b' ' | 0x7f.. | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'}' => {
                return None;
            }
            _ => byte,
        };
        octets.push(octet);
    }
    Some(octets)
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Encodes everything but letters, digits, `-`, `.`, `_` and `~`.
pub(super) fn encode(octets: &[u8]) -> String {
    encode_but(octets, b"-._~")
}

/// The same for a path, whose slashes stay.
pub(super) fn encode_path(path: &Path) -> String {
    encode_but(path.as_os_str().as_bytes(), b"-._~/")
}

fn encode_but(octets: &[u8], plain: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for octet in octets {
        match octet.is_ascii_alphanumeric() || plain.contains(octet) {
            true => text.push(char::from(*octet)),
            false => text.push_str(&format!("%{octet:02X}")),
        }
    }
    text
}

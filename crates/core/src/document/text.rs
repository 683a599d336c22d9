//! Text out of files that strangers wrote, made safe for a terminal.

use pkcs8::der::{AnyRef, Encode, Tag};
use x509_parser::der_parser::asn1_rs::{Any, Tag as AsnTag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// The text with everything escaped that a terminal would act upon or not show: control
/// characters, and those that reorder or hide what stands beside them.
pub fn printable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // `escape_debug` quotes these for Rust source, where they would be ambiguous.
            '\'' | '"' | '\\' => escaped.push(character),
            other => escaped.extend(other.escape_debug()),
        }
    }
    escaped
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A big-endian unsigned number in decimal. Quadratic: callers bound the length.
pub(crate) fn decimal(bytes: &[u8]) -> String {
    // Least significant first, nine decimal digits each.
    let mut limbs: Vec<u64> = vec![0];
    for byte in bytes {
        let mut carry = u64::from(*byte);
        for limb in &mut limbs {
            let value = *limb * 256 + carry;
            *limb = value % 1_000_000_000;
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut text = String::new();
    for (place, limb) in limbs.iter().rev().enumerate() {
        match place {
            0 => text.push_str(&limb.to_string()),
            _ => text.push_str(&format!("{limb:09}")),
        }
    }
    text
}

/// A distinguished name as PostgreSQL sees it in `pg_ident.conf` and `clientname=DN`: what
/// OpenSSL prints with `XN_FLAG_RFC2253`, last part first and in pure ASCII.
pub(crate) fn rfc2253(name: &X509Name<'_>) -> String {
    let part = |rdn: &RelativeDistinguishedName<'_>| {
        let mut values: Vec<_> = rdn.iter().map(attribute).collect();
        // OpenSSL turns these around as well.
        values.reverse();
        values.join("+")
    };
    let mut parts: Vec<_> = name.iter_rdn().map(part).collect();
    parts.reverse();
    parts.join(",")
}

/// The first common name, which is the role that PostgreSQL logs in as; escaped.
pub(crate) fn common_name(name: &X509Name<'_>) -> Option<String> {
    let first = name.iter_common_name().next()?;
    let text = value_as_text(first.attr_value())
        .unwrap_or_else(|| String::from_utf8_lossy(first.as_slice()).into_owned());
    Some(printable(&text))
}

/// Whether the first common name has a zero byte, which PostgreSQL refuses.
pub(crate) fn common_name_has_zero(name: &X509Name<'_>) -> bool {
    let first = name.iter_common_name().next();
    first
        .and_then(|attribute| value_as_text(attribute.attr_value()))
        .is_some_and(|text| text.contains('\0'))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let value = attribute.attr_value();
    match (short_name(&oid), value_as_text(value)) {
        (Some(short), Some(text)) => format!("{short}={}", escape_2253(&text)),
        (short, _) => format!("{}=#{}", short.unwrap_or(&oid), encoded(value)),
    }
}

fn encoded(value: &Any<'_>) -> String {
    hex(&value.to_der_vec().unwrap_or_default()).to_uppercase()
}

/// RFC 2253 section 2.4, with OpenSSL's choice of escaping control characters and every byte
/// beyond ASCII as well.
fn escape_2253(text: &str) -> String {
    let last = text.len().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (place, byte) in text.bytes().enumerate() {
        let at_edge =
            (byte == b' ' && (place == 0 || place == last)) || (byte == b'#' && place == 0);
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' '..=b'~' => {
                if at_edge {
                    escaped.push('\\');
                }
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("\\{byte:02X}")),
        }
    }
    escaped
}

/// The text of an attribute, whatever it is encoded as; nothing if it is no text.
pub(crate) fn value_as_text(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    match value.tag() {
        AsnTag::Utf8String
        | AsnTag::PrintableString
        | AsnTag::Ia5String
        | AsnTag::NumericString
        | AsnTag::VisibleString => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // OpenSSL reads T.61 as Latin-1, as everybody does.
        AsnTag::T61String => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        AsnTag::BmpString => bmp(bytes),
        AsnTag::UniversalString => four_byte(bytes),
        _ => None,
    }
}

/// Text of two bytes a character, as in a BMPString.
pub(crate) fn bmp(bytes: &[u8]) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    rest.is_empty().then(|| String::from_utf16(&units).ok())?
}

fn four_byte(bytes: &[u8]) -> Option<String> {
    let (quads, rest) = bytes.as_chunks::<4>();
    let characters = quads
        .iter()
        .map(|quad| char::from_u32(u32::from_be_bytes(*quad)));
    rest.is_empty().then(|| characters.collect())?
}

/// OpenSSL's short names of the attributes that certificates really have.
pub(crate) fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

/// Wraps content octets into a DER SEQUENCE; `None` where DER cannot hold that many.
pub(crate) fn sequence(content: &[u8]) -> Option<Vec<u8>> {
    AnyRef::new(Tag::Sequence, content).ok()?.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(
            printable("zoë o'brien \"x\" a\\b"),
            "zoë o'brien \"x\" a\\b"
        );
        assert_eq!(printable("a\x1b[31m\0\n"), "a\\u{1b}[31m\\0\\n");
        assert_eq!(
            printable("a\u{202e}b\u{200b}\u{9b}"),
            "a\\u{202e}b\\u{200b}\\u{9b}"
        );
    }

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 0, 5]), "5");
        assert_eq!(decimal(&[0x3b, 0x9a, 0xca, 0x00]), "1000000000");
        assert_eq!(decimal(&[0xff; 16]), u128::MAX.to_string());
        let twenty = decimal(&[0xff; 20]);
        assert_eq!(twenty, "1461501637330902918203684832716283019655932542975");
    }

    #[test]
    fn escapes_of_rfc_2253() {
        assert_eq!(
            escape_2253(" a,b+\"c\"\\<>; "),
            "\\ a\\,b\\+\\\"c\\\"\\\\\\<\\>\\;\\ "
        );
        assert_eq!(escape_2253("#1#"), "\\#1#");
        assert_eq!(escape_2253("ë\0\x7f"), "\\C3\\AB\\00\\7F");
        assert_eq!(escape_2253(""), "");
        assert_eq!(escape_2253(" "), "\\ ");
    }

    #[test]
    fn wide_characters() {
        assert_eq!(bmp(&[0, b'u', 0, b's']).as_deref(), Some("us"));
        assert_eq!(bmp(&[0]), None);
        assert_eq!(bmp(&[0xd8, 0]), None);
        assert_eq!(four_byte(&[0, 1, 0xf6, 0]).as_deref(), Some("\u{1f600}"));
        assert_eq!(four_byte(&[0, 0x11, 0, 0]), None);
    }
}

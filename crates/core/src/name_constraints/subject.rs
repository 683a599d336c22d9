//! Distinguished names as OpenSSL compares them: an encoding of the text, its case and its spaces do not count.

use pkcs8::der::Tag;

use crate::document::der::{self, Element};

/// The parts of a name from the top down; in each, its attributes in one order.
pub(super) type Rdns = Vec<Vec<(Vec<u8>, String)>>;

/// Reads a DER `Name`.
pub(super) fn read(name: &[u8]) -> Option<Rdns> {
    let rdns = der::single(name)?.sequence()?;
    rdns.iter().map(rdn).collect()
}

fn rdn(rdn: &Element<'_>) -> Option<Vec<(Vec<u8>, String)>> {
    let attributes = (rdn.tag == Tag::Set).then(|| der::elements(rdn.content))??;
    let attributes = attributes.iter().map(|attribute| {
        let parts = attribute.sequence()?;
        match parts.as_slice() {
            [kind, value] => Some((kind.content.to_vec(), canonical(value))),
            _ => None,
        }
    });
    let mut attributes = attributes.collect::<Option<Vec<_>>>()?;
    attributes.sort_unstable();
    Some(attributes)
}

fn canonical(value: &Element<'_>) -> String {
    let text = match value.tag {
        Tag::BmpString => {
            let units = value.content.chunks(2);
            let units = units.map(|unit| {
                unit.iter()
                    .fold(0, |sum, octet| sum << 8 | u16::from(*octet))
            });
            let characters = char::decode_utf16(units);
            characters
                .map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => {
            String::from_utf8_lossy(value.content).into_owned()
        }
        // T61String: what tools write into it is Latin-1.
        Tag::TeletexString => value
            .content
            .iter()
            .map(|octet| char::from(*octet))
            .collect(),
        _ => return format!("{:?}", value.whole),
    };
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.join(" ").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn encodings_case_and_spaces_do_not_count() {
        let name = |tag: u8, text: &[u8]| {
            let value = [&[tag, u8::try_from(text.len()).unwrap()], text].concat();
            let wrap = |tag: u8, content: Vec<u8>| {
                [vec![tag, u8::try_from(content.len()).unwrap()], content].concat()
            };
            let oid = vec![6, 3, 0x55, 4, 10];
            let attribute = wrap(0x30, [oid, value].concat());
            wrap(0x30, wrap(0x31, attribute))
        };
        let utf8 = read(&name(12, b"Example  GmbH")).unwrap();
        assert_eq!(utf8, read(&name(19, b" example gmbh ")).unwrap());
        assert_eq!(utf8, read(&name(20, b"EXAMPLE GMBH")).unwrap());
        let bmp: Vec<u8> = "Example GmbH"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(utf8, read(&name(30, &bmp)).unwrap());
        assert_ne!(utf8, read(&name(12, b"Example AG")).unwrap());
        assert_eq!(read(b"nonsense"), None);
    }
}

//! The outermost structure of DER, enough to tell one kind of file from another.

use pkcs8::ObjectIdentifier;
use pkcs8::der::{AnyRef, Decode, Reader, SliceReader, Tag, Tagged};

/// One element: its tag, what is inside it, and both together.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements inside, if this is a SEQUENCE of nothing but elements.
    pub(crate) fn sequence(&self) -> Option<Vec<Element<'a>>> {
        (self.tag == Tag::Sequence).then(|| elements(self.content))?
    }

    /// What is inside an OCTET STRING.
    pub(crate) fn octets(&self) -> Option<&'a [u8]> {
        (self.tag == Tag::OctetString).then_some(self.content)
    }

    /// An INTEGER that fits into a byte.
    pub(crate) fn small_integer(&self) -> Option<u8> {
        match (self.tag, self.content) {
            (Tag::Integer, [value]) => Some(*value),
            _ => None,
        }
    }

    /// An OBJECT IDENTIFIER with dots.
    pub(crate) fn oid(&self) -> Option<String> {
        let oid: ObjectIdentifier = ObjectIdentifier::from_der(self.whole).ok()?;
        Some(oid.to_string())
    }

    /// What stands inside the context tag `[number]`.
    pub(crate) fn context(&self, number: u32) -> Option<&'a [u8]> {
        match self.tag {
            Tag::ContextSpecific { number: found, .. } if found.value() == number => {
                Some(self.content)
            }
            _ => None,
        }
    }

    /// Whole bytes of a BIT STRING.
    pub(crate) fn bits(&self) -> Option<&'a [u8]> {
        match (self.tag, self.content) {
            (Tag::BitString, [0, bits @ ..]) => Some(bits),
            _ => None,
        }
    }
}

/// Every element in `bytes`, or `None` if something else stands between or behind them.
pub(crate) fn elements(bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        let whole = reader.tlv_bytes().ok()?;
        let any = AnyRef::from_der(whole).ok()?;
        found.push(Element {
            tag: any.tag(),
            content: any.value(),
            whole,
        });
    }
    Some(found)
}

/// The single element that `bytes` are.
pub(crate) fn single(bytes: &[u8]) -> Option<Element<'_>> {
    match elements(bytes)?.as_slice() {
        [element] => Some(*element),
        _ => None,
    }
}

/// The tag byte, the length of the header, and the length of the content, of the element at the
/// start of `bytes`; the content may be cut off.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    match first {
        0..=0x7f => Some((*tag, 2, usize::from(*first))),
        0x81..=0x84 => {
            let octets = rest.get(..usize::from(first & 0x7f))?;
            let add = |sum: usize, octet: &u8| sum.checked_mul(256)?.checked_add((*octet).into());
            Some((*tag, octets.len() + 2, octets.iter().try_fold(0, add)?))
        }
        _ => None,
    }
}

/// How many bytes the SEQUENCE at the start of `bytes` says it has, header included.
pub(crate) fn claimed_length(bytes: &[u8]) -> Option<usize> {
    match header(bytes)? {
        (0x30, header, content) => header.checked_add(content),
        _ => None,
    }
}

/// What is inside the element at the start of `bytes`, as far as it is there.
pub(crate) fn inside(bytes: &[u8]) -> &[u8] {
    let Some((_, header, content)) = header(bytes) else {
        return &[];
    };
    let rest = bytes.get(header..).unwrap_or_default();
    rest.get(..content).unwrap_or(rest)
}

/// The tag bytes of the first few elements in `bytes`, of which the last may be cut off.
pub(crate) fn tags(mut bytes: &[u8]) -> Vec<u8> {
    const ENOUGH: usize = 5;
    let mut tags = Vec::new();
    while let Some((tag, header, content)) = header(bytes)
        && tags.len() < ENOUGH
    {
        tags.push(tag);
        let end = header.saturating_add(content);
        bytes = bytes.get(end..).unwrap_or_default();
    }
    tags
}

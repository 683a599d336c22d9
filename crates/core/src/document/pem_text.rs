//! PEM as OpenSSL reads it (`get_name` and `get_header_and_data` in pem_lib.c): what it takes as a
//! block, and what it silently passes over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Fault, Place, ReadError, printable};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One block. Its content may be a secret, and is wiped.
pub(crate) struct Block {
    pub(crate) place: Place,
    pub(crate) label: String,
    /// The value of `DEK-Info`, where `Proc-Type` says that the block is encrypted.
    pub(crate) encrypted: Option<String>,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// A PEM file: its blocks, and what is not one.
pub(crate) struct PemText {
    pub(crate) blocks: Vec<Block>,
    pub(crate) text_between: bool,
    pub(crate) byte_order_mark: bool,
    /// Lines that look like the beginning of a block to people, and do not to OpenSSL.
    pub(crate) ignored_blocks: usize,
}

/// Whether there is a line that OpenSSL takes for the beginning of a block.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    lines(bytes).any(|line| marked(line, BEGIN).is_some())
}

/// Whether something in it looks like PEM to people.
pub(crate) fn looks_like_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// Takes a PEM file apart.
pub(crate) fn read(bytes: &[u8]) -> Result<PemText, ReadError> {
    let stripped = bytes.strip_prefix(BYTE_ORDER_MARK);
    let mut text = PemText {
        blocks: Vec::new(),
        text_between: false,
        byte_order_mark: stripped.is_some(),
        ignored_blocks: 0,
    };
    let mut lines = lines(stripped.unwrap_or(bytes));
    while let Some(line) = lines.next() {
        if let Some(label) = marked(line, BEGIN) {
            let place = Place::Block {
                number: text.blocks.len() + 1,
                label: printable(&String::from_utf8_lossy(label)),
            };
            let block = block(&mut lines, label, place.clone());
            text.blocks.push(block.map_err(|fault| fault.at(place))?);
        } else if looks_like_pem(line) {
            text.ignored_blocks += 1;
        } else {
            text.text_between |= !line.is_empty();
        }
    }
    Ok(text)
}

/// Lines without what OpenSSL strips from their ends: every byte up to the space.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(|line| {
        let end = line.iter().rposition(|byte| *byte > b' ');
        end.and_then(|end| line.get(..=end)).unwrap_or_default()
    })
}

fn marked<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(mark)?.strip_suffix(DASHES)
}

fn block<'a>(
    lines: &mut impl Iterator<Item = &'a [u8]>,
    label: &[u8],
    place: Place,
) -> Result<Block, Fault> {
    let mut base64 = Zeroizing::new(Vec::new());
    let mut proc_type = false;
    let mut dek_info = None;
    for line in lines {
        if line.starts_with(BEGIN) {
            return Err(Fault::malformed(
                "the next block begins before its END line",
            ));
        }
        if line.starts_with(END) {
            if marked(line, END) != Some(label) {
                return Err(Fault::malformed("its END line names something else"));
            }
            return Ok(Block {
                place,
                label: String::from_utf8_lossy(label).into_owned(),
                encrypted: proc_type.then(|| dek_info.unwrap_or_default()),
                content: decode(&base64)?,
            });
        }
        match header(line) {
            Some(("Proc-Type", value)) => proc_type = value.ends_with("ENCRYPTED"),
            Some(("DEK-Info", value)) => dek_info = Some(value.to_owned()),
            Some(_) => {}
            None => append(&mut base64, line),
        }
    }
    Err(Fault::malformed(
        "its END line is missing: the file is cut off",
    ))
}

fn header(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    Some((name.trim(), value.trim()))
}

/// Grows the buffer by hand: a `Vec` that grows leaves its former content behind unwiped.
fn append(buffer: &mut Zeroizing<Vec<u8>>, line: &[u8]) {
    if buffer.capacity() - buffer.len() < line.len() {
        let mut larger = Vec::with_capacity((buffer.len() + line.len()).saturating_mul(2));
        larger.extend_from_slice(buffer);
        *buffer = Zeroizing::new(larger);
    }
    buffer.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
}

fn decode(base64: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut content = Zeroizing::new(vec![0; base64.len()]);
    let length = STANDARD
        .decode_slice(base64, &mut content)
        .map_err(|_| Fault::malformed("what stands in it is not base64"))?;
    content.truncate(length);
    match length {
        0 => Err(Fault::malformed("it is empty")),
        _ => Ok(content),
    }
}

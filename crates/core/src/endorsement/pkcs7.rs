//! The certificates of a PKCS#7 file without anything else in it: `.p7b`, as Windows' CAs hand out chains.

use pkcs8::der::Tag;

use crate::document::der::{self, Element};

/// `signedData` (RFC 5652 section 5.1).
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";

/// What the PEM block is called (RFC 7468 section 8), and what OpenSSL has called it.
const LABELS: [&str; 3] = ["PKCS7", "CMS", "PKCS #7 SIGNED DATA"];

/// Every certificate in the file, DER; nothing if it is another kind of file.
pub(super) fn certificates(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    let blocks = pem::parse_many(file).unwrap_or_default();
    let block = blocks.iter().find(|block| LABELS.contains(&block.tag()));
    in_der(block.map_or(file, pem::Pem::contents))
}

fn in_der(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    let content_info = der::single(file)?.sequence()?;
    let [kind, content] = content_info.as_slice() else {
        return None;
    };
    if kind.oid()? != SIGNED_DATA {
        return None;
    }
    let signed_data = der::single(content.context(0)?)?.sequence()?;
    // certificates [0], a SET OF that may hold other kinds of certificates of long ago.
    let certificates = signed_data.iter().find_map(|part| part.context(0))?;
    let is_certificate = |element: &&Element<'_>| element.tag == Tag::Sequence;
    let certificates = der::elements(certificates)?;
    let certificates = certificates.iter().filter(is_certificate);
    Some(certificates.map(|it| it.whole.to_vec()).collect())
}

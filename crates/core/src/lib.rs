//! Certificates for PostgreSQL: what each kind contains, how one is issued, when it is due, and
//! what a file that somebody hands over really is.
//!
//! This crate has no clock, no files, no environment and no network. The time and the bytes come
//! in as arguments, values go out; the only thing it takes from the machine is randomness for keys
//! and serial numbers. Everything it decides can therefore be tested at any instant of any century.

pub mod bundle;
pub mod ca_key;
pub mod crl;
pub mod document;
pub mod due;
pub mod endorsement;
pub mod finding;
pub mod issue;
pub mod key;
pub mod key_file;
pub mod material;
pub mod name;
pub mod name_constraints;
pub mod passphrase;
pub mod pkcs12;
pub mod profile;
pub mod request;
pub mod serial;
mod signing;
mod stack;
pub mod subject_key;
pub mod validity;

/// Text of a PEM file (RFC 7468) with one block, lines ending in a single line feed.
///
/// Not for private keys: those go through [`key::PrivateKey::to_pem`], which wipes its buffers.
pub fn pem(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

/// Every certificate of a PEM file, DER, in its order.
pub fn certificates(pem_text: &[u8]) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(pem_text).unwrap_or_default();
    blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(pem::Pem::into_contents)
        .collect()
}

/// The first certificate of a PEM file, DER; `None` where there is none.
///
/// In a server's or a client's file that is the leaf (RFC 8446 section 4.4.2).
pub fn first_certificate(pem_text: &[u8]) -> Option<Vec<u8>> {
    certificates(pem_text).into_iter().next()
}

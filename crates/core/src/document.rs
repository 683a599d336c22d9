//! What a file that somebody hands over really is: bytes in, facts out.
//!
//! Everything here may come from a stranger. It never panics, it takes no longer than the file is
//! large, it keeps no secret, and no text it makes contains a control character.

mod certificate;
mod certificate_findings;
pub(crate) mod der;
pub(crate) mod encryption;
mod findings;
mod key_findings;
mod old_encryption;
pub(crate) mod pem_text;
mod pkcs12;
pub(crate) mod private_key;
mod public_key;
mod request;
mod revocation_list;
pub(crate) mod text;

use std::fmt;

use self::encryption::Unlocking;

pub use certificate::{AlternativeNames, CertificateFacts, Number, Purposes};
pub use encryption::{Encryption, Opening};
pub use findings::findings;
pub(crate) use findings::{Use, findings_for};
pub use pkcs12::{Named, Pkcs12Facts};
pub use private_key::{KeyFacts, KeyFormat};
pub use public_key::{KeyKind, PublicKey, Signature, Strength};
pub use request::RequestFacts;
pub use revocation_list::CrlFacts;
pub use text::printable;

/// One thing in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
// A file holds a handful of them.
#[allow(clippy::large_enum_variant)]
#[non_exhaustive]
pub enum Item {
    /// A certificate.
    Certificate(CertificateFacts),
    /// A private key.
    Key(KeyFacts),
    /// A certificate signing request.
    Request(RequestFacts),
    /// A certificate revocation list.
    Crl(CrlFacts),
    /// A PKCS#12 container.
    Pkcs12(Pkcs12Facts),
    /// A PEM block of a kind that says nothing about certificates.
    Other {
        /// Its label, escaped.
        label: String,
    },
}

/// The encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text with blocks in base64 (RFC 7468).
    Pem,
    /// Binary.
    Der,
}

/// What a file holds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// How it is encoded.
    pub encoding: Encoding,
    /// What is in it.
    pub items: Vec<Item>,
    /// Whether a PEM file has text beside its blocks, which PostgreSQL does not look at.
    pub text_between: bool,
    /// Whether a PEM file begins with UTF-8's byte order mark.
    pub byte_order_mark: bool,
    /// How many lines of a PEM file look like the beginning of a block to people, and do not to
    /// OpenSSL.
    pub ignored_blocks: usize,
}

/// Which part of a file an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file.
    File,
    /// A PEM block in it.
    Block {
        /// Which, from 1.
        number: usize,
        /// Its label, escaped.
        label: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Block { number, label } => write!(f, "PEM block {number} ({label})"),
        }
    }
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing, or white space.
    #[error("the file is empty")]
    Empty,
    /// Neither PEM nor DER of a kind that is known.
    #[error("the file holds no certificate, key, request or CRL: it looks like {looks_like}")]
    NotRecognised {
        /// What it seems to be.
        looks_like: &'static str,
    },
    /// Recognised, but not sound.
    #[error("{place} cannot be read: {what}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong, escaped.
        what: String,
    },
    /// Sound, but followed by something.
    #[error("{place} has {count} bytes too many at its end")]
    TrailingBytes {
        /// Where.
        place: Place,
        /// How many bytes.
        count: usize,
    },
}

/// A [`ReadError`] that does not know yet where it happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed(String),
    Trailing(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::Trailing(count) => write!(f, "it has {count} bytes too many at its end"),
        }
    }
}

impl Fault {
    pub(crate) fn malformed(what: &str) -> Self {
        Self::Malformed(what.to_owned())
    }

    fn of_parser(kind: &str, error: &impl fmt::Display) -> Self {
        Self::Malformed(printable(&format!("its {kind} is damaged ({error})")))
    }

    /// Compares the length that DER says it has with the length that is there.
    pub(crate) fn check_length(der: &[u8]) -> Result<(), Self> {
        match der::claimed_length(der) {
            None => Err(Self::malformed("it is not DER")),
            Some(claimed) if claimed > der.len() => Err(Self::malformed("it is cut off")),
            Some(claimed) if claimed < der.len() => Err(Self::Trailing(der.len() - claimed)),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn at(self, place: Place) -> ReadError {
        match self {
            Self::Malformed(what) => ReadError::Malformed { place, what },
            Self::Trailing(count) => ReadError::TrailingBytes { place, count },
        }
    }
}

impl Document {
    /// Reads a file. What is encrypted stays so.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        Self::open(bytes, None)
    }

    /// Reads a file, and opens with `passphrase` what is encrypted in it. A wrong passphrase is
    /// no error: the facts say [`Opening::WrongPassphrase`].
    pub fn open(bytes: &[u8], passphrase: Option<&[u8]>) -> Result<Self, ReadError> {
        let unlocking = Unlocking::new(passphrase);
        let Some(kind) = Form::of(bytes)?.der() else {
            return Self::from_pem(bytes, &unlocking);
        };
        let item = read_item(kind, bytes, &unlocking).map_err(|fault| fault.at(Place::File))?;
        Ok(Self {
            encoding: Encoding::Der,
            items: vec![item],
            text_between: false,
            byte_order_mark: false,
            ignored_blocks: 0,
        })
    }

    fn from_pem(bytes: &[u8], unlocking: &Unlocking<'_>) -> Result<Self, ReadError> {
        let text = pem_text::read(bytes)?;
        let items = text.blocks.iter().map(|block| {
            block_item(block, unlocking).map_err(|fault| fault.at(block.place.clone()))
        });
        Ok(Self {
            encoding: Encoding::Pem,
            items: items.collect::<Result<_, _>>()?,
            text_between: text.text_between,
            byte_order_mark: text.byte_order_mark,
            ignored_blocks: text.ignored_blocks,
        })
    }

    /// Its certificates, in order; those inside PKCS#12 are not among them.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateFacts> {
        self.items.iter().filter_map(|item| match item {
            Item::Certificate(facts) => Some(facts),
            _ => None,
        })
    }

    /// Its private keys, in order; those inside PKCS#12 are not among them.
    pub fn keys(&self) -> impl Iterator<Item = &KeyFacts> {
        self.items.iter().filter_map(|item| match item {
            Item::Key(facts) => Some(facts),
            _ => None,
        })
    }

    /// Its requests for certificates, in order.
    pub fn requests(&self) -> impl Iterator<Item = &RequestFacts> {
        self.items.iter().filter_map(|item| match item {
            Item::Request(facts) => Some(facts),
            _ => None,
        })
    }

    /// Its revocation lists, in order.
    pub fn crls(&self) -> impl Iterator<Item = &CrlFacts> {
        self.items.iter().filter_map(|item| match item {
            Item::Crl(facts) => Some(facts),
            _ => None,
        })
    }
}

/// The form of a file, before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text with blocks.
    Pem,
    /// Binary, of this kind.
    Der(Kind),
}

impl Form {
    /// # Errors
    /// It is empty, or nothing that is known.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, ReadError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(ReadError::Empty);
        }
        if pem_text::is_pem(bytes) {
            return Ok(Self::Pem);
        }
        let kind = der_kind(bytes).ok_or_else(|| ReadError::NotRecognised {
            looks_like: looks_like(bytes),
        })?;
        Ok(Self::Der(kind))
    }

    fn der(self) -> Option<Kind> {
        match self {
            Self::Pem => None,
            Self::Der(kind) => Some(kind),
        }
    }
}

/// What a DER file or a PEM block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Request,
    Crl,
    Pkcs8,
    EncryptedPkcs8,
    Pkcs1,
    Sec1,
    Pkcs12,
}

impl Kind {
    /// What a PEM block with this label is; `None` where it is nothing of ours.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        Some(match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => Self::Certificate,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::Request,
            "X509 CRL" => Self::Crl,
            "PRIVATE KEY" => Self::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedPkcs8,
            "RSA PRIVATE KEY" => Self::Pkcs1,
            "EC PRIVATE KEY" => Self::Sec1,
            _ => return None,
        })
    }
}

fn block_item(block: &pem_text::Block, unlocking: &Unlocking<'_>) -> Result<Item, Fault> {
    let Some(kind) = Kind::of_label(&block.label) else {
        let label = printable(&block.label);
        return Ok(Item::Other { label });
    };
    if let Some(dek_info) = &block.encrypted {
        let read = match kind {
            Kind::Sec1 => KeyFacts::sec1,
            _ => KeyFacts::pkcs1,
        };
        let key = KeyFacts::legacy_encrypted(dek_info, &block.content, unlocking, read);
        return Ok(Item::Key(key));
    }
    read_item(kind, &block.content, unlocking)
}

fn read_item(kind: Kind, der: &[u8], unlocking: &Unlocking<'_>) -> Result<Item, Fault> {
    Ok(match kind {
        Kind::Certificate => Item::Certificate(CertificateFacts::read(der)?),
        Kind::Request => Item::Request(RequestFacts::read(der)?),
        Kind::Crl => Item::Crl(CrlFacts::read(der)?),
        Kind::Pkcs8 => Item::Key(KeyFacts::pkcs8(der)?),
        Kind::EncryptedPkcs8 => Item::Key(KeyFacts::encrypted_pkcs8(der, unlocking)?),
        Kind::Pkcs1 => Item::Key(KeyFacts::pkcs1(der)?),
        Kind::Sec1 => Item::Key(KeyFacts::sec1(der)?),
        Kind::Pkcs12 => Item::Pkcs12(Pkcs12Facts::read(der, unlocking)?),
    })
}

/// What a DER file is, judged by the shape of its first elements. What follows is for the parser
/// of that kind, whose errors say more.
fn der_kind(bytes: &[u8]) -> Option<Kind> {
    der::claimed_length(bytes)?;
    let content = der::inside(bytes);
    match der::tags(content).as_slice() {
        [0x02, 0x30, 0x04, ..] => Some(Kind::Pkcs8),
        [0x02, 0x30, ..] => Some(Kind::Pkcs12),
        [0x02, 0x04, ..] => Some(Kind::Sec1),
        [0x02, 0x02, 0x02, ..] => Some(Kind::Pkcs1),
        [0x30, 0x04] => Some(Kind::EncryptedPkcs8),
        [0x30] | [0x30, 0x30, ..] => signed_kind(der::inside(content)),
        _ => None,
    }
}

/// Tells apart what is signed: by RFC 5280 sections 4.1 and 5.1, and RFC 2986 section 4.
fn signed_kind(signed: &[u8]) -> Option<Kind> {
    match der::tags(signed).as_slice() {
        [0xa0, ..] | [0x02, 0x30, 0x30, 0x30, ..] => Some(Kind::Certificate),
        [0x02, 0x30, 0x30, 0x17 | 0x18, ..] | [0x30, 0x30, 0x17 | 0x18, ..] => Some(Kind::Crl),
        [0x02, 0x30, 0x30] | [0x02, 0x30, 0x30, 0xa0, ..] => Some(Kind::Request),
        _ => None,
    }
}

/// What people give to a tool for certificates, beside certificates.
fn looks_like(bytes: &[u8]) -> &'static str {
    let begins = |with: &str| bytes.starts_with(with.as_bytes());
    let start = bytes.get(..512).unwrap_or(bytes).to_ascii_lowercase();
    let mentions = |word: &str| {
        start
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    };
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "text in UTF-16; save it as UTF-8 or ASCII",
        [0xfe, 0xed, 0xfe, 0xed, ..] => "a Java keystore (JKS); convert it to PKCS#12 with keytool",
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] => "a compressed archive",
        _ if begins("ssh-") || begins("ecdsa-sha2-") => "an SSH public key",
        _ if begins("PuTTY-User-Key-File") => "an SSH key of PuTTY",
        _ if mentions("<!doctype html") || mentions("<html") => "a web page (HTML)",
        _ if pem_text::looks_like_pem(bytes) => {
            "PEM whose BEGIN and END lines are indented, quoted or joined; each must be a whole line"
        }
        _ => plain_look(bytes),
    }
}

fn plain_look(bytes: &[u8]) -> &'static str {
    match der::tags(der::inside(bytes)).as_slice() {
        [0x06, 0xa0, ..] if bytes.first() == Some(&0x30) => "PKCS#7",
        [0x30, 0x03] if bytes.first() == Some(&0x30) => "a public key alone",
        _ if bytes.starts_with(b"MII") => "base64 without its BEGIN and END lines",
        _ => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => "text",
            _ => "binary data",
        },
    }
}

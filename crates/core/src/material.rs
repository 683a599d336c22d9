//! What is in a file, to be used or written again: unlike [`crate::document`], it has the keys.

use crate::document::encryption::Unlocking;
use crate::document::private_key::open_legacy;
use crate::document::{
    CertificateFacts, CrlFacts, Fault, Form, KeyFacts, Kind, Place, ReadError, RequestFacts,
    pem_text,
};
use crate::key::{KeyError, PrivateKey};
use crate::pkcs12::{self, OpenError, Opened};

/// One thing in a file. What is not a key is DER, and was read to its end.
#[derive(Debug)]
// A file holds a handful of them.
#[allow(clippy::large_enum_variant)]
#[non_exhaustive]
pub enum Material {
    /// A certificate.
    Certificate(Vec<u8>),
    /// A private key.
    Key(PrivateKey),
    /// A certificate signing request.
    Request(Vec<u8>),
    /// A certificate revocation list.
    Crl(Vec<u8>),
    /// A PKCS#12 container, opened.
    Pkcs12(Opened),
}

/// Why it cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is encrypted, and no passphrase was given.
    #[error("{0} is encrypted, and no passphrase was given")]
    PassphraseNeeded(Place),
    /// The passphrase does not open it.
    #[error("the passphrase does not open {0}, or it is damaged")]
    WrongPassphrase(Place),
    /// A private key that is unsound, or of a kind that is not supported.
    #[error("{place} cannot be used: {source}")]
    Key {
        /// Where.
        place: Place,
        /// Why.
        source: KeyError,
    },
    /// A container that cannot be opened.
    #[error("{place} cannot be opened: {source}")]
    Pkcs12 {
        /// Where.
        place: Place,
        /// Why.
        source: OpenError,
    },
    /// A PEM block of a kind that is not read here.
    #[error("{0} is no certificate, key, request or CRL")]
    Other(Place),
    /// A file of which one key was wanted.
    #[error("the file holds {0} private keys where one is expected")]
    NotOneKey(
        /// How many it holds.
        usize,
    ),
}

/// Reads a file, PEM or DER, whatever is in it. `passphrase` opens what is encrypted.
///
/// It takes no more than ten million rounds of hashing, whatever the file asks for.
///
/// # Errors
/// Any of it cannot be read, opened or used.
pub fn read(file: &[u8], passphrase: Option<&[u8]>) -> Result<Vec<Material>, MaterialError> {
    let unlocking = Unlocking::new(passphrase);
    let kind = match Form::of(file)? {
        Form::Pem => return read_blocks(file, &unlocking),
        Form::Der(kind) => kind,
    };
    Ok(vec![read_one(kind, file, &Place::File, &unlocking)?])
}

impl PrivateKey {
    /// Reads the one private key of a file: PKCS#8, PKCS#1, SEC 1 or encrypted, PEM or DER, or
    /// PKCS#12. What stands beside it, such as certificates, is passed over.
    ///
    /// # Errors
    /// As for [`read`]; or there is no key, or more than one.
    pub fn read(file: &[u8], passphrase: Option<&[u8]>) -> Result<Self, MaterialError> {
        let mut keys = Vec::new();
        for material in read(file, passphrase)? {
            match material {
                Material::Key(key) => keys.push(key),
                Material::Pkcs12(opened) => {
                    keys.extend(opened.keys.into_iter().map(|entry| entry.item));
                }
                _ => {}
            }
        }
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (last, before) => Err(MaterialError::NotOneKey(before + last.iter().count())),
        }
    }
}

fn read_blocks(file: &[u8], unlocking: &Unlocking<'_>) -> Result<Vec<Material>, MaterialError> {
    let mut found = Vec::new();
    for block in pem_text::read(file)?.blocks {
        // OpenSSL writes it before a key, which says the same itself.
        if block.label == "EC PARAMETERS" {
            continue;
        }
        let place = block.place;
        let Some(kind) = Kind::of_label(&block.label) else {
            return Err(MaterialError::Other(place));
        };
        found.push(match &block.encrypted {
            None => read_one(kind, &block.content, &place, unlocking)?,
            Some(dek_info) => {
                let plain = open_legacy(dek_info, &block.content, unlocking);
                let plain = plain.map_err(|opening| key_error(&place, opening.into()))?;
                // A wrong passphrase may give bytes that merely have the right end.
                let wrong = |_| MaterialError::WrongPassphrase(place.clone());
                check(kind, &plain).map_err(wrong)?;
                read_one(kind, &plain, &place, unlocking)?
            }
        });
    }
    Ok(found)
}

fn read_one(
    kind: Kind,
    der: &[u8],
    place: &Place,
    unlocking: &Unlocking<'_>,
) -> Result<Material, MaterialError> {
    check(kind, der).map_err(|fault| fault.at(place.clone()))?;
    let key = |read: Result<PrivateKey, KeyError>| {
        read.map(Material::Key)
            .map_err(|error| key_error(place, error))
    };
    match kind {
        Kind::Certificate => Ok(Material::Certificate(der.to_vec())),
        Kind::Request => Ok(Material::Request(der.to_vec())),
        Kind::Crl => Ok(Material::Crl(der.to_vec())),
        Kind::Pkcs8 => key(PrivateKey::from_pkcs8(der)),
        Kind::Pkcs1 => key(PrivateKey::from_pkcs1(der)),
        Kind::Sec1 => key(PrivateKey::from_sec1(der)),
        Kind::EncryptedPkcs8 => key(PrivateKey::unlocked(der, unlocking)),
        Kind::Pkcs12 => read_container(der, place, unlocking),
    }
}

/// Reads it as [`crate::document`] does, whose errors say what is wrong.
fn check(kind: Kind, der: &[u8]) -> Result<(), Fault> {
    match kind {
        Kind::Certificate => CertificateFacts::read(der).map(drop),
        Kind::Request => RequestFacts::read(der).map(drop),
        Kind::Crl => CrlFacts::read(der).map(drop),
        Kind::Pkcs8 => KeyFacts::pkcs8(der).map(drop),
        Kind::Pkcs1 => KeyFacts::pkcs1(der).map(drop),
        Kind::Sec1 => KeyFacts::sec1(der).map(drop),
        Kind::EncryptedPkcs8 | Kind::Pkcs12 => Fault::check_length(der),
    }
}

fn read_container(
    der: &[u8],
    place: &Place,
    unlocking: &Unlocking<'_>,
) -> Result<Material, MaterialError> {
    let opened = pkcs12::open_with(der, unlocking).map_err(|error| match error {
        OpenError::PassphraseNeeded => MaterialError::PassphraseNeeded(place.clone()),
        OpenError::WrongPassphrase => MaterialError::WrongPassphrase(place.clone()),
        source => MaterialError::Pkcs12 {
            place: place.clone(),
            source,
        },
    })?;
    for certificate in &opened.certificates {
        check(Kind::Certificate, &certificate.item).map_err(|fault| fault.at(place.clone()))?;
    }
    Ok(Material::Pkcs12(opened))
}

fn key_error(place: &Place, error: KeyError) -> MaterialError {
    let place = place.clone();
    match error {
        KeyError::PassphraseNeeded => MaterialError::PassphraseNeeded(place),
        KeyError::WrongPassphrase => MaterialError::WrongPassphrase(place),
        source => MaterialError::Key { place, source },
    }
}

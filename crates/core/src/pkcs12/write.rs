//! Making a container.

use pkcs8::der::asn1::{AnyRef, BmpString, OctetStringRef};
use pkcs8::der::{self, Encode, Tag, TagNumber};
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use pkcs8::{ObjectIdentifier, spki::AlgorithmIdentifierRef};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::derivation::{self, Purpose};
use super::oid;
use crate::key::PrivateKey;
use crate::stack;

/// Rounds of each of the three derivations: for the key, for the certificates and for the MAC.
///
/// pgJDBC opens the container for every connection, and does all three, so that more would be
/// felt; each is far more than the 2,048 of OpenSSL and the 10,000 of keytool. Readers have
/// limits as well: .NET 9 takes up to 300,000 each and a million in all
/// (`X509CertificateLoader.SecurityDesign.md`), Java up to five million each
/// (`PKCS12KeyStore.MAX_ITERATION_COUNT`).
const ROUNDS: u32 = 100_000;

/// Octets of each salt. RFC 7292 section 5.1 wants at least 8; RFC 8018 section 4.1 as well.
const SALT: usize = 16;

/// Why a container could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no passphrase.
    #[error(
        "a PKCS#12 container needs a passphrase: without one pgJDBC, Java and Windows open none \
         that others have made, and the key in it would lie open"
    )]
    NoPassphrase,
    /// The passphrase has something else than printable ASCII in it.
    #[error(
        "the passphrase of a PKCS#12 container must be printable ASCII: Java refuses any other, and \
         programs disagree about how to encode it"
    )]
    PassphraseNotAscii,
    /// The alias cannot be written in the characters that a friendly name may have.
    #[error("the alias {0:?} has characters that PKCS#12 cannot hold")]
    Alias(String),
    /// There is no certificate to go with the key.
    #[error("a PKCS#12 container needs the certificate that belongs to its key")]
    NoCertificate,
    /// What is given as a certificate is none.
    #[error("certificate {0} is not a sound certificate")]
    NotACertificate(
        /// Which, from 1.
        usize,
    ),
    /// The first certificate is for another key.
    #[error("the key does not belong to the first certificate")]
    OtherKey,
    /// The cryptographic library gave up; in practice: no randomness.
    #[error("the PKCS#12 container could not be encrypted")]
    NotEncrypted,
}

impl From<der::Error> for WriteError {
    fn from(_: der::Error) -> Self {
        Self::NotEncrypted
    }
}

/// Makes a container, DER: `key`, and `certificates` (DER, the leaf first, then its chain).
///
/// Key and certificates are encrypted with PBES2: PBKDF2 with HMAC-SHA-256, and AES-256-CBC; the
/// MAC is HMAC-SHA-256. OpenSSL from 1.1, Java from 8u301, GnuTLS and NSS read it, and Windows from
/// Windows 10 1809 and Server 2019 (Server 2016 says that the password is wrong:
/// ansible-collections/ansible.windows#582, openssl/openssl#27035). `alias` is the friendly name of
/// key and leaf, which are tied together by their local key identifier; pgJDBC looks for `user`.
///
/// # Errors
/// The passphrase is empty or not printable ASCII; there is no certificate, or the first is for
/// another key; the alias is outside of Unicode's basic plane; the system gives no randomness.
pub fn write(
    key: &PrivateKey,
    certificates: &[Vec<u8>],
    alias: &str,
    passphrase: &str,
) -> Result<Vec<u8>, WriteError> {
    stack::wiped_after(|| made(key, certificates, alias, passphrase))
}

fn made(
    key: &PrivateKey,
    certificates: &[Vec<u8>],
    alias: &str,
    passphrase: &str,
) -> Result<Vec<u8>, WriteError> {
    check_passphrase(passphrase.as_bytes())?;
    check_certificates(key, certificates)?;
    let leaf = certificates.first().ok_or(WriteError::NoCertificate)?;
    let attributes = attributes(alias, leaf)?;

    let bags = certificates.iter().enumerate().map(|(place, der)| {
        let attributes = (place == 0).then_some(attributes.as_slice());
        certificate_bag(der, attributes)
    });
    let certificates = sequence(&bags.collect::<Result<Vec<_>, _>>()?)?;
    let keys = sequence(&[key_bag(key, &attributes, passphrase)?])?;
    let safes = sequence(&[encrypted_data(&certificates, passphrase)?, data(&keys)?])?;
    let mac = mac_data(&safes, passphrase)?;
    Ok(sequence(&[3_u8.to_der()?, data(&safes)?, mac])?)
}

/// Whether a container can be made with this passphrase.
///
/// # Errors
/// It is empty, or not printable ASCII.
pub fn check_passphrase(passphrase: &[u8]) -> Result<(), WriteError> {
    if passphrase.is_empty() {
        return Err(WriteError::NoPassphrase);
    }
    match passphrase.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        true => Ok(()),
        false => Err(WriteError::PassphraseNotAscii),
    }
}

fn check_certificates(key: &PrivateKey, certificates: &[Vec<u8>]) -> Result<(), WriteError> {
    for (place, der) in certificates.iter().enumerate() {
        let unsound = || WriteError::NotACertificate(place + 1);
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| unsound())?;
        if !rest.is_empty() {
            return Err(unsound());
        }
        let is_other = certificate.public_key().raw != key.public_key_info();
        if place == 0 && is_other {
            return Err(WriteError::OtherKey);
        }
    }
    Ok(())
}

/// The attributes of key and leaf: by the identifier programs see that they belong together.
fn attributes(alias: &str, leaf: &[u8]) -> Result<Vec<u8>, WriteError> {
    let name = BmpString::from_utf8(alias).map_err(|_| WriteError::Alias(alias.to_owned()))?;
    let identifier = digest::digest(&digest::SHA256, leaf);
    let identifier = OctetStringRef::new(identifier.as_ref())?.to_der()?;
    Ok(set(&[
        attribute(oid::FRIENDLY_NAME, &name.to_der()?)?,
        attribute(oid::LOCAL_KEY_ID, &identifier)?,
    ])?)
}

fn attribute(kind: ObjectIdentifier, value: &[u8]) -> der::Result<Vec<u8>> {
    sequence(&[kind.to_der()?, set(&[value.to_vec()])?])
}

fn certificate_bag(der: &[u8], attributes: Option<&[u8]>) -> der::Result<Vec<u8>> {
    let certificate = explicit(&octets(der)?)?;
    let inside = sequence(&[oid::X509_CERTIFICATE.to_der()?, certificate])?;
    bag(oid::CERTIFICATE_BAG, &inside, attributes)
}

fn key_bag(key: &PrivateKey, attributes: &[u8], passphrase: &str) -> Result<Vec<u8>, WriteError> {
    let encrypted = key
        .encrypted_with(scheme()?, passphrase.as_bytes())
        .map_err(|_| WriteError::NotEncrypted)?;
    Ok(bag(
        oid::SHROUDED_KEY_BAG,
        encrypted.as_bytes(),
        Some(attributes),
    )?)
}

fn bag(kind: ObjectIdentifier, inside: &[u8], attributes: Option<&[u8]>) -> der::Result<Vec<u8>> {
    let mut parts = vec![kind.to_der()?, explicit(inside)?];
    parts.extend(attributes.map(<[u8]>::to_vec));
    sequence(&parts)
}

/// `ContentInfo` of `data` (RFC 5652 section 4).
fn data(content: &[u8]) -> der::Result<Vec<u8>> {
    sequence(&[oid::DATA.to_der()?, explicit(&octets(content)?)?])
}

/// `ContentInfo` of `encrypted-data` (RFC 5652 section 8).
fn encrypted_data(content: &[u8], passphrase: &str) -> Result<Vec<u8>, WriteError> {
    let scheme = scheme()?;
    let encrypted = scheme
        .encrypt(passphrase.as_bytes(), content)
        .map_err(|_| WriteError::NotEncrypted)?;
    let implicit = element(context(false), &encrypted)?;
    let algorithm = EncryptionScheme::from(scheme).to_der()?;
    let info = sequence(&[oid::DATA.to_der()?, algorithm, implicit])?;
    let inside = sequence(&[0_u8.to_der()?, info])?;
    Ok(sequence(&[
        oid::ENCRYPTED_DATA.to_der()?,
        explicit(&inside)?,
    ])?)
}

fn mac_data(safes: &[u8], passphrase: &str) -> Result<Vec<u8>, WriteError> {
    let salt: [u8; SALT] = random()?;
    let wide = derivation::wide(passphrase.as_bytes()).ok_or(WriteError::PassphraseNotAscii)?;
    let hash = &digest::SHA256;
    let key = derivation::derive(hash, &wide, &salt, Purpose::Mac, ROUNDS, hash.output_len());
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), safes);
    let algorithm = AlgorithmIdentifierRef {
        oid: oid::SHA256,
        parameters: Some(AnyRef::NULL),
    };
    let digest = sequence(&[algorithm.to_der()?, octets(mac.as_ref())?])?;
    Ok(sequence(&[digest, octets(&salt)?, ROUNDS.to_der()?])?)
}

fn scheme() -> Result<pbes2::Parameters, WriteError> {
    let (salt, iv) = (random::<SALT>()?, random()?);
    pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt, iv)
        .map_err(|_| WriteError::NotEncrypted)
}

fn random<const N: usize>() -> Result<[u8; N], WriteError> {
    let mut octets = [0; N];
    let filled = SystemRandom::new().fill(&mut octets);
    filled.map_err(|_| WriteError::NotEncrypted)?;
    Ok(octets)
}

fn context(constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(0),
    }
}

/// `[0] EXPLICIT`.
fn explicit(inside: &[u8]) -> der::Result<Vec<u8>> {
    element(context(true), inside)
}

fn octets(content: &[u8]) -> der::Result<Vec<u8>> {
    element(Tag::OctetString, content)
}

fn sequence(parts: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    element(Tag::Sequence, &parts.concat())
}

/// A SET OF, whose members DER has in the order of their encodings.
fn set(members: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    let mut members = members.to_vec();
    members.sort();
    element(Tag::Set, &members.concat())
}

fn element(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, content)?.to_der()
}

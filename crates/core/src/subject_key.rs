//! The public key of whom a certificate is for. Its private half may be anywhere: here, with whoever sent a request,
//! or in a token.

use std::fmt;

use rcgen::{PublicKeyData, SignatureAlgorithm};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::document::{KeyKind, PublicKey};
use crate::key::{KeyAlgorithm, PrivateKey};
use crate::request::beginning;

/// NIST SP 800-57 part 1: less than 2048 bits is below 112 bits of security, and OpenSSL's security level 2 refuses it.
const MIN_RSA_BITS: usize = 2048;

/// The longest with which ring checks a signature, and so a proof of possession.
const MAX_RSA_BITS: usize = 8192;

/// The public exponents with which ring checks a signature. Below lies 1, for which anybody can sign; who chooses one
/// above has others spend their time.
const RSA_EXPONENTS: std::ops::RangeInclusive<u64> = 3..=(1 << 33) - 1;

/// How an uncompressed point begins (SEC 1 section 2.3.3), which is the only form that TLS takes (RFC 8422 section 5.1.2).
const UNCOMPRESSED: u8 = 4;

/// A public key that a certificate can be issued for: P-256, P-384, RSA of 2048 to 8192 bits, or Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectKey {
    algorithm: &'static SignatureAlgorithm,
    /// The content of the `subjectPublicKey` BIT STRING.
    bits: Vec<u8>,
}

/// A key that no certificate is issued for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectKeyError {
    /// Short RSA.
    #[error("its key is RSA with {0} bits, and less than {MIN_RSA_BITS} can be broken")]
    Weak(usize),
    /// RSA too long to check a signature with.
    #[error("its key is RSA with {0} bits, and more than {MAX_RSA_BITS} are not supported")]
    Long(usize),
    /// RSA with a public exponent that nobody's tools choose.
    #[error(
        "its key is RSA with an unusual public exponent: have one made with 65537, as every tool does by itself"
    )]
    Exponent,
    /// A point on a curve in a form that TLS does not take.
    #[error("its key is a compressed point, which TLS does not take: have it written uncompressed")]
    Compressed,
    /// Another kind of key, or another curve.
    #[error("its key is {0}: use P-256, P-384, RSA of 2048 bits or more, or Ed25519")]
    Unsupported(String),
}

impl SubjectKey {
    /// Takes the key of a `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
    pub(crate) fn of(info: &SubjectPublicKeyInfo<'_>) -> Result<Self, SubjectKeyError> {
        let kind = match PublicKey::of(info).kind {
            // The curve itself in place of its name: RFC 5480 section 2.1.1 forbids that, and it hides a weak one.
            KeyKind::Other(_) if spells_its_curve(info) => {
                KeyKind::Other("EC on a curve without a name".to_owned())
            }
            kind => kind,
        };
        let algorithm = match kind {
            KeyKind::Rsa { bits } if bits < MIN_RSA_BITS => {
                return Err(SubjectKeyError::Weak(bits));
            }
            KeyKind::Rsa { bits } if bits > MAX_RSA_BITS => {
                return Err(SubjectKeyError::Long(bits));
            }
            KeyKind::Rsa { .. } if !has_usual_exponent(info) => {
                return Err(SubjectKeyError::Exponent);
            }
            KeyKind::Ec("P-256" | "P-384") if !is_uncompressed(info) => {
                return Err(SubjectKeyError::Compressed);
            }
            // The size makes no difference to how the key is written down.
            KeyKind::Rsa { .. } => KeyAlgorithm::Rsa2048,
            KeyKind::Ec("P-256") => KeyAlgorithm::P256,
            KeyKind::Ec("P-384") => KeyAlgorithm::P384,
            KeyKind::Ed25519 => KeyAlgorithm::Ed25519,
            other => {
                let kind = beginning(&other.to_string());
                return Err(SubjectKeyError::Unsupported(kind));
            }
        };
        Ok(Self {
            algorithm: algorithm.rcgen(),
            bits: info.subject_public_key.data.to_vec(),
        })
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7); nothing if it is none.
    pub fn read(der: &[u8]) -> Option<Result<Self, SubjectKeyError>> {
        match SubjectPublicKeyInfo::from_der(der) {
            Ok(([], info)) => Some(Self::of(&info)),
            _ => None,
        }
    }

    /// Whether a `signatureValue` as X.509 has it is this key's, over the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm {
            it if it == KeyAlgorithm::P256.rcgen() => &signature::ECDSA_P256_SHA256_ASN1,
            it if it == KeyAlgorithm::P384.rcgen() => &signature::ECDSA_P384_SHA384_ASN1,
            it if it == KeyAlgorithm::Ed25519.rcgen() => &signature::ED25519,
            _ => &signature::RSA_PKCS1_2048_8192_SHA256,
        };
        let key = UnparsedPublicKey::new(algorithm, &self.bits);
        key.verify(message, signature).is_ok()
    }

    /// The key of a certificate (DER), if it is of a kind that certificates are issued for here.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Self::of(certificate.public_key()).ok()
    }

    /// Its `SubjectPublicKeyInfo`, DER, as it stands in every certificate for it.
    pub fn to_der(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }

    /// SHA-256 of its DER `SubjectPublicKeyInfo`, in lower-case hexadecimal: for two people to compare.
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.to_der());
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether a CA may have it: see [`KeyAlgorithm::may_sign_certificates`].
    pub(crate) fn may_sign_certificates(&self) -> bool {
        self.algorithm != KeyAlgorithm::Ed25519.rcgen()
    }
}

fn spells_its_curve(info: &SubjectPublicKeyInfo<'_>) -> bool {
    let parameters = info.algorithm.parameters();
    info.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && parameters.is_some_and(|it| it.tag() == Tag::Sequence)
}

fn has_usual_exponent(info: &SubjectPublicKeyInfo<'_>) -> bool {
    let Ok(ParsedKey::RSA(key)) = info.parsed() else {
        return false;
    };
    key.try_exponent()
        .is_ok_and(|exponent| RSA_EXPONENTS.contains(&exponent) && exponent % 2 == 1)
}

fn is_uncompressed(info: &SubjectPublicKeyInfo<'_>) -> bool {
    info.subject_public_key.data.first() == Some(&UNCOMPRESSED)
}

impl From<&PrivateKey> for SubjectKey {
    fn from(key: &PrivateKey) -> Self {
        Self {
            algorithm: PublicKeyData::algorithm(key),
            bits: key.der_bytes().to_vec(),
        }
    }
}

impl PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({:?})", self.algorithm)
    }
}

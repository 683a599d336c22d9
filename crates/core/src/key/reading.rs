//! Private keys in the forms that people have them, made one: PKCS#8 version 1.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use pkcs8::der::asn1::{AnyRef, OctetStringRef, UintRef};
use pkcs8::der::{Decode, Encode, Header, SecretDocument, SliceReader, Tag, TagNumber};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{ENCRYPTED_PEM_LABEL, KeyAlgorithm, KeyError, PEM_LABEL, PrivateKey};
use crate::document::der;
use crate::document::encryption::{Opening, Unlocking};
use crate::document::private_key::{encrypted_parts, of_length};
use crate::stack;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

impl PrivateKey {
    /// Reads an unencrypted PKCS#8 key (RFC 5958), DER.
    ///
    /// # Errors
    /// It is no sound key, or of a kind that is not supported.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        stack::wiped_after(|| Self::parsed(der))
    }

    fn parsed(der: &[u8]) -> Result<Self, KeyError> {
        let mut pkcs8 = rewritten(der)?;
        let info = PrivateKeyInfoRef::from_der(pkcs8.as_bytes());
        let algorithm = algorithm_of(&info.map_err(|_| KeyError::Malformed)?)?;
        let pair = |pkcs8: &SecretDocument| {
            let der = pkcs8.as_bytes().into();
            rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm.rcgen())
                .map_err(|_| KeyError::Malformed)
        };
        let pair = match pair(&pkcs8) {
            Ok(pair) => pair,
            Err(_) => {
                pkcs8 = with_public_half(algorithm, pkcs8.as_bytes())?;
                pair(&pkcs8)?
            }
        };
        Ok(Self {
            algorithm,
            pair: Box::new(pair),
            pkcs8,
        })
    }

    /// Reads a PKCS#1 `RSAPrivateKey` (RFC 8017 appendix A.1.2), DER: what `RSA PRIVATE KEY` is.
    ///
    /// # Errors
    /// It is no sound key, or of a length that is not supported.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let algorithm = AlgorithmIdentifierRef {
            oid: RSA,
            parameters: Some(AnyRef::NULL),
        };
        Self::from_pkcs8(version_1(algorithm, der)?.as_bytes())
    }

    /// Reads a SEC 1 `ECPrivateKey` (RFC 5915), DER: what `EC PRIVATE KEY` is. Where it does not
    /// name its curve, its length does.
    ///
    /// # Errors
    /// It is no sound key, or on a curve that is not supported.
    pub fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        let curve = sec1_curve(der)?;
        let algorithm = AlgorithmIdentifierRef {
            oid: EC,
            parameters: Some((&curve).into()),
        };
        Self::from_pkcs8(version_1(algorithm, der)?.as_bytes())
    }

    /// Reads encrypted PKCS#8 (RFC 5958 section 3), DER.
    ///
    /// # Errors
    /// The passphrase is wrong or missing, or the encryption is not supported; or as for
    /// [`PrivateKey::from_pkcs8`].
    pub fn from_encrypted_pkcs8(der: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        Self::unlocked(der, &Unlocking::new(passphrase))
    }

    pub(crate) fn unlocked(der: &[u8], unlocking: &Unlocking<'_>) -> Result<Self, KeyError> {
        let (scheme, encrypted) = encrypted_parts(der).map_err(|_| KeyError::Malformed)?;
        let plain = scheme.open(encrypted, unlocking)?;
        // A wrong passphrase may give bytes that merely have the right end.
        match der::single(&plain).and_then(|it| it.sequence()) {
            Some(_) => Self::from_pkcs8(&plain),
            None => Err(KeyError::WrongPassphrase),
        }
    }

    /// Reads a PKCS#8 key in PEM form; `passphrase` is used if the key is encrypted.
    ///
    /// # Errors
    /// It is no PEM of one PKCS#8 key; or as for [`PrivateKey::from_encrypted_pkcs8`].
    pub fn from_pem(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::NotPem)?;
        let (label, document) = SecretDocument::from_pem(text).map_err(|_| KeyError::NotPem)?;
        match label {
            PEM_LABEL => Self::from_pkcs8(document.as_bytes()),
            ENCRYPTED_PEM_LABEL => Self::from_encrypted_pkcs8(document.as_bytes(), passphrase),
            other => Err(KeyError::OtherLabel(other.to_owned())),
        }
    }
}

impl From<Opening> for KeyError {
    /// Why it could not be opened.
    fn from(opening: Opening) -> Self {
        match opening {
            Opening::PassphraseNeeded => Self::PassphraseNeeded,
            Opening::Unsupported => Self::UnknownEncryption,
            Opening::TooCostly => Self::TooCostly,
            Opening::WrongPassphrase | Opening::NotEncrypted | Opening::Opened => {
                Self::WrongPassphrase
            }
        }
    }
}

/// The key as PKCS#8 version 1, without attributes: OpenSSL 3.0 and libpq refuse version 2, which
/// ring writes for Ed25519 (RFC 8410 section 7).
pub(super) fn rewritten(pkcs8: &[u8]) -> Result<SecretDocument, KeyError> {
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| KeyError::Malformed)?;
    version_1(info.algorithm, info.private_key.as_bytes())
}

fn version_1(
    algorithm: AlgorithmIdentifierRef<'_>,
    key: &[u8],
) -> Result<SecretDocument, KeyError> {
    let key = OctetStringRef::new(key).map_err(|_| KeyError::Malformed)?;
    SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, key))
        .map_err(|_| KeyError::Malformed)
}

/// An EC key as ring insists on it: the number in full length, and the public point, which Java and
/// `-no_public` leave out, beside it.
fn with_public_half(algorithm: KeyAlgorithm, pkcs8: &[u8]) -> Result<SecretDocument, KeyError> {
    let (signing, length): (&'static EcdsaSigningAlgorithm, _) = match algorithm {
        KeyAlgorithm::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, 32),
        KeyAlgorithm::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 48),
        _ => return Err(KeyError::Malformed),
    };
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| KeyError::Malformed)?;
    let parts = der::single(info.private_key.as_bytes()).and_then(|it| it.sequence());
    let parts = parts.ok_or(KeyError::Malformed)?;
    let number = parts.get(1).and_then(|it| it.octets());
    let number = number.and_then(|number| of_length(number, length));
    let number = number.ok_or(KeyError::Malformed)?;
    let bare = version_1(info.algorithm, &sec1(&number, None)?)?;
    let pair = EcdsaKeyPair::from_private_key_der(signing, bare.as_bytes());
    let pair = pair.map_err(|_| KeyError::Malformed)?;
    let point = pair.public_key().as_ref();
    let stated = parts.iter().find_map(|part| part.context(1));
    let stated = stated.and_then(|bits| der::single(bits)?.bits());
    if stated.is_some_and(|stated| !is_same_point(stated, point)) {
        return Err(KeyError::Malformed);
    }
    version_1(info.algorithm, &sec1(&number, Some(point))?)
}

/// An `ECPrivateKey` (RFC 5915) without the curve, which PKCS#8 names.
fn sec1(number: &[u8], point: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let element = |tag, content: &[u8]| {
        let element = AnyRef::new(tag, content).and_then(|element| element.to_der());
        element.map(Zeroizing::new).map_err(|_| KeyError::Malformed)
    };
    let mut content = Zeroizing::new(Vec::with_capacity(256));
    content.extend_from_slice(&element(Tag::Integer, &[1])?);
    content.extend_from_slice(&element(Tag::OctetString, number)?);
    if let Some(point) = point {
        let bits = element(Tag::BitString, &[&[0], point].concat())?;
        let beside = Tag::ContextSpecific {
            constructed: true,
            number: TagNumber(1),
        };
        content.extend_from_slice(&element(beside, &bits)?);
    }
    element(Tag::Sequence, &content)
}

/// Whether a point, compressed or not (SEC 1 section 2.3.3), is the one that is here uncompressed.
fn is_same_point(stated: &[u8], uncompressed: &[u8]) -> bool {
    let coordinates = uncompressed.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    match stated.split_first() {
        Some((sign @ (2 | 3), rest)) => rest == x && y.last().is_some_and(|y| y & 1 == sign & 1),
        _ => stated == uncompressed,
    }
}

fn sec1_curve(sec1: &[u8]) -> Result<ObjectIdentifier, KeyError> {
    let parts = der::single(sec1).and_then(|it| it.sequence());
    let parts = parts.ok_or(KeyError::Malformed)?;
    let number = parts.get(1).and_then(|it| it.octets());
    let named = parts.iter().find_map(|part| part.context(0));
    match (named, number.ok_or(KeyError::Malformed)?.len()) {
        // Parameters written out are no name, even where they are those of a curve that has one.
        (Some(named), _) => ObjectIdentifier::from_der(named).map_err(|_| KeyError::Unsupported),
        (None, 32) => Ok(P256),
        (None, 48) => Ok(P384),
        (None, _) => Err(KeyError::Unsupported),
    }
}

/// Which of our algorithms a PKCS#8 key is for.
fn algorithm_of(info: &PrivateKeyInfoRef<'_>) -> Result<KeyAlgorithm, KeyError> {
    let curve = info
        .algorithm
        .parameters
        .and_then(|p| p.decode_as::<ObjectIdentifier>().ok());
    match (info.algorithm.oid, curve) {
        (EC, Some(P256)) => Ok(KeyAlgorithm::P256),
        (EC, Some(P384)) => Ok(KeyAlgorithm::P384),
        (ED25519, _) => Ok(KeyAlgorithm::Ed25519),
        (RSA, _) => rsa_algorithm(info.private_key.as_bytes()),
        _ => Err(KeyError::Unsupported),
    }
}

/// Which RSA size a PKCS#1 `RSAPrivateKey` (RFC 8017 appendix A.1.2) has.
fn rsa_algorithm(pkcs1: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let modulus_bits = || {
        let mut reader = SliceReader::new(pkcs1)?;
        Header::decode(&mut reader)?;
        let _version = UintRef::decode(&mut reader)?;
        let modulus = UintRef::decode(&mut reader)?.as_bytes();
        let zeros = modulus.first().map_or(0, |first| first.leading_zeros());
        Ok::<_, pkcs8::der::Error>(modulus.len() * 8 - zeros as usize)
    };
    match modulus_bits() {
        Ok(2048) => Ok(KeyAlgorithm::Rsa2048),
        Ok(3072) => Ok(KeyAlgorithm::Rsa3072),
        Ok(4096) => Ok(KeyAlgorithm::Rsa4096),
        Ok(_) => Err(KeyError::Unsupported),
        Err(_) => Err(KeyError::Malformed),
    }
}

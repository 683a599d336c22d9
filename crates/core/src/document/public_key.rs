//! Public keys and signatures of every kind that a file may hold, also those that pgpki never
//! makes.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use pkcs8::der::Tag;
use ring::signature as ring_signature;
use x509_parser::asn1_rs::BitString;
use x509_parser::error::X509Error;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::verify::verify_signature;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::der;

/// A kind of key, with its size where the kind does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// A key on an elliptic curve for ECDSA, by the curve's usual name.
    Ec(&'static str),
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// Ed448 (RFC 8032).
    Ed448,
    /// Something else, by its usual name or its object identifier.
    Other(String),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ec(curve) => f.write_str(curve),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Ed448 => f.write_str("Ed448"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A public key: two of them are equal exactly when they are the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its kind.
    pub kind: KeyKind,
    /// The content of the `subjectPublicKey` BIT STRING.
    pub(super) bits: Vec<u8>,
}

impl PublicKey {
    pub(crate) fn of(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let parameters = info.algorithm.parameters();
        let curve = parameters.and_then(|any| any.as_oid().ok());
        let bits = info.subject_public_key.data.to_vec();
        Self {
            kind: kind(
                &info.algorithm.algorithm.to_id_string(),
                curve.map(|oid| oid.to_id_string()).as_deref(),
                &bits,
            ),
            bits,
        }
    }
}

/// The kind of key that an algorithm identifier names; `rsa_public_key` gives RSA its size.
pub(super) fn kind(algorithm: &str, curve: Option<&str>, rsa_public_key: &[u8]) -> KeyKind {
    match algorithm {
        "1.2.840.113549.1.1.1" => KeyKind::Rsa {
            bits: rsa_bits(rsa_public_key).unwrap_or_default(),
        },
        "1.2.840.10045.2.1" => ec_kind(curve),
        "1.3.101.112" => KeyKind::Ed25519,
        "1.3.101.113" => KeyKind::Ed448,
        "1.3.101.110" => KeyKind::Other("X25519".to_owned()),
        "1.3.101.111" => KeyKind::Other("X448".to_owned()),
        "1.2.840.10040.4.1" => KeyKind::Other("DSA".to_owned()),
        "1.2.840.113549.1.1.10" => KeyKind::Other("RSA-PSS".to_owned()),
        "2.16.840.1.101.3.4.3.17" => KeyKind::Other("ML-DSA-44".to_owned()),
        "2.16.840.1.101.3.4.3.18" => KeyKind::Other("ML-DSA-65".to_owned()),
        "2.16.840.1.101.3.4.3.19" => KeyKind::Other("ML-DSA-87".to_owned()),
        other => KeyKind::Other(other.to_owned()),
    }
}

fn ec_kind(curve: Option<&str>) -> KeyKind {
    KeyKind::Ec(match curve {
        Some("1.2.840.10045.3.1.7") => "P-256",
        Some("1.3.132.0.34") => "P-384",
        Some("1.3.132.0.35") => "P-521",
        Some("1.3.132.0.33") => "P-224",
        Some("1.2.840.10045.3.1.1") => "P-192",
        Some("1.3.132.0.10") => "secp256k1",
        Some("1.3.36.3.3.2.8.1.1.7") => "brainpoolP256r1",
        Some("1.3.36.3.3.2.8.1.1.11") => "brainpoolP384r1",
        Some("1.3.36.3.3.2.8.1.1.13") => "brainpoolP512r1",
        Some(other) => return KeyKind::Other(format!("EC on the curve {other}")),
        None => return KeyKind::Other("EC on a curve without a name".to_owned()),
    })
}

/// The length of the modulus in an `RSAPublicKey` (RFC 8017 appendix A.1.1).
pub(super) fn rsa_bits(public_key: &[u8]) -> Option<usize> {
    let modulus = *der::single(public_key)?.sequence()?.first()?;
    if modulus.tag != Tag::Integer {
        return None;
    }
    let start = modulus.content.iter().position(|byte| *byte != 0)?;
    let significant = modulus.content.get(start..)?;
    let zeros = significant.first()?.leading_zeros() as usize;
    Some(significant.len() * 8 - zeros)
}

/// What became of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It was made with the key.
    Good,
    /// It was not made with the key.
    Bad,
    /// Its algorithm, or the size of the key, cannot be checked here.
    Unsupported,
}

/// The hash behind a signature, as far as PostgreSQL's OpenSSL cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// SHA-2 or SHA-3.
    Sound,
    /// MD5, SHA-1 or older: refused.
    Broken,
    /// Ed25519 and Ed448 name no hash, which libpq's channel binding needs.
    NoDigest,
    /// An algorithm that is not known here.
    Unknown,
}

/// The usual name of a signature algorithm, and its strength.
pub(super) fn signature_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> (String, Strength) {
    let oid = algorithm.algorithm.to_id_string();
    let (name, strength) = match oid.as_str() {
        "1.2.840.113549.1.1.2" => ("RSA with MD2", Strength::Broken),
        "1.2.840.113549.1.1.4" => ("RSA with MD5", Strength::Broken),
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => ("RSA with SHA-1", Strength::Broken),
        "1.2.840.113549.1.1.14" => ("RSA with SHA-224", Strength::Sound),
        "1.2.840.113549.1.1.11" => ("RSA with SHA-256", Strength::Sound),
        "1.2.840.113549.1.1.12" => ("RSA with SHA-384", Strength::Sound),
        "1.2.840.113549.1.1.13" => ("RSA with SHA-512", Strength::Sound),
        RSA_PSS => ("RSA-PSS", Strength::Sound),
        "1.2.840.10045.4.1" => ("ECDSA with SHA-1", Strength::Broken),
        "1.2.840.10045.4.3.1" => ("ECDSA with SHA-224", Strength::Sound),
        "1.2.840.10045.4.3.2" => ("ECDSA with SHA-256", Strength::Sound),
        "1.2.840.10045.4.3.3" => ("ECDSA with SHA-384", Strength::Sound),
        ECDSA_WITH_SHA512 => ("ECDSA with SHA-512", Strength::Sound),
        "1.2.840.10040.4.3" => ("DSA with SHA-1", Strength::Broken),
        "2.16.840.1.101.3.4.3.2" => ("DSA with SHA-256", Strength::Sound),
        "1.3.101.112" => ("Ed25519", Strength::NoDigest),
        "1.3.101.113" => ("Ed448", Strength::NoDigest),
        _ => return (oid, Strength::Unknown),
    };
    (name.to_owned(), strength)
}

/// Checks a signature with the signer's key.
pub(super) fn check(
    signer: &SubjectPublicKeyInfo<'_>,
    algorithm: &AlgorithmIdentifier<'_>,
    signature: &BitString<'_>,
    signed: &[u8],
) -> Signature {
    if let KeyKind::Rsa { bits } = PublicKey::of(signer).kind
        && !(2048..=8192).contains(&bits)
    {
        // ring's usual algorithms call a sound signature by a small key wrong.
        return check_small_rsa(signer, algorithm, signature, signed, bits);
    }
    if let Some(algorithm) = beyond_ring(signer, algorithm) {
        let key = UnparsedPublicKey::new(algorithm, &signer.subject_public_key.data);
        return match key.verify(signed, &signature.data) {
            Ok(()) => Signature::Good,
            Err(_) => Signature::Bad,
        };
    }
    match verify_signature(signer, algorithm, signature, signed) {
        Ok(()) => Signature::Good,
        Err(_) if has_unusual_salt(algorithm) => Signature::Unsupported,
        Err(X509Error::SignatureVerificationError) => Signature::Bad,
        Err(_) => Signature::Unsupported,
    }
}

/// The ECDSA that ring does not know: with P-521, which companies' CAs have, and with SHA-512 (RFC 5758 section 3.2), with which
/// hardware and Java sign whatever the curve.
fn beyond_ring(
    signer: &SubjectPublicKeyInfo<'_>,
    algorithm: &AlgorithmIdentifier<'_>,
) -> Option<&'static EcdsaVerificationAlgorithm> {
    let KeyKind::Ec(curve) = PublicKey::of(signer).kind else {
        return None;
    };
    match (curve, algorithm.algorithm.to_id_string().as_str()) {
        ("P-256", ECDSA_WITH_SHA512) => Some(&ECDSA_P256_SHA512_ASN1),
        ("P-384", ECDSA_WITH_SHA512) => Some(&ECDSA_P384_SHA512_ASN1),
        ("P-521", "1.2.840.10045.4.3.2") => Some(&ECDSA_P521_SHA256_ASN1),
        ("P-521", "1.2.840.10045.4.3.3") => Some(&ECDSA_P521_SHA384_ASN1),
        ("P-521", ECDSA_WITH_SHA512) => Some(&ECDSA_P521_SHA512_ASN1),
        _ => None,
    }
}

const ECDSA_WITH_SHA512: &str = "1.2.840.10045.4.3.4";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";

/// ring knows RSA-PSS only with a salt as long as the hash; OpenSSL makes it longer unless told.
fn has_unusual_salt(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    // What the parser does not know, it tells standard error of in a debug build.
    if algorithm.algorithm.to_id_string() != RSA_PSS {
        return false;
    }
    let parsed = SignatureAlgorithm::try_from(algorithm);
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = parsed else {
        return false;
    };
    let hash = parameters.hash_algorithm_oid().to_id_string();
    let usual = match hash.as_str() {
        "2.16.840.1.101.3.4.2.1" => 32,
        "2.16.840.1.101.3.4.2.2" => 48,
        "2.16.840.1.101.3.4.2.3" => 64,
        _ => return true,
    };
    parameters.salt_length() != usual
}

fn check_small_rsa(
    signer: &SubjectPublicKeyInfo<'_>,
    algorithm: &AlgorithmIdentifier<'_>,
    signature: &BitString<'_>,
    signed: &[u8],
    bits: usize,
) -> Signature {
    use ring_signature as ring;
    let oid = algorithm.algorithm.to_id_string();
    let algorithm: &dyn ring::VerificationAlgorithm = match (oid.as_str(), bits) {
        ("1.2.840.113549.1.1.5", 1024..2048) => &ring::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        ("1.2.840.113549.1.1.11", 1024..2048) => {
            &ring::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        ("1.2.840.113549.1.1.13", 1024..2048) => {
            &ring::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        _ => return Signature::Unsupported,
    };
    let key = ring::UnparsedPublicKey::new(algorithm, &signer.subject_public_key.data);
    match key.verify(signed, &signature.data) {
        Ok(()) => Signature::Good,
        Err(_) => Signature::Bad,
    }
}

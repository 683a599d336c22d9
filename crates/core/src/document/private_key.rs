//! Private keys in every form that people have them. Only what is public about a key is kept.

use pkcs8::der::Tag;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use zeroize::Zeroizing;

use super::der::{self, Element};
use super::encryption::{Encryption, Opening, Scheme, Unlocking};
use super::old_encryption::PemCipher;
use super::public_key::{KeyKind, PublicKey, kind};
use super::text::sequence;
use super::{Fault, printable};
use crate::stack;

/// The form in which a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// PKCS#8, `PRIVATE KEY` (RFC 5958).
    Pkcs8 {
        /// Its version: 1, or 2 where the public key stands beside the private one.
        version: u8,
    },
    /// Encrypted PKCS#8, `ENCRYPTED PRIVATE KEY`.
    EncryptedPkcs8,
    /// PKCS#1, `RSA PRIVATE KEY` (RFC 8017).
    Pkcs1,
    /// SEC 1, `EC PRIVATE KEY` (RFC 5915).
    Sec1,
    /// PKCS#1 or SEC 1 with `Proc-Type: 4,ENCRYPTED`: OpenSSL's own encryption of old.
    LegacyEncrypted,
}

impl KeyFormat {
    /// The name used in reports and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs8 { version: 2 } => "PKCS#8 version 2",
            Self::Pkcs8 { .. } => "PKCS#8",
            Self::EncryptedPkcs8 => "encrypted PKCS#8",
            Self::Pkcs1 => "PKCS#1",
            Self::Sec1 => "SEC 1",
            Self::LegacyEncrypted => "legacy encrypted PEM",
        }
    }
}

/// What a private key is, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The form it is written in.
    pub format: KeyFormat,
    /// Its kind; `None` while it is locked.
    pub kind: Option<KeyKind>,
    /// Its public half; `None` while it is locked, or where it is not to be had from the file.
    pub public_key: Option<PublicKey>,
    /// How it is encrypted; `None` where it is not.
    pub encryption: Option<Encryption>,
    /// Whether it could be opened.
    pub opening: Opening,
}

impl KeyFacts {
    fn plain(format: KeyFormat, kind: KeyKind, public: Option<Vec<u8>>) -> Self {
        let with_bits = |bits| PublicKey {
            kind: kind.clone(),
            bits,
        };
        Self {
            format,
            public_key: public.map(with_bits),
            kind: Some(kind),
            encryption: None,
            opening: Opening::NotEncrypted,
        }
    }

    fn locked(format: KeyFormat, encryption: Encryption, opening: Opening) -> Self {
        Self {
            format,
            kind: None,
            public_key: None,
            encryption: Some(encryption),
            opening,
        }
    }

    /// Whether a passphrase is needed to use it.
    pub fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// Whether this is the private half of `public_key`; `None` where that cannot be told.
    pub fn matches(&self, public_key: &PublicKey) -> Option<bool> {
        self.public_key.as_ref().map(|own| own == public_key)
    }

    /// PKCS#8 without encryption (RFC 5958 section 2).
    pub(crate) fn pkcs8(der: &[u8]) -> Result<Self, Fault> {
        let broken = || Fault::malformed("it is not a PKCS#8 private key");
        let parts = only(der)?.sequence().ok_or_else(broken)?;
        let (version, algorithm, key) = match parts.as_slice() {
            [version, algorithm, key, ..] => (version, algorithm, key),
            _ => return Err(broken()),
        };
        let version = match version.small_integer() {
            Some(number @ 0..=1) => number + 1,
            _ => return Err(broken()),
        };
        let algorithm = algorithm.sequence().ok_or_else(broken)?;
        let oid = algorithm
            .first()
            .and_then(Element::oid)
            .ok_or_else(broken)?;
        let curve = algorithm.get(1).and_then(Element::oid);
        let inner = key.octets().ok_or_else(broken)?;
        let beside = parts.iter().find_map(|part| part.context(1));
        let format = KeyFormat::Pkcs8 { version };
        match oid.as_str() {
            "1.2.840.113549.1.1.1" => Self::pkcs1_as(format, inner),
            "1.2.840.10045.2.1" => Self::sec1_as(format, inner, curve),
            "1.3.101.112" => ed25519(format, inner),
            other => {
                // [1] IMPLICIT BIT STRING: the first byte counts unused bits.
                let public = beside.and_then(|bits| bits.get(1..)).map(<[u8]>::to_vec);
                Ok(Self::plain(format, kind(other, None, &[]), public))
            }
        }
    }

    /// Encrypted PKCS#8 (RFC 5958 section 3).
    pub(super) fn encrypted_pkcs8(der: &[u8], unlocking: &Unlocking<'_>) -> Result<Self, Fault> {
        let (scheme, encrypted) = encrypted_parts(der)?;
        let plain = scheme.open(encrypted, unlocking);
        let read = plain.map(|plain| Self::pkcs8(&plain));
        Ok(Self::opened(
            KeyFormat::EncryptedPkcs8,
            scheme.encryption,
            read,
        ))
    }

    /// A key that was encrypted; what does not make sense inside was decrypted wrongly.
    fn opened(
        format: KeyFormat,
        encryption: Encryption,
        read: Result<Result<Self, Fault>, Opening>,
    ) -> Self {
        match read {
            Ok(Ok(inside)) => Self {
                format,
                encryption: Some(encryption),
                opening: Opening::Opened,
                ..inside
            },
            Ok(Err(_)) => Self::locked(format, encryption, Opening::WrongPassphrase),
            Err(opening) => Self::locked(format, encryption, opening),
        }
    }

    /// PKCS#1 (RFC 8017 appendix A.1.2).
    pub(crate) fn pkcs1(der: &[u8]) -> Result<Self, Fault> {
        Self::pkcs1_as(KeyFormat::Pkcs1, der)
    }

    fn pkcs1_as(format: KeyFormat, der: &[u8]) -> Result<Self, Fault> {
        let broken = || Fault::malformed("it is not an RSA private key");
        let parts = only(der)?.sequence().ok_or_else(broken)?;
        let public = match parts.as_slice() {
            [version, modulus, exponent, _, _, _, _, _, _, ..]
                if version.tag == Tag::Integer
                    && modulus.tag == Tag::Integer
                    && exponent.tag == Tag::Integer =>
            {
                sequence(&[modulus.whole, exponent.whole].concat()).ok_or_else(broken)?
            }
            _ => return Err(broken()),
        };
        let kind = kind("1.2.840.113549.1.1.1", None, &public);
        Ok(Self::plain(format, kind, Some(public)))
    }

    /// SEC 1 (RFC 5915).
    pub(crate) fn sec1(der: &[u8]) -> Result<Self, Fault> {
        Self::sec1_as(KeyFormat::Sec1, der, None)
    }

    fn sec1_as(format: KeyFormat, der: &[u8], curve: Option<String>) -> Result<Self, Fault> {
        let broken = || Fault::malformed("it is not an EC private key");
        let parts = only(der)?.sequence().ok_or_else(broken)?;
        let (private, beside) = match parts.as_slice() {
            [version, private, beside @ ..] if version.small_integer() == Some(1) => {
                (private.octets().ok_or_else(broken)?, beside)
            }
            _ => return Err(broken()),
        };
        let named = |bytes| der::single(bytes).and_then(|element| element.oid());
        let own_curve = beside
            .iter()
            .find_map(|part| part.context(0))
            .and_then(named);
        let curve = curve.or(own_curve);
        let public = beside.iter().find_map(|part| part.context(1));
        let public = public.and_then(|bits| der::single(bits)?.bits());
        let kind = kind("1.2.840.10045.2.1", curve.as_deref(), &[]);
        if let Some(public) = public
            && !belong_together(&kind, private, public)
        {
            let what = "its private number and its public point do not belong together";
            return Err(Fault::malformed(what));
        }
        Ok(Self::plain(format, kind, public.map(<[u8]>::to_vec)))
    }

    /// A PEM block with `Proc-Type: 4,ENCRYPTED`; `dek_info` names the cipher (RFC 1421). `read`
    /// is for what its label says it is.
    pub(super) fn legacy_encrypted(
        dek_info: &str,
        encrypted: &[u8],
        unlocking: &Unlocking<'_>,
        read: fn(&[u8]) -> Result<Self, Fault>,
    ) -> Self {
        let cipher = dek_info.split(',').next().unwrap_or_default().trim();
        let encryption = Encryption {
            method: format!("{} with a key from one round of MD5", printable(cipher)),
            refused_by_openssl: None,
        };
        let plain = open_legacy(dek_info, encrypted, unlocking);
        let read = plain.map(|plain| read(&plain));
        Self::opened(KeyFormat::LegacyEncrypted, encryption, read)
    }
}

/// Opens a PEM block with `Proc-Type: 4,ENCRYPTED`. What comes out has to be parsed with suspicion.
pub(crate) fn open_legacy(
    dek_info: &str,
    encrypted: &[u8],
    unlocking: &Unlocking<'_>,
) -> Result<Zeroizing<Vec<u8>>, Opening> {
    let cipher = PemCipher::read(dek_info).ok_or(Opening::Unsupported)?;
    let passphrase = unlocking.passphrase()?;
    let plain = stack::wiped_after(|| cipher.open(encrypted, passphrase));
    plain.ok_or(Opening::WrongPassphrase)
}

/// How an encrypted PKCS#8 key is encrypted, and what is (RFC 5958 section 3).
pub(crate) fn encrypted_parts(der: &[u8]) -> Result<(Scheme, &[u8]), Fault> {
    let broken = || Fault::malformed("it is not an encrypted PKCS#8 private key");
    let parts = only(der)?.sequence().ok_or_else(broken)?;
    let (scheme, encrypted) = match parts.as_slice() {
        [algorithm, data] => (Scheme::read(algorithm), data.octets()),
        _ => return Err(broken()),
    };
    Ok((scheme.ok_or_else(broken)?, encrypted.ok_or_else(broken)?))
}

/// ring checks this for the two curves it has; others are taken at their word.
fn belong_together(kind: &KeyKind, private: &[u8], public: &[u8]) -> bool {
    let (algorithm, length) = match kind {
        KeyKind::Ec("P-256") => (&ECDSA_P256_SHA256_ASN1_SIGNING, 32),
        KeyKind::Ec("P-384") => (&ECDSA_P384_SHA384_ASN1_SIGNING, 48),
        _ => return true,
    };
    // Only an uncompressed point says the same in the same bytes.
    if public.first() != Some(&4) {
        return true;
    }
    let random = SystemRandom::new();
    let Some(private) = of_length(private, length) else {
        return false;
    };
    stack::wiped_after(|| {
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, public, &random).is_ok()
    })
}

/// A number with exactly so many octets, as RFC 5915 wants it: GnuTLS writes a zero before some, and
/// others leave zeros out. `None` where it is larger.
pub(crate) fn of_length(number: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let digits = number.get(zeros..)?;
    let mut padded = Zeroizing::new(vec![0; length]);
    let start = length.checked_sub(digits.len())?;
    padded.get_mut(start..)?.copy_from_slice(digits);
    Some(padded)
}

fn ed25519(format: KeyFormat, inner: &[u8]) -> Result<KeyFacts, Fault> {
    let broken = || Fault::malformed("it is not an Ed25519 private key");
    let seed = der::single(inner).ok_or_else(broken)?;
    let seed = seed.octets().ok_or_else(broken)?;
    let public = stack::wiped_after(|| {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| broken())?;
        Ok(pair.public_key().as_ref().to_vec())
    })?;
    Ok(KeyFacts::plain(format, KeyKind::Ed25519, Some(public)))
}

fn only(der: &[u8]) -> Result<Element<'_>, Fault> {
    Fault::check_length(der)?;
    der::single(der).ok_or_else(|| Fault::malformed("it is not DER"))
}

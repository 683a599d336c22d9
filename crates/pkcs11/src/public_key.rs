//! A public key as PKCS#11 has it, made into the `SubjectPublicKeyInfo` of X.509.

use pgpki_core::subject_key::{SubjectKey, SubjectKeyError};

use crate::signature::Scheme;

/// `CKA_EC_PARAMS` of P-256: the object identifier prime256v1, 1.2.840.10045.3.1.7 (RFC 5480 section 2.1.1.1).
pub(crate) const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `CKA_EC_PARAMS` of P-384: secp384r1, 1.3.132.0.34.
pub(crate) const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// `id-ecPublicKey`, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `rsaEncryption`, 1.2.840.113549.1.1.1, with the NULL that goes with it.
const RSA_ENCRYPTION: [u8; 13] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// An elliptic curve's point that is not compressed begins with this (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// A public key, and how its private half signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(crate) key: SubjectKey,
    pub(crate) scheme: Scheme,
}

/// What makes a key unsuitable for a CA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsuitable {
    #[error("it is on another curve than P-256 and P-384")]
    Curve,
    #[error("its public half is damaged")]
    Damaged,
    #[error(transparent)]
    Key(#[from] SubjectKeyError),
}

impl PublicKey {
    /// From `CKA_EC_PARAMS` and `CKA_EC_POINT`: a DER OCTET STRING, which some tokens leave away.
    pub(crate) fn of_curve(params: &[u8], point: &[u8]) -> Result<Self, Unsuitable> {
        let (scheme, octets) = match params {
            it if it == P256 => (Scheme::P256, 32),
            it if it == P384 => (Scheme::P384, 48),
            _ => return Err(Unsuitable::Curve),
        };
        let length = 2 * octets + 1;
        let point = match point {
            [OCTET_STRING, short, rest @ ..]
                if usize::from(*short) == length && rest.len() == length =>
            {
                rest
            }
            bare => bare,
        };
        if point.len() != length || point[0] != UNCOMPRESSED {
            return Err(Unsuitable::Damaged);
        }
        let algorithm = sequence(&[EC_PUBLIC_KEY.to_vec(), params.to_vec()]);
        Self::read(scheme, &info(algorithm, point))
    }

    /// From `CKA_MODULUS` and `CKA_PUBLIC_EXPONENT`, numbers with the most significant octet first.
    pub(crate) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Unsuitable> {
        let key = sequence(&[integer(modulus), integer(exponent)]);
        let algorithm = tlv(SEQUENCE, &RSA_ENCRYPTION);
        Self::read(Scheme::Rsa, &info(algorithm, &key))
    }

    fn read(scheme: Scheme, info: &[u8]) -> Result<Self, Unsuitable> {
        let key = SubjectKey::read(info).ok_or(Unsuitable::Damaged)??;
        Ok(Self { key, scheme })
    }
}

fn info(algorithm: Vec<u8>, key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    sequence(&[algorithm, tlv(BIT_STRING, &bits)])
}

/// A DER SEQUENCE of what is DER already.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// A DER INTEGER that is not negative, from its octets, most significant first.
pub(crate) fn integer(octets: &[u8]) -> Vec<u8> {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let number = &octets[zeros..];
    match number.first() {
        Some(first) if *first < 0x80 => tlv(INTEGER, number),
        _ => tlv(INTEGER, &[&[0], number].concat()),
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let octets = length.to_be_bytes();
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            // At most eight octets say how long something in memory is.
            der.push(0x80 | u8::try_from(octets.len() - zeros).unwrap_or(8));
            der.extend_from_slice(&octets[zeros..]);
        }
    }
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use pgpki_core::key::{KeyAlgorithm, PrivateKey};
    use proptest::prelude::*;

    use super::*;

    /// The last octets of an EC key's information are its point.
    fn made(algorithm: KeyAlgorithm, point: usize) -> (SubjectKey, Vec<u8>) {
        let key = PrivateKey::generate(algorithm).unwrap();
        let info = key.public_key_info();
        ((&key).into(), info[info.len() - point..].to_vec())
    }

    #[test]
    fn a_curves_point_with_and_without_its_octet_string() {
        for (algorithm, params, length) in [
            (KeyAlgorithm::P256, &P256[..], 65),
            (KeyAlgorithm::P384, &P384[..], 97),
        ] {
            let (expected, point) = made(algorithm, length);
            let bare = PublicKey::of_curve(params, &point).unwrap();
            assert_eq!(bare.key, expected);
            let wrapped = PublicKey::of_curve(params, &tlv(OCTET_STRING, &point)).unwrap();
            assert_eq!(wrapped, bare);
        }
    }

    #[test]
    fn an_rsa_key() {
        let key = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap();
        let info = key.public_key_info();
        // SEQUENCE { INTEGER modulus, INTEGER 65537 } at the end.
        let (modulus, exponent) = (&info[info.len() - 5 - 256..info.len() - 5], [1, 0, 1]);
        let read = PublicKey::of_rsa(modulus, &exponent).unwrap();
        assert_eq!(read.key, SubjectKey::from(&key));
        assert_eq!(read.scheme, Scheme::Rsa);
        let short = PublicKey::of_rsa(&[0xff; 128], &exponent);
        assert_eq!(short, Err(SubjectKeyError::Weak(1024).into()));
    }

    #[test]
    fn other_curves_are_refused() {
        let secp521r1 = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
        let refused = PublicKey::of_curve(&secp521r1, &[4; 133]);
        assert_eq!(refused, Err(Unsuitable::Curve));
    }

    proptest! {
        #[test]
        fn nothing_that_a_token_says_makes_it_panic(
            params in prop_oneof![Just(P256.to_vec()), Just(P384.to_vec()), any::<Vec<u8>>()],
            value in any::<Vec<u8>>(),
            other in any::<Vec<u8>>(),
        ) {
            let _ = PublicKey::of_curve(&params, &value);
            let _ = PublicKey::of_rsa(&value, &other);
        }
    }
}

//! Private keys: made, stored as PKCS#8, encrypted with a passphrase, and signed with.

mod reading;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::AsDer;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Decode, SecretDocument};
use pkcs8::pkcs5::pbes2;
use pkcs8::pkcs5::scrypt;
use rcgen::{PublicKeyData, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::stack;

/// PEM label of a PKCS#8 private key (RFC 7468 section 10).
pub const PEM_LABEL: &str = "PRIVATE KEY";
/// PEM label of an encrypted PKCS#8 private key (RFC 7468 section 11).
pub const ENCRYPTED_PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// log2 of scrypt's N: the largest that OpenSSL 3.0, and with it PostgreSQL and libpq, opens
/// within its default memory limit of 32 MiB.
const SCRYPT_LOG_N: u8 = 14;

/// The kinds of key that pgpki makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256, signing with SHA-256.
    P256,
    /// ECDSA on NIST P-384, signing with SHA-384.
    P384,
    /// RSA with a modulus of 2048 bits, signing with PKCS#1 v1.5 and SHA-256.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// Ed25519. For clients' keys alone: libpq's channel binding cannot hash a certificate that
    /// was *signed* with it, so no CA may have such a key.
    Ed25519,
}

impl KeyAlgorithm {
    /// Every algorithm, in the order in which help texts list them.
    pub const ALL: [Self; 6] = [
        Self::P256,
        Self::P384,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Ed25519,
    ];

    /// The name used on the command line, in the settings and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Whether a CA may have such a key, so that PostgreSQL's channel binding works with what it
    /// signs (RFC 5929 section 4.1 needs a hash, and Ed25519 signatures name none).
    pub fn may_sign_certificates(self) -> bool {
        self != Self::Ed25519
    }

    pub(crate) fn rcgen(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnknownKeyAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownKeyAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| UnknownKeyAlgorithm(text.to_owned()))
    }
}

/// A name that is none of [`KeyAlgorithm::ALL`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key algorithm: use p256, p384, rsa2048, rsa3072, rsa4096 or ed25519")]
pub struct UnknownKeyAlgorithm(String);

/// Why a key could not be made, read or used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The cryptographic library could not make one; in practice: no randomness.
    #[error("a {0} key could not be made: the system's random number generator failed")]
    NotMade(KeyAlgorithm),
    /// Not PEM, or not one block of it.
    #[error("it holds no private key in PEM form")]
    NotPem,
    /// PEM, but of another kind.
    #[error("it holds a PEM block {0:?} where a PKCS#8 private key is expected")]
    OtherLabel(String),
    /// The key is encrypted and no passphrase was given.
    #[error("the key is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key")]
    WrongPassphrase,
    /// Not the encoding of a key, or of one that is inconsistent.
    #[error("it is not a valid private key")]
    Malformed,
    /// The key is encrypted by a method that is not supported.
    #[error("the key is encrypted by a method that is not supported here")]
    UnknownEncryption,
    /// The key's encryption asks for too much work.
    #[error("opening the key costs more work than a file may: its iteration count is too large")]
    TooCostly,
    /// A sound key that this program cannot use.
    #[error("its kind of key is not supported: P-256, P-384, RSA of 2048 to 4096 bits or Ed25519")]
    Unsupported,
    /// The key could not be encrypted.
    #[error("the key could not be encrypted")]
    NotEncrypted,
}

/// A private key, together with its public half. Wiped from memory when it is dropped, where the program has an allocator
/// that wipes what is freed; never printed.
pub struct PrivateKey {
    algorithm: KeyAlgorithm,
    /// On the heap, so that no copy of it stays on the stack where it is moved.
    pair: Box<rcgen::KeyPair>,
    /// PKCS#8 version 1, which OpenSSL 3.0 and libpq read for every algorithm.
    pkcs8: SecretDocument,
}

impl PrivateKey {
    /// Makes a new key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        stack::wiped_after(|| Self::made(algorithm))
    }

    fn made(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let not_made = |_| KeyError::NotMade(algorithm);
        let rsa_bits = match algorithm {
            KeyAlgorithm::Rsa2048 => Some(aws_lc_rs::rsa::KeySize::Rsa2048),
            KeyAlgorithm::Rsa3072 => Some(aws_lc_rs::rsa::KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => Some(aws_lc_rs::rsa::KeySize::Rsa4096),
            _ => None,
        };
        if let Some(bits) = rsa_bits {
            let pair = aws_lc_rs::rsa::KeyPair::generate(bits)
                .map_err(|_| KeyError::NotMade(algorithm))?;
            let der = pair.as_der().map_err(|_| KeyError::NotMade(algorithm))?;
            return Self::from_pkcs8(der.as_ref());
        }
        let pair = rcgen::KeyPair::generate_for(algorithm.rcgen()).map_err(not_made)?;
        let pkcs8 = reading::rewritten(pair.serialized_der())?;
        Ok(Self {
            algorithm,
            pair: Box::new(pair),
            pkcs8,
        })
    }

    /// The kind of key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public half: a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
    pub fn public_key_info(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }

    /// The unencrypted key: PKCS#8 in PEM form.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.pkcs8
            .to_pem(PEM_LABEL, LineEnding::LF)
            .map_err(|_| KeyError::Malformed)
    }

    /// The key encrypted with `passphrase`: PKCS#8, PBES2 with scrypt (N = 2^14, r = 8, p = 1) and
    /// AES-256-CBC, in PEM form. OpenSSL 3.0, PostgreSQL and libpq read it.
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        self.encrypted_with(scrypt_scheme()?, passphrase)?
            .to_pem(ENCRYPTED_PEM_LABEL, LineEnding::LF)
            .map_err(|_| KeyError::NotEncrypted)
    }

    /// The unencrypted key: PKCS#8, DER, as pgJDBC reads it from a `.pk8`.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.to_bytes()
    }

    /// The key encrypted as [`PrivateKey::to_encrypted_pem`] has it, DER.
    pub fn to_encrypted_der(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let encrypted = self.encrypted_with(scrypt_scheme()?, passphrase)?;
        Ok(encrypted.to_bytes())
    }

    /// Encrypted PKCS#8, DER.
    pub(crate) fn encrypted_with(
        &self,
        scheme: pbes2::Parameters,
        passphrase: &[u8],
    ) -> Result<SecretDocument, KeyError> {
        let key = PrivateKeyInfoRef::from_der(self.pkcs8.as_bytes());
        let key = key.map_err(|_| KeyError::NotEncrypted)?;
        stack::wiped_after(|| key.encrypt_with_params(scheme, passphrase))
            .map_err(|_| KeyError::NotEncrypted)
    }
}

fn scrypt_scheme() -> Result<pbes2::Parameters, KeyError> {
    let failed = || KeyError::NotEncrypted;
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    let random = SystemRandom::new();
    random.fill(&mut salt).map_err(|_| failed())?;
    random.fill(&mut iv).map_err(|_| failed())?;
    let cost = scrypt::Params::new(SCRYPT_LOG_N, 8, 1).map_err(|_| failed())?;
    pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).map_err(|_| failed())
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        // The second copy of the key, which rcgen keeps and does not wipe by itself.
        zeroize::Zeroize::zeroize(&mut *self.pair);
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, not shown)", self.algorithm)
    }
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        self.pair.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm.rcgen()
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        stack::wiped_after(|| self.pair.sign(message))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_algorithm_round_trips_plain_and_encrypted() {
        for algorithm in KeyAlgorithm::ALL {
            let key = PrivateKey::generate(algorithm).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let plain = key.to_pem().unwrap();
            let again = PrivateKey::from_pem(plain.as_bytes(), None).unwrap();
            assert_eq!(again.public_key_info(), key.public_key_info());
            assert_eq!(again.to_pem().unwrap(), plain);

            let encrypted = key.to_encrypted_pem(b"correct horse").unwrap();
            let opened = PrivateKey::from_pem(encrypted.as_bytes(), Some(b"correct horse"));
            assert_eq!(opened.unwrap().public_key_info(), key.public_key_info());
            let refused =
                |passphrase| PrivateKey::from_pem(encrypted.as_bytes(), passphrase).unwrap_err();
            assert_eq!(
                refused(Some(b"wrong".as_slice())),
                KeyError::WrongPassphrase
            );
            assert_eq!(refused(None), KeyError::PassphraseNeeded);
        }
    }

    #[test]
    fn ed25519_keys_are_version_1() {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let info = PrivateKeyInfoRef::from_der(key.pkcs8.as_bytes()).unwrap();
        assert_eq!(info.version(), pkcs8::Version::V1);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let read = |text: &str| PrivateKey::from_pem(text.as_bytes(), None).unwrap_err();
        assert_eq!(read(""), KeyError::NotPem);
        assert_eq!(read("garbage"), KeyError::NotPem);
        let certificate = crate::pem("CERTIFICATE", &[0x30, 0x00]);
        assert_eq!(
            read(&certificate),
            KeyError::OtherLabel("CERTIFICATE".into())
        );
        let empty = crate::pem(PEM_LABEL, &[0x30, 0x00]);
        assert_eq!(read(&empty), KeyError::Malformed);
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(p256, not shown)");
    }
}

//! How a key or a PKCS#12 container is encrypted, who can read that, and opening it.

use pkcs8::der::Decode;
use pkcs8::pkcs5;
use pkcs8::pkcs5::pbes2::{self, EncryptionScheme, Kdf, ScryptParams};
use zeroize::Zeroizing;

use super::der::Element;

/// OpenSSL's default limit for scrypt, 32 MiB, which N = 2^15 with r = 8 already exceeds.
const OPENSSL_SCRYPT_BYTES: u64 = 32 * 1024 * 1024;
/// More work than this is a file that wants to stall whoever reads it, not a password's protection.
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
const MAX_SCRYPT_PARALLEL: u16 = 16;

/// How something is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The method, for people.
    pub method: String,
    /// Why OpenSSL 3.0, and with it PostgreSQL and libpq, cannot open it; `None` if it can.
    pub refused_by_openssl: Option<&'static str>,
}

/// What became of opening something encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is not encrypted.
    NotEncrypted,
    /// No passphrase was given.
    PassphraseNeeded,
    /// The passphrase does not open it, or it is damaged.
    WrongPassphrase,
    /// Its method is not supported here, or costs more than a file may.
    Unsupported,
    /// The passphrase opened it.
    Opened,
}

impl Opening {
    /// Whether what is inside could be looked at.
    pub fn is_open(self) -> bool {
        matches!(self, Self::NotEncrypted | Self::Opened)
    }
}

/// An `AlgorithmIdentifier` for encryption with a passphrase.
pub(super) struct Scheme {
    pub(super) encryption: Encryption,
    pbes2: Option<pbes2::Parameters>,
}

impl Scheme {
    pub(super) fn read(algorithm: &Element<'_>) -> Option<Self> {
        let parts = algorithm.sequence()?;
        let oid = parts.first()?.oid()?;
        if oid != pbes2::PBES2_OID.to_string() {
            return Some(Self {
                encryption: older(&oid),
                pbes2: None,
            });
        }
        let parameters = pbes2::Parameters::from_der(parts.get(1)?.whole).ok();
        let encryption = match &parameters {
            Some(parameters) => describe(parameters),
            None => Encryption {
                method: "PBES2 with an unusual cipher".to_owned(),
                refused_by_openssl: None,
            },
        };
        Some(Self {
            encryption,
            pbes2: parameters,
        })
    }

    /// Decrypts. A wrong passphrase may give bytes that merely look right, so what comes out has
    /// to be parsed with suspicion.
    pub(super) fn open(
        &self,
        encrypted: &[u8],
        passphrase: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, Opening> {
        let parameters = self.pbes2.as_ref().ok_or(Opening::Unsupported)?;
        if !affordable(parameters) {
            return Err(Opening::Unsupported);
        }
        let passphrase = passphrase.ok_or(Opening::PassphraseNeeded)?;
        match parameters.decrypt(passphrase, encrypted) {
            Ok(plain) => Ok(Zeroizing::new(plain)),
            // PBKDF2 with SHA-1, for one, which OpenSSL used before 1.1.
            Err(pkcs5::Error::UnsupportedAlgorithm { .. }) => Err(Opening::Unsupported),
            Err(_) => Err(Opening::WrongPassphrase),
        }
    }
}

fn affordable(parameters: &pbes2::Parameters) -> bool {
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ITERATIONS,
        Kdf::Scrypt(scrypt) => {
            scrypt_bytes(scrypt) <= MAX_SCRYPT_BYTES
                && scrypt.parallelization <= MAX_SCRYPT_PARALLEL
        }
        _ => false,
    }
}

fn scrypt_bytes(scrypt: &ScryptParams) -> u64 {
    let block = 128 * u64::from(scrypt.block_size);
    scrypt.cost_parameter.saturating_mul(block)
}

fn describe(parameters: &pbes2::Parameters) -> Encryption {
    let mut refused = None;
    let cipher = match &parameters.encryption {
        EncryptionScheme::Aes128Cbc { .. } => "AES-128-CBC",
        EncryptionScheme::Aes192Cbc { .. } => "AES-192-CBC",
        EncryptionScheme::Aes256Cbc { .. } => "AES-256-CBC",
        EncryptionScheme::Aes128Gcm { .. } | EncryptionScheme::Aes256Gcm { .. } => {
            refused = Some("OpenSSL 3.0 does not decrypt keys with AES-GCM");
            "AES-GCM"
        }
        _ => "another cipher",
    };
    let derivation = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => format!("PBKDF2 of {} rounds", pbkdf2.iteration_count),
        Kdf::Scrypt(scrypt) => {
            if scrypt_bytes(scrypt) >= OPENSSL_SCRYPT_BYTES {
                refused = Some("its scrypt parameters need more memory than OpenSSL allows");
            }
            format!("scrypt with N = {}", scrypt.cost_parameter)
        }
        _ => "another key derivation".to_owned(),
    };
    Encryption {
        method: format!("PBES2, {derivation}, {cipher}"),
        refused_by_openssl: refused,
    }
}

/// PKCS#5 version 1.5 and PKCS#12's own schemes.
fn older(oid: &str) -> Encryption {
    const LEGACY: &str = "OpenSSL 3.0 has its cipher only in the legacy provider";
    let (method, refused_by_openssl) = match oid {
        "1.2.840.113549.1.5.3" => ("PBE-MD5-DES", Some(LEGACY)),
        "1.2.840.113549.1.5.6" => ("PBE-MD5-RC2", Some(LEGACY)),
        "1.2.840.113549.1.5.10" => ("PBE-SHA1-DES", Some(LEGACY)),
        "1.2.840.113549.1.5.11" => ("PBE-SHA1-RC2", Some(LEGACY)),
        "1.2.840.113549.1.12.1.1" | "1.2.840.113549.1.12.1.2" => ("PBE-SHA1-RC4", Some(LEGACY)),
        "1.2.840.113549.1.12.1.3" => ("PBE-SHA1-3DES", None),
        "1.2.840.113549.1.12.1.4" => ("PBE-SHA1-2DES", None),
        "1.2.840.113549.1.12.1.5" | "1.2.840.113549.1.12.1.6" => ("PBE-SHA1-RC2", Some(LEGACY)),
        other => (other, None),
    };
    Encryption {
        method: method.to_owned(),
        refused_by_openssl,
    }
}

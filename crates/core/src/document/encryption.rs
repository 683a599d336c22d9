//! How a key or a PKCS#12 container is encrypted, who can read that, and opening it.

use std::cell::Cell;

use pkcs8::der::Decode;
use pkcs8::pkcs5;
use pkcs8::pkcs5::pbes2::{self, EncryptionScheme, Kdf, Pbkdf2Prf, ScryptParams};
use zeroize::Zeroizing;

use super::der::Element;
use super::old_encryption::OldScheme;
use crate::pkcs12::derivation;
use crate::stack;

/// OpenSSL's default limit for scrypt, 32 MiB, which N = 2^15 with r = 8 already exceeds.
const OPENSSL_SCRYPT_BYTES: u64 = 32 * 1024 * 1024;
/// Rounds of hashing that a whole file may cost, a few seconds. More is a file that wants to stall
/// whoever reads it, not a password's protection: Java stops at half of it.
const MAX_WORK: u64 = 10_000_000;
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// 3DES (RFC 8018 section C).
const DES_EDE3_CBC: &str = "1.2.840.113549.3.7";

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
    /// Its method is not supported here.
    Unsupported,
    /// Opening it costs more work or memory than a file may.
    TooCostly,
    /// The passphrase opened it.
    Opened,
}

impl Opening {
    /// Whether what is inside could be looked at.
    pub fn is_open(self) -> bool {
        matches!(self, Self::NotEncrypted | Self::Opened)
    }
}

/// A passphrase for what is encrypted in a file, and how much work the file may still cost.
#[derive(Clone)]
pub(crate) struct Unlocking<'a> {
    passphrase: Option<&'a [u8]>,
    /// PKCS#12 knows an empty passphrase and none at all, which give different keys.
    is_absent: bool,
    work: Cell<u64>,
}

impl<'a> Unlocking<'a> {
    pub(crate) fn new(passphrase: Option<&'a [u8]>) -> Self {
        Self {
            passphrase,
            is_absent: false,
            work: Cell::new(MAX_WORK),
        }
    }

    pub(crate) fn passphrase(&self) -> Result<&'a [u8], Opening> {
        self.passphrase.ok_or(Opening::PassphraseNeeded)
    }

    /// The passphrase as PKCS#12's own derivation takes it.
    pub(crate) fn wide(&self) -> Result<Zeroizing<Vec<u8>>, Opening> {
        match self.is_absent {
            true => Ok(Zeroizing::default()),
            false => derivation::wide(self.passphrase()?).ok_or(Opening::WrongPassphrase),
        }
    }

    /// The empty passphrase for the same file, with what work is left now.
    pub(crate) fn empty(&self) -> Self {
        Self {
            passphrase: Some(b""),
            ..self.clone()
        }
    }

    /// No passphrase at all, for the same file.
    pub(crate) fn absent(&self) -> Self {
        Self {
            is_absent: true,
            ..self.empty()
        }
    }

    /// Allows so many rounds of hashing, and takes them from what is left.
    pub(crate) fn spend(&self, rounds: u64) -> Result<(), Opening> {
        let left = self.work.get().checked_sub(rounds);
        self.work.set(left.ok_or(Opening::TooCostly)?);
        Ok(())
    }
}

/// An `AlgorithmIdentifier` for encryption with a passphrase.
pub(crate) struct Scheme {
    pub(crate) encryption: Encryption,
    method: Method,
}

enum Method {
    Pbes2(pbes2::Parameters),
    Old(OldScheme),
    Unknown,
}

impl Scheme {
    pub(crate) fn read(algorithm: &Element<'_>) -> Option<Self> {
        let parts = algorithm.sequence()?;
        let oid = parts.first()?.oid()?;
        if oid != pbes2::PBES2_OID.to_string() {
            let old = parts.get(1).and_then(|it| OldScheme::read(&oid, it));
            return Some(Self {
                encryption: older(&oid),
                method: old.map_or(Method::Unknown, Method::Old),
            });
        }
        let parameters = parts.get(1)?;
        let parameters = match is_initial_value_sound(parameters) {
            true => pbes2::Parameters::from_der(parameters.whole).ok(),
            false => None,
        };
        let encryption = match &parameters {
            Some(parameters) => describe(parameters),
            None => Encryption {
                method: "PBES2 with an unusual cipher".to_owned(),
                refused_by_openssl: None,
            },
        };
        Some(Self {
            encryption,
            method: parameters.map_or(Method::Unknown, Method::Pbes2),
        })
    }

    /// Decrypts. A wrong passphrase may give bytes that merely look right, so what comes out has
    /// to be parsed with suspicion.
    pub(crate) fn open(
        &self,
        encrypted: &[u8],
        unlocking: &Unlocking<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Opening> {
        let work = match &self.method {
            Method::Pbes2(parameters) => work_of(parameters)?,
            Method::Old(old) => old.work(),
            Method::Unknown => return Err(Opening::Unsupported),
        };
        if work > MAX_WORK {
            return Err(Opening::TooCostly);
        }
        let passphrase = unlocking.passphrase()?;
        unlocking.spend(work)?;
        stack::wiped_after(|| match &self.method {
            Method::Pbes2(parameters) => open_pbes2(parameters, encrypted, passphrase),
            Method::Old(old) => old
                .open(encrypted, &unlocking.wide()?)
                .ok_or(Opening::WrongPassphrase),
            Method::Unknown => Err(Opening::Unsupported),
        })
    }
}

fn open_pbes2(
    parameters: &pbes2::Parameters,
    encrypted: &[u8],
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Opening> {
    match parameters.decrypt(passphrase, encrypted) {
        Ok(plain) => Ok(Zeroizing::new(plain)),
        Err(pkcs5::Error::UnsupportedAlgorithm { .. }) => Err(Opening::Unsupported),
        Err(_) => Err(Opening::WrongPassphrase),
    }
}

/// Whether 3DES, where it is the cipher, has an initial value of a block (RFC 8018 section B.2.2). Of a
/// shorter one `pkcs5` takes a block all the same, and panics, before it looks at what follows.
fn is_initial_value_sound(parameters: &Element<'_>) -> bool {
    let scheme = || parameters.sequence()?.get(1)?.sequence();
    scheme().is_some_and(|scheme| match scheme.as_slice() {
        [cipher, initial, ..] if cipher.oid().as_deref() == Some(DES_EDE3_CBC) => {
            initial.octets().is_some_and(|octets| octets.len() == 8)
        }
        _ => true,
    })
}

/// In rounds of PBKDF2, of which one takes about as long as one unit of scrypt's N, r and p.
fn work_of(parameters: &pbes2::Parameters) -> Result<u64, Opening> {
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => Ok(pbkdf2.iteration_count.into()),
        // RFC 7914 section 2. Of N = 0, `pkcs5` takes the logarithm, and panics.
        Kdf::Scrypt(scrypt) if !scrypt.cost_parameter.is_power_of_two() => {
            Err(Opening::Unsupported)
        }
        Kdf::Scrypt(scrypt) if scrypt_bytes(scrypt) > MAX_SCRYPT_BYTES => Err(Opening::TooCostly),
        Kdf::Scrypt(scrypt) => Ok(scrypt
            .cost_parameter
            .saturating_mul(scrypt.block_size.into())
            .saturating_mul(scrypt.parallelization.into())),
        _ => Err(Opening::Unsupported),
    }
}

fn scrypt_bytes(scrypt: &ScryptParams) -> u64 {
    let block = 128 * u64::from(scrypt.block_size);
    // p blocks of their own, beside the N that all share.
    let blocks = scrypt
        .cost_parameter
        .saturating_add(scrypt.parallelization.into());
    blocks.saturating_mul(block)
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
        EncryptionScheme::DesEde3Cbc { .. } => "3DES",
        _ => "another cipher",
    };
    let derivation = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => {
            let hash = match pbkdf2.prf {
                Pbkdf2Prf::HmacWithSha1 => " with SHA-1",
                _ => "",
            };
            format!("PBKDF2{hash} of {} rounds", pbkdf2.iteration_count)
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::document::der;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).unwrap();
        [&[tag, length], &content[..]].concat()
    }

    /// PBES2 with PBKDF2 and 3DES (RFC 8018 sections A.4 and B.2.2).
    fn with_3des(initial: &[u8], behind: &[u8]) -> Vec<u8> {
        const PKCS5: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
        const TRIPLE_DES: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];
        let salt = element(0x04, &[b"12345678"]);
        let pbkdf2 = element(
            0x30,
            &[
                &element(0x06, &[&PKCS5, &[12]]),
                &element(0x30, &[&salt, &element(0x02, &[&[1]])]),
            ],
        );
        let cipher = element(
            0x30,
            &[&element(0x06, &[&TRIPLE_DES]), &element(0x04, &[initial])],
        );
        let parameters = element(0x30, &[&pbkdf2, &cipher, behind]);
        element(0x30, &[&element(0x06, &[&PKCS5, &[13]]), &parameters])
    }

    #[test]
    fn a_cipher_with_an_initial_value_of_another_length_is_not_known() {
        for length in 0..20 {
            let algorithm = with_3des(&vec![7; length], &[]);
            let scheme = Scheme::read(&der::single(&algorithm).unwrap()).unwrap();
            let opened = scheme.open(&[7; 16], &Unlocking::new(Some(b"x")));
            let expected = match length {
                8 => Opening::WrongPassphrase,
                _ => Opening::Unsupported,
            };
            assert_eq!(opened.err(), Some(expected), "{length}");
        }
    }

    #[test]
    fn what_follows_it_hides_nothing() {
        for behind in [&[0xff][..], &[0x05, 0x00], &[0x30, 0x82]] {
            let algorithm = with_3des(b"1234", behind);
            let scheme = Scheme::read(&der::single(&algorithm).unwrap()).unwrap();
            let opened = scheme.open(&[7; 16], &Unlocking::new(Some(b"x")));
            assert_eq!(opened.err(), Some(Opening::Unsupported), "{behind:?}");
        }
    }
}

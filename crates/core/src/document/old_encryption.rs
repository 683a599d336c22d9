//! Encryption of old, for reading alone: PKCS#12's own schemes (RFC 7292 appendix C), which
//! `openssl pkcs12 -legacy`, Java before 8u301 and macOS write, and OpenSSL's encrypted PEM.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use des::{TdesEde2, TdesEde3};
use md5::{Digest, Md5};
use pkcs8::der::Decode;
use rc2::Rc2;
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use zeroize::Zeroizing;

use super::der::Element;
use crate::pkcs12::derivation::{self, Purpose};

/// Octets of a block, and so of an initial value, of DES and RC2.
const SHORT_BLOCK: usize = 8;

type Decrypt = fn(&[u8], &[u8], &[u8]) -> Option<Zeroizing<Vec<u8>>>;

/// One of PKCS#12's own schemes: a cipher, with a key from a passphrase by way of SHA-1.
pub(super) struct OldScheme {
    decrypt: Decrypt,
    key_length: usize,
    salt: Vec<u8>,
    rounds: u32,
}

impl OldScheme {
    /// `None` where the scheme is another, or its parameters make no sense. RC4 is left out:
    /// nothing has written it for a long time.
    pub(super) fn read(oid: &str, parameters: &Element<'_>) -> Option<Self> {
        let (decrypt, key_length): (Decrypt, usize) = match oid {
            "1.2.840.113549.1.12.1.3" => (decrypt::<TdesEde3>, 24),
            "1.2.840.113549.1.12.1.4" => (decrypt::<TdesEde2>, 16),
            "1.2.840.113549.1.12.1.5" => (decrypt::<Rc2>, 16),
            "1.2.840.113549.1.12.1.6" => (decrypt::<Rc2>, 5),
            _ => return None,
        };
        let parts = parameters.sequence()?;
        let rounds = u32::from_der(parts.get(1)?.whole).ok()?;
        (rounds > 0).then_some(Self {
            decrypt,
            key_length,
            salt: parts.first()?.octets()?.to_vec(),
            rounds,
        })
    }

    /// Rounds of SHA-1: of its 20 octets, two are needed for a key, and one for the initial value.
    pub(super) fn work(&self) -> u64 {
        u64::from(self.rounds) * 3
    }

    /// `None` where the passphrase, as [`derivation::wide`] makes it, does not open it.
    pub(super) fn open(&self, encrypted: &[u8], secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let derive = |purpose, length| {
            let hash = &SHA1_FOR_LEGACY_USE_ONLY;
            derivation::derive(hash, secret, &self.salt, purpose, self.rounds, length)
        };
        let key = derive(Purpose::Encryption, self.key_length);
        let initial = derive(Purpose::InitialValue, SHORT_BLOCK);
        (self.decrypt)(&key, &initial, encrypted)
    }
}

/// The cipher of a PEM block with `Proc-Type: 4,ENCRYPTED`.
pub(super) struct PemCipher {
    decrypt: Decrypt,
    key_length: usize,
    initial: Vec<u8>,
}

impl PemCipher {
    /// `DEK-Info: CIPHER,HEX` (RFC 1421 section 4.6.1.3, with OpenSSL's names). `None` where the
    /// cipher is another.
    pub(super) fn read(dek_info: &str) -> Option<Self> {
        let (name, initial) = dek_info.split_once(',')?;
        let (decrypt, key_length, block): (Decrypt, usize, usize) = match name.trim() {
            "AES-128-CBC" => (decrypt::<Aes128>, 16, 16),
            "AES-192-CBC" => (decrypt::<Aes192>, 24, 16),
            "AES-256-CBC" => (decrypt::<Aes256>, 32, 16),
            "DES-EDE3-CBC" => (decrypt::<TdesEde3>, 24, SHORT_BLOCK),
            _ => return None,
        };
        let initial = from_hex(initial.trim())?;
        (initial.len() == block).then_some(Self {
            decrypt,
            key_length,
            initial,
        })
    }

    /// `None` where the passphrase does not open it.
    pub(super) fn open(&self, encrypted: &[u8], passphrase: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        // OpenSSL's EVP_BytesToKey with MD5 and one round, salted with half of the initial value.
        let salt = self.initial.get(..SHORT_BLOCK)?;
        let mut key = Zeroizing::new(Vec::with_capacity(self.key_length + 16));
        let mut last = Zeroizing::new(Vec::new());
        while key.len() < self.key_length {
            let mut hash = Md5::new();
            hash.update(&*last);
            hash.update(passphrase);
            hash.update(salt);
            last = Zeroizing::new(hash.finalize().to_vec());
            key.extend_from_slice(&last);
        }
        (self.decrypt)(key.get(..self.key_length)?, &self.initial, encrypted)
    }
}

fn decrypt<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    initial: &[u8],
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, initial).ok()?;
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let length = cipher.decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let octets = pairs.iter().map(|[high, low]| {
        let value = digit(*high)? * 16 + digit(*low)?;
        u8::try_from(value).ok()
    });
    rest.is_empty().then(|| octets.collect())?
}

//! PKCS#12's own way from a passphrase to a key (RFC 7292 appendix B). New containers need it for
//! the MAC alone, old ones for everything.

use ring::digest::{self, Algorithm};
use zeroize::Zeroizing;

/// What the derived octets are for (RFC 7292 appendix B.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A key to encrypt with.
    Encryption = 1,
    /// An initial value to encrypt with.
    InitialValue = 2,
    /// A key to authenticate with.
    Mac = 3,
}

/// A passphrase as this derivation takes it: UTF-16 in big endian, and a zero at its end. `None`
/// where it is not UTF-8.
pub(crate) fn wide(passphrase: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(passphrase).ok()?;
    // Room for everything at once: a buffer that grows leaves copies of a secret behind.
    let mut wide = Zeroizing::new(Vec::with_capacity(text.len() * 2 + 2));
    for unit in text.encode_utf16() {
        wide.extend(unit.to_be_bytes());
    }
    wide.extend([0, 0]);
    Some(wide)
}

/// `length` octets from `secret`, a passphrase as [`wide`] makes it. Callers bound `rounds`.
pub(crate) fn derive(
    hash: &'static Algorithm,
    secret: &[u8],
    salt: &[u8],
    purpose: Purpose,
    rounds: u32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.block_len();
    let diversifier = vec![purpose as u8; block];
    let mut input = repeated(&[salt, secret], block);
    let mut output = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
    while output.len() < length {
        let mut first = digest::Context::new(hash);
        first.update(&diversifier);
        first.update(&input);
        let mut hashed = first.finish();
        for _ in 1..rounds {
            hashed = digest::digest(hash, hashed.as_ref());
        }
        output.extend(hashed.as_ref());
        let addend: Vec<u8> = hashed
            .as_ref()
            .iter()
            .copied()
            .cycle()
            .take(block)
            .collect();
        for chunk in input.chunks_exact_mut(block) {
            add_with_one(chunk, &addend);
        }
    }
    output.truncate(length);
    output
}

/// Each part again and again, until it fills whole blocks.
fn repeated(parts: &[&[u8]], block: usize) -> Zeroizing<Vec<u8>> {
    let filled = |part: &[u8]| part.len().div_ceil(block) * block;
    let length = parts.iter().map(|part| filled(part)).sum();
    let mut input = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        input.extend(part.iter().copied().cycle().take(filled(part)));
    }
    input
}

/// Adds two numbers and one, big endian, without what does not fit.
fn add_with_one(number: &mut [u8], addend: &[u8]) {
    let mut carry = 1;
    for (digit, add) in number.iter_mut().zip(addend).rev() {
        let sum = u16::from(*digit) + u16::from(*add) + carry;
        let [high, low] = sum.to_be_bytes();
        *digit = low;
        carry = u16::from(high);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What OpenSSL's `PKCS12_key_gen_uni` gives, from its own tests (`test/pkcs12kdf` in
    /// `evpkdf_pkcs12.txt`).
    #[test]
    fn openssl_derives_the_same() {
        let smeg = [0, 0x73, 0, 0x6d, 0, 0x65, 0, 0x67, 0, 0];
        assert_eq!(*wide(b"smeg").unwrap(), smeg);
        let salt = [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f];
        let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let key = derive(sha1, &smeg, &salt, Purpose::Encryption, 1, 24);
        let expected = [
            0x8a, 0xaa, 0xe6, 0x29, 0x7b, 0x6c, 0xb0, 0x46, 0x42, 0xab, 0x5b, 0x07, 0x78, 0x51,
            0x28, 0x4e, 0xb7, 0x12, 0x8f, 0x1a, 0x2a, 0x7f, 0xbc, 0xa3,
        ];
        assert_eq!(*key, expected);
    }

    #[test]
    fn what_is_empty_is_no_trouble() {
        let sha256 = &digest::SHA256;
        assert_eq!(derive(sha256, &[], &[], Purpose::Mac, 1, 40).len(), 40);
        assert_eq!(derive(sha256, &[0, 0], &[], Purpose::Mac, 0, 0).len(), 0);
        assert_eq!(wide(&[0xff]), None);
    }
}

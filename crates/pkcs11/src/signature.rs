//! From what a token signs to what X.509 has.

use ring::digest::{SHA256, SHA384, digest};

use crate::public_key::{integer, sequence};

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// ECDSA on P-256, with SHA-256.
    P256,
    /// ECDSA on P-384, with SHA-384.
    P384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa,
}

/// `DigestInfo` of SHA-256 up to the digest (RFC 8017 section 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

impl Scheme {
    /// What the token is given to sign. It is hashed here: more tokens sign a digest than hash.
    pub(crate) fn input(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256 => digest(&SHA256, message).as_ref().to_vec(),
            Self::P384 => digest(&SHA384, message).as_ref().to_vec(),
            Self::Rsa => [&SHA256_INFO, digest(&SHA256, message).as_ref()].concat(),
        }
    }

    /// What X.509 has of what the token gave back. For ECDSA that is r and s side by side, in as many octets each
    /// (PKCS#11 version 2.40 mechanisms, section 2.3.1). Anything of another length stays as it is, and does not verify.
    pub(crate) fn output(self, signature: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Rsa => signature,
            Self::P256 | Self::P384 => {
                let (r, s) = signature.split_at(signature.len() / 2);
                sequence(&[integer(r), integer(s)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_become_der() {
        let mut raw = vec![0; 64];
        raw[31] = 0x7f;
        raw[63] = 0x80;
        let der = Scheme::P256.output(raw);
        assert_eq!(der, [0x30, 7, 2, 1, 0x7f, 2, 2, 0, 0x80]);
        assert_eq!(Scheme::P256.output(Vec::new()), [0x30, 6, 2, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn rsa_signs_what_says_which_hash_it_is() {
        let input = Scheme::Rsa.input(b"");
        assert_eq!(input.len(), 19 + 32);
        assert_eq!(usize::from(input[1]), input.len() - 2);
        assert_eq!(Scheme::P384.input(b"").len(), 48);
    }
}

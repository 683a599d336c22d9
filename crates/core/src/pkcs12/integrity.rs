//! The MAC of a container: whether it is as it was made, and by whoever knew the passphrase.

use std::num::NonZeroU32;

use pkcs8::der::Decode;
use pkcs8::pkcs5::pbes2::{Kdf, Pbkdf2Prf};
use ring::digest::{self, Algorithm};
use ring::{hmac, pbkdf2};
use zeroize::Zeroizing;

use super::derivation::{self, Purpose};
use crate::document::der::Element;
use crate::document::encryption::{Opening, Unlocking};
use crate::stack;

/// `MacData` (RFC 7292 section 4).
pub(crate) struct Mac {
    algorithm: Option<MacAlgorithm>,
    mac: Vec<u8>,
    salt: Vec<u8>,
    rounds: u32,
}

enum MacAlgorithm {
    /// With a key that PKCS#12's own derivation makes.
    Own(&'static Algorithm, hmac::Algorithm),
    /// With PBKDF2 (RFC 9579): the MAC, the derivation, and the octets of its key.
    Pbmac1(hmac::Algorithm, Kdf, usize),
}

impl Mac {
    /// `None` where it is not a MAC; one of an unknown kind is.
    pub(super) fn read(mac_data: &Element<'_>) -> Option<Self> {
        let parts = mac_data.sequence()?;
        let digest_info = parts.first()?.sequence()?;
        let rounds = match parts.get(2) {
            None => 1,
            Some(rounds) => u32::from_der(rounds.whole).ok()?,
        };
        Some(Self {
            algorithm: algorithm(digest_info.first()?),
            mac: digest_info.get(1)?.octets()?.to_vec(),
            salt: parts.get(1)?.octets()?.to_vec(),
            rounds: rounds.max(1),
        })
    }

    /// Compares it with `guarded`.
    ///
    /// # Errors
    /// Why it does not fit, or cannot be compared.
    pub(super) fn check(&self, guarded: &[u8], unlocking: &Unlocking<'_>) -> Result<(), Opening> {
        stack::wiped_after(|| self.compare(guarded, unlocking))
    }

    fn compare(&self, guarded: &[u8], unlocking: &Unlocking<'_>) -> Result<(), Opening> {
        let algorithm = self.algorithm.as_ref().ok_or(Opening::Unsupported)?;
        let passphrase = unlocking.passphrase()?;
        let (kind, key) = match algorithm {
            MacAlgorithm::Own(hash, kind) => {
                unlocking.spend(self.rounds.into())?;
                (*kind, self.own_key(hash, &unlocking.wide()?))
            }
            MacAlgorithm::Pbmac1(kind, kdf, length) => {
                (*kind, pbkdf2_key(kdf, *length, passphrase, unlocking)?)
            }
        };
        hmac::verify(&hmac::Key::new(kind, &key), guarded, &self.mac)
            .map_err(|_| Opening::WrongPassphrase)
    }

    fn own_key(&self, hash: &'static Algorithm, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        let length = hash.output_len();
        derivation::derive(hash, secret, &self.salt, Purpose::Mac, self.rounds, length)
    }
}

fn algorithm(identifier: &Element<'_>) -> Option<MacAlgorithm> {
    let parts = identifier.sequence()?;
    Some(match parts.first()?.oid()?.as_str() {
        "1.3.14.3.2.26" => MacAlgorithm::Own(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        ),
        "2.16.840.1.101.3.4.2.1" => MacAlgorithm::Own(&digest::SHA256, hmac::HMAC_SHA256),
        "2.16.840.1.101.3.4.2.2" => MacAlgorithm::Own(&digest::SHA384, hmac::HMAC_SHA384),
        "2.16.840.1.101.3.4.2.3" => MacAlgorithm::Own(&digest::SHA512, hmac::HMAC_SHA512),
        "1.2.840.113549.1.5.14" => pbmac1(parts.get(1)?)?,
        _ => return None,
    })
}

/// `PBMAC1-params` (RFC 8018 appendix A.5); RFC 9579 has the length of the key in them.
fn pbmac1(parameters: &Element<'_>) -> Option<MacAlgorithm> {
    let parts = parameters.sequence()?;
    let kdf = Kdf::from_der(parts.first()?.whole).ok()?;
    let length = usize::from(kdf.key_length()?);
    let mac = parts.get(1)?.sequence()?.first()?.oid()?;
    let mac = match mac.as_str() {
        "1.2.840.113549.2.7" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "1.2.840.113549.2.9" => hmac::HMAC_SHA256,
        "1.2.840.113549.2.10" => hmac::HMAC_SHA384,
        "1.2.840.113549.2.11" => hmac::HMAC_SHA512,
        _ => return None,
    };
    Some(MacAlgorithm::Pbmac1(mac, kdf, length))
}

fn pbkdf2_key(
    kdf: &Kdf,
    length: usize,
    passphrase: &[u8],
    unlocking: &Unlocking<'_>,
) -> Result<Zeroizing<Vec<u8>>, Opening> {
    let Kdf::Pbkdf2(parameters) = kdf else {
        return Err(Opening::Unsupported);
    };
    let algorithm = match parameters.prf {
        Pbkdf2Prf::HmacWithSha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        Pbkdf2Prf::HmacWithSha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Pbkdf2Prf::HmacWithSha384 => pbkdf2::PBKDF2_HMAC_SHA384,
        Pbkdf2Prf::HmacWithSha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(Opening::Unsupported),
    };
    // A hash's length at a time: 20 octets are the shortest.
    let blocks = u64::try_from(length.div_ceil(20)).unwrap_or(u64::MAX);
    let rounds = u64::from(parameters.iteration_count);
    unlocking.spend(rounds.saturating_mul(blocks))?;
    let rounds = NonZeroU32::new(parameters.iteration_count).ok_or(Opening::Unsupported)?;
    let mut key = Zeroizing::new(vec![0; length]);
    let salt = parameters.salt.as_ref();
    pbkdf2::derive(algorithm, rounds, salt, passphrase, &mut key);
    Ok(key)
}

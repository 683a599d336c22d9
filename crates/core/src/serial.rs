//! Serial numbers: 128 random bits each.

use std::fmt;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};

/// The serial number of a certificate of this authority.
///
/// 128 random bits, so that none needs to be reserved, none is used twice, and none tells how many
/// there are. Within RFC 5280's 20 octets (section 4.1.2.2), and never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

/// The system gave no randomness; nothing can be issued without it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoRandomness;

/// Text that is not a serial number of this authority.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a serial number: 1 to 32 hexadecimal digits, as `pgpki inspect` prints them")]
pub struct NotASerial(String);

impl Serial {
    /// A new serial number from the system's random number generator.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoRandomness)?;
        // RFC 5280 section 4.1.2.2 asks for a positive number.
        if bytes == [0; 16] {
            return Err(NoRandomness);
        }
        Ok(Self(bytes))
    }

    /// The number as 16 octets, most significant first.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the content octets of a DER INTEGER; `None` where the number is negative or has more
    /// than 128 bits, as other authorities' serial numbers may.
    pub fn from_der_integer(content: &[u8]) -> Option<Self> {
        if content.first()? & 0x80 != 0 {
            return None;
        }
        let significant = &content[content
            .iter()
            .position(|&b| b != 0)
            .unwrap_or(content.len())..];
        let start = 16_usize.checked_sub(significant.len())?;
        let mut bytes = [0; 16];
        bytes[start..].copy_from_slice(significant);
        Some(Self(bytes))
    }

    /// The number as 16 octets, most significant first.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the form of `pg_stat_ssl.client_serial`; `None` where it has more than 128 bits.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let number: u128 = text.parse().ok()?;
        Some(Self(number.to_be_bytes()))
    }

    /// The number in decimal, the form of `pg_stat_ssl.client_serial`.
    pub fn to_decimal(&self) -> String {
        u128::from_be_bytes(self.0).to_string()
    }
}

impl fmt::Display for Serial {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = NotASerial;

    /// Reads hexadecimal digits, with or without the colons that openssl prints between them.
    fn from_str(text: &str) -> Result<Self, NotASerial> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let all_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        match u128::from_str_radix(&digits, 16) {
            Ok(number) if all_hex => Ok(Self(number.to_be_bytes())),
            _ => Err(NotASerial(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_round_trips() {
        for _ in 0..100 {
            let serial = Serial::random().unwrap();
            assert_eq!(serial.to_string().len(), 32);
            assert_eq!(serial.to_string().parse(), Ok(serial));
        }
        let small: Serial = "0a:ff".parse().unwrap();
        assert_eq!(small.to_decimal(), "2815");
        for bad in ["", "xyz", "+1", "1234567890123456789012345678901234"] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }

    #[test]
    fn der_integers_of_every_length() {
        let short = Serial::from_der_integer(&[0x05]).unwrap();
        assert_eq!(short.to_decimal(), "5");
        assert_eq!(Serial::from_decimal("5"), Some(short));
        assert_eq!(Serial::from_decimal(&"9".repeat(48)), None);
        let padded = Serial::from_der_integer(&[&[0][..], &[0xff; 16]].concat()).unwrap();
        assert_eq!(padded.as_bytes(), &[0xff; 16]);
        assert_eq!(Serial::from_der_integer(&[0x7f; 17]), None);
        assert_eq!(Serial::from_der_integer(&[0x80]), None);
        assert_eq!(Serial::from_der_integer(&[]), None);
    }
}

//! Passphrases that nobody has to think of.

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Letters and digits of which none is taken for another when it is read from a screen: i, l, o
/// and u are missing (Crockford's base 32). 32 of them, so that five bits of randomness choose one
/// without a bias.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Symbols of a group: what people remember while they turn to the other screen.
const GROUP: usize = 4;
/// Seven groups of four symbols are 140 bits, and nobody tries out 128.
const GROUPS: usize = 7;

/// The system gave no randomness.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no passphrase could be made: the system's random number generator failed")]
pub struct NotMade;

/// Makes a passphrase of 140 random bits: seven groups of four lower-case letters and digits, with
/// hyphens between them. ASCII, so that PKCS#12 and every program take it.
///
/// # Errors
/// The system gives no randomness.
pub fn generate() -> Result<Zeroizing<String>, NotMade> {
    let mut octets = Zeroizing::new([0; GROUPS * GROUP]);
    let filled = SystemRandom::new().fill(octets.as_mut());
    filled.map_err(|_| NotMade)?;
    let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
    for (place, octet) in octets.iter().enumerate() {
        if place > 0 && place % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(SYMBOLS[usize::from(octet % 32)]));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn it_can_be_read_aloud_and_is_never_the_same() {
        let made: HashSet<String> = (0..200).map(|_| generate().unwrap().to_string()).collect();
        assert_eq!(made.len(), 200);
        let mut used = HashSet::new();
        for text in &made {
            let groups: Vec<_> = text.split('-').collect();
            assert_eq!(groups.len(), GROUPS, "{text}");
            assert!(groups.iter().all(|group| group.len() == GROUP), "{text}");
            assert!(!text.contains(['i', 'l', 'o', 'u']), "{text}");
            used.extend(text.bytes());
        }
        // Every symbol, and the hyphen.
        assert_eq!(used.len(), SYMBOLS.len() + 1);
    }
}

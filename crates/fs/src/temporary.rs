//! Names of things that exist only while a run lasts: `.new-0123456789abcdef`.

use std::ffi::OsStr;
use std::hash::{BuildHasher as _, RandomState};

/// A name that nothing has yet. It need not be secret, only new: whatever is made under it is made
/// exclusively.
pub(crate) fn fresh(prefix: &str) -> String {
    // Keyed at random, and with another key each time; and unlike a file of random bytes it is at hand.
    let random = RandomState::new().hash_one(prefix);
    format!("{prefix}{random:016x}")
}

/// Whether [`fresh`] could have made this name. Exact, because what answers yes is swept away.
pub(crate) fn is_fresh(name: &OsStr, prefix: &str) -> bool {
    name.as_encoded_bytes()
        .strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| {
            rest.len() == 16
                && rest
                    .iter()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_recognised() {
        let name = fresh(".new-");
        assert_ne!(name, fresh(".new-"));
        assert!(is_fresh(name.as_ref(), ".new-"), "{name}");
        for other in [
            ".new-",
            ".new-kitchen",
            ".new-0123456789ABCDEF",
            ".new-0123456789abcdef0",
            "new-0123456789abcdef",
        ] {
            assert!(!is_fresh(other.as_ref(), ".new-"), "{other}");
        }
    }
}

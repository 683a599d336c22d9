//! Names of things that exist only while a run lasts: `.new-0123456789abcdef`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;

use crate::dir::IoError;

const SOURCE: &str = "/dev/urandom";

/// A name that nothing has yet. It need not be secret, only new: whatever is made under it is made
/// exclusively.
pub(crate) fn fresh(prefix: &str) -> Result<String, IoError> {
    let mut bytes = [0; 8];
    File::open(SOURCE)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|source| IoError::new("read", SOURCE.as_ref(), source))?;
    Ok(format!("{prefix}{:016x}", u64::from_ne_bytes(bytes)))
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_our_own_names_are_recognised() {
        let name = fresh(".new-").unwrap();
        assert_ne!(name, fresh(".new-").unwrap());
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

//! What the keys of CAs are encrypted with, as an authority sees it: asked for once a key turns out to be encrypted, and
//! not before.

use pgpki_core::profile::Profile;
use zeroize::Zeroizing;

/// Whoever knows what the keys of CAs are encrypted with.
pub trait Secrets: Send + Sync {
    /// What opens the keys of the roots ([`Profile::Root`]) or of the issuing CAs (any other): one passphrase for all of
    /// a kind.
    ///
    /// # Errors
    /// Nobody knows it, or it cannot be had from whoever does.
    fn passphrase(&self, whose: Profile) -> Result<Zeroizing<Vec<u8>>, SecretError>;
}

/// Why there is no passphrase, in the words of whoever was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SecretError {
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether nobody has said where it is; otherwise what was said is wrong.
    pub is_missing: bool,
}

/// Knows none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn passphrase(&self, _whose: Profile) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        Err(SecretError::nobody_knows())
    }
}

impl SecretError {
    fn nobody_knows() -> Self {
        Self {
            what: "the key is encrypted, and no passphrase was given".to_owned(),
            hint: None,
            is_missing: true,
        }
    }
}

/// Has been given them beforehand.
#[derive(Clone, Default)]
pub struct GivenSecrets {
    /// That of the roots' keys.
    pub root: Option<Zeroizing<Vec<u8>>>,
    /// That of the issuing CAs' keys.
    pub issuing: Option<Zeroizing<Vec<u8>>>,
}

impl Secrets for GivenSecrets {
    fn passphrase(&self, whose: Profile) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let given = match whose {
            Profile::Root => &self.root,
            _ => &self.issuing,
        };
        given.clone().ok_or_else(SecretError::nobody_knows)
    }
}

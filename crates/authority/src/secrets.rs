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

    /// The same where no key tells that it is needed: nothing where nobody has said what it is, and a person would have
    /// to be asked.
    ///
    /// # Errors
    /// It cannot be had from where it was said to be.
    fn given(&self, whose: Profile) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError>;

    /// Where it comes from, such as "the first line of /root/issuing", for whoever must be told that it is wrong.
    fn origin(&self, whose: Profile) -> String;
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

    fn given(&self, _whose: Profile) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        Ok(None)
    }

    fn origin(&self, _whose: Profile) -> String {
        "none".to_owned()
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
        self.given(whose)?.ok_or_else(SecretError::nobody_knows)
    }

    fn given(&self, whose: Profile) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        Ok(match whose {
            Profile::Root => self.root.clone(),
            _ => self.issuing.clone(),
        })
    }

    fn origin(&self, _whose: Profile) -> String {
        "the one that was given".to_owned()
    }
}

//! Tokens, such as smart cards and hardware security modules, as an authority sees them: keys by their URIs.

use std::sync::Arc;

use pgpki_core::ca_key::{Blame, TokenError, TokenKey};
use pgpki_core::key::KeyAlgorithm;

/// A key in a token, and the URI (RFC 7512) under which it will be found again.
pub struct Placed {
    /// The key.
    pub key: Box<dyn TokenKey>,
    /// Means this key and no other. There is no PIN in it.
    pub uri: String,
}

/// Whoever reaches tokens.
pub trait Tokens: Send + Sync {
    /// The key that a URI means.
    ///
    /// # Errors
    /// There is no such key, or it cannot be reached; the text says which and what to do.
    fn key(&self, uri: &str) -> Result<Box<dyn TokenKey>, TokenError>;

    /// The same for a new CA; where there is no such key, it is made.
    ///
    /// # Errors
    /// The token cannot be reached, or cannot make it.
    fn key_for_new_ca(&self, uri: &str, algorithm: KeyAlgorithm) -> Result<Placed, TokenError>;

    /// Makes another key in the token of the key that a URI means, under this label.
    ///
    /// # Errors
    /// The token cannot be reached, or cannot make it.
    fn make_beside(
        &self,
        uri: &str,
        algorithm: KeyAlgorithm,
        label: &str,
    ) -> Result<Placed, TokenError>;
}

/// Reaches none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTokens;

impl NoTokens {
    fn refuse<T>(uri: &str) -> Result<T, TokenError> {
        Err(TokenError {
            what: format!("the key is in a token, which is not asked here: {uri}"),
            hint: None,
            blame: Blame::Token,
        })
    }
}

impl Tokens for NoTokens {
    fn key(&self, uri: &str) -> Result<Box<dyn TokenKey>, TokenError> {
        Self::refuse(uri)
    }

    fn key_for_new_ca(&self, uri: &str, _algorithm: KeyAlgorithm) -> Result<Placed, TokenError> {
        Self::refuse(uri)
    }

    fn make_beside(
        &self,
        uri: &str,
        _algorithm: KeyAlgorithm,
        _label: &str,
    ) -> Result<Placed, TokenError> {
        Self::refuse(uri)
    }
}

/// The tokens that keys may be in, and which keys new CAs are to have.
#[derive(Clone)]
pub struct Hardware {
    /// Who reaches them.
    pub tokens: Arc<dyn Tokens>,
    /// The key of the next new root; without it, the key is where that of the root before is.
    pub root: Option<String>,
    /// The same for the next new issuing CA.
    pub issuing: Option<String>,
}

impl Default for Hardware {
    /// No tokens.
    fn default() -> Self {
        Self {
            tokens: Arc::new(NoTokens),
            root: None,
            issuing: None,
        }
    }
}

/// Where the key of a CA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file of the home, as it is.
    File,
    /// In a file of the home, encrypted.
    Encrypted,
    /// In a token, under this URI.
    Token(String),
}

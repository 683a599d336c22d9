//! The key of a CA: held in memory, or in a token that signs and never gives it away.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::key::PrivateKey;
use crate::subject_key::SubjectKey;

/// A private key that lives in a token, such as a smart card or a hardware security module.
pub trait TokenKey: Send + Sync {
    /// Its public half.
    fn public_key(&self) -> &SubjectKey;

    /// Signs a message, and returns what X.509 has as `signatureValue`: a DER `Ecdsa-Sig-Value` (RFC 3279 section
    /// 2.2.3) over SHA-256 for P-256 and over SHA-384 for P-384, RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2)
    /// for RSA.
    ///
    /// # Errors
    /// The token cannot be reached any more, or refuses.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError>;
}

/// What came of asking a token for something, in the words of whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct TokenError {
    /// What happened, and to which token.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it is up to.
    pub blame: Blame,
}

/// What has to be put right before a token signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Something has to be given that was not, such as a PIN.
    Missing,
    /// What somebody has named or typed, such as a PIN.
    Input,
    /// The token.
    Token,
}

/// The key that a CA signs with.
pub enum CaKey {
    /// In memory.
    Held(Box<PrivateKey>),
    /// In a token.
    Token(Signer),
}

/// A token's key, whose every signature is checked before anybody sees it.
pub struct Signer {
    key: Box<dyn TokenKey>,
    /// rcgen's error has no place for a reason.
    said: Mutex<Option<TokenError>>,
}

impl CaKey {
    /// The public half.
    pub fn public_key(&self) -> SubjectKey {
        match self {
            Self::Held(key) => (&**key).into(),
            Self::Token(signer) => signer.key.public_key().clone(),
        }
    }

    /// Why the last signature did not come about, if that was up to a token.
    pub(crate) fn said(&self) -> Option<TokenError> {
        match self {
            Self::Held(_) => None,
            // What is in it is whole, whoever has panicked meanwhile.
            Self::Token(signer) => {
                let said = signer.said.lock().unwrap_or_else(PoisonError::into_inner);
                said.clone()
            }
        }
    }
}

impl From<PrivateKey> for CaKey {
    fn from(key: PrivateKey) -> Self {
        Self::Held(Box::new(key))
    }
}

impl From<Box<dyn TokenKey>> for CaKey {
    fn from(key: Box<dyn TokenKey>) -> Self {
        Self::Token(Signer {
            key,
            said: Mutex::new(None),
        })
    }
}

impl Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let signature = self.key.sign(message)?;
        match self.key.public_key().verifies(message, &signature) {
            true => Ok(signature),
            false => Err(TokenError {
                what: "the token has made a signature that its own public key does not verify".to_owned(),
                hint: Some(
                    "Nothing that it signed was used. The token is broken, or its public and private \
                     objects are of different keys"
                        .to_owned(),
                ),
                blame: Blame::Token,
            }),
        }
    }
}

impl PublicKeyData for CaKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Held(key) => key.der_bytes(),
            Self::Token(signer) => signer.key.public_key().der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Held(key) => PublicKeyData::algorithm(&**key),
            Self::Token(signer) => signer.key.public_key().algorithm(),
        }
    }
}

impl SigningKey for CaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Held(key) => key.sign(message),
            Self::Token(signer) => signer.sign(message).map_err(|error| {
                let mut said = signer.said.lock().unwrap_or_else(PoisonError::into_inner);
                *said = Some(error);
                rcgen::Error::RemoteKeyError
            }),
        }
    }
}

impl fmt::Debug for CaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(key) => write!(f, "{key:?}"),
            Self::Token(signer) => write!(f, "CaKey(in a token, {:?})", signer.key.public_key()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::issue::{Ca, IssueError};
    use crate::key::KeyAlgorithm;
    use crate::name::Organization;
    use crate::validity::Days;
    use time::macros::datetime;

    /// A token that is a key in memory, and answers as it is told.
    struct Told {
        key: PrivateKey,
        public: SubjectKey,
        answer: fn(Vec<u8>) -> Result<Vec<u8>, TokenError>,
    }

    impl TokenKey for Told {
        fn public_key(&self) -> &SubjectKey {
            &self.public
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
            (self.answer)(SigningKey::sign(&self.key, message).unwrap())
        }
    }

    fn root(
        algorithm: KeyAlgorithm,
        answer: fn(Vec<u8>) -> Result<Vec<u8>, TokenError>,
    ) -> Result<Ca, IssueError> {
        let key = PrivateKey::generate(algorithm).unwrap();
        let public = SubjectKey::from(&key);
        let key: Box<dyn TokenKey> = Box::new(Told {
            key,
            public,
            answer,
        });
        let now = datetime!(2026-01-01 00:00 UTC);
        let organization = Organization::default();
        let made = Ca::new_root(CaKey::from(key), &organization, "root", now, Days::ROOT);
        made.map(|(ca, _)| ca)
    }

    #[test]
    fn what_a_token_signs_is_a_certificate_like_any_other() {
        for algorithm in KeyAlgorithm::ALL {
            if algorithm.may_sign_certificates() {
                let ca = root(algorithm, Ok).unwrap();
                let parsed = crate::issue::parse(ca.der()).unwrap();
                parsed.verify_signature(None).unwrap();
            }
        }
    }

    #[test]
    fn a_signature_that_is_wrong_never_leaves() {
        for algorithm in [
            KeyAlgorithm::P256,
            KeyAlgorithm::P384,
            KeyAlgorithm::Rsa2048,
        ] {
            for answer in [
                |mut signature: Vec<u8>| {
                    *signature.last_mut().unwrap() ^= 1;
                    Ok(signature)
                },
                |_| Ok(Vec::new()),
                |_| Ok(vec![0x30, 0x06, 2, 1, 1, 2, 1, 1]),
            ] {
                let Err(IssueError::Token(error)) = root(algorithm, answer) else {
                    panic!("{algorithm}: it was taken");
                };
                assert!(error.what.contains("does not verify"), "{error}");
            }
        }
    }

    #[test]
    fn what_the_token_said_is_what_the_user_hears() {
        let refused = root(KeyAlgorithm::P256, |_| {
            Err(TokenError {
                what: "token \"vault\" was removed".into(),
                hint: None,
                blame: Blame::Token,
            })
        });
        let Err(error) = refused else {
            panic!("it signed");
        };
        assert_eq!(error.to_string(), "token \"vault\" was removed");
    }

    #[test]
    fn ed25519_in_a_token_is_refused_like_any_other() {
        let refused = root(KeyAlgorithm::Ed25519, Ok).err();
        assert_eq!(refused, Some(IssueError::Ed25519Ca));
    }
}

//! What a token or its module answered, told to people.

use std::fmt;
use std::path::PathBuf;

use cryptoki::context::Function;
use cryptoki::error::{Error as Refusal, RvError};
use pgpki_core::ca_key::{Blame, TokenError};
use pgpki_core::key::KeyAlgorithm;

use crate::uri::Uri;

/// A PKCS#11 function that did not succeed, under the names that the standard has for it and for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    text: String,
    is_loss: bool,
}

impl Call {
    /// Whether the token, or the session with it, is not there any more.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.is_loss
    }
}

impl fmt::Display for Call {
    /// `C_Sign: CKR_DEVICE_REMOVED`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Refusal> for Call {
    fn from(refusal: Refusal) -> Self {
        let Refusal::Pkcs11(answer, function) = refusal else {
            return Self {
                text: refusal.to_string(),
                is_loss: false,
            };
        };
        Self {
            text: format!("{}: {}", name_of(function), ckr(answer)),
            is_loss: matches!(
                answer,
                RvError::DeviceRemoved
                    | RvError::DeviceError
                    | RvError::TokenNotPresent
                    | RvError::TokenNotRecognized
                    | RvError::SessionClosed
                    | RvError::SessionHandleInvalid
                    | RvError::SlotIdInvalid
                    | RvError::UserNotLoggedIn
                    | RvError::ObjectHandleInvalid
                    | RvError::KeyHandleInvalid
                    | RvError::CryptokiNotInitialized
            ),
        }
    }
}

/// The standard's name of a function: `C_Sign`.
fn name_of(function: Function) -> String {
    format!("C_{function:?}")
}

/// The standard's name of an answer: `CKR_PIN_INCORRECT`.
fn ckr(answer: RvError) -> String {
    let mut name = "CKR".to_owned();
    for c in format!("{answer:?}").chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// Why there is no key to sign with, or it did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library cannot be opened.
    #[error("{} is not a PKCS#11 module that can be used: {why}", path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// What the loader or the module says.
        why: String,
    },
    /// There is no library of that name.
    #[error("there is no PKCS#11 module {name:?} in the usual directories")]
    NoModule {
        /// The name, as `module-name` has it.
        name: String,
    },
    /// No library is named.
    #[error("no PKCS#11 module is named, and p11-kit's proxy is not installed")]
    ModuleNotNamed,
    /// The slots cannot be listed, or a token not be asked.
    #[error("{} does not say which tokens there are ({call})", path.display())]
    Slots {
        /// The module.
        path: PathBuf,
        /// What it answered.
        call: Call,
    },
    /// No token is meant.
    #[error("no token is what {} means; {}", uri.subject(), there_are(there, "token"))]
    NoToken {
        /// The URI.
        uri: Box<Uri>,
        /// Each token that is there.
        there: Vec<String>,
    },
    /// Several tokens are meant.
    #[error("{} could mean several tokens: {}", uri.subject(), there.join("; "))]
    SeveralTokens {
        /// The URI.
        uri: Box<Uri>,
        /// Those that it could mean.
        there: Vec<String>,
    },
    /// It needs a PIN, and there is none.
    #[error("{token} has no PIN for users yet")]
    NoPinSet {
        /// The token.
        token: String,
    },
    /// The PIN is wrong.
    #[error("the PIN does not open {token}; {}", left.as_str())]
    WrongPin {
        /// The token.
        token: String,
        /// What it says of the tries that are left.
        left: TriesLeft,
    },
    /// The PIN is locked.
    #[error("{token} is locked: a wrong PIN was entered too often")]
    Locked {
        /// The token.
        token: String,
    },
    /// One more wrong PIN would lock it.
    #[error("{token} has one try left before it locks, and a PIN from a file is not tried then")]
    LastTry {
        /// The token.
        token: String,
    },
    /// A PIN that no token could take.
    #[error("the PIN is not UTF-8, which PKCS#11 has it in")]
    PinNotText,
    /// The login did not come about for another reason.
    #[error("{token} does not let anybody log in ({call})")]
    Login {
        /// The token.
        token: String,
        /// What it answered.
        call: Call,
    },
    /// The URI does not say which key.
    #[error("{} names no key; {}", uri.subject(), there_are(there, "private key"))]
    NoObject {
        /// The URI.
        uri: Box<Uri>,
        /// The private keys that are there.
        there: Vec<String>,
    },
    /// No such key.
    #[error(
        "{token} has no private key that is what {uri} means; {}",
        there_are(there, "private key")
    )]
    NoKey {
        /// The token.
        token: String,
        /// The URI.
        uri: Box<Uri>,
        /// The private keys that are there.
        there: Vec<String>,
    },
    /// Several such keys.
    #[error("{} could mean several private keys of {token}: {}", uri.subject(), there.join("; "))]
    SeveralKeys {
        /// The token.
        token: String,
        /// The URI.
        uri: Box<Uri>,
        /// Those that it could mean.
        there: Vec<String>,
    },
    /// A key that no CA can have here.
    #[error("the key {key} of {token} cannot be a CA's: {why}")]
    Unsuitable {
        /// The token.
        token: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its public half is nowhere.
    #[error("{token} does not tell the public half of its key {key}")]
    NoPublicKey {
        /// The token.
        token: String,
        /// The key.
        key: String,
    },
    /// The token cannot make such a key.
    #[error("{token} did not make a {algorithm} key ({call})")]
    NotMade {
        /// The token.
        token: String,
        /// The kind of key.
        algorithm: KeyAlgorithm,
        /// What it answered.
        call: Call,
    },
    /// It made one that can be taken out of it.
    #[error(
        "{token} made the key {key} so that it can be read out of it, although that was ruled out"
    )]
    NotGuarded {
        /// The token.
        token: String,
        /// The key.
        key: String,
    },
    /// It is not there any more, or the session with it has ended.
    #[error("{token} was lost on the way ({call})")]
    Lost {
        /// The token.
        token: String,
        /// What was asked and answered last.
        call: Call,
    },
    /// It answered something else than was asked for.
    #[error("{token} did not do what it was asked to ({call})")]
    Refused {
        /// The token.
        token: String,
        /// What it answered.
        call: Call,
    },
}

/// What a token says of its PIN (PKCS#11 version 2.40 section 3.2, `CK_TOKEN_INFO`): no number, only how near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriesLeft {
    /// Nothing, or more than a few.
    Unknown,
    /// A wrong one was entered since the last right one.
    Fewer,
    /// One.
    One,
    /// None.
    None,
}

impl TriesLeft {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "the token does not say how many tries are left",
            Self::Fewer => "there are fewer tries left than before",
            Self::One => "ONE TRY IS LEFT before it locks",
            Self::None => "it is locked now",
        }
    }
}

fn there_are(there: &[String], what: &str) -> String {
    match there {
        [] => format!("there is no {what}"),
        [one] => format!("there is one {what}: {one}"),
        some => format!("there are {} {what}s: {}", some.len(), some.join(", ")),
    }
}

impl Error {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Module { .. } => {
                "Name the library that came with the token: --pkcs11-module FILE, or module-path= in the URI"
            }
            Self::NoModule { .. } => {
                "Name its file: --pkcs11-module FILE, or module-path= in the URI"
            }
            Self::ModuleNotNamed => {
                "Name the library that came with the token: --pkcs11-module FILE, PGPKI_PKCS11_MODULE, or module-path= in the URI"
            }
            Self::NoToken { .. } => {
                "Plug it in, or name another: token= is its label, serial= its serial number"
            }
            Self::SeveralTokens { .. } => "Add serial= to the URI",
            Self::NoPinSet { .. } => "Set it with the tools that came with the token",
            Self::WrongPin {
                left: TriesLeft::None,
                ..
            }
            | Self::Locked { .. } => {
                "Its security officer can unlock it, with the tools that came with it"
            }
            Self::WrongPin { .. } => "It was tried once, and is not tried again by itself",
            Self::LastTry { .. } => {
                "Put the right PIN into the file, and log in once by hand, which resets the count: \
                 pkcs11-tool --module FILE --login --list-objects"
            }
            Self::NoObject { .. } => "Name it by its label, object=, or by its identifier, id=",
            Self::NoKey { .. } => "Name one of those by object= or id=",
            Self::SeveralKeys { .. } => "Add id= to the URI",
            Self::NoPublicKey { .. } => {
                "Put its public key object beside it, with the same CKA_ID, or have the token make another key"
            }
            Self::NotMade { .. } => {
                "See what the token can make: pkcs11-tool --list-mechanisms; --key-algorithm names another kind of key"
            }
            Self::NotGuarded { .. } => {
                "It is not used. Remove it with the tools that came with the token"
            }
            Self::Lost { .. } => "Plug it in again, and run the command again",
            Self::Slots { .. }
            | Self::PinNotText
            | Self::Login { .. }
            | Self::Unsuitable { .. }
            | Self::Refused { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Slots { .. }
            | Self::Login { .. }
            | Self::NotMade { .. }
            | Self::NotGuarded { .. }
            | Self::Lost { .. }
            | Self::Refused { .. } => Blame::Token,
            Self::ModuleNotNamed => Blame::Missing,
            _ => Blame::Input,
        }
    }
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self {
            what: error.to_string(),
            hint: error.hint(),
            blame: error.blame(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_names_of_the_standard() {
        let call = Call::from(Refusal::Pkcs11(RvError::DeviceRemoved, Function::Sign));
        assert_eq!(call.to_string(), "C_Sign: CKR_DEVICE_REMOVED");
        assert!(call.is_loss());
        let call = Call::from(Refusal::Pkcs11(
            RvError::PinIncorrect,
            Function::GetTokenInfo,
        ));
        assert_eq!(call.to_string(), "C_GetTokenInfo: CKR_PIN_INCORRECT");
        assert!(!call.is_loss());
    }
}

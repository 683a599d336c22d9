//! Keys of CAs that live in a PKCS#11 token: a smart card, a hardware security module, or SoftHSM.
//!
//! A [`Uri`] (RFC 7512) says which key is meant. A [`Module`] is the library of whoever made the token; in it a URI means
//! one [`Token`], and in that, after a login, one [`Key`]. Where it could mean several, it means none: what is there is
//! listed. The private half never leaves the token; this crate has no code that could ask for it.
//!
//! It knows no authority and no files: PINs come in as arguments.

mod error;
mod key;
mod module;
mod public_key;
mod signature;
mod token;
mod uri;

pub use error::{Call, Error};
pub use key::Key;
pub use module::{Module, named_module, proxy_module};
pub use token::Token;
pub use uri::{PinSource, Uri, UriError};

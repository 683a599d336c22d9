//! Keys of CAs in a token: SoftHSM 2, in a directory of each test's own. `pkcs11-tool` says what is in it, OpenSSL and
//! PostgreSQL judge what comes out of it.
#![allow(clippy::unwrap_used)]

mod algorithms;
mod backup;
mod company;
mod existing;
mod lost;
mod moving;
mod refused;
mod succession;
mod token;
mod unattended;
mod vault;

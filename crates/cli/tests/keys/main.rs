//! Keys at rest: encrypted, decrypted, under another passphrase; and where passphrases come from when nobody is there.
//! OpenSSL says what is in a file, PostgreSQL whether it starts with it.
#![allow(clippy::unwrap_used)]

mod at_rest;
mod dumped;
mod killed;
mod refused;
mod server_key;
mod sources;
mod stage;
mod unattended;
mod waiting;
mod wiped;

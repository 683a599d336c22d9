//! `pgpki convert`, on the real program: what it writes is opened by OpenSSL, GnuTLS, Java, libpq and a
//! server, it opens what they write, and what it cannot open it refuses in one line.
//!
//! What is missing on the machine is a failure, never a reason to skip.
#![allow(clippy::unwrap_used)]

mod containers;
mod encrypted_keys;
mod fixture;
mod forms;
mod hostile;
mod others_containers;
mod others_keys;
mod passphrases;
mod refused;
mod served;
mod vectors;

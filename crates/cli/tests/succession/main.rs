//! `pgpki rotate --root` and `--issuing`: CAs that take over from others, on real servers with clients of every kind.
//!
//! Some of it needs root and faketime. What is missing is a failure, not a skip.
#![allow(clippy::unwrap_used)]

mod chains;
mod compromised;
mod crls;
mod ended;
mod finish;
mod issuing;
mod killed;
mod load;
mod passphrases;
mod scenario;
mod stage;
mod undo;

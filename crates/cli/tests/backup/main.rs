//! `pgpki backup` and `pgpki restore`, on the real program: what comes back is the authority, what
//! was revoked stays revoked, no number is used twice, and nothing is ever half there.
//!
//! What is missing on the machine (root, age, strace, a server) is a failure, never a reason to skip.
#![allow(clippy::unwrap_used)]

mod busy;
mod disk;
mod fixture;
mod hostile;
mod killed;
mod large;
mod lost;
mod refused;
mod served;
mod since;
mod whole;

//! `pgpki inspect HOST`: what it says of real servers, of those that are wrong in one way each, and
//! of peers that are none.
#![allow(clippy::unwrap_used)]

mod certificates;
mod fixture;
mod healthy;
mod many;
mod peers;
mod plaintext;
mod targets;

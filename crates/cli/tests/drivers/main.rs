//! Clients in other languages: each connects to what pgpki has set up, and what each says when it
//! does not is captured from it and explained by `pgpki doctor --explain`.
//!
//! The programs are made by `cargo xtask drivers`, and by `cargo xtask test`.
#![allow(clippy::unwrap_used)]

mod accepted;
mod client_refused;
mod explained;
mod files;
mod login;
// Shared with the tests of doctor, which use more of it.
#[allow(dead_code)]
#[path = "../doctor/material.rs"]
mod material;
mod negotiation;
mod roots;
mod server_refused;
mod stage;

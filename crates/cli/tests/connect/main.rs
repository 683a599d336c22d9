//! What `pgpki connect` prints is put to work as it is printed: each test takes it from the program,
//! pastes it into a program around it that is as small as can be, and connects with the real driver
//! to a server that demands a certificate.
//!
//! The drivers are fetched and made by `cargo xtask drivers`, and by `cargo xtask test`.
#![allow(clippy::unwrap_used)]

mod cases;
mod command;
mod compose;
mod go;
mod java;
mod libpq;
// Shared with the tests of doctor, which use more of it.
#[allow(dead_code)]
#[path = "../doctor/material.rs"]
mod material;
mod node;
mod patroni;
mod pgbouncer;
mod python;
mod roles;
mod rust;
mod scripts;
mod stage;
mod standby;
mod traps;

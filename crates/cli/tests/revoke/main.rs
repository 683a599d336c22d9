//! `pgpki revoke` against real servers: what it promises to whom, and what it says where it cannot
//! keep it.
//!
//! Some of it needs root (other users) and strace. What is missing is a failure, not a skip.
#![allow(clippy::unwrap_used)]

#[path = "../cluster/fixture.rs"]
#[allow(dead_code)]
mod fixture;

mod arriving;
mod crls;
mod hammering;
mod killed;
mod names;
mod pooler;
mod proof;
mod renewal;
mod stage;
mod targets;
mod text;
mod unreached;
mod ways_in;

//! `pgpki configure`, and reload with proof, against real servers: what they promise, in every
//! state that a cluster's files and its server can be in.
//!
//! Some of it needs root (mounts, other users) and strace. What is missing is a failure, not a skip.
#![allow(clippy::unwrap_used)]

mod absent;
mod access;
mod fixture;
mod interrupted;
mod killed;
mod layouts;
mod load;
mod managed;
mod proof;
mod refused;
mod restarts;
mod unasked;
mod unwritable;
mod versions;

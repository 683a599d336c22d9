//! Doctor finds faults that were made on real servers and clients, and none where there is none.
#![allow(clippy::unwrap_used)]

mod client;
mod explain;
mod material;
mod server;

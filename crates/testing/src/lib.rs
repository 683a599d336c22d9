//! A throwaway PostgreSQL cluster, clients of it in other languages, and the other programs that judge
//! what pgpki makes.
//!
//! Everything here is for tests and for the demo. What is missing on the machine is a failure with
//! the name of the package to install, never a reason to skip: a skipped test of a live server
//! proves nothing.
//!
//! Functions that a test calls for their effect panic with everything that is needed to understand
//! the failure; those that return a `Result` are the ones whose failure can be the point of a test.
#![allow(clippy::unwrap_used)]

mod awaiting;
mod clients;
mod cluster;
mod judges;
mod others;
mod owner;
mod programs;
mod scene;
mod vectors;
mod versions;

pub use awaiting::{await_that, holds_within};
pub use clients::{Client, Connection, Credential, Refusal, Session, Toolbox};
pub use cluster::{
    Cluster, ClusterBuilder, Shutdown, append, quote_identifier, quote_literal, replace,
};
pub use judges::{attempt, certtool, openssl, revoked, run};
pub use others::{as_user, startable_copy};
pub use owner::Owner;
pub use programs::ServerPrograms;
pub use scene::Scene;
pub use vectors::Vectors;

//! A PostgreSQL cluster as its administrators know it.
//!
//! - [`conf`] and [`hba`] read and edit `postgresql.conf` and `pg_hba.conf` as text, and keep what they do not change.
//! - [`probe`] asks a server for TLS and looks at what it serves.
//! - [`sql`] runs a query over the local socket.
//! - [`postmaster`] is the process of a running server: where it listens, its reload, its log.
//! - [`reload`] has a server take up what is installed, and proves that it did.
//! - [`refusal`] tries whether it refuses who was revoked.
//! - [`doctor`] says what is wrong with it.
//! - [`client`] is the other end: what a client on this machine has, and what comes of connecting.
//! - [`ways_in`] says by which rule a role comes in without a certificate.
//! - [`explain`] knows what an error message means.
//! - [`cluster`] finds a cluster and what it is set to.

pub mod client;
pub mod cluster;
pub mod conf;
pub mod configure;
pub mod doctor;
pub mod explain;
pub mod hba;
mod last_reload;
pub mod postmaster;
pub mod probe;
pub mod refusal;
pub mod reload;
mod roles;
pub mod sessions;
pub mod sql;
pub mod ways_in;

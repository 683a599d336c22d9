//! A PostgreSQL cluster as its administrators know it.
//!
//! - [`conf`] and [`hba`] read and edit `postgresql.conf` and `pg_hba.conf` as text, and keep what they do not change.
//! - [`probe`] asks a server for TLS and looks at what it serves.
//! - [`sql`] runs a query over the local socket.
//! - [`cluster`] finds a cluster and what it is set to.

pub mod cluster;
pub mod conf;
pub mod hba;
pub mod probe;
pub mod sql;

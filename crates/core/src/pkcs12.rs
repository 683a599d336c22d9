//! PKCS#12 (RFC 7292), the `.p12` that pgJDBC and Windows take: a key and its certificates in one
//! file, under one passphrase.

mod chain;
pub(crate) mod container;
pub(crate) mod derivation;
mod integrity;
mod oid;
mod open;
mod write;

pub use chain::{belongs_to, in_chain_order};
pub(crate) use open::open_with;
pub use open::{Entry, OpenError, Opened, open};
pub use write::{WriteError, check_passphrase, write};

/// The alias under which pgJDBC looks for key and certificate (its documentation, "Configuring the
/// client", `sslkey`).
pub const ALIAS: &str = "user";

//! One file for each command: what was asked for is checked, done by the authority, and reported.

pub(crate) mod backup;
pub(crate) mod configure;
pub(crate) mod connect;
pub(crate) mod convert;
pub(crate) mod doctor;
mod earlier;
mod engine_path;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod issue_client;
pub(crate) mod issue_server;
pub(crate) mod key;
pub(crate) mod request;
pub(crate) mod restore;
pub(crate) mod revoke;
pub(crate) mod rotate;
mod server;
pub(crate) mod sign;

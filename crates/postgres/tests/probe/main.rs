//! The probe against real servers, and against peers that are none.
#![allow(clippy::unwrap_used)]

mod authority;
mod clients;
mod host_names;
mod served;
mod strangers;

//! The main job on a real PostgreSQL: what `init` prints is pasted as it stands, and clients with
//! the folders that `issue-client` makes get in; nobody else does.
#![allow(clippy::unwrap_used)]

mod algorithms;
mod placement;
mod refused;
mod renewal;
mod role_names;
mod rotation;
mod served;

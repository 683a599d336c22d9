//! What the crate promises, seen from outside.
#![allow(clippy::unwrap_used)]

mod folder;
mod full_disk;
mod hostile;
mod installation;
mod lock;
mod private;
mod read;
mod scene;
mod side_by_side;
mod walk;

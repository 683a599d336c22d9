//! Many at once: processes side by side, roles by the thousand, and folders that people have
//! touched in the meantime.
#![allow(clippy::unwrap_used)]

mod authority;
mod folders;
mod interrupted;
mod lists;
mod side_by_side;

//! What is refused: the exit status, a message that names the thing, and nothing changed.
#![allow(clippy::unwrap_used)]

mod arguments;
mod closed_pipe;
mod damaged_home;
mod help;
mod init;
mod lists;
mod nothing_due;
mod passphrases;
mod places;
mod refusal;
mod snapshot;

//! Certificates for keys that stay where they were made: requests of every maker, what is made of them, and what is
//! refused.
#![allow(clippy::unwrap_used)]

mod afterwards;
mod asked;
mod broken;
mod corpus;
mod craft;
mod elsewhere;
mod hostile;
mod judged;
mod killed;
mod makers;
mod names;
mod side_by_side;
mod stage;
mod usage;

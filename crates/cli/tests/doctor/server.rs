//! The server's side: each test makes its faults on a real server.

mod files;
mod fixture;
mod healthy;
mod mending;
mod reloads;
mod roles;
mod rules;
mod settings;

//! An issuing CA under a company's CA, which openssl made. OpenSSL, webpki and PostgreSQL's clients judge what comes of it.
#![allow(clippy::unwrap_used)]

mod changed_root;
mod company;
mod constraints;
mod refused;
mod renewed;
mod requested;
mod served;
mod stolen;
mod told;

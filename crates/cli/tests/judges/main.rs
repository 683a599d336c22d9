//! What other implementations say about everything that is issued: OpenSSL, GnuTLS and webpki
//! (rustls) verify it, and OpenSSL spells it out.
#![allow(clippy::unwrap_used)]

mod chain;
mod facts;
mod issued;
mod keys;
mod lists;
mod names;
mod times;
mod webpki_judge;

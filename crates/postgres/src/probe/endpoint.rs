//! Where a server is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use pgpki_core::name::Host;

use super::Negotiation;

/// A server's address on the network, and the name that its certificate is to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The name or address that a client asks for, which the certificate must have. No wildcard.
    pub host: Host,
    /// Where to connect, if not to what `host` resolves to: libpq's `hostaddr`.
    pub address: Option<IpAddr>,
    /// The TCP port.
    pub port: u16,
    /// How TLS begins.
    pub negotiation: Negotiation,
}

impl Endpoint {
    /// A server that is asked for TLS as every version of PostgreSQL understands it.
    pub fn new(host: Host, port: u16) -> Self {
        Self {
            host,
            address: None,
            port,
            negotiation: Negotiation::default(),
        }
    }
}

/// `db.example.com:5432`, `[::1]:5432`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => bracketed(*address, self.port, f),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

fn bracketed(address: Ipv6Addr, port: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "[{address}]:{port}")
}

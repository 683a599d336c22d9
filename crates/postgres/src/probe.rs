//! What a server serves over TLS, seen from outside.
//!
//! [`probe`] makes a real handshake and brings back the chain that was served, byte for byte,
//! whoever signed it; [`compare`] holds it against what is installed. [`plaintext`] asks whether
//! the server would also talk in the clear. Nothing here trusts anything: every connection has a
//! deadline and a limit on what it reads, and whatever the peer says ends in a value or in a
//! [`ProbeError`].
//!
//! PostgreSQL speaks TLS over TCP only, never over a Unix-domain socket.

mod client;
mod compare;
mod connection;
mod encryption;
mod endpoint;
mod error;
mod handshake;
mod host_name;
mod message;
mod plaintext;
mod system_roots;
mod target;

use std::time::Instant;

pub use client::{ClientCredential, CredentialError};
pub use compare::{Comparison, Difference, compare};
pub use encryption::Negotiation;
pub use endpoint::Endpoint;
pub use error::{Cause, ProbeError, Stage, TlsAlert};
pub use handshake::{CertificateRequest, Served, TlsVersion};
pub use host_name::{HostMatch, host_match};
pub use message::{Answer, MessageError, read_answer};
pub use plaintext::{Plaintext, plaintext};
pub use system_roots::system_roots;
pub use target::{DEFAULT_PORT, Login, Target, TargetError};

use connection::Connection;

/// Connects, negotiates TLS, and returns what was served. All of it is over by `deadline`.
///
/// # Errors
/// See [`Cause`].
pub fn probe(endpoint: &Endpoint, deadline: Instant) -> Result<Served, ProbeError> {
    Probe::new(endpoint).run(deadline)
}

/// A [`probe`] with a certificate of a client's to present.
#[derive(Debug)]
pub struct Probe<'a> {
    endpoint: &'a Endpoint,
    client: Option<Client<'a>>,
}

/// Who comes, and how far.
#[derive(Clone, Copy, Debug)]
struct Client<'a> {
    credential: Option<&'a ClientCredential>,
    login: &'a Login,
    /// Whether it waits for the session.
    waits: bool,
}

impl<'a> Probe<'a> {
    /// A probe that presents nothing.
    pub fn new(endpoint: &'a Endpoint) -> Self {
        Self {
            endpoint,
            client: None,
        }
    }

    /// Presents `credential` if the server asks for one, and begins to log in as `login`:
    /// [`Served::answer`] is what came of it.
    ///
    /// In TLS 1.3 the client is done before the server has looked at its certificate (RFC 8446
    /// section 4.4.4), so that a refusal shows only in what the server says next.
    #[must_use]
    pub fn client(self, credential: &'a ClientCredential, login: &'a Login) -> Self {
        Self {
            client: Some(Client {
                credential: Some(credential),
                login,
                waits: false,
            }),
            ..self
        }
    }

    /// Begins to log in as `login`, with no certificate to present.
    #[must_use]
    pub fn stranger(self, login: &'a Login) -> Self {
        Self {
            client: Some(Client {
                credential: None,
                login,
                waits: false,
            }),
            ..self
        }
    }

    /// Where the login has to prove no more, waits for the session to begin, and ends it: whether there are such a role and
    /// such a database shows only there.
    #[must_use]
    pub fn to_the_session(self) -> Self {
        let client = self.client.map(|client| Client {
            waits: true,
            ..client
        });
        Self { client, ..self }
    }

    /// Runs the probe.
    ///
    /// # Errors
    /// See [`Cause`]; a certificate that the server refuses is [`Cause::Alert`].
    pub fn run(&self, deadline: Instant) -> Result<Served, ProbeError> {
        let unreached = |cause| ProbeError::new(self.endpoint, None, cause);
        let mut connection = Connection::open(self.endpoint, deadline).map_err(unreached)?;
        let address = connection.address();
        let negotiated = encryption::request(&mut connection, self.endpoint.negotiation);
        negotiated
            .and_then(|()| handshake::shake(connection, self.endpoint, self.client))
            .map_err(|cause| ProbeError::new(self.endpoint, Some(address), cause))
    }
}

//! Why a probe brought nothing back, and what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::{AlertDescription, PeerIncompatible};

use super::{Endpoint, Negotiation};

/// A probe that brought nothing back.
#[derive(Debug)]
pub struct ProbeError {
    /// The server that was asked for.
    pub endpoint: Box<Endpoint>,
    /// The address that answered, if one did.
    pub address: Option<SocketAddr>,
    /// What happened.
    pub cause: Cause,
}

/// What a probe was about when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Connecting by TCP.
    Connecting,
    /// Waiting for the answer to an SSLRequest.
    SslRequest,
    /// The TLS handshake.
    Handshake,
    /// Waiting for the answer to a StartupMessage.
    Startup,
    /// Waiting for the session, with nothing more to prove.
    Session,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "while connecting",
            Self::SslRequest => "when it was asked for TLS",
            Self::Handshake => "in the TLS handshake",
            Self::Startup => "when a login began",
            Self::Session => "when a session was to begin",
        })
    }
}

/// What ended a probe. No text in it contains a control character.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The host name leads nowhere.
    #[error("the host name cannot be resolved: {0}")]
    NotResolved(String),
    /// No address took the connection; each is named with its reason.
    #[error("cannot connect: {}", tried(.0))]
    NoConnection(Vec<(SocketAddr, io::Error)>),
    /// The deadline came.
    #[error("no answer in time {0}")]
    TimedOut(Stage),
    /// The peer hung up.
    #[error("the connection was closed {0}")]
    Closed(Stage),
    /// Reading or writing failed.
    #[error("the connection broke {stage}: {source}")]
    Broken {
        /// When.
        stage: Stage,
        /// What the system said.
        source: io::Error,
    },
    /// The peer sends without end.
    #[error("more than {limit} bytes were sent {stage}")]
    TooMuch {
        /// When.
        stage: Stage,
        /// How many bytes are read at most.
        limit: usize,
    },
    /// The server answered an SSLRequest with `N`.
    #[error("the server does not offer TLS")]
    NoTls,
    /// The server answered with an error of its own, escaped. Nobody has proven who sent it.
    #[error("the server said: {message}")]
    Server {
        /// SQLSTATE, if it gave one (PostgreSQL documentation, Appendix A).
        sqlstate: Option<String>,
        /// Its message.
        message: String,
    },
    /// The answer is none of PostgreSQL's.
    #[error("this is not PostgreSQL: it answered {seen}")]
    NotPostgres {
        /// The beginning of its answer, quoted and escaped; or what was missing from it.
        seen: String,
    },
    /// Bytes followed the `S` before any TLS: somebody may be in between (CVE-2021-23222).
    #[error("unencrypted data came after the server's consent to TLS")]
    DataBeforeTls,
    /// The server ended the handshake with an alert.
    #[error("the server refused: {0}")]
    Alert(TlsAlert),
    /// The server's TLS is not one that can be spoken here.
    #[error("no TLS in common: {0}")]
    Incompatible(String),
    /// The handshake is wrong, such as one whose signature was not made with the certificate's key.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
}

fn tried(attempts: &[(SocketAddr, io::Error)]) -> String {
    let each = attempts.iter().map(|(address, error)| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{address} refuses (nothing listens there)"),
        io::ErrorKind::TimedOut => format!("{address} does not answer"),
        _ => format!("{address}: {error}"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A fatal alert, RFC 8446 section 6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsAlert {
    /// 40: nothing in common; or, from OpenSSL in TLS 1.2, a client's certificate is missing.
    HandshakeFailure,
    /// 42: damaged, or by the server's clock not yet valid.
    BadCertificate,
    /// 43: such as one without clientAuth.
    UnsupportedCertificate,
    /// 44: the certificate is on a CRL.
    CertificateRevoked,
    /// 45: the certificate, a CA, or the server's CRL has expired.
    CertificateExpired,
    /// 46: any other reason against the certificate.
    CertificateUnknown,
    /// 48: the chain ends at no root of the server's, or a CRL is missing there.
    UnknownCa,
    /// 70: TLS 1.2 or 1.3 is not spoken there.
    ProtocolVersion,
    /// 116: a client's certificate is required, and none was presented.
    CertificateRequired,
    /// 120: ALPN `postgresql` is not spoken there.
    NoApplicationProtocol,
    /// Any other, by its number.
    Other(u8),
}

impl From<AlertDescription> for TlsAlert {
    fn from(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::HandshakeFailure => Self::HandshakeFailure,
            AlertDescription::BadCertificate => Self::BadCertificate,
            AlertDescription::UnsupportedCertificate => Self::UnsupportedCertificate,
            AlertDescription::CertificateRevoked => Self::CertificateRevoked,
            AlertDescription::CertificateExpired => Self::CertificateExpired,
            AlertDescription::CertificateUnknown => Self::CertificateUnknown,
            AlertDescription::UnknownCA => Self::UnknownCa,
            AlertDescription::ProtocolVersion => Self::ProtocolVersion,
            AlertDescription::CertificateRequired => Self::CertificateRequired,
            AlertDescription::NoApplicationProtocol => Self::NoApplicationProtocol,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for TlsAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::HandshakeFailure => "handshake failure",
            Self::BadCertificate => "bad certificate",
            Self::UnsupportedCertificate => "unsupported certificate",
            Self::CertificateRevoked => "certificate revoked",
            Self::CertificateExpired => "certificate expired",
            Self::CertificateUnknown => "certificate unknown",
            Self::UnknownCa => "unknown ca",
            Self::ProtocolVersion => "protocol version",
            Self::CertificateRequired => "certificate required",
            Self::NoApplicationProtocol => "no application protocol",
            Self::Other(number) => return write!(f, "alert number {number}"),
        };
        write!(f, "alert {name}")
    }
}

impl Cause {
    /// What an error of reading or writing means.
    pub(super) fn of_io(error: io::Error, stage: Stage) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Self::of_tls(tls);
        }
        if let Some(TooMuch { limit }) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            let limit = *limit;
            return Self::TooMuch { stage, limit };
        }
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut(stage),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Closed(stage),
            _ => Self::Broken {
                stage,
                source: error,
            },
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert((*alert).into()),
            rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Incompatible("the server speaks neither TLS 1.2 nor TLS 1.3".to_owned()),
            rustls::Error::PeerIncompatible(reason) => Self::Incompatible(format!("{reason:?}")),
            // What follows the consent to TLS is no TLS at all.
            rustls::Error::InvalidMessage(_) => {
                let seen = "with something that is not TLS".to_owned();
                Self::NotPostgres { seen }
            }
            other => Self::Handshake(pgpki_core::document::printable(&other.to_string())),
        }
    }
}

/// A peer that sends more than it has any reason to.
#[derive(Debug, thiserror::Error)]
#[error("more than {limit} bytes were sent")]
pub(super) struct TooMuch {
    pub limit: usize,
}

/// An attempt that took all its time.
pub(super) fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took all of its time")
}

/// How long is left until `deadline`; an error once nothing is.
pub(super) fn time_left(deadline: std::time::Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(std::time::Instant::now());
    match left.is_zero() {
        true => Err(timed_out()),
        false => Ok(left),
    }
}

impl ProbeError {
    pub(super) fn new(endpoint: &Endpoint, address: Option<SocketAddr>, cause: Cause) -> Self {
        Self {
            endpoint: Box::new(endpoint.clone()),
            address,
            cause,
        }
    }

    /// What to do about it: a sentence.
    pub fn hint(&self) -> &'static str {
        match &self.cause {
            Cause::NotResolved(_) => "Check the spelling of the name, and this machine's resolver.",
            Cause::NoConnection(_) | Cause::TimedOut(Stage::Connecting) => {
                "Check that the server runs, its listen_addresses and port, and the firewalls in \
                 between."
            }
            Cause::TimedOut(_) => {
                "Something accepts the connection and says nothing: a server that hangs or is \
                 overloaded, or another program on that port."
            }
            Cause::Closed(_) if self.endpoint.negotiation == Negotiation::Direct => {
                "Direct TLS begins with PostgreSQL 17; ask without sslnegotiation=direct."
            }
            Cause::Closed(_) | Cause::Broken { .. } => {
                "Look into the server's log, and at what stands in between."
            }
            Cause::TooMuch { .. } | Cause::NotPostgres { .. } => {
                "Check the port: another program answers there."
            }
            Cause::NoTls => {
                "Set ssl = on, ssl_cert_file and ssl_key_file, and restart or reload the server."
            }
            Cause::Server { .. } => "Look into the server's log.",
            Cause::DataBeforeTls => {
                "Do not log in: somebody between here and the server may be adding to what it says."
            }
            Cause::Alert(alert) => alert.hint(),
            Cause::Incompatible(_) => OLD_TLS,
            Cause::Handshake(_) => {
                "Look into the server's log; check that nothing in between answers for it."
            }
        }
    }
}

const OLD_TLS: &str = "The server may speak only TLS 1.0 or 1.1, or have a key that cannot be used \
                       here, such as P-521: check ssl_min_protocol_version, \
                       ssl_max_protocol_version, ssl_ciphers and the kind of its key.";

impl TlsAlert {
    fn hint(self) -> &'static str {
        match self {
            Self::HandshakeFailure | Self::ProtocolVersion | Self::Other(_) => OLD_TLS,
            Self::CertificateRequired => {
                "It talks only to clients with a certificate; ask it with one."
            }
            Self::NoApplicationProtocol => {
                "Check the port: another program answers there, or something between that does \
                 not pass ALPN on."
            }
            Self::UnknownCa => {
                "Check that the client's chain leads to a root in ssl_ca_file, and that there is a \
                 CRL for every CA, or none at all."
            }
            Self::CertificateExpired => {
                "Check the client's certificate, its CAs, and the server's CRL: any of them can be \
                 over."
            }
            Self::CertificateRevoked => "The client needs a new certificate.",
            Self::BadCertificate | Self::UnsupportedCertificate | Self::CertificateUnknown => {
                "Look at the client's certificate, and at both clocks."
            }
        }
    }
}

/// `db.example.com:5432 (10.0.0.5): the server does not offer TLS`.
impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)?;
        if let Some(address) = self.address
            && self.endpoint.host != pgpki_core::name::Host::Ip(address.ip())
        {
            write!(f, " ({})", address.ip())?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl std::error::Error for ProbeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

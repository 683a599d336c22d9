//! The handshake: whoever signed the certificate, the peer must have its key.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use pgpki_core::document::printable;
use pgpki_core::name::Host;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, SignatureScheme, Stream,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::client::Presenter;
use super::connection::Connection;
use super::encryption;
use super::message::{read_answer, read_outcome};
use super::plaintext::{startup, terminate};
use super::{Answer, Cause, Client, Endpoint, Negotiation, Stage};

/// PostgreSQL's protocol in ALPN (RFC 7301), from PostgreSQL 17 on.
const ALPN: &[u8] = b"postgresql";

/// A version of TLS; older ones than these cannot be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// As `pg_stat_ssl.version` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }
}

/// What a server served.
#[derive(Clone, Debug)]
pub struct Served {
    /// The address that answered.
    pub address: SocketAddr,
    /// How TLS began.
    pub negotiation: Negotiation,
    /// The version of TLS.
    pub protocol: TlsVersion,
    /// The cipher suite, as rustls writes it: the IANA name, with `TLS13_` for those of TLS 1.3.
    pub cipher_suite: String,
    /// The protocol that the server chose by ALPN, if it did; escaped.
    pub alpn: Option<String>,
    /// The certificates that were sent, DER, the server's own first. At least that one is there.
    /// Nobody has checked who signed it.
    pub chain: Vec<Vec<u8>>,
    /// Why the handshake's signature could not be checked, if so: the certificate is one that
    /// rustls cannot use, such as one of X.509 version 1. Otherwise the peer has the key.
    pub signature_unchecked: Option<String>,
    /// Whether the server asked for a client's certificate.
    pub client_certificate: Option<CertificateRequest>,
    /// What it said to a login, where the probe began one.
    pub answer: Option<Answer>,
    /// Why no session began where the login had to prove no more, if the probe waited for one and the server did not say;
    /// escaped.
    pub no_session: Option<String>,
}

/// A server's request for a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The CAs that it names, those of `ssl_ca_file`: each a distinguished name in DER.
    pub authorities: Vec<Vec<u8>>,
}

pub(super) fn shake(
    mut connection: Connection,
    endpoint: &Endpoint,
    client: Option<Client<'_>>,
) -> Result<Served, Cause> {
    let address = connection.address();
    let verifier = Arc::new(Anybody::new());
    let presenter = Arc::new(Presenter::new(client.and_then(|it| it.credential)));
    let config = config(Arc::clone(&verifier), Arc::clone(&presenter))?;
    let mut tls = ClientConnection::new(Arc::new(config), server_name(endpoint, address))
        .map_err(|error| Cause::Handshake(error.to_string()))?;
    let (mut answer, mut no_session) = (None, None);
    let done = complete(&mut tls, &mut connection).and_then(|()| {
        if let Some(client) = client {
            let (said, missing) = log_in(&mut tls, &mut connection, client)?;
            (answer, no_session) = (Some(said), missing);
        }
        Ok(())
    });
    done.map_err(|cause| match cause {
        Cause::Closed(_) => last_words(&mut tls, &mut connection).unwrap_or(cause),
        cause => cause,
    })?;
    let served = Served {
        address,
        negotiation: endpoint.negotiation,
        protocol: protocol(&tls)?,
        cipher_suite: cipher_suite(&tls),
        alpn: tls
            .alpn_protocol()
            .map(|name| printable(&String::from_utf8_lossy(name))),
        chain: chain(&tls)?,
        signature_unchecked: verifier.unchecked.get().cloned(),
        client_certificate: presenter
            .asked()
            .map(|authorities| CertificateRequest { authorities }),
        answer,
        no_session,
    };
    if endpoint.negotiation == Negotiation::Direct && tls.alpn_protocol() != Some(ALPN) {
        let seen = "with TLS, but not to the protocol \"postgresql\" (ALPN)".to_owned();
        return Err(Cause::NotPostgres { seen });
    }
    tls.send_close_notify();
    // What was to be seen has been seen.
    let _ = tls.write_tls(&mut connection);
    connection.leave();
    Ok(served)
}

fn config(verifier: Arc<Anybody>, presenter: Arc<Presenter>) -> Result<ClientConfig, Cause> {
    let provider = Arc::clone(&verifier.provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Cause::Handshake(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(presenter);
    // As libpq does from version 17 on; older servers do not look at it.
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// What goes into the server name indication, which libpq sends for names, too.
fn server_name(endpoint: &Endpoint, address: SocketAddr) -> ServerName<'static> {
    let name = match &endpoint.host {
        Host::Dns(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ip(_) => None,
    };
    name.unwrap_or_else(|| ServerName::IpAddress(address.ip().into()))
}

fn protocol(tls: &ClientConnection) -> Result<TlsVersion, Cause> {
    match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => Ok(TlsVersion::V1_3),
        Some(ProtocolVersion::TLSv1_2) => Ok(TlsVersion::V1_2),
        other => Err(Cause::Incompatible(format!("{other:?}"))),
    }
}

fn cipher_suite(tls: &ClientConnection) -> String {
    let suite = tls.negotiated_cipher_suite().map(|suite| suite.suite());
    suite
        .and_then(|suite| suite.as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("{suite:?}"))
}

fn chain(tls: &ClientConnection) -> Result<Vec<Vec<u8>>, Cause> {
    let chain = tls.peer_certificates().unwrap_or_default();
    match chain.is_empty() {
        true => Err(Cause::Handshake("the server sent no certificate".into())),
        false => Ok(chain.iter().map(|der| der.as_ref().to_vec()).collect()),
    }
}

fn complete(tls: &mut ClientConnection, connection: &mut Connection) -> Result<(), Cause> {
    while tls.is_handshaking() {
        tls.complete_io(connection)
            .map_err(|error| Cause::of_io(error, Stage::Handshake))?;
    }
    Ok(())
}

fn log_in(
    tls: &mut ClientConnection,
    connection: &mut Connection,
    client: Client<'_>,
) -> Result<(Answer, Option<String>), Cause> {
    let mut stream = Stream::new(tls, connection);
    let sent = stream.write_all(&startup(client.login)?);
    sent.map_err(|error| Cause::of_io(error, Stage::Startup))?;
    let mut said = Vec::new();
    let answer = encryption::answer(&mut stream, &mut said, read_answer, Stage::Startup)?;
    if !client.waits || !matches!(answer, Answer::Authentication { .. }) {
        return Ok((answer, None));
    }
    // What has been seen until here counts, whatever comes of the session.
    let outcome = encryption::answer(&mut stream, &mut said, read_outcome, Stage::Session);
    // A session that is not ended properly is a line in the server's log, and no more.
    let _ = stream.write_all(&terminate());
    Ok(match outcome {
        Ok(outcome) => (outcome, None),
        Err(cause) => (answer, Some(printable(&cause.to_string()))),
    })
}

/// A server that refuses a certificate says so and hangs up, while the client may still be sending:
/// that fails, and what the server said is there to be read.
fn last_words(tls: &mut ClientConnection, connection: &mut Connection) -> Option<Cause> {
    while matches!(tls.read_tls(connection), Ok(read) if read > 0) {
        match tls.process_new_packets() {
            Ok(_) => {}
            Err(rustls::Error::AlertReceived(alert)) => return Some(Cause::Alert(alert.into())),
            Err(_) => return None,
        }
    }
    None
}

/// Takes a certificate from anybody, but not without its key.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
    unchecked: OnceLock<String>,
}

impl Anybody {
    fn new() -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            unchecked: OnceLock::new(),
        }
    }

    /// A certificate that webpki cannot even read is shown all the same: it is why somebody looks.
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        verify: impl FnOnce() -> Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match EndEntityCert::try_from(certificate) {
            Ok(_) => verify(),
            Err(error) => {
                self.unchecked.get_or_init(|| error.to_string());
                Ok(HandshakeSignatureValid::assertion())
            }
        }
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.check(certificate, || {
            verify_tls12_signature(message, certificate, signature, algorithms)
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.check(certificate, || {
            verify_tls13_signature(message, certificate, signature, algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

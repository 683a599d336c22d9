//! The report of servers in JSON, as `docs/json.md` has it.

use pgpki_postgres::probe::{HostMatch, Plaintext};
use serde::Serialize;
use time::OffsetDateTime;

use super::chain::Closing;
use super::{Look, Sight};
use crate::commands::inspect::certificate::CertificateJson;
use crate::commands::inspect::findings::{self, FindingJson};
use crate::exit::Failure;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    servers: Vec<ServerJson<'a>>,
}

#[derive(Serialize)]
struct ServerJson<'a> {
    host: String,
    port: u16,
    address: Option<String>,
    tls: Option<TlsJson<'a>>,
    certificates: Vec<CertificateJson<'a>>,
    host_matches: Option<&'static str>,
    roots: Vec<RootsJson<'a>>,
    plaintext: Option<PlaintextJson<'a>>,
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize)]
struct TlsJson<'a> {
    negotiation: &'static str,
    protocol: &'static str,
    cipher_suite: &'a str,
    alpn: Option<&'a str>,
    asks_client_certificate: bool,
}

#[derive(Serialize)]
struct RootsJson<'a> {
    from: &'static str,
    closes: bool,
    chain: &'a [String],
}

#[derive(Serialize)]
struct PlaintextJson<'a> {
    answer: &'static str,
    method: Option<&'static str>,
    message: Option<String>,
    user: &'a str,
    database: &'a str,
}

pub(super) fn write(looks: &[Look<'_>], now: OffsetDateTime) -> Result<(), Failure> {
    crate::json::report(&Report {
        version: 1,
        servers: looks.iter().map(|look| server(look, now)).collect(),
    })
}

fn server<'a>(look: &'a Look<'_>, now: OffsetDateTime) -> ServerJson<'a> {
    let endpoint = &look.server.endpoint;
    let sight = look.tls.as_ref().ok();
    let address = match &look.tls {
        Ok(sight) => Some(sight.served.address),
        Err(error) => error.address,
    };
    ServerJson {
        host: endpoint.host.to_string(),
        port: endpoint.port,
        address: address.map(|address| address.ip().to_string()),
        tls: sight.map(tls),
        certificates: look
            .certificates()
            .map(|facts| CertificateJson::of(None, facts, now))
            .collect(),
        host_matches: sight.and_then(|sight| sight.host).map(host_matches),
        roots: sight
            .iter()
            .flat_map(|sight| sight.closings.iter().map(roots))
            .collect(),
        plaintext: plaintext(look),
        findings: findings::to_json(&look.findings),
    }
}

fn tls(sight: &Sight) -> TlsJson<'_> {
    let served = &sight.served;
    TlsJson {
        negotiation: served.negotiation.as_str(),
        protocol: served.protocol.as_str(),
        cipher_suite: &served.cipher_suite,
        alpn: served.alpn.as_deref(),
        asks_client_certificate: served.client_certificate.is_some(),
    }
}

fn host_matches(host: HostMatch) -> &'static str {
    match host {
        HostMatch::Yes => "yes",
        HostMatch::LibpqOnly => "libpq-only",
        HostMatch::No => "no",
    }
}

fn roots(closing: &Closing) -> RootsJson<'_> {
    RootsJson {
        from: closing.from.as_str(),
        closes: closing.closes,
        chain: &closing.names,
    }
}

fn plaintext<'a>(look: &'a Look<'_>) -> Option<PlaintextJson<'a>> {
    let (method, message) = match look.plaintext.as_ref()? {
        Ok(Plaintext::Taken { method }) => (Some(*method), None),
        Ok(Plaintext::Refused { message } | Plaintext::Unknown { message }) => {
            (None, Some(message.clone()))
        }
        Err(error) => (None, Some(error.cause.to_string())),
    };
    Some(PlaintextJson {
        answer: look.plaintext_word()?,
        method,
        message,
        user: &look.server.login.user,
        database: &look.server.login.database,
    })
}

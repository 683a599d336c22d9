//! What the server serves, as this client judges it.

use pgpki_core::bundle::{Bundle, ChainEnd};
use pgpki_core::document::{CertificateFacts, Document, Encoding, Item};
use pgpki_core::due::Within;
use pgpki_core::finding::{Finding, Severity};
use time::OffsetDateTime;

use super::SslMode;
use super::files::Files;
use crate::probe::{Endpoint, HostMatch, Served, host_match, system_roots};

/// What the certificates that were sent are called; they are judged as a server's own file.
const SENT: &str = "server.crt";
/// What the client's roots and CRLs are called.
const ROOTS: &str = "root.crt";
const CRLS: &str = "root.crl";

/// What a folder's rules say of a chain that ends too early; of this one, more is known.
const OF_FOLDERS: [&str; 2] = ["chain-broken", "chain-incomplete"];

pub(super) fn judge(
    endpoint: &Endpoint,
    is_named: bool,
    served: &Served,
    files: &Files,
    mode: SslMode,
    now: OffsetDateTime,
) -> Vec<Finding> {
    let sent = document(&served.chain);
    let Some(leaf) = sent.certificates().next() else {
        return vec![Finding::error(
            "certificate-unusable",
            format!("the certificate that {endpoint} serves cannot be read"),
            "Look at it with pgpki inspect HOST:PORT, and have it issued again.",
        )];
    };
    let mut findings: Vec<Finding> = of_name(endpoint, is_named, leaf, mode)
        .into_iter()
        .collect();
    let roots = match files.has_system_roots() {
        true => Some(document(&system_roots())),
        false => files.roots().cloned(),
    };
    // Without roots nothing is checked below verify-ca, and from there on their lack is an error.
    if let Some(roots) = roots {
        findings.extend(of_chain(endpoint, &sent, leaf, roots, files, now));
    }
    findings
}

fn document(chain: &[Vec<u8>]) -> Document {
    let read = chain.iter().filter_map(|der| Document::read(der).ok());
    of_items(read.flat_map(|document| document.items).collect())
}

fn of_items(items: Vec<Item>) -> Document {
    Document {
        encoding: Encoding::Pem,
        items,
        text_between: false,
        byte_order_mark: false,
        ignored_blocks: 0,
    }
}

fn of_name(
    endpoint: &Endpoint,
    is_named: bool,
    leaf: &CertificateFacts,
    mode: SslMode,
) -> Option<Finding> {
    let severity = match mode {
        SslMode::VerifyFull => Severity::Error,
        _ => Severity::Warning,
    };
    if !is_named {
        return (mode == SslMode::VerifyFull).then(|| {
            Finding::error(
                "name-mismatch",
                "verify-full compares a host name, and the connection has only hostaddr",
                "Give host= as well: a name in the server's certificate.",
            )
        });
    }
    if host_match(leaf, &endpoint.host) != HostMatch::No {
        return None;
    }
    let names = &leaf.alternative_names;
    let addresses = names.ip.iter().map(ToString::to_string);
    let all: Vec<String> = names.dns.iter().cloned().chain(addresses).collect();
    let all = match all.is_empty() {
        true => format!("only the common name \"{}\"", leaf.title()),
        false => all.join(", "),
    };
    Some(Finding::new(
        severity,
        "name-mismatch",
        format!(
            "the certificate that {endpoint} serves is not for {}: it has {all}",
            endpoint.host
        ),
        "Connect by a name that it has, or have it issued with this one: pgpki issue-server.",
    ))
}

fn of_chain(
    endpoint: &Endpoint,
    sent: &Document,
    leaf: &CertificateFacts,
    roots: Document,
    files: &Files,
    now: OffsetDateTime,
) -> Vec<Finding> {
    let is_own_root = roots.certificates().any(|root| root == leaf);
    let mut members = vec![
        (SENT.to_owned(), Some(without_roots(sent))),
        // It is there, as the handshake has shown, and none of a client's business.
        ("server.key".to_owned(), None),
        (ROOTS.to_owned(), Some(roots)),
    ];
    members.extend(files.crl().map(|crl| (CRLS.to_owned(), Some(crl.clone()))));
    let bundle = Bundle::new(members);
    let chains = bundle.chains();
    let chain = chains
        .iter()
        .find(|chain| chain.file == SENT && chain.leaf == leaf);
    let mut findings = Vec::new();
    if !is_own_root && chain.is_none_or(|chain| chain.end != ChainEnd::Root) {
        let last = chain
            .and_then(|chain| chain.links.last())
            .map_or(leaf, |link| link.certificate);
        findings.push(Finding::error(
            "chain-broken",
            format!(
                "the chain that {endpoint} sends closes at no root of this client's ({}): it ends \
                 at {}",
                if files.has_system_roots() {
                    "the system's".to_owned()
                } else {
                    files.root_path()
                },
                last.issuer
            ),
            "Put the root of the server's CA into root.crt; if it is there, the server does not \
             send a CA in between: append that to ssl_cert_file, and reload.",
        ));
    }
    let refused = bundle
        .findings(now, Within::Third)
        .into_iter()
        .filter(|found| {
            let code = found.finding.code;
            found.finding.severity == Severity::Error
                && match found.file.as_str() {
                    SENT => !OF_FOLDERS.contains(&code),
                    CRLS => code == "crl-missing",
                    _ => false,
                }
        });
    findings.extend(refused.map(|found| {
        let message = match found.finding.code {
            "crl-missing" => {
                format!("the client has CRLs, and none of a CA in the chain of {endpoint}")
            }
            _ => format!("{endpoint} serves: {}", found.finding.message),
        };
        Finding {
            message,
            ..found.finding
        }
    }));
    findings
}

/// Nobody trusts a root because it was sent.
fn without_roots(sent: &Document) -> Document {
    let mut certificates = sent.items.iter();
    let own = certificates.next().cloned();
    let is_kept =
        |item: &&Item| !matches!(item, Item::Certificate(it) if it.is_ca && it.self_signed);
    of_items(
        own.into_iter()
            .chain(certificates.filter(is_kept).cloned())
            .collect(),
    )
}

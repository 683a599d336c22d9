//! The names of the server's certificate, against those that are in use.

use pgpki_core::document::{CertificateFacts, printable};
use pgpki_core::finding::Finding;
use pgpki_core::name::Host;

use super::Located;
use super::facts::{Facts, ServerIssued};
use crate::probe::{HostMatch, host_match};

/// What stands for every address.
const EVERYWHERE: [&str; 3] = ["*", "0.0.0.0", "::"];

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let document = facts.files.certificate_document();
    let leaf = document.and_then(|document| document.certificates().next());
    let Some(leaf) = leaf.filter(|_| facts.configuration.ssl_is_on()) else {
        return Vec::new();
    };
    let mut findings = listening(leaf, &facts.configuration.value("listen_addresses"));
    if let Ok(issued) = &facts.issued {
        let issued = issued.server.iter();
        let first = |it| refused(it).or_else(|| ledger(leaf, it).or_else(|| behind(it)));
        findings.extend(issued.flat_map(first));
    }
    findings
        .into_iter()
        .map(|finding| Located::in_file(finding, &facts.files.certificate.path))
        .collect()
}

/// An address that stands for all of them says nothing about names. Of several that are named, one
/// may be enough: clients use a name, and the others are for something else.
fn listening(leaf: &CertificateFacts, addresses: &str) -> Vec<Finding> {
    let named: Vec<&str> = addresses
        .split(',')
        .map(|it| it.trim().trim_matches('"'))
        .filter(|it| !it.is_empty())
        .collect();
    if named.iter().any(|it| EVERYWHERE.contains(it)) {
        return Vec::new();
    }
    let lacks = |name: &&&str| {
        let host: Result<Host, _> = name.parse();
        host.is_ok_and(|host| host_match(leaf, &host) == HostMatch::No)
    };
    let lacking: Vec<&str> = named.iter().filter(lacks).copied().collect();
    let names = printable(&lacking.join(", "));
    if lacking.is_empty() {
        return Vec::new();
    }
    if lacking.len() == named.len() {
        return vec![Finding::warning(
            "listen-address-unnamed",
            format!(
                "the server listens on {names}, and its certificate has none of these names: \
                 who connects there with sslmode=verify-full is refused"
            ),
            "Issue it for the names that clients use: pgpki issue-server HOST… --install DIR.",
        )];
    }
    let is_loopback = |name: &str| {
        name == "localhost" || matches!(name.parse(), Ok(Host::Ip(ip)) if ip.is_loopback())
    };
    if lacking.iter().all(|name| is_loopback(name)) {
        return Vec::new();
    }
    vec![Finding::info(
        "listen-address-unnamed",
        format!("the server also listens on {names}, and its certificate lacks that"),
        "That is right while clients use another name; otherwise issue it for this one, too.",
    )]
}

fn behind(issued: &ServerIssued) -> Option<Finding> {
    let installation = printable(&issued.installation.to_string_lossy());
    issued.is_behind.then(|| {
        Finding::warning(
            "installation-behind",
            format!(
                "the roots, chain or CRLs in {installation} are not those that the authority has \
                 now: this server may accept who was revoked, or refuse who has a new certificate"
            ),
            "pgpki rotate brings them up to date, and has the server load them.",
        )
    })
}

/// Whatever has to come there waits, and the next CRL does not come.
fn refused(issued: &ServerIssued) -> Option<Finding> {
    let refused = issued.refused.as_ref()?;
    Some(Finding::error(
        "installation-refused",
        format!(
            "neither rotate nor revoke installs anything here: {}",
            printable(&refused.why)
        ),
        &refused.hint,
    ))
}

fn ledger(leaf: &CertificateFacts, issued: &ServerIssued) -> Option<Finding> {
    let installation = printable(&issued.installation.to_string_lossy());
    let same = |serial: &str| serial.trim_start_matches('0').to_ascii_lowercase();
    let lacking: Vec<String> = issued
        .hosts
        .iter()
        .filter(|host| host_match(leaf, host) == HostMatch::No)
        .map(ToString::to_string)
        .collect();
    let lacking = match lacking.as_slice() {
        [] => String::new(),
        names => format!("; it lacks {}, which clients may use", names.join(", ")),
    };
    (same(&leaf.serial.hex) != same(&issued.serial)).then(|| {
        Finding::warning(
            "ledger-differs",
            format!(
                "the certificate has the serial {}, and the ledger says that {installation} \
                 holds {}{lacking}",
                leaf.serial.hex, issued.serial
            ),
            "If nobody put it there on purpose, pgpki rotate --force installs a new one.",
        )
    })
}

//! What is wrong with a server, as its clients see it.

use pgpki_core::bundle::Bundle;
use pgpki_core::due::Within;
use pgpki_core::finding::{Finding, Severity};
use pgpki_postgres::probe::{Cause, HostMatch, Plaintext, ProbeError};
use time::OffsetDateTime;

use super::chain::{Closing, SENT};
use super::roots::{From, of_items};
use super::{Look, Sight};
use crate::commands::inspect::certificate;

/// About a root, only its time is a client's concern.
const OF_TIME: [&str; 3] = ["expired", "not-yet-valid", "due"];

/// What the files of a folder say about a chain that ends too early; of a server, more is known.
const OF_FOLDERS: [&str; 2] = ["chain-broken", "chain-incomplete"];

pub(super) fn of(look: &Look<'_>, now: OffsetDateTime) -> Vec<Finding> {
    match &look.tls {
        Err(error) => vec![of_error(error)],
        Ok(sight) => {
            let mut findings = of_certificates(sight, now);
            findings.extend(of_chain(sight));
            findings.extend(of_name(look, sight));
            findings.extend(of_signature(sight));
            findings.extend(of_plaintext(look));
            findings
        }
    }
}

fn of_error(error: &ProbeError) -> Finding {
    let other = Finding {
        code: "unreachable",
        severity: Severity::Error,
        message: error.cause.to_string(),
        hint: error.hint().to_owned(),
    };
    match &error.cause {
        Cause::NoTls => Finding {
            code: "no-tls",
            ..other
        },
        Cause::NotPostgres { .. } | Cause::TooMuch { .. } => Finding {
            code: "not-postgresql",
            ..other
        },
        Cause::DataBeforeTls => Finding {
            code: "data-before-tls",
            ..other
        },
        Cause::Server { .. } => Finding {
            code: "server-error",
            ..other
        },
        Cause::Alert(_) | Cause::Incompatible(_) | Cause::Handshake(_) => Finding {
            code: "handshake-failed",
            ..other
        },
        _ => other,
    }
}

/// What the certificates show: those that were sent as the server's own file, and of the roots how
/// long they count.
fn of_certificates(sight: &Sight, now: OffsetDateTime) -> Vec<Finding> {
    let unreadable = sight.unreadable.iter().map(|(place, why)| Finding {
        code: "unreadable",
        severity: Severity::Error,
        message: format!("certificate {place} of the chain cannot be read: {why}"),
        hint: "Put the right certificates into ssl_cert_file, and reload.".to_owned(),
    });
    let mut findings: Vec<Finding> = unreadable.collect();
    let closing = sight.closings.iter().find(|closing| closing.closes);
    let through = closing.map_or(&[][..], |closing| &closing.through);
    let store = closing.map_or("the roots", |closing| &closing.store);
    let known = through
        .iter()
        .cloned()
        .map(pgpki_core::document::Item::Certificate);
    let bundle = Bundle::new(vec![
        (SENT.to_owned(), Some(sight.document.clone())),
        // It is there, as the handshake has shown, and none of our business.
        ("server.key".to_owned(), None),
        (store.to_owned(), Some(of_items(known.collect()))),
    ]);
    for found in bundle.findings(now, Within::Third) {
        let code = found.finding.code;
        let counts = match found.file == SENT {
            true => !OF_FOLDERS.contains(&code),
            false => OF_TIME.contains(&code),
        };
        if counts {
            findings.push(found.finding);
        }
    }
    findings
}

/// Where the chain closes, and whether everything that is needed for it was sent.
fn of_chain(sight: &Sight) -> Option<Finding> {
    let leaf = sight.document.certificates().next()?;
    let first = sight.closings.first()?;
    if let Some(closing) = sight.closings.iter().find(|closing| closing.closes) {
        let missing = closing.through.iter().find(|ca| !ca.self_signed)?;
        return Some(not_sent(missing.title(), closing));
    }
    // The longest way that was found, and what it lacks.
    let longest = sight.closings.iter().map(|closing| closing.names.len());
    let end = match longest.max() {
        Some(length) if length > 1 => first.names.last().cloned().unwrap_or_default(),
        _ => leaf.issuer.clone(),
    };
    let stores: Vec<_> = sight.closings.iter().map(|it| it.store.as_str()).collect();
    let message = format!(
        "the chain of \"{}\" closes at no root of {}: it ends at {end}",
        leaf.title(),
        stores.join(" or ")
    );
    let given = first.from == From::File;
    Some(match given {
        true => Finding {
            code: "chain-broken",
            severity: Severity::Error,
            message,
            hint: "If a CA in between was not sent, append its certificate to ssl_cert_file and \
                   reload; otherwise clients need another root."
                .to_owned(),
        },
        false => Finding {
            code: "root-unknown",
            severity: Severity::Warning,
            message,
            hint: "Name the roots that clients have with --root FILE; without them, \
                   sslmode=verify-full refuses this server."
                .to_owned(),
        },
    })
}

/// psql with a root.crt that has just the root says `certificate verify failed`.
fn not_sent(ca: String, closing: &Closing) -> Finding {
    Finding {
        code: "chain-incomplete",
        // Clients of this authority have the root, and nothing below it.
        severity: match closing.from {
            From::Authority => Severity::Error,
            From::File | From::System => Severity::Warning,
        },
        message: format!(
            "the server does not send the certificate of the CA \"{ca}\", which is known here \
             only from {}",
            closing.store
        ),
        hint: "Append it to ssl_cert_file, behind the server's own, and reload: clients may have \
               nothing but the root."
            .to_owned(),
    }
}

fn of_name(look: &Look<'_>, sight: &Sight) -> Option<Finding> {
    let leaf = sight.document.certificates().next()?;
    let host = &look.server.endpoint.host;
    let names = certificate::names(&leaf.alternative_names).join(", ");
    let names = match names.as_str() {
        "" => format!("no names, and the common name \"{}\"", leaf.title()),
        names => names.to_owned(),
    };
    let (severity, message) = match sight.host? {
        HostMatch::Yes => return None,
        HostMatch::LibpqOnly => (
            Severity::Warning,
            format!("only libpq takes the certificate for {host}: it has {names}"),
        ),
        HostMatch::No => (
            Severity::Error,
            format!("the certificate is not for {host}: it has {names}"),
        ),
    };
    Some(Finding {
        code: "name-mismatch",
        severity,
        message,
        hint: "Have it issued with this name (pgpki issue-server), or connect by one that it has."
            .to_owned(),
    })
}

fn of_signature(sight: &Sight) -> Option<Finding> {
    let why = sight.served.signature_unchecked.as_ref()?;
    Some(Finding {
        code: "certificate-unusable",
        severity: Severity::Warning,
        message: format!("clients with rustls cannot use the certificate: {why}"),
        hint: "Have it issued again, with X.509 version 3; psql may take it as it is.".to_owned(),
    })
}

fn of_plaintext(look: &Look<'_>) -> Option<Finding> {
    let Some(Ok(Plaintext::Taken { method })) = &look.plaintext else {
        return None;
    };
    let login = super::text::login(&look.server.login);
    let what = match *method {
        "trust" => "lets in without TLS".to_owned(),
        method => format!("asks for authentication ({method}) without TLS"),
    };
    Some(Finding {
        code: "plaintext-accepted",
        severity: Severity::Warning,
        message: format!("the server {what}, as it answered to {login}"),
        hint: "Put \"hostnossl all all all reject\" at the top of pg_hba.conf, and reload."
            .to_owned(),
    })
}

//! What is wrong with one certificate.

use time::{Duration, OffsetDateTime};

use super::findings::{Use, moment};
use super::key_findings::public_key_findings;
use super::{CertificateFacts, KeyKind, Strength};
use crate::due::{Phase, Within};
use crate::finding::{Finding, Severity};
use crate::name::Host;

/// Ten years: a key in daily use on a server or a laptop does not stay secret for longer.
const LONG_LEAF: Duration = Duration::days(3660);
/// Forty years, which no algorithm has lasted yet.
const LONG_CA: Duration = Duration::days(14_610);

pub(super) fn certificate_findings(
    facts: &CertificateFacts,
    usage: Use,
    now: OffsetDateTime,
    within: Within,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(time(facts, now, within));
    findings.extend(lifetime(facts));
    findings.extend(kind(facts, usage));
    findings.extend(key_usage(facts));
    findings.extend(purpose(facts, usage));
    findings.extend(names(facts, usage));
    findings.extend(public_key_findings(&facts.public_key.kind, &facts.title()));
    findings.extend(signature(facts, usage));
    findings.extend(identifiers(facts));
    if !facts.unusable_extensions.is_empty() {
        findings.push(Finding::error(
            "extension-unusable",
            format!(
                "{} has extensions that OpenSSL refuses: {}",
                called(facts),
                facts.unusable_extensions.join(", ")
            ),
            "Have the certificate issued again without them.",
        ));
    }
    findings
}

fn called(facts: &CertificateFacts) -> String {
    let kind = if facts.is_ca { "CA" } else { "certificate" };
    format!("the {kind} \"{}\"", facts.title())
}

fn time(facts: &CertificateFacts, now: OffsetDateTime, within: Within) -> Option<Finding> {
    let called = called(facts);
    let validity = facts.validity;
    if validity.not_after < validity.not_before {
        return Some(Finding::error(
            "validity-empty",
            format!("{called} ends before it begins"),
            "Have it issued again: it never counts.",
        ));
    }
    match Phase::at(validity, within, now) {
        Phase::Valid => None,
        Phase::Expired => Some(Finding::error(
            "expired",
            format!("{called} expired on {}", moment(validity.not_after)),
            "Renew it now: a server loads it in silence, and everybody refuses it.",
        )),
        Phase::NotYetValid => Some(Finding::error(
            "not-yet-valid",
            format!("{called} counts only from {}", moment(validity.not_before)),
            "Compare the clocks of this machine and of the CA.",
        )),
        Phase::Due => Some(Finding::new(
            // Whoever trusts a foreign root has no way to renew it.
            if facts.is_ca {
                Severity::Info
            } else {
                Severity::Warning
            },
            "due",
            format!("{called} expires on {}", moment(validity.not_after)),
            "Renew it before that.",
        )),
    }
}

fn lifetime(facts: &CertificateFacts) -> Option<Finding> {
    let limit = if facts.is_ca { LONG_CA } else { LONG_LEAF };
    let length = facts.validity.length();
    (length > limit).then(|| {
        Finding::warning(
            "lifetime-long",
            format!("{} lasts {} days", called(facts), length.whole_days()),
            "Have it issued for a year, and renewed by a machine: a stolen key works as long.",
        )
    })
}

fn kind(facts: &CertificateFacts, usage: Use) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = matches!(usage, Use::Server | Use::Client);
    if facts.is_ca && (own || !facts.alternative_names.is_empty()) {
        findings.push(Finding::warning(
            "leaf-is-ca",
            format!(
                "{} is used as a server's or client's certificate",
                called(facts)
            ),
            "Have one issued that is no CA: with this key, anybody can be certified.",
        ));
    }
    if facts.is_ca && !facts.critical_constraints {
        findings.push(Finding::warning(
            "constraints-not-critical",
            format!(
                "{} does not mark its basicConstraints critical",
                called(facts)
            ),
            "Have it made again (RFC 5280 section 4.2.1.9): Python 3.13 refuses it.",
        ));
    }
    if !facts.is_ca && facts.self_signed {
        findings.push(Finding::warning(
            "self-signed-leaf",
            format!("{} is signed with its own key, and is no CA", called(facts)),
            "Have one issued by a CA: sqlx and tokio-postgres do not take this one as a root.",
        ));
    }
    if usage == Use::Trust && !facts.is_ca && !facts.self_signed {
        findings.push(Finding::warning(
            "trust-not-ca",
            format!("{} stands among the roots, and is no CA", called(facts)),
            "Put the CA's certificate there instead: nothing is checked against this one.",
        ));
    }
    findings
}

fn key_usage(facts: &CertificateFacts) -> Option<Finding> {
    let (severity, missing, consequence) = match facts.is_ca {
        true if !facts.may("keyCertSign") => (
            Severity::Error,
            "keyCertSign",
            "Have it made again: nothing that it signs is accepted.",
        ),
        true if !facts.may("cRLSign") => (
            Severity::Warning,
            "cRLSign",
            "Have it made again if it shall ever revoke: its CRLs are refused.",
        ),
        false if !facts.may("digitalSignature") => (
            Severity::Error,
            "digitalSignature",
            "Have it issued again: TLS 1.3 cannot use it.",
        ),
        _ => return None,
    };
    let message = format!("the key usage of {} lacks {missing}", called(facts));
    Some(Finding::new(severity, "key-usage", message, consequence))
}

fn purpose(facts: &CertificateFacts, usage: Use) -> Option<Finding> {
    let Some(purposes) = &facts.purposes else {
        return (!facts.is_ca).then(|| {
            Finding::info(
                "purpose-unstated",
                format!("{} has no extended key usage", called(facts)),
                "PostgreSQL takes it as a server's and as a client's; have it issued for one.",
            )
        });
    };
    let (lacks, who) = match usage {
        Use::Server if !purposes.server => ("serverAuth", "clients refuse"),
        Use::Client if !purposes.client => ("clientAuth", "the server refuses"),
        _ if !purposes.server && !purposes.client => {
            ("serverAuth and clientAuth", "PostgreSQL refuses")
        }
        _ => return None,
    };
    Some(Finding::error(
        "purpose-missing",
        format!(
            "the extended key usage of {} lacks {lacks}; {who} it as \"unsupported certificate\"",
            called(facts)
        ),
        "Have it issued again for this purpose; anyExtendedKeyUsage does not count.",
    ))
}

fn names(facts: &CertificateFacts, usage: Use) -> Vec<Finding> {
    let mut findings = Vec::new();
    let purposes = facts.purposes.as_ref();
    let serves = usage == Use::Server || purposes.is_some_and(|p| p.server && !p.client);
    let serves = serves && usage != Use::Client && !facts.is_ca;
    if serves && facts.alternative_names.is_empty() {
        findings.push(Finding::warning(
            "no-alternative-name",
            format!(
                "{} has no subjectAltName with a host or address",
                called(facts)
            ),
            "Have it issued with one: psql still looks at the common name, sqlx and rustls do not.",
        ));
    }
    for name in &facts.alternative_names.dns {
        if let Err(error) = name.parse::<Host>() {
            findings.push(Finding::warning(
                "name-unusable",
                format!(
                    "{} has the DNS name \"{name}\": {}",
                    called(facts),
                    error.reason
                ),
                "Have it issued with a proper name; clients do not match this one.",
            ));
        } else if name.parse::<std::net::IpAddr>().is_ok() {
            findings.push(Finding::warning(
                "name-unusable",
                format!("{} has the address {name} as a DNS name", called(facts)),
                "Have it issued with the address as an IP address; most clients look only there.",
            ));
        }
    }
    if facts.zero_in_common_name {
        findings.push(Finding::error(
            "zero-in-name",
            format!("the common name of {} contains a zero byte", called(facts)),
            "PostgreSQL refuses it as an attack; have it issued again.",
        ));
    }
    let logs_in = usage == Use::Client || purposes.is_some_and(|p| p.client && !p.server);
    if logs_in && !facts.is_ca && facts.common_name.as_deref().unwrap_or_default().is_empty() {
        findings.push(Finding::error(
            "no-common-name",
            format!("{} has no common name", called(facts)),
            "Have it issued with the role as its common name: otherwise \"client certificate \
             contains no user name\".",
        ));
    }
    findings
}

fn signature(facts: &CertificateFacts, usage: Use) -> Option<Finding> {
    let algorithm = &facts.signature_algorithm;
    let no_digest = matches!(facts.public_key.kind, KeyKind::Ed25519 | KeyKind::Ed448);
    if facts.is_ca && no_digest {
        return Some(Finding::warning(
            "signature-no-digest",
            format!(
                "{} has a key of the kind {}",
                called(facts),
                facts.public_key.kind
            ),
            "Make a CA with P-256, P-384 or RSA: psql refuses servers whose certificates this one \
             signs (\"could not find digest for NID UNDEF\").",
        ));
    }
    match facts.signature_strength {
        // Nobody checks the signature that a root puts under itself.
        Strength::Broken if !facts.self_signed => Some(Finding::error(
            "signature-weak",
            format!(
                "{} is signed by {algorithm}: \"ca md too weak\"",
                called(facts)
            ),
            "Have it issued again with SHA-256.",
        )),
        Strength::NoDigest if !facts.is_ca => {
            let purposes = facts.purposes.as_ref();
            let severity = match usage {
                Use::Client => return None,
                Use::Server => Severity::Error,
                _ if purposes.is_some_and(|p| !p.server) => return None,
                _ if purposes.is_some_and(|p| p.server) => Severity::Error,
                _ => Severity::Warning,
            };
            Some(Finding::new(
                severity,
                "signature-no-digest",
                format!("{} is signed by {algorithm}", called(facts)),
                "Have it signed by a CA with P-256, P-384 or RSA: with password authentication \
                 psql fails here with \"could not find digest for NID UNDEF\".",
            ))
        }
        _ => None,
    }
}

fn identifiers(facts: &CertificateFacts) -> Vec<Finding> {
    const HINT: &str = "Have it issued again with one: without it, OpenSSL may pick a wrong issuer \
                        once two CAs have one name, and Python 3.13 refuses it.";
    let mut findings = Vec::new();
    if facts.subject_key_id.is_none() {
        // OpenSSL looks for the issuer's, never for a leaf's.
        let severity = if facts.is_ca {
            Severity::Warning
        } else {
            Severity::Info
        };
        let message = format!("{} has no subject key identifier", called(facts));
        findings.push(Finding::new(
            severity,
            "subject-key-id-missing",
            message,
            HINT,
        ));
    }
    if facts.authority_key_id.is_none() && !facts.self_signed {
        let message = format!("{} has no authority key identifier", called(facts));
        findings.push(Finding::warning("authority-key-id-missing", message, HINT));
    }
    findings
}

//! What is wrong with one file, as PostgreSQL and its clients see it.

use std::collections::HashSet;

use time::OffsetDateTime;

use super::certificate_findings::certificate_findings;
use super::key_findings::{key_findings, public_key_findings};
use super::{
    CertificateFacts, CrlFacts, Document, Encoding, Item, Opening, Pkcs12Facts, RequestFacts,
    Signature,
};
use crate::due::{Phase, Within};
use crate::finding::{Finding, Severity};
use crate::validity::Validity;

/// OpenSSL follows no longer chain (its default depth), so no more of one needs to be compared.
const LONGEST_CHAIN: usize = 100;

/// What a file is for, where its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A server's own certificate.
    Server,
    /// A client's own certificate.
    Client,
    /// The roots that others are checked against.
    Trust,
    /// It may be anything.
    Unknown,
}

/// Everything that one file shows by itself.
pub fn findings(document: &Document, now: OffsetDateTime, within: Within) -> Vec<Finding> {
    let mut findings = findings_for(document, Use::Unknown, |_| true, now, within);
    findings.extend(lonely_leaf(document));
    findings
}

/// The same for a file whose use is known, but for what only its neighbours can tell. The CRL of a
/// CA that nobody here is signed by may lapse unnoticed: nobody is refused for it.
pub(crate) fn findings_for(
    document: &Document,
    usage: Use,
    is_needed: impl Fn(&CrlFacts) -> bool,
    now: OffsetDateTime,
    within: Within,
) -> Vec<Finding> {
    let mut findings = form(document);
    findings.extend(key_with_certificate(document, usage));
    let certificates: Vec<_> = document.certificates().collect();
    findings.extend(duplicates(&certificates));
    // Nobody loads a file of roots as a chain of its own.
    if usage != Use::Trust {
        findings.extend(order(&certificates));
    }
    for item in &document.items {
        match item {
            Item::Certificate(facts) => {
                // Only the first certificate of a file is the server's or client's own.
                let own = certificates.first().is_some_and(|first| *first == facts);
                let usage = if own || usage == Use::Trust {
                    usage
                } else {
                    Use::Unknown
                };
                findings.extend(certificate_findings(facts, usage, now, within));
            }
            Item::Key(facts) => findings.extend(key_findings(facts)),
            Item::Request(facts) => findings.extend(request_findings(facts)),
            Item::Crl(facts) => {
                findings.extend(crl_findings(facts));
                if is_needed(facts) {
                    findings.extend(lapse(facts, now, within));
                }
            }
            Item::Pkcs12(facts) => findings.extend(pkcs12_findings(facts, now, within)),
            Item::Other { label } => findings.extend(other_block(label)),
        }
    }
    findings
}

fn form(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    if document.encoding == Encoding::Der {
        findings.extend(document.items.first().and_then(binary));
    }
    if document.byte_order_mark {
        findings.push(Finding::warning(
            "byte-order-mark",
            "the file begins with a byte order mark",
            "Save it without one: OpenSSL skips it, but Go's pgx and others then miss the first \
             block.",
        ));
    }
    if document.ignored_blocks > 0 {
        findings.push(Finding::warning(
            "block-ignored",
            format!(
                "{} BEGIN lines are indented, or have something before or behind them",
                document.ignored_blocks
            ),
            "OpenSSL passes over such blocks in silence; put each BEGIN line at the start of a \
             line of its own.",
        ));
    }
    if document.text_between {
        findings.push(Finding::info(
            "text-between",
            "there is text beside the PEM blocks",
            "PostgreSQL does not look at it; make sure that it says what the blocks say.",
        ));
    }
    findings
}

/// Programs other than libpq want one file with everything. Where its name promises a certificate, nobody expects a key.
fn key_with_certificate(document: &Document, usage: Use) -> Option<Finding> {
    let has_certificate = document.certificates().next().is_some();
    if !has_certificate || document.keys().next().is_none() {
        return None;
    }
    let severity = match usage {
        Use::Server | Use::Client | Use::Trust => Severity::Warning,
        Use::Unknown => Severity::Info,
    };
    Some(Finding::new(
        severity,
        "key-with-certificate",
        "a private key stands in one file with a certificate",
        "Where no program wants them together, keep the key in a file of its own: certificates are handed around, keys \
         are not.",
    ))
}

fn binary(item: &Item) -> Option<Finding> {
    let what = match item {
        Item::Certificate(_) => "certificate",
        Item::Crl(_) => "CRL",
        Item::Key(_) => {
            return Some(Finding::info(
                "key-der",
                "the private key is DER, not PEM",
                "pgJDBC wants it so and libpq accepts it; for the server, convert it to PEM.",
            ));
        }
        _ => return None,
    };
    Some(Finding::error(
        "der-not-pem",
        format!("the {what} is DER, and PostgreSQL wants PEM: \"no start line\""),
        "Convert it with openssl and -inform DER -outform PEM.",
    ))
}

fn duplicates(certificates: &[&CertificateFacts]) -> Vec<Finding> {
    let mut seen = HashSet::new();
    let again = certificates
        .iter()
        .filter(|c| !seen.insert(c.fingerprint.as_str()));
    let finding = |certificate: &&CertificateFacts| {
        Finding::info(
            "duplicate-certificate",
            format!(
                "the certificate \"{}\" is in the file twice",
                certificate.title()
            ),
            "Remove one of the two.",
        )
    };
    again.map(finding).collect()
}

/// The order matters to whoever loads a file as its own chain: the leaf comes first, and each
/// certificate is followed by its issuer.
fn order(certificates: &[&CertificateFacts]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some((first, others)) = certificates.split_first() else {
        return findings;
    };
    let leaf = |c: &&&CertificateFacts| !c.is_ca && !c.self_signed;
    if first.is_ca {
        if let Some(leaf) = others.iter().find(leaf) {
            findings.push(Finding::error(
                "chain-order",
                format!(
                    "the CA \"{}\" stands before the certificate \"{}\", which PostgreSQL answers \
                     with \"key values mismatch\"",
                    first.title(),
                    leaf.title()
                ),
                "Put the server's or client's own certificate first, and its issuer behind it.",
            ));
        }
        return findings;
    }
    if out_of_order(certificates) {
        findings.push(Finding::warning(
            "chain-order",
            "the certificates of the chain do not follow each other",
            "Put each issuer directly behind what it has signed: some clients do not sort.",
        ));
    }
    if let Some(root) = others.iter().find(|c| c.is_ca && c.self_signed) {
        findings.push(Finding::info(
            "root-in-chain",
            format!("the chain contains its root, \"{}\"", root.title()),
            "It is harmless, and can be left out: nobody trusts a root because it was sent.",
        ));
    }
    findings
}

fn out_of_order(certificates: &[&CertificateFacts]) -> bool {
    let certificates = certificates.get(..LONGEST_CHAIN).unwrap_or(certificates);
    certificates
        .windows(2)
        .enumerate()
        .any(|(place, pair)| match pair {
            [one, next] => {
                let mut later = certificates.iter().skip(place + 2);
                one.issuer != next.subject && later.any(|c| c.subject == one.issuer)
            }
            _ => false,
        })
}

fn lonely_leaf(document: &Document) -> Option<Finding> {
    let certificates: Vec<_> = document.certificates().collect();
    let leaf = certificates.first()?;
    if leaf.is_ca || leaf.self_signed || certificates.iter().any(|c| c.subject == leaf.issuer) {
        return None;
    }
    Some(Finding::info(
        "chain-incomplete",
        format!(
            "the certificate \"{}\" stands without its issuer, {}",
            leaf.title(),
            leaf.issuer
        ),
        "If that is not a root which everybody trusts already, append its certificate to the file.",
    ))
}

fn other_block(label: &str) -> Option<Finding> {
    match label {
        // Every `openssl ecparam -genkey` writes this in front of the key.
        "EC PARAMETERS" => None,
        "OPENSSH PRIVATE KEY" => Some(Finding::error(
            "ssh-key",
            "it holds a private key in OpenSSH's own form, which PostgreSQL cannot read",
            "Make a key for TLS; if it must be this one, ssh-keygen -p -m PKCS8 converts it.",
        )),
        _ => Some(Finding::info(
            "unknown-block",
            format!("there is a PEM block \"{label}\", in which PostgreSQL finds nothing"),
            "Remove it if nothing else needs it.",
        )),
    }
}

/// A beginning that has not come, or an end that has, or is near.
fn lapse(crl: &CrlFacts, now: OffsetDateTime, within: Within) -> Option<Finding> {
    let issuer = &crl.issuer;
    let begins = moment(crl.this_update);
    if now < crl.this_update {
        return Some(Finding::error(
            "crl-not-yet-valid",
            format!("the CRL of {issuer} counts only from {begins}"),
            "Compare the clocks of this machine and of the CA.",
        ));
    }
    let not_after = crl.next_update?;
    let validity = Validity {
        not_before: crl.this_update,
        not_after,
    };
    let ends = moment(not_after);
    match Phase::at(validity, within, now) {
        Phase::Expired => Some(Finding::error(
            "crl-expired",
            format!("the CRL of {issuer} lapsed on {ends}"),
            "PostgreSQL refuses everybody who presents a certificate until a newer one is \
             there: make one now.",
        )),
        Phase::Due => Some(Finding::warning(
            "crl-due",
            format!("the CRL of {issuer} lapses on {ends}"),
            "Make a newer one in time: after that, everybody is refused.",
        )),
        Phase::NotYetValid | Phase::Valid => None,
    }
}

fn crl_findings(crl: &CrlFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let issuer = &crl.issuer;
    if crl.has_distribution_point {
        findings.push(Finding::error(
            "crl-distribution-point",
            format!("the CRL of {issuer} has an issuing distribution point"),
            "OpenSSL refuses it unless each certificate names the same one; make it without.",
        ));
    }
    if crl.authority_key_id.is_none() {
        findings.push(Finding::warning(
            "authority-key-id-missing",
            format!("the CRL of {issuer} has no authority key identifier"),
            "Make it with one: without it, two CAs of one name are confused.",
        ));
    }
    findings
}

fn request_findings(request: &RequestFacts) -> Vec<Finding> {
    let mut findings = public_key_findings(&request.public_key.kind, &request.subject);
    match request.signature {
        Signature::Good => {}
        Signature::Bad => findings.push(Finding::error(
            "request-signature",
            format!(
                "the request for {} is not signed with its own key",
                request.subject
            ),
            "Make the request again; this one was damaged or altered.",
        )),
        Signature::Unsupported => findings.push(Finding::info(
            "request-signature",
            format!(
                "the signature ({}) cannot be checked here",
                request.signature_algorithm
            ),
            "Check it with openssl req -verify before you sign it.",
        )),
    }
    findings
}

fn pkcs12_findings(facts: &Pkcs12Facts, now: OffsetDateTime, within: Within) -> Vec<Finding> {
    let mut findings = Vec::new();
    let methods: Vec<_> = facts.encryption.iter().map(|e| e.method.as_str()).collect();
    let methods = methods.join("; ");
    match facts.opening {
        Opening::NotEncrypted | Opening::Opened => {}
        Opening::PassphraseNeeded => findings.push(Finding::info(
            "pkcs12-locked",
            format!("the PKCS#12 container is encrypted ({methods})"),
            "Give its passphrase to see everything that is inside.",
        )),
        Opening::WrongPassphrase => findings.push(Finding::warning(
            "pkcs12-passphrase",
            "the passphrase does not open the PKCS#12 container",
            "Try another one; if it must be right, the file is damaged.",
        )),
        Opening::Unsupported => findings.push(Finding::info(
            "pkcs12-method",
            format!("the PKCS#12 container is encrypted by a method not known here: {methods}"),
            "Look into it with openssl pkcs12 -legacy, and make it anew with AES.",
        )),
        Opening::TooCostly => findings.push(Finding::warning(
            "pkcs12-costly",
            format!("opening the PKCS#12 container would cost too much work: {methods}"),
            "Ask whoever made it for one with fewer iterations, if it can be trusted at all.",
        )),
    }
    for key in &facts.keys {
        if key.alias.as_deref() != Some("user") {
            findings.push(Finding::warning(
                "pkcs12-alias",
                format!(
                    "the key has the alias \"{}\", and pgJDBC looks for \"user\"",
                    key.alias.as_deref().unwrap_or_default()
                ),
                "Write the container anew with pgpki convert FILE --to pkcs12, which calls it user.",
            ));
        }
    }
    for certificate in &facts.certificates {
        let certificate = &certificate.facts;
        findings.extend(certificate_findings(certificate, Use::Unknown, now, within));
    }
    findings
}

/// An instant for people.
pub(super) fn moment(instant: OffsetDateTime) -> String {
    let (date, time) = (instant.date(), instant.time());
    format!("{date} {:02}:{:02} UTC", time.hour(), time.minute())
}

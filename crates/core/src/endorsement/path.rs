//! The ways up from a CA to roots, through the certificates that are at hand.
//!
//! A CA may have been certified by several others: by an old root and by the one that follows it, or anew by the same. Each way
//! that closes counts, and one that does not is no reason to refuse another.

use time::OffsetDateTime;

use super::check::{check, check_signature, names_as_issuer};
use super::{EndorsementError, MAX_LENGTH};
use crate::document::{CertificateFacts, Signature};
use crate::validity::Validity;

/// The CA first, the root last.
pub(super) type Path<'a> = Vec<&'a CertificateFacts>;

/// More ways than a company has roots.
const MAX_PATHS: usize = 8;

/// How many certificates are looked at: files in which everybody has certified everybody are made to keep us busy.
const MAX_STEPS: usize = 256;

/// The ways from this CA up, itself included. There is at least one.
pub(super) fn from<'a>(
    issuer: &'a CertificateFacts,
    found: &'a [CertificateFacts],
    now: OffsetDateTime,
) -> Result<Vec<Path<'a>>, EndorsementError> {
    let mut search = Search::new(found, now);
    search.go_on(vec![issuer]);
    search.result()
}

/// The ways from whoever has signed this certificate up.
pub(super) fn above<'a>(
    certificate: &CertificateFacts,
    found: &'a [CertificateFacts],
    now: OffsetDateTime,
) -> Result<Vec<Path<'a>>, EndorsementError> {
    let mut search = Search::new(found, now);
    for issuer in issuers_of(certificate, found, now)? {
        search.go_on(vec![issuer]);
    }
    search.result()
}

/// The certificate that is nobody's issuer; the first, if all are.
pub(super) fn lowest(found: &[CertificateFacts]) -> Option<&CertificateFacts> {
    let has_signed = |ca: &CertificateFacts| {
        let mut others = found.iter().filter(|it| it.subject != ca.subject);
        others.any(|other| other.issuer == ca.subject)
    };
    found.iter().find(|ca| !has_signed(ca)).or(found.first())
}

struct Search<'a> {
    found: &'a [CertificateFacts],
    now: OffsetDateTime,
    paths: Vec<Path<'a>>,
    /// What stood against the first way that led nowhere, which is the one that was meant.
    refusal: Option<EndorsementError>,
    steps: usize,
}

impl<'a> Search<'a> {
    fn new(found: &'a [CertificateFacts], now: OffsetDateTime) -> Self {
        Self {
            found,
            now,
            paths: Vec::new(),
            refusal: None,
            steps: 0,
        }
    }

    fn go_on(&mut self, path: Path<'a>) {
        match self.next(&path) {
            Ok(next) if next.is_empty() => self.paths.push(path),
            Ok(next) => {
                for issuer in next {
                    let mut longer = path.clone();
                    longer.push(issuer);
                    self.go_on(longer);
                }
            }
            Err(refusal) => {
                self.refusal.get_or_insert(refusal);
            }
        }
    }

    /// Who may follow; nobody where the way has come to its end.
    fn next(&mut self, path: &[&'a CertificateFacts]) -> Result<Path<'a>, EndorsementError> {
        self.steps += 1;
        let Some(last) = path.last().filter(|_| self.steps <= MAX_STEPS) else {
            return Err(EndorsementError::TooLong);
        };
        check(last, path.len(), self.now)?;
        if last.self_signed {
            return Ok(Vec::new());
        }
        check_signature(last)?;
        if path.len() == MAX_LENGTH {
            return Err(EndorsementError::TooLong);
        }
        let mut issuers = issuers_of(last, self.found, self.now)?;
        // Two CAs that have certified one another lead back here, and no client builds that: whatever follows from here is reached
        // without it.
        let is_on_the_way = |it: &CertificateFacts| path.iter().any(|ca| is_same_ca(ca, it));
        issuers.retain(|issuer| !is_on_the_way(issuer));
        match issuers.is_empty() {
            true => Err(EndorsementError::Circle(last.title())),
            false => Ok(issuers),
        }
    }

    fn result(mut self) -> Result<Vec<Path<'a>>, EndorsementError> {
        self.paths.truncate(MAX_PATHS);
        match (self.paths.is_empty(), self.refusal) {
            (true, Some(refusal)) => Err(refusal),
            (true, None) => Err(EndorsementError::NoCertificate),
            (false, _) => Ok(self.paths),
        }
    }
}

/// Whichever of its certificates these are.
fn is_same_ca(one: &CertificateFacts, other: &CertificateFacts) -> bool {
    one.subject == other.subject && one.public_key == other.public_key
}

/// Who signed a certificate; at least one. Of several that did, such as a root and the same root under another one, or a CA and
/// the same CA renewed, those that count at `now` come first, and of those the self-signed.
fn issuers_of<'a>(
    certificate: &CertificateFacts,
    found: &'a [CertificateFacts],
    now: OffsetDateTime,
) -> Result<Path<'a>, EndorsementError> {
    let name = certificate.title();
    let issuer = certificate.issuer.clone();
    let is_named = |it: &&CertificateFacts| it.subject == issuer && it.der != certificate.der;
    let named: Path<'_> = found.iter().filter(is_named).collect();
    if named.is_empty() {
        return Err(EndorsementError::IssuerMissing { name, issuer });
    }
    let (mut good, mut others) = (Vec::new(), Vec::new());
    for it in named {
        match certificate.signed_by(it) {
            Signature::Good => good.push(it),
            verdict => others.push(verdict),
        }
    }
    if good.is_empty() {
        return Err(match others.contains(&Signature::Unsupported) {
            true => EndorsementError::Unchecked {
                name,
                algorithm: certificate.signature_algorithm.clone(),
            },
            false => EndorsementError::NotSigned { name, issuer },
        });
    }
    good.retain(|it| names_as_issuer(certificate, it));
    if good.is_empty() {
        return Err(EndorsementError::OtherIssuer { name, issuer });
    }
    let counts = |issuer: &CertificateFacts| {
        let Validity {
            not_before,
            not_after,
        } = issuer.validity;
        (not_before..=not_after).contains(&now)
    };
    // Of equals, the first: the order of the file stays.
    good.sort_by_key(|issuer| (!counts(issuer), !issuer.self_signed));
    Ok(good)
}

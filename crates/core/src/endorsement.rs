//! A CA of somebody else's, such as a company's, under which an issuing CA of ours is to stand: its chain up to its root,
//! and the certificate that it gives our CA, its *endorsement*.

mod pkcs7;

use time::{OffsetDateTime, UtcOffset};

use crate::document::{
    CertificateFacts, Document, Item, KeyKind, Place, ReadError, Signature, Strength, der,
};
use crate::issue::{CaFacts, IssueError, parse};
use crate::name_constraints::{NameConstraints, Permitted};
use crate::subject_key::SubjectKey;
use crate::validity::Validity;

/// More CAs than this above one another are a mistake, or an attempt to keep us busy.
const MAX_LENGTH: usize = 8;

/// More certificates than this in one file are no chain.
const MAX_CERTIFICATES: usize = 64;

/// What OpenSSL's security level 2, Debian's default, demands of RSA.
const MIN_RSA_BITS: usize = 2048;

/// A CA that signs, and the CAs above it up to a root. Every signature in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerChain {
    /// The issuer first, the root last.
    certificates: Vec<Vec<u8>>,
    constraints: Vec<NameConstraints>,
    until: OffsetDateTime,
}

/// Why a chain, or what it has signed, cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndorsementError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No certificate in it.
    #[error("it holds no certificate")]
    NoCertificate,
    /// Far too many.
    #[error("it holds {0} certificates, and no chain has more than {MAX_CERTIFICATES}")]
    TooMany(usize),
    /// A chain without an end.
    #[error("more than {MAX_LENGTH} CAs are above one another in it")]
    TooLong,
    /// The chain ends before a root.
    #[error(
        "the certificate of {issuer} is missing, which has signed {name:?}: a chain ends with a self-signed root"
    )]
    IssuerMissing {
        /// The last certificate that is there.
        name: String,
        /// The name of the one that is not.
        issuer: String,
    },
    /// A certificate with the right name has not signed.
    #[error("{name:?} was not signed by the certificate of {issuer} that is there")]
    NotSigned {
        /// The certificate.
        name: String,
        /// The name of whoever should have signed it.
        issuer: String,
    },
    /// A signature of a kind that is not known here.
    #[error("the signature of {name:?} cannot be checked here: it is {algorithm}")]
    Unchecked {
        /// The certificate.
        name: String,
        /// What it is signed with.
        algorithm: String,
    },
    /// No CA.
    #[error("{0:?} is no CA's certificate")]
    NotACa(String),
    /// It may not sign certificates.
    #[error("{0:?} may not sign certificates: its keyUsage has no keyCertSign")]
    NoCertSign(String),
    /// No room below it.
    #[error("{name:?} has a path length of {limit}: {needed} {} would be below it", if *needed == 1 { "CA" } else { "CAs" })]
    PathLength {
        /// The CA.
        name: String,
        /// How many CAs may be below it.
        limit: u32,
        /// How many there would be.
        needed: usize,
    },
    /// Not for servers.
    #[error("{0:?} may not sign for servers: its extendedKeyUsage has no serverAuth")]
    NotForServers(String),
    /// Not now.
    #[error("{name:?} counts from {} until {}, and it is {} now", second(*not_before), second(*not_after), second(*now))]
    NotValid {
        /// The CA.
        name: String,
        /// Its first second.
        not_before: OffsetDateTime,
        /// Its last second.
        not_after: OffsetDateTime,
        /// What the clock says.
        now: OffsetDateTime,
    },
    /// Clients would refuse it.
    #[error("{name:?} is too weak for PostgreSQL's clients: {why}")]
    Weak {
        /// The CA.
        name: String,
        /// What is weak.
        why: String,
    },
    /// Something in it that nobody may pass over.
    #[error(
        "{name:?} has an extension that is critical and not known here, or damaged: {extension}"
    )]
    Extension {
        /// The CA.
        name: String,
        /// Which.
        extension: String,
    },
    /// A certificate for somebody else's key.
    #[error("{0:?} is for another key than the one that the request was made with")]
    OtherKey(String),
    /// What was made of the request has no path length of 0, or cannot sign CRLs.
    #[error("{name:?} cannot be an issuing CA: {why}")]
    NotIssuing {
        /// The certificate.
        name: String,
        /// What is missing.
        why: &'static str,
    },
    /// Something that cannot be used at all.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// `2027-11-22 03:14:15 UTC`: certificates know no fractions of a second.
pub(crate) fn second(instant: OffsetDateTime) -> String {
    let utc = instant.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = utc.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", utc.date())
}

impl EndorsementError {
    /// Whether the CA is sound, and does not allow what is wanted.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotACa(_)
                | Self::NoCertSign(_)
                | Self::PathLength { .. }
                | Self::NotForServers(_)
                | Self::NotValid { .. }
                | Self::Weak { .. }
        )
    }
}

impl IssuerChain {
    /// Reads the certificate of the CA that is to sign, and those of the CAs above it: PEM, DER or PKCS#7, the CA first,
    /// the others in any order.
    ///
    /// # Errors
    /// It is no whole chain, or one of the CAs may not sign an issuing CA for servers, or is too weak.
    pub fn read(file: &[u8], now: OffsetDateTime) -> Result<Self, EndorsementError> {
        let found = certificates(file)?;
        let first = found.first().ok_or(EndorsementError::NoCertificate)?;
        Self::above(first, &found, now)
    }

    /// Takes what a CA made of our request: our issuing CA's certificate first, and the CAs above it, in this file or
    /// beside it. `asked` are the names that the request wanted it to be held to.
    ///
    /// # Errors
    /// As for [`IssuerChain::read`], or it is for another key, or cannot be an issuing CA's.
    pub fn read_answer(
        file: &[u8],
        beside: &[u8],
        key: &SubjectKey,
        asked: &Permitted,
        now: OffsetDateTime,
    ) -> Result<(Vec<u8>, Self), EndorsementError> {
        let mut found = certificates(file)?;
        let ours = |facts: &CertificateFacts| crate::issue::is_certificate_of(&facts.der, key);
        let answer = found.iter().find(|facts| ours(facts)).cloned();
        let Some(answer) = answer else {
            let first = found.first().ok_or(EndorsementError::NoCertificate)?;
            return Err(EndorsementError::OtherKey(first.title()));
        };
        if !beside.is_empty() {
            found.extend(certificates(beside)?);
        }
        check(&answer, 0, now)?;
        check_issuing(&answer)?;
        if !asked.is_everything() && constraints_of(&answer.der).is_none() {
            return Err(EndorsementError::NotIssuing {
                name: answer.title(),
                why: "it lacks the name constraints that the request asks for",
            });
        }
        let chain = Self::above(issuer_of(&answer, &found, now)?, &found, now)?;
        chain.check_subject(&answer.der)?;
        Ok((answer.der, chain))
    }

    /// A chain as [`IssuerChain::to_record`] wrote it down. Nothing is checked again.
    ///
    /// # Errors
    /// It is something else.
    pub fn recorded(record: &[u8]) -> Result<Self, IssueError> {
        let certificates = der::elements(record).ok_or(IssueError::NotACertificate)?;
        let certificates = certificates.iter().map(|it| it.whole.to_vec());
        Self::of(certificates.collect())
    }

    /// Its certificates, DER, one after the other.
    #[must_use]
    pub fn to_record(&self) -> Vec<u8> {
        self.certificates.concat()
    }

    fn of(certificates: Vec<Vec<u8>>) -> Result<Self, IssueError> {
        let mut until = None;
        let mut constraints = Vec::new();
        for der in &certificates {
            let facts = CaFacts::read(der)?;
            let end = facts.validity.not_after;
            until = Some(until.map_or(end, |until: OffsetDateTime| until.min(end)));
            constraints.extend(NameConstraints::of(&parse(der)?, &facts.common_name));
        }
        Ok(Self {
            until: until.ok_or(IssueError::NotACertificate)?,
            certificates,
            constraints,
        })
    }

    fn above(
        issuer: &CertificateFacts,
        found: &[CertificateFacts],
        now: OffsetDateTime,
    ) -> Result<Self, EndorsementError> {
        let mut chain = vec![issuer];
        let mut last = issuer;
        loop {
            check(last, chain.len(), now)?;
            if last.self_signed {
                break;
            }
            check_signature(last)?;
            if chain.len() == MAX_LENGTH {
                return Err(EndorsementError::TooLong);
            }
            last = issuer_of(last, found, now)?;
            chain.push(last);
        }
        let chain = chain.into_iter().map(|facts| facts.der.clone()).collect();
        Ok(Self::of(chain)?)
    }

    /// That every CA of the chain may sign for the subject of this CA's certificate (DER).
    ///
    /// # Errors
    /// One of them may not, and no client would accept what is below it.
    pub fn check_subject(&self, certificate: &[u8]) -> Result<(), IssueError> {
        let parsed = parse(certificate)?;
        for constraints in &self.constraints {
            // A CA's common name is no host name, whatever it looks like.
            constraints.check_certificate(parsed.subject().as_raw(), "", &[])?;
        }
        Ok(())
    }

    /// The certificate of the CA that signs, DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        self.certificates.first().map_or(&[], Vec::as_slice)
    }

    /// The certificates, DER, the issuer first, the root last.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The root, DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.certificates.last().map_or(&[], Vec::as_slice)
    }

    /// The certificates, DER, that stand between a certificate of the issuer and the root: all but the root.
    #[must_use]
    pub fn below_root(&self) -> &[Vec<u8>] {
        self.certificates
            .split_last()
            .map_or(&[], |(_, below)| below)
    }

    /// What the chain's CAs may sign for.
    #[must_use]
    pub fn constraints(&self) -> &[NameConstraints] {
        &self.constraints
    }

    /// The last second at which all of it counts.
    #[must_use]
    pub fn until(&self) -> OffsetDateTime {
        self.until
    }
}

/// What a certificate (DER) says about the names for which its CA may sign; nothing if it says nothing.
#[must_use]
pub fn constraints_of(certificate: &[u8]) -> Option<NameConstraints> {
    let facts = CaFacts::read(certificate).ok()?;
    NameConstraints::of(&parse(certificate).ok()?, &facts.common_name)
}

/// The serial number of a certificate (DER) that another CA may have issued, in hexadecimal digits.
#[must_use]
pub fn serial_number(certificate: &[u8]) -> Option<String> {
    let facts = CertificateFacts::read(certificate).ok()?;
    Some(facts.serial.hex)
}

fn certificates(file: &[u8]) -> Result<Vec<CertificateFacts>, EndorsementError> {
    let certificates: Vec<_> = match pkcs7::certificates(file) {
        Some(found) if found.len() > MAX_CERTIFICATES => {
            return Err(EndorsementError::TooMany(found.len()));
        }
        Some(found) => {
            let read = found.iter().map(|der| CertificateFacts::read(der));
            let read: Result<_, _> = read.collect();
            read.map_err(|fault| fault.at(Place::File))?
        }
        None => {
            let items = Document::read(file)?.items.into_iter();
            let certificates = items.filter_map(|item| match item {
                Item::Certificate(facts) => Some(facts),
                _ => None,
            });
            certificates.collect()
        }
    };
    match certificates.len() {
        0 => Err(EndorsementError::NoCertificate),
        many if many > MAX_CERTIFICATES => Err(EndorsementError::TooMany(many)),
        _ => Ok(certificates),
    }
}

/// Who signed a certificate. Of several that did, such as a root and the same root under another one, or a CA and the same
/// CA renewed, one that counts at `now`, and of those the self-signed.
fn issuer_of<'a>(
    certificate: &CertificateFacts,
    found: &'a [CertificateFacts],
    now: OffsetDateTime,
) -> Result<&'a CertificateFacts, EndorsementError> {
    let name = certificate.title();
    let issuer = certificate.issuer.clone();
    let named = found
        .iter()
        .filter(|it| it.subject == issuer && it.der != certificate.der);
    let named: Vec<_> = named.collect();
    if named.is_empty() {
        return Err(EndorsementError::IssuerMissing { name, issuer });
    }
    let verdicts = named.iter().map(|it| (certificate.signed_by(it), *it));
    let verdicts: Vec<_> = verdicts.collect();
    let good = verdicts
        .iter()
        .filter(|(verdict, _)| *verdict == Signature::Good);
    let counts = |issuer: &CertificateFacts| {
        let Validity {
            not_before,
            not_after,
        } = issuer.validity;
        (not_before..=not_after).contains(&now)
    };
    // Of equals, the first.
    let best = good.min_by_key(|(_, issuer)| (!counts(issuer), !issuer.self_signed));
    if let Some((_, issuer)) = best {
        return Ok(issuer);
    }
    match verdicts
        .iter()
        .any(|(verdict, _)| *verdict == Signature::Unsupported)
    {
        true => Err(EndorsementError::Unchecked {
            name,
            algorithm: certificate.signature_algorithm.clone(),
        }),
        false => Err(EndorsementError::NotSigned { name, issuer }),
    }
}

/// Whether a CA may stand above our leaves with so many CAs below it.
fn check(ca: &CertificateFacts, below: usize, now: OffsetDateTime) -> Result<(), EndorsementError> {
    let name = || ca.title();
    if !ca.is_ca {
        return Err(EndorsementError::NotACa(name()));
    }
    if !ca.may("keyCertSign") {
        return Err(EndorsementError::NoCertSign(name()));
    }
    if let Some(limit) = ca.path_length
        && usize::try_from(limit).is_ok_and(|limit| limit < below)
    {
        return Err(EndorsementError::PathLength {
            name: name(),
            limit,
            needed: below,
        });
    }
    if let Some(purposes) = &ca.purposes
        && !purposes.server
        && !purposes.others.iter().any(|it| it == "anyExtendedKeyUsage")
    {
        return Err(EndorsementError::NotForServers(name()));
    }
    let validity = ca.validity;
    if !(validity.not_before..=validity.not_after).contains(&now) {
        return Err(EndorsementError::NotValid {
            name: name(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            now,
        });
    }
    if let Some(extension) = ca.unusable_extensions.first() {
        return Err(EndorsementError::Extension {
            name: name(),
            extension: extension.clone(),
        });
    }
    match &ca.public_key.kind {
        KeyKind::Rsa { bits } if *bits < MIN_RSA_BITS => Err(EndorsementError::Weak {
            name: name(),
            why: format!("its key is RSA with {bits} bits"),
        }),
        _ => Ok(()),
    }
}

/// A root's own signature proves nothing, and nobody checks it.
fn check_signature(ca: &CertificateFacts) -> Result<(), EndorsementError> {
    match ca.signature_strength {
        Strength::Broken => Err(EndorsementError::Weak {
            name: ca.title(),
            why: format!("it is signed with {}", ca.signature_algorithm),
        }),
        Strength::Unknown => Err(EndorsementError::Unchecked {
            name: ca.title(),
            algorithm: ca.signature_algorithm.clone(),
        }),
        Strength::Sound | Strength::NoDigest => Ok(()),
    }
}

/// What our issuing CA needs beyond what every CA does.
fn check_issuing(answer: &CertificateFacts) -> Result<(), EndorsementError> {
    let not_issuing = |why| {
        Err(EndorsementError::NotIssuing {
            name: answer.title(),
            why,
        })
    };
    check_signature(answer)?;
    if answer.self_signed {
        return not_issuing("it is signed with its own key");
    }
    if !answer.may("cRLSign") {
        return not_issuing("its keyUsage has no cRLSign");
    }
    if answer.path_length != Some(0) {
        return not_issuing("its path length is not 0, and it could make further CAs");
    }
    if answer.common_name.as_deref().is_none_or(str::is_empty) {
        return not_issuing("its subject has no common name");
    }
    if answer.subject == answer.issuer {
        return not_issuing("it has the name of the CA that signed it");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

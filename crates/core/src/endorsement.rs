//! A CA of somebody else's, such as a company's, under which an issuing CA of ours is to stand: its chain up to its root,
//! and the certificate that it gives our CA, its *endorsement*.

mod check;
mod path;
mod pkcs7;

use ring::digest::{SHA256, digest};
use time::{OffsetDateTime, UtcOffset};

use self::check::{check_issuing, names_of};
use crate::document::text::hex;
use crate::document::{CertificateFacts, Document, Item, Place, ReadError, der};
use crate::issue::{CaFacts, IssueError, parse};
use crate::name_constraints::{NameConstraints, Permitted};
use crate::subject_key::SubjectKey;

/// More CAs than this above one another are a mistake, or an attempt to keep us busy.
const MAX_LENGTH: usize = 8;

/// More certificates than this in one file are no chain.
const MAX_CERTIFICATES: usize = 64;

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
    /// A chain that comes back to itself.
    #[error(
        "{0:?} was signed by none but a CA that is below it: the chain goes in a circle, and one that counts ends with a \
         self-signed root"
    )]
    Circle(String),
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
    /// It says that another certificate of the same CA has signed it.
    #[error(
        "{name:?} says that it was signed by another certificate of {issuer} than the one that is there (authorityKeyIdentifier), \
         and clients believe it"
    )]
    OtherIssuer {
        /// The certificate.
        name: String,
        /// The name of whoever has signed it.
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
    /// It demands what none of our certificates has.
    #[error(
        "{0:?} demands a certificate policy of whatever is below it (policyConstraints), and pgpki's certificates have none: Java \
         and others would refuse them"
    )]
    DemandsPolicy(String),
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
    /// Nobody can name it as an issuer.
    #[error("a CA in it has an empty subject, and whoever it signs for has no issuer then")]
    NoSubject,
    /// Name constraints of a kind that OpenSSL refuses.
    #[error(
        "{0:?} has name constraints that clients refuse whatever the name: with a minimum or maximum, or an address without its mask"
    )]
    Constraints(String),
    /// A certificate for somebody else's key.
    #[error("{0:?} is for another key than the one that the request was made with")]
    OtherKey(String),
    /// What was made of the request has no path length of 0, or cannot sign CRLs.
    #[error("{name:?} cannot be an issuing CA: {why}")]
    NotIssuing {
        /// The certificate.
        name: String,
        /// What is missing.
        why: String,
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
                | Self::DemandsPolicy(_)
                | Self::NotValid { .. }
                | Self::Weak { .. }
        )
    }
}

impl IssuerChain {
    /// Reads the certificate of the CA that is to sign, and those of the CAs above it: PEM, DER or PKCS#7, the CA first,
    /// the others in any order. In PKCS#7 the CA is the one that has signed none of the others: a set has no order.
    ///
    /// Where a CA was certified by several others, there are several chains: the one that is meant unless something else
    /// speaks for another comes first. There is at least one.
    ///
    /// # Errors
    /// There is no whole chain in it, or one of the CAs may not sign an issuing CA for servers, or is too weak.
    pub fn read(file: &[u8], now: OffsetDateTime) -> Result<Vec<Self>, EndorsementError> {
        let found = certificates(file)?;
        let first = match pkcs7::certificates(file) {
            Some(_) => path::lowest(&found),
            None => found.first(),
        };
        Self::above(first.ok_or(EndorsementError::NoCertificate)?, &found, now)
    }

    /// Takes what a CA made of our request: our issuing CA's certificate first, and the CAs above it, in this file or
    /// beside it. `asked` are the names that the request wanted it to be held to. The chains are as in
    /// [`IssuerChain::read`].
    ///
    /// # Errors
    /// As for [`IssuerChain::read`], or it is for another key, or cannot be an issuing CA's.
    pub fn read_answer(
        file: &[u8],
        beside: &[u8],
        key: &SubjectKey,
        asked: &Permitted,
        now: OffsetDateTime,
    ) -> Result<(Vec<u8>, Vec<Self>), EndorsementError> {
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
        check_issuing(&answer, now)?;
        if !asked.is_everything() && constraints_of(&answer.der).is_none() {
            return Err(EndorsementError::NotIssuing {
                name: answer.title(),
                why: "it lacks the name constraints that the request asks for".to_owned(),
            });
        }
        let mut chains = Self::of_paths(path::above(&answer, &found, now)?)?;
        let refusal = |chain: &Self| chain.check_subject(&answer.der).err();
        let refused = chains.first().and_then(refusal);
        chains.retain(|chain| refusal(chain).is_none());
        match refused.filter(|_| chains.is_empty()) {
            Some(refused) => Err(refused.into()),
            None => Ok((answer.der, chains)),
        }
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
    ) -> Result<Vec<Self>, EndorsementError> {
        Self::of_paths(path::from(issuer, found, now)?)
    }

    fn of_paths(paths: Vec<path::Path<'_>>) -> Result<Vec<Self>, EndorsementError> {
        let chain = |path: path::Path<'_>| {
            Self::of(path.into_iter().map(|facts| facts.der.clone()).collect())
        };
        let chains: Result<_, _> = paths.into_iter().map(chain).collect();
        Ok(chains?)
    }

    /// That every CA of the chain may sign for the subject of this CA's certificate (DER), and for its other names if it has
    /// any.
    ///
    /// # Errors
    /// One of them may not, and no client would accept what is below it.
    pub fn check_subject(&self, certificate: &[u8]) -> Result<(), IssueError> {
        let parsed = parse(certificate)?;
        for constraints in &self.constraints {
            // A CA's common name is no host name, whatever it looks like.
            constraints.check_certificate(parsed.subject().as_raw(), "", &names_of(&parsed))?;
        }
        Ok(())
    }

    /// Whether OpenSSL may take `root` (DER) for the root of this chain: it has the same name and another key, and no key
    /// identifier tells the two apart. Of such roots OpenSSL tries one.
    #[must_use]
    pub fn may_be_mistaken_for(&self, root: &[u8]) -> bool {
        let facts = |der: &[u8]| CertificateFacts::read(der).ok();
        let (Some(own), Some(other)) = (facts(self.root()), facts(root)) else {
            return false;
        };
        if own.subject != other.subject || own.public_key == other.public_key {
            return false;
        }
        let meant = match self.below_root().last() {
            Some(below) => facts(below).and_then(|below| below.authority_key_id),
            // What it signs for us names it.
            None => own.subject_key_id,
        };
        match (meant, other.subject_key_id) {
            (Some(meant), Some(other)) => meant == other,
            _ => true,
        }
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

/// The SHA-256 of a certificate (DER), in hexadecimal digits: what people compare.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    hex(digest(&SHA256, certificate).as_ref())
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

#[cfg(test)]
mod tests;

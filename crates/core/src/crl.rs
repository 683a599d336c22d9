//! Certificate revocation lists (RFC 5280 section 5), as PostgreSQL uses them: pushed to the
//! server as a file, never fetched by it.

mod published;
mod witness;

use std::fmt;
use std::str::FromStr;

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

pub use self::published::{Published, crls};
pub(crate) use self::witness::is_witness;
pub use self::witness::{Named, Witness};
use crate::issue::{Ca, IssueError};
use crate::serial::Serial;
use crate::validity::CLOCK_TOLERANCE;

/// One certificate that no longer counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Serial,
    /// When it was revoked.
    pub at: OffsetDateTime,
    /// Why (RFC 5280 section 5.3.1); `None` is the standard's "unspecified".
    pub reason: Option<Reason>,
}

/// Why a certificate was revoked (RFC 5280 section 5.3.1), as far as it makes sense here.
/// `certificateHold`, which could be taken back, is left out: PostgreSQL's users would not expect a
/// revoked certificate to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody else has, or may have, the private key.
    KeyCompromise,
    /// The same for a CA.
    CaCompromise,
    /// The holder's name or role has changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// The holder may not have it any more.
    PrivilegeWithdrawn,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The number that stands in a CRL.
    pub fn code(self) -> u8 {
        self.rcgen() as u8
    }

    /// Whether somebody else may have a key: then another certificate for it would undo the revocation.
    pub fn is_compromise(self) -> bool {
        matches!(self, Self::KeyCompromise | Self::CaCompromise)
    }

    /// RFC 5280's name, with hyphens between its words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    fn rcgen(self) -> RevocationReason {
        match self {
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::CaCompromise => RevocationReason::CaCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name or number that is no [`Reason`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no reason for a revocation that is used here")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

impl TryFrom<u8> for Reason {
    type Error = UnknownReason;

    fn try_from(code: u8) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.code() == code)
            .ok_or_else(|| UnknownReason(code.to_string()))
    }
}

/// The instant from which a CRL counts that is signed at `now`.
pub fn this_update(now: OffsetDateTime) -> OffsetDateTime {
    now - CLOCK_TOLERANCE
}

impl Ca {
    /// Signs a CRL over `revoked`, DER. `number` must grow with every CRL of this CA. Where it revokes something, it names
    /// a witness as well ([`Self::witness`]).
    ///
    /// `nextUpdate` is the CA's own end. PostgreSQL refuses *every* client once a CRL has lapsed,
    /// and nobody polls for a newer one, so a shorter life would protect nothing and could lock
    /// everybody out. It has no issuing distribution point, which PostgreSQL's OpenSSL refuses
    /// without a matching one in each certificate.
    pub fn sign_crl(
        &self,
        number: u64,
        revoked: &[Revoked],
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, IssueError> {
        let mut revoked_certs: Vec<RevokedCertParams> = revoked.iter().map(entry).collect();
        if !revoked.is_empty() {
            revoked_certs.push(entry(&Revoked {
                serial: witness::new_serial()?,
                at: now,
                reason: None,
            }));
        }
        let params = CertificateRevocationListParams {
            this_update: this_update(now),
            next_update: self.not_after(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::PreSpecified(self.key_identifier().to_vec()),
        };
        self.sign_list(&params)
    }
}

fn entry(revoked: &Revoked) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(revoked.serial.as_bytes()),
        revocation_time: revoked.at,
        reason_code: revoked.reason.map(Reason::rcgen),
        invalidity_date: None,
    }
}

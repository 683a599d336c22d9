//! Certificate revocation lists (RFC 5280 section 5), as PostgreSQL uses them: pushed to the
//! server as a file, never fetched by it.

pub use rcgen::RevocationReason;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

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
    pub reason: Option<RevocationReason>,
}

impl Ca {
    /// Signs a CRL over `revoked`, DER. `number` must grow with every CRL of this CA.
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
        let params = CertificateRevocationListParams {
            this_update: now - CLOCK_TOLERANCE,
            next_update: self.not_after(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::PreSpecified(self.key_identifier().to_vec()),
        };
        let signed = params
            .signed_by(self.issuer())
            .map_err(IssueError::Encoding)?;
        let der = signed.der().to_vec();
        self.check_name(&der)?;
        Ok(der)
    }

    /// The name of a CA that somebody else made may not survive being read and written again (a
    /// repeated attribute, an unusual string type). A CRL under another name revokes nothing.
    fn check_name(&self, crl: &[u8]) -> Result<(), IssueError> {
        match CertificateRevocationList::from_der(crl) {
            Ok((_, parsed)) if parsed.issuer().as_raw() == self.subject() => Ok(()),
            _ => Err(IssueError::NameLost(self.facts().common_name.clone())),
        }
    }
}

fn entry(revoked: &Revoked) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(revoked.serial.as_bytes()),
        revocation_time: revoked.at,
        reason_code: revoked.reason,
        invalidity_date: None,
    }
}

//! A CRL that was published before, read again: by an authority that has forgotten it.

use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::{Reason, Revoked, is_witness};
use crate::serial::Serial;

/// What a CRL of one of our CAs says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// `thisUpdate`.
    pub from: OffsetDateTime,
    /// What it lists, by serial number. What cannot be a certificate that somebody has from us is left out.
    pub revoked: Vec<Revoked>,
}

impl Published {
    /// Reads a CRL (DER) of the CA whose certificate (DER) this is. `None` if the CA has not signed
    /// it, or it has no number that we could have given it.
    #[must_use]
    pub fn read(der: &[u8], ca: &[u8]) -> Option<Self> {
        let (rest, crl) = CertificateRevocationList::from_der(der).ok()?;
        let (_, ca) = X509Certificate::from_der(ca).ok()?;
        if !rest.is_empty() || crl.issuer().as_raw() != ca.subject().as_raw() {
            return None;
        }
        crl.verify_signature(ca.public_key()).ok()?;
        let number = crl.crl_number()?;
        let mut revoked: Vec<Revoked> = crl
            .iter_revoked_certificates()
            .filter_map(|entry| {
                let reason = entry.reason_code().map(|(_, reason)| reason.0);
                Some(Revoked {
                    serial: Serial::from_der_integer(entry.raw_serial())
                        .filter(|serial| !is_witness(serial))?,
                    at: entry.revocation_date.to_datetime(),
                    reason: reason.and_then(|code| Reason::try_from(code).ok()),
                })
            })
            .collect();
        revoked.sort_unstable_by_key(|revoked| revoked.serial);
        Some(Self {
            number: u64::try_from(number).ok()?,
            from: crl.last_update().to_datetime(),
            revoked,
        })
    }
}

/// Every CRL of a PEM file, DER, in its order.
#[must_use]
pub fn crls(pem_text: &[u8]) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(pem_text).unwrap_or_default();
    blocks
        .into_iter()
        .filter(|block| block.tag() == "X509 CRL")
        .map(pem::Pem::into_contents)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;
    use crate::issue::Ca;
    use crate::key::{KeyAlgorithm, PrivateKey};
    use crate::name::Organization;
    use crate::validity::Days;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

    fn ca(algorithm: KeyAlgorithm) -> Ca {
        let key = PrivateKey::generate(algorithm).unwrap();
        let days = Days::new(100).unwrap();
        let (ca, _) = Ca::new_root(key, &Organization::default(), "A CA", NOW, days).unwrap();
        ca
    }

    #[test]
    fn what_was_signed_is_read_again() {
        for algorithm in KeyAlgorithm::ALL {
            if !algorithm.may_sign_certificates() {
                continue;
            }
            let (ca, other) = (ca(algorithm), ca(KeyAlgorithm::P256));
            let reasons = Reason::ALL.into_iter().map(Some).chain([None]);
            let mut revoked: Vec<Revoked> = reasons
                .map(|reason| Revoked {
                    serial: Serial::random().unwrap(),
                    at: NOW,
                    reason,
                })
                .collect();
            revoked.sort_unstable_by_key(|revoked| revoked.serial);
            for number in [0, 1, 1_900_000_000, u64::MAX] {
                let der = ca.sign_crl(number, &revoked, NOW).unwrap();
                let read = Published::read(&der, ca.der()).unwrap();
                assert_eq!((read.number, &read.revoked), (number, &revoked));
                assert_eq!(read.from, super::super::this_update(NOW));
                assert_eq!(Published::read(&der, other.der()), None, "another CA's");
                // A changed octet beside what is signed may go unnoticed. Nothing else is ever read.
                for at in (0..der.len()).step_by(3) {
                    let mut changed = der.clone();
                    changed[at] ^= 1;
                    let as_signed = Published::read(&changed, ca.der()).is_none_or(|it| it == read);
                    assert!(as_signed, "at {at}");
                }
                let pem = crate::pem("X509 CRL", &der);
                let text = format!("{pem}{}{pem}", crate::pem("CERTIFICATE", ca.der()));
                assert_eq!(crls(text.as_bytes()), [der.clone(), der]);
            }
        }
    }
}

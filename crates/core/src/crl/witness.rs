//! The witness of a CRL: a certificate that this list names and no other, made when somebody asks and given to nobody. A
//! server that refuses it as revoked has loaded this very list.
//!
//! Nothing else says so. PostgreSQL loads CRLs without a word, `pg_conf_load_time()` moves also when it has refused them,
//! and what it logs of that depends on its settings and its language.

use ring::rand::{SecureRandom as _, SystemRandom};
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer};
use zeroize::Zeroizing;

use crate::issue::{Ca, IssueError};
use crate::key::{KeyAlgorithm, PrivateKey};
use crate::name::Organization;
use crate::serial::{NoRandomness, Serial};
use crate::validity::Days;

/// How the serial number of a witness begins; the other half is random. A certificate of somebody's, whose number is all
/// random, begins like this once in 2^64 times.
const MARK: [u8; 8] = *b"pgpkicrl";

/// The witness's common name. It has 64 octets, and a role's name has 63 at most: where a server does not refuse it, there
/// is no role that it could be.
const COMMON_NAME: &str = "revoked by pgpki from the start, to see that a server refuses it";

/// A certificate that a CRL names, with its key.
pub struct Witness {
    /// DER.
    pub certificate: Vec<u8>,
    /// PKCS#8, PEM.
    pub key: Zeroizing<String>,
}

/// A serial number for the witness of a new CRL.
pub(super) fn new_serial() -> Result<Serial, NoRandomness> {
    let mut bytes = [0; 16];
    let (mark, random) = bytes.split_at_mut(MARK.len());
    mark.copy_from_slice(&MARK);
    SystemRandom::new().fill(random).map_err(|_| NoRandomness)?;
    Ok(Serial::from_bytes(bytes))
}

/// Whether a serial number is that of a witness, and not of a certificate that somebody has.
pub(crate) fn is_witness(serial: &Serial) -> bool {
    serial.as_bytes().starts_with(&MARK)
}

/// What there is to see whether a server has loaded a CRL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It revokes nothing, and there is nothing to see.
    Nobody,
    /// The witness with this serial number.
    Witness(Serial),
    /// It revokes something, and was signed before there were witnesses.
    Others,
}

impl Named {
    /// What a CRL (DER) of one of our CAs names.
    #[must_use]
    pub fn by(crl: &[u8]) -> Self {
        let Ok((_, crl)) = CertificateRevocationList::from_der(crl) else {
            return Self::Others;
        };
        let mut named = Self::Nobody;
        for entry in crl.iter_revoked_certificates() {
            match Serial::from_der_integer(entry.raw_serial()) {
                Some(serial) if is_witness(&serial) => return Self::Witness(serial),
                _ => named = Self::Others,
            }
        }
        named
    }
}

impl Ca {
    /// Makes the witness with this serial number, of a CRL of this CA. It counts for a day, which is longer than anybody
    /// keeps it.
    ///
    /// # Errors
    /// This CA does not count at `now`, may not sign for such a name, or could not sign.
    pub fn witness(
        &self,
        serial: Serial,
        organization: &Organization,
        now: OffsetDateTime,
    ) -> Result<Witness, IssueError> {
        let key = PrivateKey::generate(KeyAlgorithm::P256)?;
        let subject = (&key).into();
        let certificate = self.issue_revoked(
            serial,
            COMMON_NAME,
            &subject,
            organization,
            (now, Days::ONE),
        )?;
        Ok(Witness {
            certificate,
            key: key.to_pem()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;
    use crate::crl::{Published, Revoked};
    use crate::document::Document;
    use crate::name::{MAX_ROLE_BYTES, Role};

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

    fn ca() -> Ca {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let days = Days::new(100).unwrap();
        let (ca, _) = Ca::new_root(key, &Organization::default(), "A CA", NOW, days).unwrap();
        ca
    }

    fn somebody() -> Revoked {
        Revoked {
            serial: Serial::random().unwrap(),
            at: NOW,
            reason: None,
        }
    }

    #[test]
    fn each_list_that_revokes_something_has_its_own() {
        let ca = ca();
        assert_eq!(Named::by(&ca.sign_crl(1, &[], NOW).unwrap()), Named::Nobody);
        let revoked = [somebody()];
        let lists = [1, 2].map(|number| ca.sign_crl(number, &revoked, NOW).unwrap());
        let [first, second] = lists.each_ref().map(|crl| Named::by(crl));
        assert!(matches!(first, Named::Witness(_)), "{first:?}");
        assert_ne!(first, second);
        for crl in lists {
            let read = Published::read(&crl, ca.der()).unwrap();
            assert_eq!(
                read.revoked, revoked,
                "whoever reads it again revokes no more"
            );
            let pem = crate::pem("X509 CRL", &crl);
            let document = Document::read(pem.as_bytes()).unwrap();
            let revoked: Vec<usize> = document.crls().map(|crl| crl.revoked).collect();
            assert_eq!(revoked, [1]);
        }
    }

    /// Nor would it be anybody where the list is not loaded.
    #[test]
    fn it_is_nobody() {
        assert_eq!(COMMON_NAME.len(), MAX_ROLE_BYTES + 1);
        assert!(COMMON_NAME.parse::<Role>().is_err());
    }

    #[test]
    fn it_is_a_clients_with_the_number_that_is_listed() {
        let ca = ca();
        let serial = new_serial().unwrap();
        let witness = ca.witness(serial, &Organization::default(), NOW).unwrap();
        let pem = crate::pem("CERTIFICATE", &witness.certificate);
        let document = Document::read(pem.as_bytes()).unwrap();
        let facts = document.certificates().next().unwrap();
        assert_eq!(facts.serial.hex, serial.to_string());
        assert_eq!(crate::issue::serial_of(&witness.certificate), Some(serial));
    }
}

//! What a certificate revocation list says.

use std::collections::HashSet;

use time::OffsetDateTime;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::Fault;
use super::certificate::{CertificateFacts, Number, algorithm_name, check_signed_structure};
use super::public_key::{Signature, check};
use super::text::{hex, rfc2253};
use crate::crl::is_witness;
use crate::serial::Serial;

/// What a CRL says. Every text in it is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlFacts {
    /// The CRL itself.
    pub der: Vec<u8>,
    /// The CA that issued it, RFC 2253.
    pub issuer: String,
    /// Its number; `None` where it has none.
    pub number: Option<Number>,
    /// When it was made.
    pub this_update: OffsetDateTime,
    /// Until when it counts; `None` where it does not say.
    pub next_update: Option<OffsetDateTime>,
    /// How many certificates it revokes, its witness not counted.
    pub revoked: usize,
    /// Its authority key identifier, in hexadecimal digits.
    pub authority_key_id: Option<String>,
    /// Whether it has an issuing distribution point, which limits what it is for.
    pub has_distribution_point: bool,
    /// The algorithm that it is signed with.
    pub signature_algorithm: String,
}

impl CrlFacts {
    pub(crate) fn read(der: &[u8]) -> Result<Self, Fault> {
        Fault::check_length(der)?;
        check_signed_structure(der, "revocation list")?;
        let crl = match CertificateRevocationList::from_der(der) {
            Ok(([], crl)) => crl,
            Ok((rest, _)) => return Err(Fault::Trailing(rest.len())),
            Err(error) => return Err(Fault::of_parser("revocation list", &error)),
        };
        let mut facts = Self {
            der: der.to_vec(),
            issuer: rfc2253(crl.issuer()),
            number: None,
            this_update: crl.last_update().to_datetime(),
            next_update: crl.next_update().map(|time| time.to_datetime()),
            revoked: crl
                .iter_revoked_certificates()
                .filter(|entry| !is_witness_at(entry.raw_serial()))
                .count(),
            authority_key_id: None,
            has_distribution_point: false,
            signature_algorithm: algorithm_name(&crl.signature_algorithm),
        };
        for extension in crl.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(_) => facts.number = number(extension.value),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    facts.authority_key_id = id.key_identifier.as_ref().map(|id| hex(id.0));
                }
                ParsedExtension::IssuingDistributionPoint(_) => {
                    facts.has_distribution_point = true;
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Whether `issuer`'s key made its signature.
    pub fn signed_by(&self, issuer: &CertificateFacts) -> Signature {
        let crl = CertificateRevocationList::from_der(&self.der);
        let issuer = X509Certificate::from_der(&issuer.der);
        match (crl, issuer) {
            (Ok((_, crl)), Ok((_, issuer))) => check(
                issuer.public_key(),
                &crl.signature_algorithm,
                &crl.signature_value,
                crl.tbs_cert_list.as_ref(),
            ),
            // Both were parsed before.
            _ => Signature::Unsupported,
        }
    }

    /// The serial numbers of what it revokes, in the form of [`Number::hex`].
    pub fn revoked_serials(&self) -> HashSet<String> {
        let Ok((_, crl)) = CertificateRevocationList::from_der(&self.der) else {
            return HashSet::new();
        };
        let numbers = crl
            .iter_revoked_certificates()
            .filter_map(|entry| Number::read(entry.raw_serial()).ok());
        numbers.map(|number| number.hex).collect()
    }
}

fn is_witness_at(serial: &[u8]) -> bool {
    Serial::from_der_integer(serial).is_some_and(|serial| is_witness(&serial))
}

fn number(extension: &[u8]) -> Option<Number> {
    Number::read(super::der::single(extension)?.content).ok()
}

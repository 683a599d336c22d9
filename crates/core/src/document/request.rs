//! What a certificate signing request (PKCS#10, RFC 2986) asks for.

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::Fault;
use super::certificate::{AlternativeNames, algorithm_name, check_signed_structure};
use super::public_key::{PublicKey, Signature, check};
use super::text::{common_name, rfc2253};

/// What a request asks for. Every text in it is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The request itself.
    pub der: Vec<u8>,
    /// The subject it wishes for, RFC 2253.
    pub subject: String,
    /// That subject's first common name.
    pub common_name: Option<String>,
    /// The names it wishes for.
    pub alternative_names: AlternativeNames,
    /// Whether it wishes to be a CA's.
    pub is_ca: bool,
    /// The path length that it wishes for, if it does.
    pub path_length: Option<u32>,
    /// Its public key.
    pub public_key: PublicKey,
    /// The algorithm that it is signed with.
    pub signature_algorithm: String,
    /// Whether it is signed with that key, which proves that the sender has the private half.
    pub signature: Signature,
}

impl RequestFacts {
    pub(crate) fn read(der: &[u8]) -> Result<Self, Fault> {
        Fault::check_length(der)?;
        check_signed_structure(der, "signing request")?;
        let request = match X509CertificationRequest::from_der(der) {
            Ok(([], request)) => request,
            Ok((rest, _)) => return Err(Fault::Trailing(rest.len())),
            Err(error) => return Err(Fault::of_parser("signing request", &error)),
        };
        let info = &request.certification_request_info;
        let mut alternative_names = AlternativeNames::default();
        let (mut is_ca, mut path_length) = (false, None);
        for extension in request.requested_extensions().into_iter().flatten() {
            match extension {
                ParsedExtension::SubjectAlternativeName(names) => names
                    .general_names
                    .iter()
                    .for_each(|name| alternative_names.add(name)),
                ParsedExtension::BasicConstraints(constraints) => {
                    is_ca = constraints.ca;
                    path_length = constraints.path_len_constraint.filter(|_| is_ca);
                }
                _ => {}
            }
        }
        Ok(Self {
            der: der.to_vec(),
            subject: rfc2253(&info.subject),
            common_name: common_name(&info.subject),
            alternative_names,
            is_ca,
            path_length,
            public_key: PublicKey::of(&info.subject_pki),
            signature_algorithm: algorithm_name(&request.signature_algorithm),
            signature: check(
                &info.subject_pki,
                &request.signature_algorithm,
                &request.signature_value,
                info.raw,
            ),
        })
    }
}

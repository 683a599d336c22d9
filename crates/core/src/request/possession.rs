//! Proof of possession: a request is signed with the key that it asks a certificate for (RFC 2986 section 4.2).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA512_ASN1, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use x509_parser::prelude::X509CertificationRequest;

use super::{RequestError, beginning};
use crate::document::{KeyKind, RequestFacts, Signature};

/// With MD2, MD5 and SHA-1 (RFC 3279 section 2.2, and the older one of NIST's OIW): somebody else's signature may fit
/// another request.
const BROKEN: [&str; 5] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10045.4.1",
];

/// RFC 5758 section 3.2.
const ECDSA_WITH_SHA512: &str = "1.2.840.10045.4.3.4";

/// Whether the request's signature was made with the request's key.
pub(super) fn check(
    facts: &RequestFacts,
    request: &X509CertificationRequest<'_>,
) -> Result<(), RequestError> {
    let named = || beginning(&facts.signature_algorithm);
    let algorithm = request.signature_algorithm.algorithm.to_id_string();
    if BROKEN.contains(&algorithm.as_str()) {
        return Err(RequestError::BrokenHash(named()));
    }
    if !goes_with(&facts.public_key.kind, &algorithm) {
        return Err(RequestError::NotPossessed);
    }
    match facts.signature {
        Signature::Good => Ok(()),
        Signature::Bad => Err(RequestError::NotPossessed),
        Signature::Unsupported => match with_sha512(&facts.public_key.kind, &algorithm) {
            Some(algorithm) => check_ecdsa(algorithm, request),
            None => Err(RequestError::UnknownSignature(named())),
        },
    }
}

/// Whether a key of this kind can have made a signature of that kind.
fn goes_with(key: &KeyKind, signature: &str) -> bool {
    let family = match key {
        KeyKind::Rsa { .. } => "1.2.840.113549.1.1.",
        KeyKind::Ec(_) => "1.2.840.10045.4.",
        KeyKind::Ed25519 => "1.3.101.112",
        KeyKind::Ed448 | KeyKind::Other(_) => return false,
    };
    signature.starts_with(family)
}

/// What ring does not know: hardware and Java sign with SHA-512 whatever the curve.
fn with_sha512(key: &KeyKind, signature: &str) -> Option<&'static EcdsaVerificationAlgorithm> {
    match (key, signature) {
        (KeyKind::Ec("P-256"), ECDSA_WITH_SHA512) => Some(&ECDSA_P256_SHA512_ASN1),
        (KeyKind::Ec("P-384"), ECDSA_WITH_SHA512) => Some(&ECDSA_P384_SHA512_ASN1),
        _ => None,
    }
}

fn check_ecdsa(
    algorithm: &'static EcdsaVerificationAlgorithm,
    request: &X509CertificationRequest<'_>,
) -> Result<(), RequestError> {
    let info = &request.certification_request_info;
    let key = UnparsedPublicKey::new(algorithm, &info.subject_pki.subject_public_key.data);
    key.verify(info.raw, &request.signature_value.data)
        .map_err(|_| RequestError::NotPossessed)
}

//! Proof of possession: a request is signed with the key that it asks a certificate for (RFC 2986 section 4.2).

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
        Signature::Unsupported => Err(RequestError::UnknownSignature(named())),
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

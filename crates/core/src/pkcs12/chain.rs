//! Which certificate is the key's, and which come after it.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::key::PrivateKey;

/// The certificates, DER, in the order in which a chain has them: that of `key` first, then each
/// one's issuer as far as it is among them, then the others as they came. Each comes once.
///
/// Issuers are found by their names alone: whether a signature holds is for whoever trusts the
/// chain. Without a certificate for `key`, nothing but repetitions changes.
pub fn in_chain_order(key: &PrivateKey, certificates: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut rest: Vec<Vec<u8>> = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        if !rest.contains(&certificate) {
            rest.push(certificate);
        }
    }
    let Some(leaf) = rest.iter().position(|der| belongs_to(der, key)) else {
        return rest;
    };
    let mut ordered = vec![rest.remove(leaf)];
    while let Some(next) = ordered.last().and_then(|last| issuer_of(last, &rest)) {
        ordered.push(rest.remove(next));
    }
    ordered.extend(rest);
    ordered
}

/// Whether a certificate, DER, is for this key.
pub fn belongs_to(certificate: &[u8], key: &PrivateKey) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.public_key_info())
}

fn issuer_of(certificate: &[u8], among: &[Vec<u8>]) -> Option<usize> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let wanted = certificate.issuer().as_raw();
    if wanted == certificate.subject().as_raw() {
        return None;
    }
    among.iter().position(|der| {
        X509Certificate::from_der(der).is_ok_and(|(_, ca)| ca.subject().as_raw() == wanted)
    })
}

//! Signing what rcgen has written, with the names put in to the octet.
//!
//! rcgen rebuilds a name from its attributes. That loses a repeated attribute, two of them in one part of the name, and
//! string types that it does not know: what is signed then has another issuer than the CA's own name. So rcgen writes
//! without a name and without a signature, and both come from here.

use pkcs8::der::{AnyRef, Encode, Tag};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DistinguishedName, Issuer, KeyIdMethod,
    PublicKeyData, SignatureAlgorithm, SigningKey,
};

use crate::ca_key::CaKey;
use crate::document::der;
use crate::issue::{Ca, IssueError, not_signed};

/// Where a `TBSCertificate` has its issuer and its subject (RFC 5280 section 4.1), counted with the version, which all
/// that is signed here has.
const CERTIFICATE_ISSUER: usize = 3;
const CERTIFICATE_SUBJECT: usize = 5;
/// Where a `TBSCertList` has its issuer (section 5.1).
const LIST_ISSUER: usize = 2;

/// What is to be signed.
pub(crate) struct Draft {
    /// A `TBSCertificate` or `TBSCertList`, DER.
    to_be_signed: Vec<u8>,
    /// The `AlgorithmIdentifier` of the signature, DER.
    algorithm: Vec<u8>,
}

impl Draft {
    /// The subject of a certificate, a DER `Name`.
    pub(crate) fn subject(&self) -> Option<&[u8]> {
        let parts = der::single(&self.to_be_signed)?.sequence()?;
        Some(parts.get(CERTIFICATE_SUBJECT)?.whole)
    }
}

/// Has the CA's key, and signs nothing with it.
struct Unsigned<'a>(&'a CaKey);

impl PublicKeyData for Unsigned<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(self.0)
    }
}

impl SigningKey for Unsigned<'_> {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

impl Ca {
    /// Signs a certificate for `key`; its subject is that of the parameters, or this one (a DER `Name`).
    pub(crate) fn sign_certificate(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
        subject: Option<&[u8]>,
    ) -> Result<Vec<u8>, IssueError> {
        self.sign_draft(&self.draft_certificate(params, key, subject)?)
    }

    /// Writes what [`Ca::sign_certificate`] would sign.
    pub(crate) fn draft_certificate(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
        subject: Option<&[u8]>,
    ) -> Result<Draft, IssueError> {
        let issuer = self.nameless();
        let issuer = Issuer::from_params(&issuer, Unsigned(self.key()));
        let unsigned = params.signed_by(key, &issuer);
        let unsigned = unsigned.map_err(IssueError::Encoding)?;
        let mut names = vec![(CERTIFICATE_ISSUER, self.subject())];
        names.extend(subject.map(|subject| (CERTIFICATE_SUBJECT, subject)));
        draft(unsigned.der(), &names)
    }

    /// Signs a CRL.
    pub(crate) fn sign_list(
        &self,
        params: &CertificateRevocationListParams,
    ) -> Result<Vec<u8>, IssueError> {
        let issuer = self.nameless();
        let issuer = Issuer::from_params(&issuer, Unsigned(self.key()));
        let unsigned = params.signed_by(&issuer).map_err(IssueError::Encoding)?;
        self.sign_draft(&draft(unsigned.der(), &[(LIST_ISSUER, self.subject())])?)
    }

    pub(crate) fn sign_draft(&self, draft: &Draft) -> Result<Vec<u8>, IssueError> {
        let key = self.key();
        let signature = key.sign(&draft.to_be_signed);
        let signature = signature.map_err(|error| not_signed(key, error))?;
        // No bit of the last octet is unused.
        let signature = element(Tag::BitString, &[&[0], &signature[..]].concat())?;
        let parts = [&draft.to_be_signed, &draft.algorithm, &signature];
        element(Tag::Sequence, &parts.map(Vec::as_slice).concat())
    }

    /// What rcgen has to know of this CA beside its name.
    fn nameless(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.key_identifier_method = KeyIdMethod::PreSpecified(self.key_identifier().to_vec());
        params
    }
}

/// What is to be signed, with names in place of those that are there.
fn draft(unsigned: &[u8], names: &[(usize, &[u8])]) -> Result<Draft, IssueError> {
    let parts = der::single(unsigned).and_then(|it| it.sequence());
    let Some([to_be_signed, algorithm, _]) = parts.as_deref() else {
        return Err(IssueError::Encoding(rcgen::Error::CouldNotParseCertificate));
    };
    let parts = to_be_signed.sequence().unwrap_or_default();
    let named = parts.iter().enumerate().map(|(place, part)| {
        let mut names = names.iter();
        let name = names.find(|(named, _)| *named == place);
        name.map_or(part.whole, |(_, name)| *name)
    });
    Ok(Draft {
        to_be_signed: element(Tag::Sequence, &named.collect::<Vec<_>>().concat())?,
        algorithm: algorithm.whole.to_vec(),
    })
}

fn element(tag: Tag, content: &[u8]) -> Result<Vec<u8>, IssueError> {
    let element = AnyRef::new(tag, content).and_then(|any| any.to_der());
    element.map_err(|_| IssueError::Encoding(rcgen::Error::CouldNotParseCertificate))
}

#[cfg(test)]
mod tests;

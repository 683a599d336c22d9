//! A client's certificate, and whether the server asked for one.

use std::sync::{Arc, OnceLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A client's leaf with its chain, and its key.
#[derive(Clone, Debug)]
pub struct ClientCredential(Arc<CertifiedKey>);

/// Why a credential cannot be presented.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The text is not PEM with certificates.
    #[error("the client's certificate file holds no certificate in PEM")]
    NoCertificate,
    /// The text is not PEM with a private key, or the key is encrypted.
    #[error("the client's key file holds no private key in PEM that is not encrypted")]
    NoKey,
    /// The key is of another kind than TLS uses, or belongs to another certificate.
    #[error("the client's key cannot be used with its certificate: {0}")]
    Unusable(String),
}

impl ClientCredential {
    /// Takes the contents of `postgresql.crt` and `postgresql.key`: PEM, the leaf first.
    ///
    /// # Errors
    /// Something is missing, encrypted, or does not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CredentialError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| CredentialError::NoCertificate)?;
        if chain.is_empty() {
            return Err(CredentialError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CredentialError::NoKey)?;
        CertifiedKey::from_der(chain, key, &default_provider())
            .map(|certified| Self(Arc::new(certified)))
            .map_err(|error| CredentialError::Unusable(error.to_string()))
    }
}

/// Presents a credential, if there is one, and notes that it was asked for.
#[derive(Debug)]
pub(super) struct Presenter {
    credential: Option<ClientCredential>,
    asked: OnceLock<Vec<Vec<u8>>>,
}

impl Presenter {
    pub(super) fn new(credential: Option<&ClientCredential>) -> Self {
        Self {
            credential: credential.cloned(),
            asked: OnceLock::new(),
        }
    }

    /// The names (DER) of the CAs that the server would like; `None` if it asked for nothing.
    pub(super) fn asked(&self) -> Option<Vec<Vec<u8>>> {
        self.asked.get().cloned()
    }
}

impl ResolvesClientCert for Presenter {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        _: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let names = root_hint_subjects.iter().map(|name| name.to_vec());
        self.asked.get_or_init(|| names.collect());
        self.credential.as_ref().map(|own| Arc::clone(&own.0))
    }

    fn has_certs(&self) -> bool {
        self.credential.is_some()
    }
}

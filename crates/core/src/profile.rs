//! The exact extensions of each kind of certificate, as data, in this one place.

use std::fmt;
use std::str::FromStr;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

/// A kind of certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// The self-signed certificate that clients and servers trust.
    Root,
    /// A root's key, certified by the root before it: whoever trusts the old one then trusts what
    /// the new one signs.
    Cross,
    /// The CA that signs servers' and clients' certificates.
    Issuing,
    /// A server's certificate.
    Server,
    /// A role's certificate.
    Client,
}

/// What a [`Profile`] puts into a certificate. Beside these, every certificate has a subject key
/// identifier and an authority key identifier: without them PostgreSQL's OpenSSL picks a wrong
/// issuer once two CAs have the same name.
struct Extensions {
    /// basicConstraints, always critical (RFC 5280 section 4.2.1.9): for a CA the number of CAs
    /// that may follow it, for a leaf nothing.
    path_length: Option<u8>,
    /// keyUsage, always critical (section 4.2.1.3).
    key_usage: &'static [KeyUsagePurpose],
    /// extendedKeyUsage, not critical (section 4.2.1.12): one purpose, so that a client's
    /// certificate cannot pose as a server, nor a server's log in as a role.
    extended_key_usage: Option<ExtendedKeyUsagePurpose>,
}

const CA_KEY_USAGE: &[KeyUsagePurpose] = &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

/// Signing alone: PostgreSQL's TLS 1.2 and 1.3 agree on keys by (EC)DHE. RSA key transport, which
/// would need keyEncipherment, has no forward secrecy.
const LEAF_KEY_USAGE: &[KeyUsagePurpose] = &[KeyUsagePurpose::DigitalSignature];

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 5] = [
        Self::Root,
        Self::Cross,
        Self::Issuing,
        Self::Server,
        Self::Client,
    ];

    fn extensions(self) -> Extensions {
        match self {
            // Room for a successor's cross-certificate above its issuing CA.
            Self::Root => Extensions {
                path_length: Some(2),
                key_usage: CA_KEY_USAGE,
                extended_key_usage: None,
            },
            Self::Cross => Extensions {
                path_length: Some(1),
                key_usage: CA_KEY_USAGE,
                extended_key_usage: None,
            },
            Self::Issuing => Extensions {
                path_length: Some(0),
                key_usage: CA_KEY_USAGE,
                extended_key_usage: None,
            },
            Self::Server => Extensions {
                path_length: None,
                key_usage: LEAF_KEY_USAGE,
                extended_key_usage: Some(ExtendedKeyUsagePurpose::ServerAuth),
            },
            Self::Client => Extensions {
                path_length: None,
                key_usage: LEAF_KEY_USAGE,
                extended_key_usage: Some(ExtendedKeyUsagePurpose::ClientAuth),
            },
        }
    }

    /// Whether certificates of this profile sign others.
    pub fn is_ca(self) -> bool {
        self.extensions().path_length.is_some()
    }

    /// The name used in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Cross => "cross",
            Self::Issuing => "issuing",
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// Sets every extension that the profile asks for.
    pub(crate) fn apply(self, params: &mut CertificateParams) {
        let extensions = self.extensions();
        params.is_ca = match extensions.path_length {
            Some(length) => IsCa::Ca(BasicConstraints::Constrained(length)),
            // Not `NoCa`, which leaves out the subject key identifier.
            None => IsCa::ExplicitNoCa,
        };
        params.key_usages = extensions.key_usage.to_vec();
        params.extended_key_usages = extensions.extended_key_usage.into_iter().collect();
        params.use_authority_key_identifier_extension = true;
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no [`Profile`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no profile: root, cross, issuing, server or client")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

//! Requests for a certificate (PKCS#10, RFC 2986): made where the key is, and read where it is signed. A request proves
//! that its sender has the private key, and nothing about who that is.

mod issuing;
mod possession;
mod wish;

use rcgen::{CertificateParams, DistinguishedName, DnType};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::document::{self, Document, Item, RequestFacts, printable};
use crate::issue::{Holder, IssueError, alternative_name};
use crate::key::PrivateKey;
use crate::name::{HostError, RoleError};
use crate::subject_key::{SubjectKey, SubjectKeyError};

pub use self::issuing::make_issuing;
use self::wish::Wish;

/// PEM label of a request (RFC 7468 section 7).
pub const PEM_LABEL: &str = "CERTIFICATE REQUEST";

/// The most names that are taken from a request: more than a server has, and few enough to be read by whoever signs.
pub const MAX_HOSTS: usize = 100;

/// How much of a stranger's text an error repeats, in characters.
const SHOWN: usize = 80;

/// Why a request is not signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] document::ReadError),
    /// It holds something else.
    #[error("it holds {0}, where one certificate request is expected")]
    NotARequest(String),
    /// A private key is in it.
    #[error(
        "it holds a private key, which should not have left its owner: have another key made, and the request alone sent"
    )]
    HasKey,
    /// More than one thing is in it.
    #[error("it holds {0} things, where one certificate request is expected")]
    Several(usize),
    /// Its key is too weak, or of a kind that is not supported.
    #[error(transparent)]
    Key(#[from] SubjectKeyError),
    /// It was not signed with its own key.
    #[error(
        "its signature was not made with its key: whoever made it does not have that key, or it was changed since"
    )]
    NotPossessed,
    /// The hash behind the signature proves nothing any more.
    #[error(
        "it is signed with {0}, which is broken: have it signed with SHA-256, as openssl req -sha256 does"
    )]
    BrokenHash(String),
    /// The signature cannot be checked here.
    #[error(
        "it is signed with {0}, which cannot be checked here: have it signed with SHA-256, as openssl req -sha256 does"
    )]
    UnknownSignature(String),
    /// Nothing in it says for whom it is.
    #[error("it names nobody: its subject has no common name")]
    NoName,
    /// More than one name where there can be one.
    #[error("its subject has {0} common names")]
    ManyNames(usize),
    /// A name in an encoding of long ago.
    #[error("its common name is no UTF8String or PrintableString")]
    NameNotText,
    /// Whoever signs could not see what he signs.
    #[error("its common name {0:?} has characters that cannot be seen")]
    Unseen(String),
    /// More than anybody would look through.
    #[error("it asks for {0} names, and more than {MAX_HOSTS} are not taken from a request")]
    ManyHosts(usize),
    /// A name that a server's certificate cannot have.
    #[error("it asks for names of other kinds than DNS names and addresses")]
    OtherNames,
    /// A host that is none.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] RoleError),
}

impl RequestError {
    /// Whether it could be signed by somebody who says for whom it is.
    pub fn is_about_names(&self) -> bool {
        matches!(
            self,
            Self::NoName
                | Self::ManyNames(_)
                | Self::NameNotText
                | Self::Unseen(_)
                | Self::ManyHosts(_)
                | Self::OtherNames
                | Self::Host(_)
                | Self::Role(_)
        )
    }
}

/// A request whose sender has proven to have the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    facts: RequestFacts,
    key: SubjectKey,
    wish: Wish,
}

impl Request {
    /// Reads a request, PEM or DER, and checks that it was signed with its own key.
    pub fn read(bytes: &[u8]) -> Result<Self, RequestError> {
        let facts = only_request(Document::read(bytes)?.items)?;
        // It was just read, so that this cannot fail.
        let not_read = |_| RequestError::NotARequest("something else".to_owned());
        let (_, parsed) = X509CertificationRequest::from_der(&facts.der).map_err(not_read)?;
        let key = SubjectKey::of(&parsed.certification_request_info.subject_pki)?;
        possession::check(&facts, &parsed)?;
        let wish = Wish::of(&parsed);
        Ok(Self { facts, key, wish })
    }

    /// What it asks for, for people to read.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// The key that the certificate is to have.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// Whom it says that it is for: a server if it asks for host names, otherwise the role of its common name. Nobody
    /// has checked that.
    ///
    /// # Errors
    /// It names nobody, or somebody for whom no certificate can be issued, or whose name cannot be seen.
    pub fn holder(&self) -> Result<Holder, RequestError> {
        self.wish.holder()
    }
}

fn only_request(mut items: Vec<Item>) -> Result<RequestFacts, RequestError> {
    if items.iter().any(|item| matches!(item, Item::Key(_))) {
        return Err(RequestError::HasKey);
    }
    match (items.pop(), items.len()) {
        (Some(Item::Request(facts)), 0) => Ok(facts),
        (Some(other), 0) => Err(RequestError::NotARequest(what(&other))),
        (_, others) => Err(RequestError::Several(others + 1)),
    }
}

/// What a file holds that is no request.
fn what(item: &Item) -> String {
    match item {
        Item::Certificate(_) => "a certificate".to_owned(),
        Item::Key(_) => "a private key".to_owned(),
        Item::Request(_) => "a request".to_owned(),
        Item::Crl(_) => "a CRL".to_owned(),
        Item::Pkcs12(_) => "a PKCS#12 container".to_owned(),
        Item::Other { label } => format!("a PEM block \"{}\"", beginning(label)),
    }
}

/// As much of a stranger's text as an error has room for, escaped.
pub(crate) fn beginning(text: &str) -> String {
    let escaped = printable(text);
    match escaped.char_indices().nth(SHOWN) {
        Some((end, _)) => escaped.get(..end).unwrap_or_default().to_owned() + "…",
        None => escaped,
    }
}

/// Makes a request for `holder` with `key`: DER. It has the common name and a server's names, and no other wish.
pub fn make(key: &PrivateKey, holder: &Holder) -> Result<Vec<u8>, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let common_name = holder.common_name()?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    if let Holder::Server(hosts) = holder {
        let names = hosts.iter().map(alternative_name);
        params.subject_alt_names = names.collect::<Result<_, _>>()?;
    }
    let request = params
        .serialize_request(key)
        .map_err(IssueError::Encoding)?;
    Ok(request.der().to_vec())
}

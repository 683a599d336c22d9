//! Several files of one folder together: whether the key belongs to the certificate, whether each
//! chain closes, and whether every CA in it has its revocation list.

mod chain;
mod findings;
mod revocation;

use std::collections::HashMap;

pub use chain::{Chain, ChainEnd, Link};
pub use findings::FileFinding;

use crate::document::{CertificateFacts, CrlFacts, Document, KeyFacts};

/// The name under which libpq and an installation keep the roots that they trust.
const ROOT_CERTIFICATES: &str = "root.crt";
/// The name under which libpq and an installation keep revocation lists.
const ROOT_CRLS: &str = "root.crl";

/// The files of one folder. A name without a document is a file that is there and could not be
/// read; what it would have held is then not reported as missing.
#[derive(Clone, Debug)]
pub struct Bundle {
    members: Vec<(String, Option<Document>)>,
    /// Where the certificates with each subject stand in `all_certificates`.
    by_subject: HashMap<String, Vec<usize>>,
}

/// A private key, and a certificate that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMatch<'a> {
    /// The file with the key.
    pub key_file: &'a str,
    /// The file with the certificate.
    pub certificate_file: &'a str,
    /// The certificate's place in its file, from 1.
    pub place: usize,
    /// The certificate.
    pub certificate: &'a CertificateFacts,
}

impl Bundle {
    /// Takes the files of a folder: names without a path.
    pub fn new(members: Vec<(String, Option<Document>)>) -> Self {
        let mut bundle = Self {
            members,
            by_subject: HashMap::new(),
        };
        let mut by_subject: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, (_, certificate)) in bundle.certificates().enumerate() {
            let subject = chain::canonical(&certificate.subject);
            by_subject.entry(subject).or_default().push(index);
        }
        bundle.by_subject = by_subject;
        bundle
    }

    /// The files that could be read.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &Document)> {
        self.members
            .iter()
            .filter_map(|(name, document)| Some((name.as_str(), document.as_ref()?)))
    }

    /// Each key's certificates.
    pub fn key_matches(&self) -> Vec<KeyMatch<'_>> {
        let mut matches = Vec::new();
        for (key_file, key) in self.keys() {
            for (certificate_file, document) in self.documents() {
                for (index, certificate) in document.certificates().enumerate() {
                    if key.matches(&certificate.public_key) == Some(true) {
                        matches.push(KeyMatch {
                            key_file,
                            certificate_file,
                            place: index + 1,
                            certificate,
                        });
                    }
                }
            }
        }
        matches
    }

    fn document(&self, name: &str) -> Option<&Document> {
        let mut documents = self.documents();
        documents
            .find(|(other, _)| *other == name)
            .map(|(_, document)| document)
    }

    fn is_there(&self, name: &str) -> bool {
        self.members.iter().any(|(other, _)| other == name)
    }

    fn certificates(&self) -> impl Iterator<Item = (&str, &CertificateFacts)> {
        self.documents()
            .flat_map(|(name, document)| document.certificates().map(move |facts| (name, facts)))
    }

    fn keys(&self) -> impl Iterator<Item = (&str, &KeyFacts)> {
        self.documents()
            .flat_map(|(name, document)| document.keys().map(move |facts| (name, facts)))
    }

    fn crls(&self) -> impl Iterator<Item = (&str, &CrlFacts)> {
        self.documents()
            .flat_map(|(name, document)| document.crls().map(move |facts| (name, facts)))
    }
}

//! From a leaf to a self-signed root, through what the folder holds.

use std::collections::{HashSet, VecDeque};

use super::Bundle;
use crate::document::{CertificateFacts, Signature};

/// More certificates of one name than this are not a rotation, but an attempt to keep us busy.
const MAX_SAME_NAME: usize = 64;

/// One step of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// The file that the issuer stands in.
    pub file: &'a str,
    /// The issuer.
    pub certificate: &'a CertificateFacts,
    /// Whether it signed the certificate before it: good, or not to be checked here.
    pub signature: Signature,
}

/// How a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd<'a> {
    /// At a self-signed root.
    Root,
    /// At a certificate whose issuer is not there.
    IssuerMissing(&'a CertificateFacts),
    /// At a certificate that none of the CAs with its issuer's name has signed.
    NotSigned(&'a CertificateFacts),
    /// At a certificate whose issuer is no CA.
    IssuerNotCa(&'a CertificateFacts),
}

/// A leaf and its issuers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain<'a> {
    /// The file that the leaf stands in.
    pub file: &'a str,
    /// The leaf.
    pub leaf: &'a CertificateFacts,
    /// Its issuers, nearest first.
    pub links: Vec<Link<'a>>,
    /// How it ends.
    pub end: ChainEnd<'a>,
}

/// A name as OpenSSL compares it: letters' case and the number of spaces do not count.
pub(super) fn canonical(name: &str) -> String {
    let words: Vec<_> = name.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

/// Whether the key identifiers allow it: OpenSSL passes over an issuer whose identifier differs.
pub(super) fn key_ids_agree(authority: Option<&String>, issuer: &CertificateFacts) -> bool {
    match (authority, &issuer.subject_key_id) {
        (Some(authority), Some(own)) => authority == own,
        _ => true,
    }
}

impl Bundle {
    /// The chain of every leaf; a leaf that stands in several files once in each.
    pub fn chains(&self) -> Vec<Chain<'_>> {
        let all: Vec<_> = self.certificates().collect();
        let leaves = all.iter().filter(|(_, c)| !c.is_ca && !c.self_signed);
        leaves
            .map(|(file, leaf)| self.chain(&all, file, leaf))
            .collect()
    }

    /// Breadth first, each certificate once: that finds the shortest way to a root, and ends for
    /// any tangle of cross-signed CAs.
    pub(super) fn chain<'a>(
        &self,
        all: &[(&'a str, &'a CertificateFacts)],
        file: &'a str,
        leaf: &'a CertificateFacts,
    ) -> Chain<'a> {
        let mut visited = HashSet::from([leaf.fingerprint.as_str()]);
        let mut waiting = VecDeque::from([Vec::<Link<'a>>::new()]);
        let mut best = (Vec::new(), ChainEnd::IssuerMissing(leaf));
        while let Some(links) = waiting.pop_front() {
            let last = links.last().map_or(leaf, |link| link.certificate);
            if !links.is_empty() && last.self_signed {
                best = (links, ChainEnd::Root);
                break;
            }
            let (issuers, dead_end) = self.issuers(all, file, last);
            for issuer in issuers {
                if visited.insert(&issuer.certificate.fingerprint) {
                    let mut longer = links.clone();
                    longer.push(issuer);
                    waiting.push_back(longer);
                }
            }
            if let Some(end) = dead_end
                && links.len() >= best.0.len()
            {
                best = (links, end);
            }
        }
        let (links, end) = best;
        Chain {
            file,
            leaf,
            links,
            end,
        }
    }

    /// Who signed `certificate`, those in its own file first; or why nobody did.
    fn issuers<'a>(
        &self,
        all: &[(&'a str, &'a CertificateFacts)],
        file: &str,
        certificate: &'a CertificateFacts,
    ) -> (Vec<Link<'a>>, Option<ChainEnd<'a>>) {
        let named = self.by_subject.get(&canonical(&certificate.issuer));
        let named = named.into_iter().flatten().take(MAX_SAME_NAME);
        let authority = certificate.authority_key_id.as_ref();
        let mut links = Vec::new();
        let mut end = ChainEnd::IssuerMissing(certificate);
        for (file, issuer) in named.filter_map(|index| all.get(*index)) {
            if !key_ids_agree(authority, issuer) {
                continue;
            }
            let signature = certificate.signed_by(issuer);
            if signature == Signature::Bad {
                end = ChainEnd::NotSigned(certificate);
            } else if !issuer.is_ca {
                end = ChainEnd::IssuerNotCa(certificate);
            } else {
                links.push(Link {
                    file,
                    certificate: issuer,
                    signature,
                });
            }
        }
        links.sort_by_key(|link| link.file != file);
        let dead_end = links.is_empty().then_some(end);
        (links, dead_end)
    }
}

//! PostgreSQL checks revocation all along the chain (`X509_V_FLAG_CRL_CHECK_ALL`): as soon as one
//! CRL is loaded, every CA needs one.

use std::collections::HashSet;

use super::chain::{canonical, key_ids_agree};
use super::findings::FileFinding;
use super::{Bundle, Chain, ChainEnd, ROOT_CERTIFICATES};
use crate::document::{CertificateFacts, CrlFacts, Signature, printable};
use crate::finding::Finding;

/// A CRL, looked at once, however many certificates are then compared with it.
struct Checked<'a> {
    file: &'a str,
    crl: &'a CrlFacts,
    /// The CAs here that it names as its issuer, and whether they signed it.
    issuers: Vec<(&'a CertificateFacts, Signature)>,
    serials: HashSet<String>,
}

impl Checked<'_> {
    fn is_of(&self, ca: &CertificateFacts) -> bool {
        let mut issuers = self.issuers.iter();
        issuers.any(|(issuer, signature)| *issuer == ca && *signature != Signature::Bad)
    }
}

impl Bundle {
    pub(super) fn revocation(&self, chains: &[Chain<'_>]) -> Vec<FileFinding> {
        let crls: Vec<_> = self
            .crls()
            .map(|(file, crl)| self.check(file, crl))
            .collect();
        let Some(first) = crls.first() else {
            return Vec::new();
        };
        let mut findings: Vec<_> = crls
            .iter()
            .filter_map(|checked| Some(FileFinding::about(checked.file, issuer(checked)?)))
            .collect();
        for ca in self.authorities(chains) {
            if !crls.iter().any(|checked| checked.is_of(ca)) {
                let finding = Finding::error(
                    "crl-missing",
                    format!(
                        "there are CRLs, and none of the CA \"{}\": everybody below it is refused \
                         with \"tlsv1 alert unknown ca\"",
                        ca.title()
                    ),
                    "Append that CA's CRL too, or load none at all.",
                );
                findings.push(FileFinding::about(first.file, finding));
            }
        }
        findings.extend(chains.iter().flat_map(|chain| revoked(chain, &crls)));
        findings
    }

    /// Whether the CA that a CRL names as its issuer is among these files.
    pub(super) fn names_ca_here(&self, crl: &CrlFacts) -> bool {
        self.certificates().any(|(_, ca)| names(crl, ca))
    }

    fn check<'a>(&'a self, file: &'a str, crl: &'a CrlFacts) -> Checked<'a> {
        let mut issuers: Vec<(&CertificateFacts, Signature)> = Vec::new();
        for (_, certificate) in self.certificates() {
            if names(crl, certificate) && !issuers.iter().any(|(known, _)| *known == certificate) {
                issuers.push((certificate, crl.signed_by(certificate)));
            }
        }
        Checked {
            file,
            crl,
            issuers,
            serials: crl.revoked_serials(),
        }
    }

    /// The CAs whose clients the CRLs are for: those under the trusted roots.
    fn authorities<'a>(&'a self, chains: &[Chain<'a>]) -> Vec<&'a CertificateFacts> {
        let trusted = self.document(ROOT_CERTIFICATES);
        let is_trusted = |root: &CertificateFacts| {
            trusted.is_none_or(|document| document.certificates().any(|c| c == root))
        };
        let trusted_cas = trusted
            .into_iter()
            .flat_map(|document| document.certificates());
        let mut found: Vec<_> = trusted_cas.filter(|c| c.is_ca).collect();
        for chain in chains {
            let root = chain.links.last().map(|link| link.certificate);
            if chain.end == ChainEnd::Root && root.is_some_and(is_trusted) {
                found.extend(chain.links.iter().map(|link| link.certificate));
            }
        }
        let mut seen = HashSet::new();
        found.retain(|ca| seen.insert(ca.fingerprint.as_str()));
        found
    }
}

fn names(crl: &CrlFacts, ca: &CertificateFacts) -> bool {
    canonical(&crl.issuer) == canonical(&ca.subject)
        && key_ids_agree(crl.authority_key_id.as_ref(), ca)
}

fn issuer(checked: &Checked<'_>) -> Option<Finding> {
    let issuer = &checked.crl.issuer;
    if checked.issuers.is_empty() {
        return Some(Finding::info(
            "crl-foreign",
            format!("the CRL is issued by {issuer}, whose certificate is not here"),
            "That is right while clients of a former issuing CA are about; otherwise it is not needed.",
        ));
    }
    let any = |wanted| {
        checked
            .issuers
            .iter()
            .any(|(_, signature)| *signature == wanted)
    };
    if any(Signature::Good) {
        return None;
    }
    if any(Signature::Unsupported) {
        return Some(Finding::info(
            "signature-unchecked",
            format!(
                "the signature of the CRL of {issuer} ({}) cannot be checked here",
                checked.crl.signature_algorithm
            ),
            "Check it with openssl crl -CAfile.",
        ));
    }
    Some(Finding::error(
        "crl-signature",
        format!("the CRL of {issuer} is not signed by that CA"),
        "Fetch it again from the CA: PostgreSQL refuses everybody with this one.",
    ))
}

fn revoked(chain: &Chain<'_>, crls: &[Checked<'_>]) -> Vec<FileFinding> {
    let mut findings = Vec::new();
    let mut certificate = chain.leaf;
    for link in &chain.links {
        let own = crls
            .iter()
            .filter(|checked| checked.is_of(link.certificate));
        let mut naming = own.filter(|checked| checked.serials.contains(&certificate.serial.hex));
        if let Some(checked) = naming.next() {
            let finding = Finding::error(
                "revoked",
                format!(
                    "the certificate \"{}\" is revoked by {}",
                    certificate.title(),
                    printable(checked.file)
                ),
                "Issue a new one, if its owner may still have one.",
            );
            findings.push(FileFinding::about(chain.file, finding));
        }
        certificate = link.certificate;
    }
    findings
}

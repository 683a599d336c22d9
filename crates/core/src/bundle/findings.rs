//! What is wrong between the files of a folder.

use std::collections::HashSet;

use time::OffsetDateTime;

use super::{Bundle, Chain, ChainEnd, ROOT_CERTIFICATES, ROOT_CRLS};
use crate::document::{
    CertificateFacts, Document, Encoding, Signature, Use, findings_for, printable,
};
use crate::due::Within;
use crate::finding::Finding;

/// A finding, and the file that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// The file's name, as it was given; escape it before it goes to a terminal.
    pub file: String,
    /// What was found.
    pub finding: Finding,
}

impl FileFinding {
    pub(super) fn about(file: &str, finding: Finding) -> Self {
        Self {
            file: file.to_owned(),
            finding,
        }
    }
}

/// What PostgreSQL expects to find under a name.
fn usage(file: &str) -> Use {
    match file {
        "server.crt" => Use::Server,
        "postgresql.crt" => Use::Client,
        ROOT_CERTIFICATES => Use::Trust,
        _ => Use::Unknown,
    }
}

/// The names that only work together.
const PAIRS: [(&str, &str); 2] = [
    ("server.crt", "server.key"),
    ("postgresql.crt", "postgresql.key"),
];

impl Bundle {
    /// Everything that the files show, each by itself and all together.
    pub fn findings(&self, now: OffsetDateTime, within: Within) -> Vec<FileFinding> {
        let mut findings = Vec::new();
        for (file, document) in self.documents() {
            let own = findings_for(
                document,
                usage(file),
                |crl| self.names_ca_here(crl),
                now,
                within,
            );
            findings.extend(
                own.into_iter()
                    .map(|finding| FileFinding::about(file, finding)),
            );
        }
        let chains = self.chains();
        findings.extend(self.contents());
        findings.extend(self.missing());
        findings.extend(self.pairs());
        findings.extend(chains.iter().flat_map(|chain| self.chain_findings(chain)));
        findings.extend(self.trust());
        findings.extend(self.revocation(&chains));
        findings
    }

    /// Files whose names promise something that is not in them.
    fn contents(&self) -> Vec<FileFinding> {
        let mut findings = Vec::new();
        for (file, document) in self.documents() {
            let (what, is_there) = match file {
                "server.crt" | "postgresql.crt" | ROOT_CERTIFICATES => {
                    ("certificate", document.certificates().next().is_some())
                }
                "server.key" | "postgresql.key" => ("key", document.keys().next().is_some()),
                ROOT_CRLS => ("CRL", document.crls().next().is_some()),
                _ => continue,
            };
            if !is_there {
                let finding = Finding::error(
                    "wrong-content",
                    format!("there is no {what} in it, and its name promises one"),
                    "Put the right file in its place; PostgreSQL does not start with this one.",
                );
                findings.push(FileFinding::about(file, finding));
            }
            if file == "server.key" && document.encoding == Encoding::Der {
                let finding = Finding::error(
                    "der-not-pem",
                    "the server's key is DER, and PostgreSQL wants PEM",
                    "Convert it with pgpki convert FILE --to pem.",
                );
                findings.push(FileFinding::about(file, finding));
            }
        }
        findings
    }

    /// Whether a key is there in another form, for another program than libpq.
    fn has_other_form(&self, key: &str) -> bool {
        let stem = key.trim_end_matches(".key");
        let mut endings = ["pk8", "p12", "pem"].iter();
        endings.any(|ending| self.is_there(&format!("{stem}.{ending}")))
    }

    fn missing(&self) -> Vec<FileFinding> {
        let mut findings = Vec::new();
        for (certificate, key) in PAIRS {
            match (self.is_there(certificate), self.is_there(key)) {
                (true, false) if self.has_other_form(key) => {}
                (true, false) => findings.push(FileFinding::about(
                    certificate,
                    Finding::error(
                        "key-missing",
                        format!("{key} is missing beside it"),
                        "Put the key there, or say in the settings where it is.",
                    ),
                )),
                (false, true) => {
                    findings.push(FileFinding::about(key, self.without(certificate, key)));
                }
                _ => {}
            }
        }
        findings
    }

    /// What it means that the certificate of a key is not there.
    fn without(&self, certificate: &str, key: &str) -> Finding {
        match self.request_for(key) {
            Some(request) => Finding::info(
                "certificate-requested",
                format!(
                    "{certificate} is not there yet: {} asks for it",
                    printable(request)
                ),
                "Have the request signed with pgpki sign, and put what comes back beside the key.",
            ),
            None => Finding::error(
                "certificate-missing",
                format!("{certificate} is missing beside it"),
                "Put the certificate there, or say in the settings where it is.",
            ),
        }
    }

    /// The file with a request for the key of another file.
    fn request_for(&self, key_file: &str) -> Option<&str> {
        let key = self.document(key_file)?.keys().next()?;
        self.documents()
            .find(|(_, document)| {
                let mut requests = document.requests();
                requests.any(|request| key.matches(&request.public_key) == Some(true))
            })
            .map(|(file, _)| file)
    }

    /// Every `NAME.crt` or `NAME.pem` with a `NAME.key`.
    fn pairs(&self) -> Vec<FileFinding> {
        let mut findings = Vec::new();
        for (file, document) in self.documents() {
            let stem = file
                .strip_suffix(".crt")
                .or_else(|| file.strip_suffix(".pem"));
            let key_file = stem.map(|stem| format!("{stem}.key"));
            let key_document = key_file.as_deref().and_then(|name| self.document(name));
            if let (Some(key_file), Some(key_document)) = (key_file, key_document) {
                let finding = self.pair(file, document, key_document);
                findings.extend(finding.map(|finding| FileFinding::about(&key_file, finding)));
            }
        }
        findings
    }

    fn pair(&self, file: &str, certificates: &Document, keys: &Document) -> Option<Finding> {
        let certificate = certificates.certificates().next()?;
        let key = keys.keys().next()?;
        match key.matches(&certificate.public_key) {
            Some(true) => None,
            None => Some(Finding::info(
                "key-unchecked",
                format!(
                    "whether the key belongs to {} cannot be told",
                    printable(file)
                ),
                "Its public half is not to be had: it is encrypted, or of a rare kind.",
            )),
            Some(false) => {
                let matches = self.key_matches();
                let elsewhere = matches
                    .iter()
                    .find(|m| key.matches(&m.certificate.public_key) == Some(true));
                let where_to = elsewhere.map_or_else(
                    || "no certificate here".to_owned(),
                    |m| {
                        format!(
                            "certificate {} of {}",
                            m.place,
                            printable(m.certificate_file)
                        )
                    },
                );
                Some(Finding::error(
                    "key-mismatch",
                    format!(
                        "the key does not belong to the first certificate of {} (\"key values \
                         mismatch\"); it belongs to {where_to}",
                        printable(file)
                    ),
                    "Put together what was made together; the server does not start with these.",
                ))
            }
        }
    }

    fn chain_findings(&self, chain: &Chain<'_>) -> Vec<FileFinding> {
        let mut findings = Vec::new();
        findings.extend(self.chain_end(chain));
        findings.extend(self.not_sent(chain));
        for (place, link) in chain.links.iter().enumerate() {
            if link.signature == Signature::Unsupported {
                let below = place
                    .checked_sub(1)
                    .and_then(|below| chain.links.get(below));
                let below = below.map_or(chain.leaf, |link| link.certificate);
                findings.push(Finding::info(
                    "signature-unchecked",
                    format!(
                        "the signature of \"{}\" ({}) cannot be checked here",
                        below.title(),
                        below.signature_algorithm
                    ),
                    "Check it with openssl verify.",
                ));
            }
            let limit = link.certificate.path_length;
            if limit.is_some_and(|limit| usize::try_from(limit).is_ok_and(|limit| place > limit)) {
                findings.push(Finding::error(
                    "path-length",
                    format!(
                        "the CA \"{}\" allows fewer CAs below it than there are",
                        link.certificate.title()
                    ),
                    "Sign with it directly, or have it made again with a larger path length.",
                ));
            }
        }
        let about = |finding| FileFinding::about(chain.file, finding);
        findings.into_iter().map(about).collect()
    }

    fn chain_end(&self, chain: &Chain<'_>) -> Option<Finding> {
        let leaf = chain.leaf.title();
        match chain.end {
            ChainEnd::Root => None,
            ChainEnd::NotSigned(certificate) => Some(Finding::error(
                "signature-bad",
                format!(
                    "\"{}\" names {} as its issuer, whose key did not sign it",
                    certificate.title(),
                    certificate.issuer
                ),
                "Look for another CA of the same name; this chain is refused.",
            )),
            ChainEnd::IssuerNotCa(certificate) => Some(Finding::error(
                "issuer-not-ca",
                format!("the issuer of \"{}\" is no CA", certificate.title()),
                "Have it issued by a CA; this chain is refused.",
            )),
            ChainEnd::IssuerMissing(certificate) => {
                let has_root = self.certificates().any(|(_, c)| c.is_ca && c.self_signed);
                let message = format!(
                    "the chain of \"{leaf}\" ends at {}, which is not here",
                    certificate.issuer
                );
                if has_root {
                    return Some(Finding::error(
                        "chain-broken",
                        message,
                        "Add the missing CA's certificate, or the right root: nobody who trusts \
                         only the roots that are here accepts it.",
                    ));
                }
                chain.links.is_empty().then(|| {
                    Finding::info(
                        "chain-incomplete",
                        message,
                        "If that is not a root which everybody trusts already, append its \
                         certificate to the file.",
                    )
                })
            }
        }
    }

    /// PostgreSQL sends what stands in the leaf's own file; what its neighbours know does not
    /// reach the other side.
    fn not_sent(&self, chain: &Chain<'_>) -> Option<Finding> {
        let document = self.document(chain.file)?;
        let absent = chain.links.iter().find(|link| {
            let mut sent = document.certificates();
            // The same CA, certified by another one: the other side may follow that.
            let is_it = |c: &CertificateFacts| {
                c.subject == link.certificate.subject && c.public_key == link.certificate.public_key
            };
            !link.certificate.self_signed && !sent.any(is_it)
        })?;
        Some(Finding::warning(
            "chain-incomplete",
            format!(
                "the CA \"{}\" above \"{}\" stands only in {}",
                absent.certificate.title(),
                chain.leaf.title(),
                printable(absent.file)
            ),
            "Append its certificate to the file: the other side may know nothing but the root.",
        ))
    }

    /// Whoever trusts a CA without its root trusts nobody: OpenSSL wants to end at a root.
    fn trust(&self) -> Vec<FileFinding> {
        let Some(document) = self.document(ROOT_CERTIFICATES) else {
            return Vec::new();
        };
        let here: Vec<_> = document
            .certificates()
            .map(|c| (ROOT_CERTIFICATES, c))
            .collect();
        let alone = Self::new(vec![(ROOT_CERTIFICATES.to_owned(), Some(document.clone()))]);
        let roots: HashSet<_> = here
            .iter()
            .filter(|(_, c)| c.self_signed)
            .map(|(_, c)| (c.subject.as_str(), c.subject_key_id.as_deref()))
            .collect();
        let mut findings = Vec::new();
        for (file, ca) in here.iter().filter(|(_, c)| c.is_ca && !c.self_signed) {
            // A cross-signed root needs no issuer where it also stands with its own signature.
            let is_root = roots.contains(&(ca.subject.as_str(), ca.subject_key_id.as_deref()));
            if !is_root && alone.chain(&here, file, ca).end != ChainEnd::Root {
                let finding = Finding::error(
                    "root-missing",
                    format!("the CA \"{}\" stands there without its root", ca.title()),
                    "Append the root's certificate: PostgreSQL and libpq want every chain to end \
                     at one.",
                );
                findings.push(FileFinding::about(file, finding));
            }
        }
        findings
    }
}

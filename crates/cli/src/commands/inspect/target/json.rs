//! The report of a file or folder in JSON, as `docs/json.md` has it.

use std::path::Path;

use pgpki_core::document::{CrlFacts, Document, Item, KeyFacts, RequestFacts, Signature};
use serde::Serialize;
use time::OffsetDateTime;

use super::super::certificate::{self, CertificateJson};
use super::{ChainSeen, Found, Look, text};
use crate::exit::Failure;
use crate::show;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    target: String,
    files: Vec<FileJson<'a>>,
    certificates: Vec<CertificateJson<'a>>,
    keys: Vec<KeyJson<'a>>,
    requests: Vec<RequestJson<'a>>,
    crls: Vec<CrlJson<'a>>,
    chains: &'a [ChainSeen],
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize)]
struct FileJson<'a> {
    name: &'a str,
    encoding: Option<&'static str>,
    holds: Vec<&'a str>,
}

#[derive(Serialize)]
struct KeyJson<'a> {
    file: &'a str,
    format: &'static str,
    key: Option<String>,
    encrypted: bool,
    matches: Vec<&'a str>,
}

#[derive(Serialize)]
struct RequestJson<'a> {
    file: &'a str,
    subject: &'a str,
    names: Vec<String>,
    ca: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_length: Option<u32>,
    key: String,
    signature: &'static str,
}

#[derive(Serialize)]
struct CrlJson<'a> {
    file: &'a str,
    issuer: &'a str,
    number: Option<&'a str>,
    this_update: String,
    next_update: Option<String>,
    revoked: usize,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    code: &'a str,
    severity: &'static str,
    message: &'a str,
    hint: &'a str,
}

pub(super) fn write(target: &Path, look: &Look, now: OffsetDateTime) -> Result<(), Failure> {
    let mut report = Report {
        version: 1,
        target: target.to_string_lossy().into_owned(),
        files: Vec::new(),
        certificates: Vec::new(),
        keys: Vec::new(),
        requests: Vec::new(),
        crls: Vec::new(),
        chains: &look.chains,
        findings: look.findings.iter().map(finding).collect(),
    };
    for (name, document) in &look.files {
        report.files.push(file(name, document.as_ref()));
        for item in document.iter().flat_map(|document| &document.items) {
            report.add(name, item, look, now);
        }
    }
    crate::json::report(&report)
}

impl<'a> Report<'a> {
    fn add(&mut self, file: &'a str, item: &'a Item, look: &'a Look, now: OffsetDateTime) {
        match item {
            Item::Certificate(facts) => {
                self.certificates
                    .push(CertificateJson::of(Some(file), facts, now))
            }
            Item::Key(facts) => self.keys.push(key(file, facts, look)),
            Item::Request(facts) => self.requests.push(request(file, facts)),
            Item::Crl(facts) => self.crls.push(crl(file, facts)),
            Item::Pkcs12(facts) => {
                let certificates = facts.certificates.iter();
                self.certificates.extend(
                    certificates.map(|named| CertificateJson::of(Some(file), &named.facts, now)),
                );
                let keys = facts.keys.iter();
                self.keys
                    .extend(keys.map(|named| key(file, &named.facts, look)));
            }
            _ => {}
        }
    }
}

fn file<'a>(name: &'a str, document: Option<&'a Document>) -> FileJson<'a> {
    let holds = |item: &'a Item| match item {
        Item::Certificate(_) => "certificate",
        Item::Key(_) => "key",
        Item::Request(_) => "request",
        Item::Crl(_) => "crl",
        Item::Pkcs12(_) => "pkcs12",
        Item::Other { label } => label,
        _ => "other",
    };
    FileJson {
        name,
        encoding: document.map(text::encoding),
        holds: document
            .iter()
            .flat_map(|document| &document.items)
            .map(holds)
            .collect(),
    }
}

fn key<'a>(file: &'a str, facts: &'a KeyFacts, look: &'a Look) -> KeyJson<'a> {
    let matches = look.matches.iter().filter(|(key, _)| key == file);
    KeyJson {
        file,
        format: facts.format.as_str(),
        key: facts.kind.as_ref().map(ToString::to_string),
        encrypted: facts.is_encrypted(),
        matches: matches
            .map(|(_, certificate)| certificate.as_str())
            .collect(),
    }
}

fn request<'a>(file: &'a str, facts: &'a RequestFacts) -> RequestJson<'a> {
    RequestJson {
        file,
        subject: &facts.subject,
        names: certificate::names(&facts.alternative_names),
        ca: facts.is_ca,
        path_length: facts.path_length,
        key: facts.public_key.kind.to_string(),
        signature: match facts.signature {
            Signature::Good => "good",
            Signature::Bad => "bad",
            Signature::Unsupported => "unsupported",
        },
    }
}

fn crl<'a>(file: &'a str, facts: &'a CrlFacts) -> CrlJson<'a> {
    CrlJson {
        file,
        issuer: &facts.issuer,
        number: facts.number.as_ref().map(|number| number.decimal.as_str()),
        this_update: show::rfc3339(facts.this_update),
        next_update: facts.next_update.map(show::rfc3339),
        revoked: facts.revoked,
    }
}

fn finding(found: &Found) -> FindingJson<'_> {
    FindingJson {
        file: found.file.as_deref(),
        code: found.finding.code,
        severity: found.finding.severity.as_str(),
        message: &found.finding.message,
        hint: &found.finding.hint,
    }
}

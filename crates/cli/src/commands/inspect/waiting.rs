//! What waits for a company: a request for the next issuing CA, and a root of which clients know beforehand.

use std::io::{self, Write};

use pgpki_authority::Authority;
use pgpki_core::document::{Document, Item, printable};
use pgpki_core::endorsement::fingerprint;
use pgpki_core::issue::{CaFacts, has_same_name, is_certificate_of};
use pgpki_core::subject_key::SubjectKey;
use serde::Serialize;
use time::OffsetDateTime;

use crate::exit::Failure;
use crate::show;

/// It in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct WaitingJson {
    /// RFC 2253, escaped; none where the request is damaged.
    subject: Option<String>,
    /// Where its key and the request once more are.
    path: String,
}

/// The one of this authority, if there is one.
pub(super) fn of(authority: &Authority) -> Result<Option<WaitingJson>, Failure> {
    let Some(text) = authority.waiting_request()? else {
        return Ok(None);
    };
    let items = Document::read(&text).map(|document| document.items);
    let mut items = items.unwrap_or_default().into_iter();
    let subject = items.find_map(|item| match item {
        Item::Request(facts) => Some(facts.subject),
        _ => None,
    });
    Ok(Some(WaitingJson {
        subject,
        path: authority.next_request().to_string_lossy().into_owned(),
    }))
}

impl WaitingJson {
    /// `request  waits for its answer  /var/lib/pgpki/next  CN=db.example.com issuing CA 2`, as the CAs above it.
    pub(super) fn line(&self, out: &mut impl Write) -> io::Result<()> {
        let subject = self.subject.as_deref().unwrap_or("damaged");
        let path = printable(&self.path);
        writeln!(
            out,
            "request  {:<17}  {subject}  key in {path}",
            "waits for answer"
        )
    }
}

/// The company's next root in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct NextRootJson {
    subject: String,
    sha256: String,
    not_after: String,
}

/// The root that clients are handed before any server has a chain to it, if there is one.
pub(super) fn next_root(authority: &Authority, now: OffsetDateTime) -> Option<NextRootJson> {
    let hierarchy = authority.hierarchy();
    let (_, endorsement) = hierarchy.endorsed(now)?;
    let next = hierarchy.next_root(now)?;
    let facts = CaFacts::read(next).ok()?;
    // What servers have a chain to may have been certified anew since then.
    let present = endorsement.chain.root();
    let key = SubjectKey::of_certificate(present);
    let is_the_same = key.is_some_and(|key| is_certificate_of(next, &key));
    let until = CaFacts::read(present).ok()?.validity.not_after;
    if is_the_same && has_same_name(next, present) && facts.validity.not_after <= until {
        return None;
    }
    Some(NextRootJson {
        subject: facts.common_name,
        sha256: fingerprint(next),
        not_after: show::rfc3339(facts.validity.not_after),
    })
}

impl NextRootJson {
    /// `next     handed to clients  Company root 2  SHA-256 5c1e…`, as the CAs above it.
    pub(super) fn line(&self, out: &mut impl Write) -> io::Result<()> {
        let Self {
            subject, sha256, ..
        } = self;
        let subject = printable(subject);
        writeln!(
            out,
            "next     {:<17}  {subject}  SHA-256 {sha256}",
            "handed to clients"
        )
    }
}

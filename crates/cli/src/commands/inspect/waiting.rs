//! A request for the next issuing CA that waits for the company's answer.

use std::io::{self, Write};

use pgpki_authority::Authority;
use pgpki_core::document::{Document, Item, printable};
use serde::Serialize;

use crate::exit::Failure;

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

//! What is going to be signed, for somebody who decides, and what has been.

use std::io::{self, Write};
use std::path::PathBuf;

use pgpki_authority::ledger::Earlier;
use pgpki_core::document::RequestFacts;
use pgpki_core::issue::{Holder, Issued};
use pgpki_core::name::Role;

use super::super::{earlier, server};
use super::order::{Wanted, shown};
use crate::exit::Failure;
use crate::show::{self, FAINT, STRONG};

/// How much is shown of what is in a request, in characters: a stranger chose it, and it must not push the rest off the
/// screen.
const SHOWN: usize = 300;

/// What became of the requests.
#[derive(Default)]
pub(super) struct Signed {
    pub(super) done: Vec<(Holder, Issued, PathBuf)>,
    /// Why the next one, and those after it, were not signed.
    pub(super) failed: Option<Failure>,
}

pub(super) fn show(all: &[Wanted], out: &mut impl Write) -> io::Result<()> {
    for wanted in all {
        let (file, request) = (shown(&wanted.file), &wanted.request);
        let kind = &request.facts().public_key.kind;
        let fingerprint = request.key().fingerprint();
        writeln!(out, "{STRONG}Request{STRONG:#}    {file}")?;
        writeln!(out, "  asks for   {}", asked(request.facts()))?;
        writeln!(out, "  key        {kind}  SHA-256 {fingerprint}")?;
        writeln!(out, "  is to be   {}", wanted.order.holder)?;
    }
    Ok(())
}

/// What is in it for people; it is escaped already.
fn asked(facts: &RequestFacts) -> String {
    let names = facts.alternative_names.dns.iter().cloned();
    let names = names.chain(facts.alternative_names.ip.iter().map(ToString::to_string));
    let subject = Some(facts.subject.clone()).filter(|subject| !subject.is_empty());
    let all: Vec<String> = subject.into_iter().chain(names).collect();
    let text = match all.as_slice() {
        [] => "nothing".to_owned(),
        all => all.join(", "),
    };
    shortened(&text)
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// `had`: what roles had before.
pub(super) fn print(
    done: &[(Holder, Issued, PathBuf)],
    had: &[(Role, Earlier)],
    out: &mut impl Write,
) -> io::Result<()> {
    for (holder, issued, path) in done {
        let until = show::date(issued.validity.not_after);
        let (name, path) = (show::holder(holder), shown(path));
        writeln!(out, "{STRONG}{name}{STRONG:#}  until {until}  {path}")?;
        if let Some(note) = server::cut_note(issued) {
            writeln!(out, "  {note}")?;
        }
    }
    earlier::print(had, out)?;
    writeln!(
        out,
        "\n{FAINT}What is in each folder goes beside the key that the request was made with. When it is due, it takes\n\
         another request: no rotation renews it.{FAINT:#}"
    )
}

//! The report of a file or folder for people.

use std::io::{self, Write};

use pgpki_core::document::{
    CrlFacts, Document, Encoding, Item, KeyFacts, Opening, Pkcs12Facts, RequestFacts, Signature,
    printable,
};
use time::OffsetDateTime;

use super::super::certificate::{self, line, names};
use super::Look;
use crate::show::{self, FAINT, STRONG};

pub(super) fn write(look: &Look, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    for (name, document) in &look.files {
        let name = printable(name);
        match document {
            None => writeln!(out, "{STRONG}{name}{STRONG:#}  not readable")?,
            Some(document) => {
                writeln!(out, "{STRONG}{name}{STRONG:#}  {}", encoding(document))?;
                for item in &document.items {
                    self::item(item, now, out)?;
                }
            }
        }
    }
    for (key, certificate) in &look.matches {
        let (key, certificate) = (printable(key), printable(certificate));
        writeln!(out, "{FAINT}{key} belongs to {certificate}{FAINT:#}")?;
    }
    for chain in &look.chains {
        let names = chain.names.join(" < ");
        writeln!(
            out,
            "{FAINT}{} closes: {names}{FAINT:#}",
            printable(&chain.file)
        )?;
    }
    Ok(())
}

pub(super) fn encoding(document: &Document) -> &'static str {
    match document.encoding {
        Encoding::Pem => "PEM",
        Encoding::Der => "DER",
    }
}

fn item(item: &Item, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    match item {
        Item::Certificate(facts) => certificate::print(facts, "", now, out),
        Item::Key(facts) => key(facts, None, out),
        Item::Request(facts) => request(facts, out),
        Item::Crl(facts) => crl(facts, now, out),
        Item::Pkcs12(facts) => pkcs12(facts, now, out),
        Item::Other { label } => writeln!(out, "  a block {label:?}, which says nothing here"),
        _ => Ok(()),
    }
}

fn key(facts: &KeyFacts, alias: Option<&str>, out: &mut impl Write) -> io::Result<()> {
    let kind = facts
        .kind
        .as_ref()
        .map(|kind| format!("  {kind}"))
        .unwrap_or_default();
    writeln!(out, "  private key{kind}{}", aliased(alias))?;
    line("format", facts.format.as_str(), out)?;
    if let Some(encryption) = &facts.encryption {
        let state = opening(facts.opening);
        line("locked", format!("{} ({state})", encryption.method), out)?;
    }
    Ok(())
}

fn request(facts: &RequestFacts, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "  signing request  {STRONG}{}{STRONG:#}",
        facts.subject
    )?;
    if !facts.alternative_names.is_empty() {
        line("names", names(&facts.alternative_names).join(", "), out)?;
    }
    if facts.is_ca {
        let length = facts.path_length;
        let length = length.map(|length| format!(", pathlen:{length}"));
        line(
            "asks for",
            format!("CA:TRUE{}", length.unwrap_or_default()),
            out,
        )?;
    }
    let key = &facts.public_key.kind;
    line(
        "key",
        format!("{key}, signed with {}", facts.signature_algorithm),
        out,
    )?;
    let proof = match facts.signature {
        Signature::Good => "the sender has the private key",
        Signature::Bad => "bad: the request is not signed with its own key",
        Signature::Unsupported => "cannot be checked here",
    };
    line("proof", proof, out)
}

fn crl(facts: &CrlFacts, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    let issuer = &facts.issuer;
    writeln!(out, "  revocation list  {STRONG}{issuer}{STRONG:#}")?;
    let revoked = show::count(facts.revoked, "certificate");
    let number = facts
        .number
        .as_ref()
        .map_or("none", |number| &number.decimal);
    line("revokes", format!("{revoked}, number {number}"), out)?;
    let from = show::date(facts.this_update);
    let until = match facts.next_update {
        None => "no end".to_owned(),
        Some(end) if end < now => format!("{} (over)", show::date(end)),
        Some(end) => show::date(end),
    };
    line("valid", format!("{from} to {until}"), out)
}

fn pkcs12(facts: &Pkcs12Facts, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  PKCS#12 container  {}", opening(facts.opening))?;
    for encryption in &facts.encryption {
        line("locked", &encryption.method, out)?;
    }
    for named in &facts.keys {
        key(&named.facts, named.alias.as_deref(), out)?;
    }
    for named in &facts.certificates {
        certificate::print(&named.facts, &aliased(named.alias.as_deref()), now, out)?;
    }
    Ok(())
}

fn opening(opening: Opening) -> &'static str {
    match opening {
        Opening::NotEncrypted => "not encrypted",
        Opening::PassphraseNeeded => "needs its passphrase: --passphrase-file FILE",
        Opening::WrongPassphrase => "the passphrase does not open it",
        Opening::Unsupported => "its encryption cannot be opened here",
        Opening::TooCostly => "opening it would cost more work than a file may",
        Opening::Opened => "opened",
    }
}

fn aliased(alias: Option<&str>) -> String {
    alias
        .map(|alias| format!("  alias {alias}"))
        .unwrap_or_default()
}

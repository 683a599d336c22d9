//! The report of servers for people.

use std::io::{self, Write};

use pgpki_core::document::{CertificateFacts, printable};
use pgpki_core::due::{Phase, Within};
use pgpki_core::finding::Severity;
use pgpki_postgres::probe::{
    Endpoint, HostMatch, Login, Negotiation, Plaintext, ProbeError, Served,
};
use time::OffsetDateTime;

use super::{Look, Sight};
use crate::commands::inspect::{certificate, findings};
use crate::show::{self, BAD, FAINT, GOOD, STRONG, WARNING};

/// `user app, database orders`.
pub(super) fn login(login: &Login) -> String {
    let (user, database) = (printable(&login.user), printable(&login.database));
    format!("user {user}, database {database}")
}

/// Everything about one server.
pub(super) fn whole(look: &Look<'_>, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    let endpoint = &look.server.endpoint;
    writeln!(out, "{STRONG}{endpoint}{STRONG:#}{}", address(look))?;
    if let Ok(sight) = &look.tls {
        seen(sight, endpoint, out)?;
    }
    if let Some(answer) = &look.plaintext {
        fact("plaintext", plaintext(answer, &look.server.login), out)?;
    }
    for facts in look.certificates() {
        certificate::print(facts, "", now, out)?;
    }
    if !look.findings.is_empty() {
        writeln!(out)?;
        findings::print(&look.findings, out)?;
    }
    Ok(())
}

fn seen(sight: &Sight, endpoint: &Endpoint, out: &mut impl Write) -> io::Result<()> {
    fact("tls", tls(&sight.served), out)?;
    if let Some(request) = &sight.served.client_certificate {
        let from = match request.authorities.len() {
            0 => String::new(),
            some => format!(" from {}", show::count(some, "CA")),
        };
        fact("clients", format!("asked for a certificate{from}"), out)?;
    }
    let host = &endpoint.host;
    let name = match sight.host {
        None => "not to be read in the certificate".to_owned(),
        Some(HostMatch::Yes) => format!("{host} is in the certificate"),
        Some(HostMatch::LibpqOnly) => format!("{host} is in the certificate for libpq alone"),
        Some(HostMatch::No) => format!("{host} is not in the certificate"),
    };
    fact("name", name, out)?;
    let closed = sight.closings.iter().any(|closing| closing.closes);
    // Where it closes, nobody misses the other roots.
    for closing in sight.closings.iter().filter(|it| it.closes || !closed) {
        let names = closing.names.join(" < ");
        let store = &closing.store;
        let text = match closing.closes {
            true => format!("closes with {store}: {names}"),
            false => format!("does not close with {store}: {names} < ?"),
        };
        fact("chain", text, out)?;
    }
    Ok(())
}

fn tls(served: &Served) -> String {
    let negotiation = match served.negotiation {
        Negotiation::Postgres => "",
        Negotiation::Direct => ", direct",
    };
    let (protocol, suite) = (served.protocol.as_str(), &served.cipher_suite);
    format!("{protocol}, {suite}{negotiation}")
}

fn plaintext(answer: &Result<Plaintext, ProbeError>, asked: &Login) -> String {
    let who = login(asked);
    match answer {
        Ok(Plaintext::Taken { method }) => format!("accepted ({method}) for {who}"),
        Ok(Plaintext::Refused { .. }) => format!("refused for {who}"),
        Ok(Plaintext::Unknown { message }) => format!("not known for {who}: {message}"),
        Err(error) => format!("not known for {who}: {}", error.cause),
    }
}

fn address(look: &Look<'_>) -> String {
    let address = match &look.tls {
        Ok(sight) => Some(sight.served.address),
        Err(error) => error.address,
    };
    match address.map(|address| address.ip().to_string()) {
        Some(ip) if ip != look.server.endpoint.host.to_string() => {
            format!("  {FAINT}{ip}{FAINT:#}")
        }
        _ => String::new(),
    }
}

fn fact(label: &str, text: impl std::fmt::Display, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  {FAINT}{label:<9}{FAINT:#} {text}")
}

/// A line for each server.
pub(super) fn lines(
    looks: &[Look<'_>],
    now: OffsetDateTime,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{FAINT}  days              until       tls      plaintext  server{FAINT:#}"
    )?;
    looks.iter().try_for_each(|look| line(look, now, out))?;
    let wrong = looks.iter().filter(|look| look.worst().is_some()).count();
    if wrong > 0 {
        writeln!(
            out,
            "\n{FAINT}{} with findings; pgpki inspect SERVER shows all of one.{FAINT:#}",
            show::count(wrong, "server")
        )?;
    }
    Ok(())
}

/// What may be of any width comes last.
fn line(look: &Look<'_>, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    match look.certificates().next() {
        None => write!(out, "{:>6}  {:10}  {:10}", "-", "", "-")?,
        Some(leaf) => {
            let phase = Phase::at(leaf.validity, Within::Third, now);
            let style = show::phase_style(phase);
            let days = show::days_left(leaf.validity, now);
            let bar = show::bar(leaf.validity, now);
            let until = show::date(leaf.validity.not_after);
            write!(out, "{days:>6}  {style}{bar}{style:#}  {until}")?;
        }
    }
    let tls = look.tls.as_ref();
    let protocol = tls.map_or("-", |sight| sight.served.protocol.as_str());
    let plaintext = look.plaintext_word().unwrap_or("-");
    let endpoint = &look.server.endpoint;
    write!(out, "  {protocol:<7}  {plaintext:<9}  {endpoint}")?;
    match look.worst() {
        None => writeln!(out, "  {GOOD}ok{GOOD:#}"),
        Some((severity, codes)) => {
            let style = match severity {
                Severity::Error => BAD,
                _ => WARNING,
            };
            // Without a certificate there is room for the reason.
            let why = tls.err().map(|error| format!("  {}", error.cause));
            let why = why.unwrap_or_default();
            writeln!(
                out,
                "  {style}{severity}{style:#}  {}{why}",
                codes.join(", ")
            )
        }
    }
}

impl Look<'_> {
    /// The certificates that were served and can be read, the leaf first.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &CertificateFacts> {
        let sight = self.tls.iter();
        sight.flat_map(|sight| sight.document.certificates())
    }

    /// Whether plaintext is taken, where that was asked.
    pub(super) fn plaintext_word(&self) -> Option<&'static str> {
        self.plaintext.as_ref().map(|answer| match answer {
            Ok(Plaintext::Taken { .. }) => "accepted",
            Ok(Plaintext::Refused { .. }) => "refused",
            Ok(Plaintext::Unknown { .. }) | Err(_) => "unknown",
        })
    }

    /// The worst severity from warning on, and the codes of all such findings.
    fn worst(&self) -> Option<(Severity, Vec<&'static str>)> {
        let wrong = self.findings.iter();
        let wrong: Vec<_> = wrong
            .filter(|it| it.severity >= Severity::Warning)
            .collect();
        let worst = wrong.iter().map(|finding| finding.severity).max()?;
        let mut codes: Vec<_> = wrong.iter().map(|finding| finding.code).collect();
        codes.dedup();
        Some((worst, codes))
    }
}

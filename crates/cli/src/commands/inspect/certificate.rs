//! One certificate, for people and in JSON.

use std::io::{self, Write};

use pgpki_core::document::{AlternativeNames, CertificateFacts};
use pgpki_core::due::{Phase, Within};
use pgpki_core::profile::Profile;
use serde::Serialize;
use time::OffsetDateTime;

use crate::show::{self, FAINT, STRONG};

/// A certificate in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct CertificateJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    serial: &'a str,
    serial_decimal: &'a str,
    profile: Option<&'static str>,
    subject: &'a str,
    issuer: &'a str,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    status: &'static str,
    key: String,
    signature: &'a str,
    sha256: &'a str,
}

impl<'a> CertificateJson<'a> {
    pub(super) fn of(
        file: Option<&'a str>,
        facts: &'a CertificateFacts,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            file,
            serial: &facts.serial.hex,
            serial_decimal: &facts.serial.decimal,
            profile: facts.profile().map(Profile::as_str),
            subject: &facts.subject,
            issuer: &facts.issuer,
            names: names(&facts.alternative_names),
            not_before: show::rfc3339(facts.validity.not_before),
            not_after: show::rfc3339(facts.validity.not_after),
            status: show::phase(Phase::at(facts.validity, Within::Third, now)),
            key: facts.public_key.kind.to_string(),
            signature: &facts.signature_algorithm,
            sha256: &facts.fingerprint,
        }
    }
}

/// Writes a certificate for people; `behind` follows its title.
pub(super) fn print(
    facts: &CertificateFacts,
    behind: &str,
    now: OffsetDateTime,
    out: &mut impl Write,
) -> io::Result<()> {
    let kind = match facts.profile() {
        Some(profile) => format!("{profile} certificate"),
        None => "certificate".to_owned(),
    };
    writeln!(out, "  {kind}  {STRONG}{}{STRONG:#}{behind}", facts.title())?;
    if !facts.alternative_names.is_empty() {
        line("names", names(&facts.alternative_names).join(", "), out)?;
    }
    let phase = Phase::at(facts.validity, Within::Third, now);
    let style = show::phase_style(phase);
    let bar = show::bar(facts.validity, now);
    let left = match (phase, show::days_left(facts.validity, now)) {
        (Phase::Expired, days) => format!("ended {} days ago", -days),
        (Phase::NotYetValid, _) => "has not begun".to_owned(),
        (_, days) => format!("{days} days left"),
    };
    let (from, until) = (facts.validity.not_before, facts.validity.not_after);
    let (from, until) = (show::date(from), show::date(until));
    line(
        "valid",
        format!("{from} to {until}  {style}{bar}{style:#} {left}"),
        out,
    )?;
    line("subject", &facts.subject, out)?;
    line("issuer", &facts.issuer, out)?;
    let key = &facts.public_key.kind;
    line(
        "key",
        format!("{key}, signed with {}", facts.signature_algorithm),
        out,
    )?;
    line(
        "serial",
        format!("{} (decimal {})", facts.serial.hex, facts.serial.decimal),
        out,
    )?;
    line("sha256", &facts.fingerprint, out)
}

/// The names under which a server can be reached.
pub(super) fn names(names: &AlternativeNames) -> Vec<String> {
    let addresses = names.ip.iter().map(ToString::to_string);
    names.dns.iter().cloned().chain(addresses).collect()
}

/// One fact, below what it is about.
pub(super) fn line(
    label: &str,
    text: impl std::fmt::Display,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "    {FAINT}{label:<8}{FAINT:#} {text}")
}

//! `pgpki inspect` without a target: what has been issued, the most urgent first.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::Authority;
use pgpki_authority::ledger::{Certificate, Count, LeafHolder};
use pgpki_core::document::printable;
use pgpki_core::due::{Phase, Within};
use pgpki_core::finding::{Finding, Severity};
use pgpki_core::profile::Profile;
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer as _};
use time::{Duration, OffsetDateTime};

use super::findings::{self, FindingJson};
use super::{cas, waiting};
use crate::args::Inspect;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::show::{self, FAINT, STRONG};

/// How many certificates the first screen shows.
const SCREEN: usize = 50;

/// How many holders one finding names; the rest is counted.
const NAMED: usize = 20;

/// How many certificates are read at a time, so that memory does not grow with the ledger.
const PAGE: usize = 1000;

/// How long an expired certificate that nobody has replaced is shown as urgent: a month's reports
/// mention it, and then it is taken for abandoned, as those of people who left are.
const RECENTLY: Duration = Duration::days(30);

pub(super) fn run(args: &Inspect, now: OffsetDateTime) -> Result<Exit, Failure> {
    let authority = args.home.open()?;
    let counts = authority.ledger().counts(now)?;
    let urgent = authority.ledger().most_urgent(now - RECENTLY, SCREEN)?;
    let mut findings = findings(&urgent, &counts, now);
    let installed = authority.ledger().expired_installations(now)?;
    findings.extend(installed.iter().map(expired_installation));
    findings.extend(issuer_revoked(&authority.ledger().without_another(now)?));
    findings.extend(cas::endorsement(&authority, &args.home.flag(), now));
    if args.json {
        let mut out = json::stdout();
        report(
            &authority, &urgent, &counts, &findings, args.all, now, &mut out,
        )?;
        out.flush()?;
        return Ok(findings::exit(&findings));
    }
    // Without a buffer every certificate of `--all` would be a system call of its own.
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    if args.all {
        heading(&mut out)?;
        for_each(&authority, |certificate| {
            Ok(line(certificate, now, &mut out)?)
        })?;
    } else {
        screen(&authority, &urgent, &counts, now, &mut out)?;
    }
    if !findings.is_empty() {
        writeln!(out)?;
        findings::print(&findings, &mut out)?;
    }
    out.flush()?;
    Ok(findings::exit(&findings))
}

/// Every certificate, a page at a time.
fn for_each(
    authority: &Authority,
    mut act: impl FnMut(&Certificate) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = authority.ledger().page(after, PAGE)?;
        page.iter().try_for_each(&mut act)?;
        match page.last() {
            Some(last) => after = Some((last.validity.not_after, last.serial)),
            None => return Ok(()),
        }
    }
}

fn screen(
    authority: &Authority,
    urgent: &[Certificate],
    counts: &[Count],
    now: OffsetDateTime,
    out: &mut impl Write,
) -> Result<(), Failure> {
    writeln!(out, "{STRONG}{}{STRONG:#}", authority.home().display())?;
    heading(out)?;
    for certificate in urgent {
        line(certificate, now, out)?;
    }
    writeln!(out)?;
    for count in counts {
        let parts = [
            (count.valid, "valid"),
            (count.due, "due"),
            (count.replaced, "replaced"),
            (count.revoked, "revoked"),
            (count.expired, "expired"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        writeln!(out, "{:<8} {}", count.profile, parts.join(", "))?;
    }
    writeln!(out)?;
    for ca in cas::all(authority, now) {
        ca.line(out)?;
    }
    if let Some(waiting) = waiting::of(authority)? {
        waiting.line(out)?;
    }
    if let Some(next) = waiting::next_root(authority, now) {
        next.line(out)?;
    }
    let listed = urgent.len() as u64;
    let all: u64 = counts.iter().map(|count| count.valid + count.due).sum();
    if all > listed {
        writeln!(
            out,
            "\n{FAINT}These are the {listed} that end soonest; --all lists every one.{FAINT:#}"
        )?;
    }
    Ok(())
}

fn heading(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{FAINT}  days              until       kind     status         {:<32}  name{FAINT:#}",
        "serial"
    )
}

/// The name comes last: it may be of any width.
fn line(certificate: &Certificate, now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    let phase = Phase::at(certificate.validity, Within::Third, now);
    let style = show::phase_style(phase);
    let days = show::days_left(certificate.validity, now);
    let bar = show::bar(certificate.validity, now);
    let until = show::date(certificate.validity.not_after);
    let status = status(certificate, phase);
    let Certificate {
        profile, serial, ..
    } = certificate;
    writeln!(
        out,
        "{days:>6}  {style}{bar}{style:#}  {until}  {:<7}  {status:<13}  {serial}  {}{}",
        profile.as_str(),
        names(certificate),
        place(certificate)
    )
}

fn place(certificate: &Certificate) -> String {
    match &certificate.place {
        None => String::new(),
        Some(place) => {
            let place = printable(&place.to_string_lossy());
            format!("  {FAINT}{place}{FAINT:#}")
        }
    }
}

fn names(certificate: &Certificate) -> String {
    match certificate.hosts.is_empty() {
        true => printable(&certificate.common_name),
        false => certificate.hosts.join(", "),
    }
}

fn status(certificate: &Certificate, phase: Phase) -> &'static str {
    match (certificate.revoked, certificate.replaced, phase) {
        (.., Phase::Expired) => show::phase(phase),
        (true, ..) => "revoked",
        (_, true, _) => "replaced",
        (..) => show::phase(phase),
    }
}

/// A server with an expired certificate matters, however long ago that was.
fn expired_installation(certificate: &Certificate) -> Finding {
    let place = certificate.place.as_deref().unwrap_or(Path::new("?"));
    Finding {
        code: "expired",
        severity: Severity::Error,
        message: format!(
            "the certificate in {} ended on {}: {}",
            printable(&place.to_string_lossy()),
            show::date(certificate.validity.not_after),
            names(certificate),
        ),
        hint: "pgpki rotate renews it, if that server is still there.".to_owned(),
    }
}

/// Whoever has been handed nothing else than what an issuing CA has signed that was revoked since, by profile.
fn issuer_revoked(holders: &[LeafHolder]) -> Vec<Finding> {
    let of_profile = holders.chunk_by(|a, b| a.profile == b.profile);
    let finding = |of_profile: &[LeafHolder]| {
        let first = of_profile.first()?;
        let names = of_profile.iter().take(NAMED);
        let names: Vec<String> = names.map(|it| printable(&it.common_name)).collect();
        let more = match of_profile.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let (whose, another) = match first.profile {
            Profile::Server => ("server", "pgpki issue-server"),
            _ => ("role", "pgpki issue-client"),
        };
        Some(Finding {
            code: "issuer-revoked",
            severity: Severity::Error,
            message: format!(
                "the issuing CA was revoked that signed the last certificate of {}: {}{more}",
                show::count(of_profile.len(), whose),
                names.join(", ")
            ),
            hint: format!(
                "{another} makes another one, to be handed over; pgpki revoke says that nobody waits for one."
            ),
        })
    };
    of_profile.filter_map(finding).collect()
}

/// What is wrong, counted by profile: a thousand clients that are due are one finding.
fn findings(urgent: &[Certificate], counts: &[Count], now: OffsetDateTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    for profile in Profile::ALL {
        let of_profile = |c: &&Certificate| c.profile == profile;
        let phase = |c: &&Certificate| Phase::at(c.validity, Within::Third, now);
        let expired = urgent
            .iter()
            .filter(of_profile)
            .filter(|c| phase(c) == Phase::Expired);
        if let Some(last) = expired.clone().next_back() {
            findings.push(Finding {
                code: "expired",
                severity: Severity::Error,
                message: format!(
                    "{} expired within the last {} days, the last on {}: {}",
                    show::count(expired.count(), &format!("{profile} certificate")),
                    RECENTLY.whole_days(),
                    show::date(last.validity.not_after),
                    names(last),
                ),
                hint: what_to_do(profile).to_owned(),
            });
        }
        let due = counts
            .iter()
            .find(|count| count.profile == profile)
            .map_or(0, |count| count.due);
        let first = urgent
            .iter()
            .filter(of_profile)
            .find(|c| phase(c) == Phase::Due);
        if due > 0 {
            let first = first.map(|c| {
                format!(
                    ", the first on {}: {}",
                    show::date(c.validity.not_after),
                    names(c)
                )
            });
            findings.push(Finding {
                code: "due",
                severity: Severity::Warning,
                message: format!(
                    "{} in the last third of the lifetime{}",
                    show::count(due as usize, &format!("{profile} certificate")),
                    first.unwrap_or_default(),
                ),
                hint: what_to_do(profile).to_owned(),
            });
        }
    }
    findings
}

fn what_to_do(profile: Profile) -> &'static str {
    match profile {
        Profile::Root => {
            "pgpki rotate --root-passphrase-file FILE begins with a new root; nobody has to be told \
             before the old one ends."
        }
        Profile::Cross => "It ends with the old root, and is not needed after that.",
        Profile::Issuing => "pgpki rotate --root-passphrase-file FILE renews the issuing CA.",
        Profile::Server => {
            "pgpki rotate renews it where it is installed; where its key is elsewhere, pgpki sign \
             with its request."
        }
        Profile::Client => {
            "pgpki rotate renews it where its folder still is; otherwise pgpki issue-client, or \
             pgpki sign where its key is elsewhere, and hand it out again."
        }
    }
}

/// A certificate in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
struct CertificateJson {
    serial: String,
    profile: &'static str,
    subject: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl CertificateJson {
    fn of(certificate: &Certificate, now: OffsetDateTime) -> Self {
        let phase = Phase::at(certificate.validity, Within::Third, now);
        Self {
            serial: certificate.serial.to_string(),
            profile: certificate.profile.as_str(),
            subject: certificate.common_name.clone(),
            names: certificate.hosts.clone(),
            not_before: show::rfc3339(certificate.validity.not_before),
            not_after: show::rfc3339(certificate.validity.not_after),
            status: status(certificate, phase),
            place: certificate
                .place
                .as_ref()
                .map(|place| place.to_string_lossy().into_owned()),
        }
    }
}

#[derive(Serialize)]
struct CountJson {
    profile: &'static str,
    valid: u64,
    due: u64,
    replaced: u64,
    revoked: u64,
    expired: u64,
}

/// The whole report in JSON, written as it is read: the list of certificates may be of any length.
#[allow(clippy::too_many_arguments)]
fn report(
    authority: &Authority,
    urgent: &[Certificate],
    counts: &[Count],
    findings: &[Finding],
    all: bool,
    now: OffsetDateTime,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let counts: Vec<CountJson> = counts
        .iter()
        .map(|count| CountJson {
            profile: count.profile.as_str(),
            valid: count.valid,
            due: count.due,
            replaced: count.replaced,
            revoked: count.revoked,
            expired: count.expired,
        })
        .collect();
    let findings: Vec<FindingJson<'_>> = findings::to_json(findings);
    write!(out, "{{\"version\":1,\"home\":")?;
    json::write(&authority.home().to_string_lossy(), out)?;
    write!(out, ",\"counts\":")?;
    json::write(&counts, out)?;
    write!(out, ",\"cas\":")?;
    json::write(&cas::all(authority, now), out)?;
    if let Some(waiting) = waiting::of(authority)? {
        write!(out, ",\"request\":")?;
        json::write(&waiting, out)?;
    }
    if let Some(next) = waiting::next_root(authority, now) {
        write!(out, ",\"next_root\":")?;
        json::write(&next, out)?;
    }
    write!(out, ",\"findings\":")?;
    json::write(&findings, out)?;
    write!(out, ",\"certificates\":")?;
    let mut serializer = json::serializer(&mut *out);
    let mut list = serializer.serialize_seq(None)?;
    match all {
        false => {
            for certificate in urgent {
                list.serialize_element(&CertificateJson::of(certificate, now))?;
            }
        }
        true => for_each(authority, |certificate| {
            Ok(list.serialize_element(&CertificateJson::of(certificate, now))?)
        })?,
    }
    list.end()?;
    writeln!(out, "}}")?;
    Ok(())
}

//! What a revocation did, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use pgpki_core::document::printable;

use super::outcome::{Line, Outcome, Revoked, UNSPECIFIED};
use crate::commands::rotate::outcome::LeafLine;
use crate::commands::rotate::root_change::SessionLine;
use crate::show::{BAD, GOOD, STRONG, WARNING};

/// How many roles, and ways in, are named.
const NAMED: usize = 5;

pub(super) fn print(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let lists = [
        ("revoked", &outcome.revoked),
        ("revoked before", &outcome.already),
    ];
    for (what, leaves) in lists {
        for it in leaves {
            let leaf = &it.leaf;
            let LeafLine {
                profile, serial, ..
            } = leaf;
            let end = leaf.not_after.split('T').next().unwrap_or_default();
            let name = printable(&leaf.name);
            writeln!(
                out,
                "{GOOD}{what}{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  until {end}  {serial}"
            )?;
            reason(it, out)?;
        }
    }
    for line in &outcome.places {
        place(line, outcome, out)?;
    }
    if outcome.places.is_empty() && outcome.elsewhere.is_empty() {
        writeln!(
            out,
            "{BAD}not enforced{BAD:#}  this authority knows no installation, and so no server that would refuse it"
        )?;
    }
    for server in &outcome.elsewhere {
        let hosts = printable(&server.hosts.join(", "));
        let serial = &server.serial;
        writeln!(
            out,
            "{WARNING}not there yet{WARNING:#}  {STRONG}{hosts}{STRONG:#}  {serial}, whose key is elsewhere: its root.crl is out of date"
        )?;
        writeln!(out, "  {}", printable(&server.hint))?;
    }
    ended(&outcome.ended, out)?;
    for problem in &outcome.problems {
        writeln!(out, "{BAD}problem{BAD:#}  {}", printable(problem))?;
    }
    let ways_in = outcome.without_certificate.iter().take(NAMED);
    for way in ways_in {
        let [role, server, file] = [&way.role, &way.server, &way.file].map(|it| printable(it));
        let (line, rule) = (way.line, &way.rule);
        let what = match way.certain {
            true => "still let in",
            false => "perhaps let in",
        };
        writeln!(
            out,
            "{WARNING}{what}{WARNING:#}  {STRONG}{role}{STRONG:#} by {server}, without a certificate of its own: {file}, line {line} ({rule})"
        )?;
    }
    if let Some(more @ 1..) = outcome.without_certificate.len().checked_sub(NAMED) {
        writeln!(out, "  … and {more} more; --json names all")?;
    }
    keep_out(outcome, out)
}

/// What became of the reason of a certificate that had been revoked before.
fn reason(it: &Revoked, out: &mut impl Write) -> io::Result<()> {
    let now = it.reason.unwrap_or(UNSPECIFIED);
    match (it.reason_before, it.is_as_asked) {
        (Some(before), _) => writeln!(out, "  for {now}, which was {before} before"),
        (None, false) => writeln!(
            out,
            "  for {now}, and so it stays: only key-compromise and ca-compromise take the place of another reason"
        ),
        (None, true) => Ok(()),
    }
}

/// What helps at once, whatever stands in the way of the CRL, and where a certificate is not all that lets the role in.
fn keep_out(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let open = ["not-enforced", "put-back", "failed"];
    let mut places = outcome.places.iter();
    let is_open = places.any(|line| open.contains(&line.outcome));
    let roles: Vec<&str> = match is_open {
        true => outcome.roles(),
        false => {
            let ways_in = outcome.without_certificate.iter();
            let roles: BTreeSet<&str> = ways_in.map(|way| &*way.role).collect();
            roles.into_iter().collect()
        }
    };
    let when = match is_open {
        true => "meanwhile  ",
        false => "  ",
    };
    for role in roles.into_iter().take(NAMED) {
        let role = printable(&role.replace('"', "\"\""));
        writeln!(
            out,
            "{when}ALTER ROLE \"{role}\" NOLOGIN;  keeps that role out, whatever it comes with; sessions that are left go on"
        )?;
    }
    Ok(())
}

/// One line for all sessions of a role on a server: a pool may have hundreds.
fn ended(sessions: &[SessionLine], out: &mut impl Write) -> io::Result<()> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for session in sessions {
        *counts.entry((&session.role, &session.server)).or_default() += 1;
    }
    for ((role, server), count) in counts {
        let (role, server) = (printable(role), printable(server));
        let what = match count {
            1 => "a session".to_owned(),
            count => format!("{count} sessions"),
        };
        writeln!(
            out,
            "{GOOD}ended{GOOD:#}  {what} of {STRONG}{role}{STRONG:#} on {server}"
        )?;
    }
    Ok(())
}

fn place(line: &Line, outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let (path, name) = (printable(&line.path), &line.name);
    if line.replaced {
        writeln!(
            out,
            "{GOOD}replaced{GOOD:#}  {STRONG}{name}{STRONG:#}  {path} has a new certificate and key: clients check no CRL"
        )?;
    }
    match line.outcome {
        "enforced" => {}
        "not-enforced" => writeln!(
            out,
            "{BAD}not enforced{BAD:#}  {path}: {}",
            printable(&line.not_proven.join("; "))
        )?,
        "elsewhere" => writeln!(
            out,
            "{WARNING}not there yet{WARNING:#}  {STRONG}{name}{STRONG:#}  {path} has the new root.crl"
        )?,
        what => {
            let reason = line.reason.as_deref().map(printable).unwrap_or_default();
            let reason = reason.strip_prefix(&format!("{path}: ")).unwrap_or(&reason);
            writeln!(
                out,
                "{BAD}{}{BAD:#}  {STRONG}{name}{STRONG:#}  {path}: {reason}",
                what.replace('-', " ")
            )?;
        }
    }
    if let Some(hint) = &line.hint {
        writeln!(out, "  {}", printable(hint))?;
    }
    for server in &line.proven {
        let how = match outcome.refused.contains(server) {
            true => "which was seen to refuse what its CRL lists".to_owned(),
            false => {
                let numbers = outcome.crls.iter().map(|crl| crl.number.to_string());
                let numbers: Vec<String> = numbers.collect();
                format!("which has loaded CRL {}", numbers.join(", "))
            }
        };
        let server = printable(server);
        writeln!(out, "{GOOD}enforced{GOOD:#}  {path}: by {server}, {how}")?;
    }
    Ok(())
}

//! What a revocation did, for people and as JSON, and the exit status.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use pgpki_authority::ledger::{Place, PlaceKind};
use pgpki_authority::rotation::{Holds, Seen};
use pgpki_authority::{DeliverError, Revocation, TakenUp};
use pgpki_core::document::printable;
use pgpki_core::profile::Profile;
use serde::Serialize;

use crate::commands::rotate::outcome::LeafLine;
use crate::commands::rotate::root_change::SessionLine;
use crate::exit::Exit;
use crate::show::{self, BAD, GOOD, STRONG, WARNING};

/// How many roles are named in what to do meanwhile.
const NAMED: usize = 5;

/// The report of `revoke --json`, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct Outcome {
    version: u32,
    revoked: Vec<LeafLine>,
    /// What was revoked before.
    already: Vec<LeafLine>,
    /// The CRLs that list them.
    crls: Vec<CrlLine>,
    places: Vec<Line>,
    /// Servers that were seen to refuse a revoked certificate.
    refused: Vec<String>,
    /// Sessions that were ended.
    ended: Vec<SessionLine>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct CrlLine {
    ca: String,
    number: u64,
}

/// A place of a server, and whether the server there knows.
#[derive(Serialize)]
struct Line {
    /// `enforced`, `not-enforced`, `elsewhere`, `unreached`, `put-back`, `failed`.
    outcome: &'static str,
    path: String,
    kind: &'static str,
    name: String,
    /// Whether the server's own certificate was revoked, and it has a new one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replaced: bool,
    /// The servers that have the new CRLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proven: Vec<String>,
    /// What is not known, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_proven: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Line {
    fn new(outcome: &'static str, place: &Place) -> Self {
        Self {
            outcome,
            path: place.path.to_string_lossy().into_owned(),
            kind: place.kind.as_str(),
            name: show::holder(&place.holder),
            replaced: false,
            proven: Vec::new(),
            not_proven: Vec::new(),
            reason: None,
            hint: None,
        }
    }

    fn told(place: &Place, taken_up: &TakenUp) -> Self {
        let not_proven: Vec<String> = taken_up.not_proven().collect();
        let is_enforced = not_proven.is_empty() && !taken_up.proven.is_empty();
        let outcome = match is_enforced {
            true => "enforced",
            false => "not-enforced",
        };
        let hint = "A server that has not loaded this CRL accepts it: reload or start it, then run revoke again to have it proven";
        Self {
            proven: taken_up.proven.clone(),
            not_proven,
            hint: (!taken_up.unasked.is_empty()).then(|| hint.to_owned()),
            ..Self::new(outcome, place)
        }
    }

    fn elsewhere(place: &Place) -> Self {
        let path = place.path.join("root.crl");
        Self {
            hint: Some(format!(
                "Take {} to that server, and reload it there",
                path.display()
            )),
            ..Self::new("elsewhere", place)
        }
    }

    fn unreached(seen: &Seen) -> Self {
        let what = match (&seen.holds, seen.known.place.kind) {
            (Holds::Nothing, PlaceKind::Installation) => "the installation is gone",
            (Holds::Nothing, _) => "the folder was moved away",
            _ => "it holds something else",
        };
        Self {
            reason: Some(what.to_owned()),
            hint: Some(format!(
                "pgpki issue-server makes a new folder to take there; if there is no such server any more, say so: pgpki revoke {}",
                seen.known.serial
            )),
            ..Self::new("unreached", &seen.known.place)
        }
    }

    fn failed(place: &Place, error: &DeliverError) -> Self {
        let accepted =
            "Until that is put right the certificate is accepted there; then run revoke again";
        let (outcome, hint) = match error {
            DeliverError::PutBack { .. } => ("put-back", Some(accepted.to_owned())),
            DeliverError::NotServed { .. } => ("failed", Some(accepted.to_owned())),
            _ => ("failed", error.hint()),
        };
        Self {
            reason: Some(error.to_string()),
            hint,
            ..Self::new(outcome, place)
        }
    }
}

impl Outcome {
    pub(super) fn of(done: &Revocation) -> Self {
        let told = done.told.iter();
        let told = told.map(|(place, taken_up)| Line {
            replaced: done.replaced.contains(place),
            ..Line::told(place, taken_up)
        });
        let elsewhere = done.elsewhere.iter().map(|place| Line {
            replaced: done.replaced.contains(place),
            ..Line::elsewhere(place)
        });
        let failed = done.report.failed.iter();
        let places = told
            .chain(elsewhere)
            .chain(done.unreached.iter().map(Line::unreached))
            .chain(failed.map(|(place, error)| Line::failed(place, error)));
        let stopped = done.report.stopped.iter().map(ToString::to_string);
        let crls = done.crls.iter().map(|(ca, number)| CrlLine {
            ca: ca.clone(),
            number: *number,
        });
        Self {
            version: 1,
            revoked: done.revoked.iter().map(LeafLine::of).collect(),
            already: done.already.iter().map(LeafLine::of).collect(),
            crls: crls.collect(),
            places: places.collect(),
            refused: done.refused.clone(),
            ended: done.ended.iter().map(SessionLine::of).collect(),
            problems: done.problems.iter().cloned().chain(stopped).collect(),
        }
    }

    /// A revocation that nobody enforces is not done.
    pub(super) fn exit(&self) -> Exit {
        let is = |outcome| self.places.iter().any(|line| line.outcome == outcome);
        let all = !self.places.is_empty() && self.places.iter().all(|it| it.outcome == "enforced");
        match all && self.problems.is_empty() {
            _ if is("put-back") => Exit::PutBack,
            true => Exit::Done,
            false => Exit::Findings,
        }
    }
}

pub(super) fn print(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let lists = [
        ("revoked", &outcome.revoked),
        ("revoked before", &outcome.already),
    ];
    for (what, leaves) in lists {
        for leaf in leaves {
            let LeafLine {
                profile, serial, ..
            } = leaf;
            let end = leaf.not_after.split('T').next().unwrap_or_default();
            let name = printable(&leaf.name);
            writeln!(
                out,
                "{GOOD}{what}{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  until {end}  {serial}"
            )?;
        }
    }
    for line in &outcome.places {
        place(line, outcome, out)?;
    }
    if outcome.places.is_empty() {
        writeln!(
            out,
            "{BAD}not enforced{BAD:#}  this authority knows no installation, and so no server that would refuse it"
        )?;
    }
    ended(&outcome.ended, out)?;
    for problem in &outcome.problems {
        writeln!(out, "{BAD}problem{BAD:#}  {}", printable(problem))?;
    }
    meanwhile(outcome, out)
}

/// What helps at once, whatever stands in the way of the CRL.
fn meanwhile(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let open = ["not-enforced", "put-back", "failed"];
    if !outcome
        .places
        .iter()
        .any(|line| open.contains(&line.outcome))
    {
        return Ok(());
    }
    let leaves = outcome.revoked.iter().chain(&outcome.already);
    let clients = leaves.filter(|leaf| leaf.profile == Profile::Client.as_str());
    let roles: BTreeSet<&str> = clients.map(|leaf| &*leaf.name).collect();
    for role in roles.into_iter().take(NAMED) {
        let role = printable(&role.replace('"', "\"\""));
        writeln!(
            out,
            "meanwhile  ALTER ROLE \"{role}\" NOLOGIN;  keeps that role out, whatever it comes with"
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
            let reason = reason.strip_prefix(&*path).unwrap_or(&reason);
            let reason = reason.trim_start_matches(": ");
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
            true => "which was seen to refuse it".to_owned(),
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

//! What a revocation did, for people and as JSON, and the exit status.

use std::io::{self, Write};

use pgpki_authority::ledger::{KnownPlace, Place};
use pgpki_authority::{DeliverError, Revocation};
use pgpki_core::document::printable;
use serde::Serialize;

use crate::commands::rotate::outcome::LeafLine;
use crate::commands::rotate::root_change::SessionLine;
use crate::exit::Exit;
use crate::show::{self, BAD, GOOD, STRONG, WARNING};

/// The report of `revoke --json`, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct Outcome {
    version: u32,
    revoked: Vec<LeafLine>,
    /// What was revoked before.
    already: Vec<LeafLine>,
    places: Vec<Line>,
    /// Servers that were seen to refuse a revoked certificate.
    refused: Vec<String>,
    /// Sessions that were ended.
    ended: Vec<SessionLine>,
    problems: Vec<String>,
    /// Whether something was put back.
    #[serde(skip)]
    is_put_back: bool,
}

/// A place of a server, and whether the server there knows.
#[derive(Serialize)]
struct Line {
    /// `enforced`, `not-enforced`, `elsewhere`, `unreached`, `failed`.
    outcome: &'static str,
    path: String,
    name: String,
    /// The servers that have the new CRLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proven: Vec<String>,
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
            name: show::holder(&place.holder),
            proven: Vec::new(),
            reason: None,
            hint: None,
        }
    }
}

impl Outcome {
    pub(super) fn of(done: &Revocation) -> Self {
        let mut places = Vec::new();
        for (known, taken_up) in &done.told {
            let outcome = match taken_up.proven.is_empty() {
                true => "not-enforced",
                false => "enforced",
            };
            places.push(Line {
                proven: taken_up.proven.clone(),
                reason: (!taken_up.unasked.is_empty()).then(|| taken_up.unasked.join(", ")),
                ..Line::new(outcome, &known.place)
            });
        }
        for (place, installed) in &done.report.installed {
            let taken_up = &installed.live.taken_up;
            let outcome = match taken_up.proven.is_empty() {
                true => "not-enforced",
                false => "enforced",
            };
            places.push(Line {
                proven: taken_up.proven.clone(),
                ..Line::new(outcome, place)
            });
        }
        let elsewhere = done.elsewhere.iter();
        places.extend(elsewhere.map(|KnownPlace { place, .. }| Line::new("elsewhere", place)));
        let unreached = done.unreached.iter();
        places.extend(unreached.map(|seen| Line::new("unreached", &seen.known.place)));
        for (place, error) in &done.report.failed {
            places.push(Line {
                reason: Some(error.to_string()),
                hint: error.hint(),
                ..Line::new("failed", place)
            });
        }
        let is_put_back = |error: &DeliverError| matches!(error, DeliverError::PutBack { .. });
        Self {
            version: 1,
            revoked: done.revoked.iter().map(LeafLine::of).collect(),
            already: done.already.iter().map(LeafLine::of).collect(),
            places,
            refused: done.refused.clone(),
            ended: done.ended.iter().map(SessionLine::of).collect(),
            problems: done.problems.clone(),
            is_put_back: done
                .report
                .failed
                .iter()
                .any(|(_, error)| is_put_back(error)),
        }
    }

    /// A revocation that nobody enforces is not done.
    pub(super) fn exit(&self) -> Exit {
        let is_enforced = |line: &Line| line.outcome == "enforced";
        let all = !self.places.is_empty() && self.places.iter().all(is_enforced);
        match all && self.problems.is_empty() {
            _ if self.is_put_back => Exit::PutBack,
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
        place(line, out)?;
    }
    if outcome.places.is_empty() {
        writeln!(
            out,
            "{BAD}not enforced{BAD:#}  this authority knows no installation, and so no server that would refuse it"
        )?;
    }
    if !outcome.refused.is_empty() {
        let servers = printable(&outcome.refused.join(", "));
        writeln!(out, "{GOOD}refused{GOOD:#}  by {servers}, which was tried")?;
    }
    for session in &outcome.ended {
        let (role, server) = (printable(&session.role), printable(&session.server));
        let pid = session.pid;
        writeln!(
            out,
            "{GOOD}ended{GOOD:#}  a session of {STRONG}{role}{STRONG:#} on {server}, process {pid}"
        )?;
    }
    for problem in &outcome.problems {
        writeln!(out, "{BAD}problem{BAD:#}  {}", printable(problem))?;
    }
    Ok(())
}

fn place(line: &Line, out: &mut impl Write) -> io::Result<()> {
    let path = printable(&line.path);
    let name = &line.name;
    let reason = line.reason.as_deref().map(printable).unwrap_or_default();
    match line.outcome {
        "enforced" => {
            let servers = printable(&line.proven.join(", "));
            writeln!(out, "{GOOD}enforced{GOOD:#}  {path}: by {servers}")?;
            match reason.is_empty() {
                true => Ok(()),
                false => writeln!(out, "          {reason}"),
            }
        }
        "not-enforced" => writeln!(
            out,
            "{BAD}not enforced{BAD:#}  {path}: {reason}; a server refuses it once it has reloaded"
        ),
        "elsewhere" => writeln!(
            out,
            "{WARNING}not there yet{WARNING:#}  {STRONG}{name}{STRONG:#}: {path} has the new root.crl; take it to that server and reload it"
        ),
        "unreached" => writeln!(
            out,
            "{WARNING}unreached{WARNING:#}  {STRONG}{name}{STRONG:#}: {path} is not there any more; that server, if there still is one, goes on accepting it"
        ),
        _ => {
            let reason = reason.strip_prefix(&*path).unwrap_or(&reason);
            let reason = reason.trim_start_matches(": ");
            writeln!(
                out,
                "{BAD}failed{BAD:#}  {STRONG}{name}{STRONG:#}  {path}: {reason}"
            )?;
            match &line.hint {
                Some(hint) => writeln!(out, "        {}", printable(hint)),
                None => Ok(()),
            }
        }
    }
}

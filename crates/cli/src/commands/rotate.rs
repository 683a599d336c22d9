//! `pgpki rotate`: renew whatever is due.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use pgpki_authority::ledger::{KnownPlace, Place};
use pgpki_authority::rotation::{Holds, IssuingProblem, Plan, Report, Request, Seen};
use pgpki_authority::{Authority, DeliverError, Installed, TakenUp};
use pgpki_core::document::printable;
use pgpki_core::due::Within;
use pgpki_core::issue::Issued;
use serde::Serialize;
use time::OffsetDateTime;

use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::passphrase;
use crate::progress::Progress;
use crate::servers::LocalServers;
use crate::show::{self, BAD, GOOD, STRONG, WARNING};

pub(crate) fn run(args: &Rotate, clock: Clock) -> Result<Exit, Failure> {
    let passphrase = args
        .root_passphrase_file
        .as_deref()
        .map(passphrase::from_file)
        .transpose()?;
    let request = Request {
        within: args.within.map_or(Within::Third, Within::Duration),
        force: args.force,
        root_passphrase: passphrase.as_ref().map(|bytes| bytes.as_slice()),
    };
    if args.dry_run {
        return dry_run(args, &request, clock());
    }
    let mut authority = args.home.open_alone()?;
    let now = clock();
    let progress = Progress::new(None);
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let report = authority.rotate(&request, &mut servers, now, &|made| progress.add(made))?;
    drop(progress);
    if !report.installed.is_empty() || !report.taken_up.is_empty() {
        authority.remember_clusters(servers.users())?;
    }
    let outcome = Outcome::of(&report, &authority)?;
    match args.json {
        true => json::report(&outcome)?,
        false => print(
            &outcome,
            &authority,
            &request,
            now,
            &mut anstream::stdout().lock(),
        )?,
    }
    Ok(outcome.exit())
}

fn is_wrong_passphrase(report: &Report) -> bool {
    use pgpki_authority::{AuthorityError, CaStoreError};
    use pgpki_core::key::KeyError;
    matches!(
        &report.issuing_problem,
        Some(IssuingProblem::Failed(AuthorityError::Ca(
            CaStoreError::Key {
                source: KeyError::WrongPassphrase,
                ..
            }
        )))
    )
}

fn dry_run(args: &Rotate, request: &Request<'_>, now: OffsetDateTime) -> Result<Exit, Failure> {
    let authority = args.home.open()?;
    let plan = authority.plan(request, now)?;
    let outcome = Outcome::of_plan(&plan, &authority)?;
    match args.json {
        true => json::report(&outcome)?,
        false => print(
            &outcome,
            &authority,
            request,
            now,
            &mut anstream::stdout().lock(),
        )?,
    }
    Ok(outcome.exit())
}

/// What happened to one place, or would.
#[derive(Serialize)]
struct Line {
    /// `renewed`, `taken-up`, `would-renew`, `waiting`, `held-back`, `moved-away`, `changed`, `put-back`,
    /// `failed`.
    outcome: &'static str,
    path: String,
    kind: &'static str,
    profile: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    /// The servers that were seen to serve it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proven: Vec<String>,
    /// Why no server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_proven: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut_to_issuer: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The report of `rotate --json`, as `docs/json.md` has it.
#[derive(Serialize)]
struct Outcome {
    version: u32,
    dry_run: bool,
    /// `not-due`, `renewed`, `would-renew`, `passphrase-needed`, `failed`.
    issuing_ca: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuing_ca_reason: Option<String>,
    issuing_ca_not_after: String,
    places: Vec<Line>,
    /// Leftovers of killed runs that were removed.
    swept: usize,
    /// What could not be removed or moved, and why.
    left: Vec<String>,
    /// Why a delivery ended early, or may not survive a power cut.
    stopped: Vec<String>,
    /// Whether the passphrase that was given does not open the root key.
    #[serde(skip)]
    is_wrong_passphrase: bool,
}

impl Outcome {
    fn of(report: &Report, authority: &Authority) -> Result<Self, Failure> {
        let (issuing_ca, reason) = match (&report.issuing, &report.issuing_problem) {
            (Some(_), _) => ("renewed", None),
            (None, None) => ("not-due", None),
            (None, Some(IssuingProblem::PassphraseNeeded)) => ("passphrase-needed", None),
            (None, Some(IssuingProblem::Failed(error))) => ("failed", Some(error.to_string())),
        };
        let installed = report.installed.iter().map(Line::installed);
        let handed_over = report.handed_over.iter();
        let renewed =
            installed.chain(handed_over.map(|(place, issued)| Line::renewed(place, issued)));
        let taken_up = report.taken_up.iter().map(Line::taken_up);
        let waiting = report
            .waiting
            .iter()
            .map(|known| Line::known("waiting", known));
        let held_back = report.held_back.iter();
        let held_back = held_back.map(|place| Line::new("held-back", place));
        let gone = report.gone.iter().map(Line::gone);
        let failed = report.failed.iter().map(Line::failed);
        Ok(Self {
            version: 1,
            dry_run: false,
            issuing_ca,
            issuing_ca_reason: reason,
            issuing_ca_not_after: show::rfc3339(authority.issuing()?.validity.not_after),
            places: renewed
                .chain(taken_up)
                .chain(waiting)
                .chain(held_back)
                .chain(gone)
                .chain(failed)
                .collect(),
            swept: report.swept,
            left: report.left.clone(),
            stopped: report.stopped.iter().map(ToString::to_string).collect(),
            is_wrong_passphrase: is_wrong_passphrase(report),
        })
    }

    fn of_plan(plan: &Plan, authority: &Authority) -> Result<Self, Failure> {
        let renew = plan
            .renew
            .iter()
            .map(|known| Line::known("would-renew", known));
        let waiting = plan
            .waiting
            .iter()
            .map(|known| Line::known("waiting", known));
        let gone = plan.gone.iter().map(Line::gone);
        let failed = plan.failed.iter().map(Line::failed);
        Ok(Self {
            version: 1,
            dry_run: true,
            issuing_ca: if plan.issuing {
                "would-renew"
            } else {
                "not-due"
            },
            issuing_ca_reason: None,
            issuing_ca_not_after: show::rfc3339(authority.issuing()?.validity.not_after),
            places: renew.chain(waiting).chain(gone).chain(failed).collect(),
            swept: 0,
            left: Vec::new(),
            stopped: Vec::new(),
            is_wrong_passphrase: false,
        })
    }

    /// 4 and 5 say that nothing has changed: where something was renewed, what is left to do is
    /// due. A folder that was moved away, or changed, is as somebody wanted it.
    fn exit(&self) -> Exit {
        let is = |outcome| self.places.iter().any(|line| line.outcome == outcome);
        let something_done = is("renewed") || is("taken-up") || self.issuing_ca == "renewed";
        let failed = is("failed") || self.issuing_ca == "failed" || !self.stopped.is_empty();
        let unfinished = is("waiting") || is("held-back") || self.issuing_ca == "passphrase-needed";
        match (failed, something_done) {
            _ if is("put-back") => Exit::PutBack,
            (true, false) if self.is_wrong_passphrase && !is("failed") => Exit::BadInput,
            (true, false) => Exit::Failed,
            (true, true) => Exit::Findings,
            (false, _) if unfinished => Exit::Findings,
            (false, _) => Exit::Done,
        }
    }

    fn is_quiet(&self) -> bool {
        let nothing_issued = matches!(self.issuing_ca, "not-due");
        nothing_issued
            && self.places.is_empty()
            && self.swept == 0
            && self.left.is_empty()
            && self.stopped.is_empty()
    }
}

impl Line {
    fn new(outcome: &'static str, place: &Place) -> Self {
        Self {
            outcome,
            path: place.path.to_string_lossy().into_owned(),
            kind: place.kind.as_str(),
            profile: place.holder.profile().as_str(),
            name: show::holder(&place.holder),
            serial: None,
            not_after: None,
            generation: None,
            proven: Vec::new(),
            not_proven: None,
            cut_to_issuer: false,
            reason: None,
            hint: None,
        }
    }

    fn renewed(place: &Place, issued: &Issued) -> Self {
        Self {
            serial: Some(issued.serial.to_string()),
            not_after: Some(show::rfc3339(issued.validity.not_after)),
            cut_to_issuer: issued.cut_to_issuer,
            ..Self::new("renewed", place)
        }
    }

    fn installed((place, installed): &(Place, Installed)) -> Self {
        Self {
            generation: Some(installed.generation),
            ..Self::renewed(place, &installed.issued)
        }
        .with(&installed.taken_up)
    }

    fn taken_up((known, taken_up): &(KnownPlace, TakenUp)) -> Self {
        Self::known("taken-up", known).with(taken_up)
    }

    fn with(self, taken_up: &TakenUp) -> Self {
        let unasked = &taken_up.unasked;
        Self {
            proven: taken_up.proven.clone(),
            not_proven: (!unasked.is_empty()).then(|| unasked.join(", ")),
            ..self
        }
    }

    fn known(outcome: &'static str, known: &KnownPlace) -> Self {
        Self {
            serial: Some(known.serial.to_string()),
            not_after: Some(show::rfc3339(known.validity.not_after)),
            ..Self::new(outcome, &known.place)
        }
    }

    fn failed((place, error): &(Place, Arc<DeliverError>)) -> Self {
        let outcome = match **error {
            DeliverError::PutBack { .. } => "put-back",
            _ => "failed",
        };
        Self {
            reason: Some(error.to_string()),
            hint: error.hint(),
            ..Self::new(outcome, place)
        }
    }

    fn gone(seen: &Seen) -> Self {
        match &seen.holds {
            Holds::Foreign(why) => Self {
                reason: why.clone(),
                ..Self::known("changed", &seen.known)
            },
            _ => Self::known("moved-away", &seen.known),
        }
    }
}

fn print(
    outcome: &Outcome,
    authority: &Authority,
    request: &Request<'_>,
    now: OffsetDateTime,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if outcome.is_quiet() {
        // cron mails whatever is printed, and there is nothing to tell.
        if io::stdout().is_terminal() || outcome.dry_run {
            nothing_due(authority, request, now, out)?;
        }
        return Ok(());
    }
    issuing_ca(outcome, out)?;
    for line in &outcome.places {
        place(line, out)?;
    }
    if outcome.swept > 0 {
        writeln!(
            out,
            "removed {} of runs that were killed",
            show::count(outcome.swept, "leftover")
        )?;
    }
    for left in &outcome.left {
        writeln!(out, "{WARNING}left{WARNING:#}  {}", printable(left))?;
    }
    for stopped in &outcome.stopped {
        writeln!(out, "{BAD}stopped{BAD:#}  {}", printable(stopped))?;
    }
    if outcome.places.iter().any(|line| line.not_proven.is_some()) {
        writeln!(
            out,
            "\nA server that was not asked uses the new certificate once it reloads: pg_ctl reload, or\nSELECT pg_reload_conf()"
        )?;
    }
    Ok(())
}

fn issuing_ca(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let end = day(&outcome.issuing_ca_not_after);
    match outcome.issuing_ca {
        "renewed" => writeln!(out, "{GOOD}renewed{GOOD:#}  the issuing CA, until {end}"),
        "would-renew" => writeln!(out, "would renew  the issuing CA, which ends {end}"),
        "passphrase-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the issuing CA ends {end}, and everything it signs with it.\n     \
             Renewing it needs the root key's passphrase before that:\n     \
             pgpki rotate --root-passphrase-file FILE"
        ),
        "failed" => {
            let reason = outcome.issuing_ca_reason.as_deref().unwrap_or_default();
            writeln!(
                out,
                "{BAD}failed{BAD:#}  the issuing CA, which ends {end}: {reason}"
            )
        }
        _ => Ok(()),
    }
}

/// The date of an RFC 3339 time; the rest is for programs.
fn day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}

fn place(line: &Line, out: &mut impl Write) -> io::Result<()> {
    let Line { profile, name, .. } = line;
    let path = printable(&line.path);
    let end = day(line.not_after.as_deref().unwrap_or("never"));
    match line.outcome {
        "renewed" => {
            let cut = match line.cut_to_issuer {
                true => ", when the CA that signed it ends",
                false => "",
            };
            let generation = line
                .generation
                .map(|n| format!("/current -> g{n:04}"))
                .unwrap_or_default();
            writeln!(
                out,
                "{GOOD}renewed{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  until {end}{cut}  {path}{generation}"
            )?;
            proof(line, out)
        }
        "taken-up" => {
            writeln!(
                out,
                "{GOOD}taken up{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  until {end}  {path}: the server served something else"
            )?;
            proof(line, out)
        }
        "would-renew" => writeln!(
            out,
            "would renew  {profile} {STRONG}{name}{STRONG:#}  ends {end}  {path}"
        ),
        "waiting" => writeln!(
            out,
            "{WARNING}waiting{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}, and a new one would not last longer  {path}"
        ),
        "held-back" => writeln!(
            out,
            "{WARNING}held back{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  {path}: a server here does not know the new issuing CA yet"
        ),
        "moved-away" => writeln!(
            out,
            "{WARNING}moved away{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}; {path} is not there any more: issue another one where it is needed"
        ),
        "changed" => {
            let why = match &line.reason {
                Some(reason) => format!(": {}", printable(reason)),
                None => " does not hold the certificate that was put there".to_owned(),
            };
            writeln!(
                out,
                "{WARNING}left alone{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}  {path}{why}"
            )
        }
        outcome => {
            let reason = line.reason.as_deref().unwrap_or_default();
            // Some errors begin with the place that they are about.
            let reason = reason.strip_prefix(&*line.path).unwrap_or(reason);
            let reason = printable(reason.trim_start_matches(": "));
            let outcome = match outcome {
                "put-back" => "put back",
                other => other,
            };
            writeln!(
                out,
                "{BAD}{outcome}{BAD:#}  {profile} {STRONG}{name}{STRONG:#}  {path}: {reason}"
            )?;
            match &line.hint {
                Some(hint) => writeln!(out, "        {}", printable(hint)),
                None => Ok(()),
            }
        }
    }
}

fn proof(line: &Line, out: &mut impl Write) -> io::Result<()> {
    if !line.proven.is_empty() {
        let servers = printable(&line.proven.join(", "));
        writeln!(out, "         served by {servers}")?;
    }
    match &line.not_proven {
        Some(why) => writeln!(out, "         not proven: {}", printable(why)),
        None => Ok(()),
    }
}

fn nothing_due(
    authority: &Authority,
    request: &Request<'_>,
    now: OffsetDateTime,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let places = authority.ledger().places()?;
    let next = places
        .iter()
        .map(|known| (known, request.within.due_from(known.validity)))
        // What is gone was due before, and is no longer anybody's concern.
        .filter(|(_, due)| *due > now)
        .min_by_key(|(_, due)| *due);
    match next {
        Some((known, due)) => writeln!(
            out,
            "Nothing is due. The next is {} {}, from {} on.",
            known.place.holder.profile(),
            show::holder(&known.place.holder),
            show::date(due)
        )?,
        None => writeln!(out, "Nothing is due.")?,
    }
    Ok(())
}

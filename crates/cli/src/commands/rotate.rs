//! `pgpki rotate`: renew whatever is due; have one CA take over from another.

pub(super) mod outcome;
pub(super) mod root_change;
mod text;

use pgpki_authority::Authority;
use pgpki_authority::rotation::{Report, Request, Step};
use pgpki_core::due::Within;
use time::OffsetDateTime;

use self::outcome::Outcome;
use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::passphrase::{self, Passphrase};
use crate::progress::Progress;
use crate::servers::LocalServers;

pub(crate) fn run(args: &Rotate, clock: Clock) -> Result<Exit, Failure> {
    if args.finish {
        return root_change::finish(args, clock);
    }
    if args.undo {
        return root_change::undo(args, clock);
    }
    let step = match args {
        Rotate { root: true, .. } => Some(Step::Root),
        Rotate {
            compromised: true, ..
        } => Some(Step::Compromised),
        Rotate { issuing: true, .. } => Some(Step::Issuing),
        _ => None,
    };
    let passphrase = root_passphrase(args, step.is_some() && !args.dry_run)?;
    let request = Request {
        within: args.within.map_or(Within::Third, Within::Duration),
        force: args.force,
        succession: step,
        root_passphrase: passphrase.as_ref().map(|bytes| bytes.as_slice()),
    };
    if args.dry_run {
        let authority = args.home.open()?;
        let now = clock();
        let plan = authority.plan(&request, now)?;
        let outcome = Outcome::of_plan(&plan, &authority, now);
        return tell(args, &outcome, &authority, &request, now);
    }
    let mut authority = args.home.open_alone()?;
    let now = clock();
    let progress = Progress::new(None);
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let report = authority.rotate(&request, &mut servers, now, &|made| progress.add(made))?;
    drop(progress);
    remember(&mut authority, &report, &servers)?;
    let outcome = Outcome::of(&report, &authority, now);
    tell(args, &outcome, &authority, &request, now)
}

/// What opens the root key: from a file, or from a person who has asked for what needs it.
fn root_passphrase(args: &Rotate, is_needed: bool) -> Result<Option<Passphrase>, Failure> {
    match &args.root_passphrase_file {
        Some(file) => passphrase::from_file(file).map(Some),
        None if is_needed && args.home.open()?.root_is_encrypted()? => {
            passphrase::of_root().map(Some)
        }
        None => Ok(None),
    }
}

fn remember(
    authority: &mut Authority,
    report: &Report,
    servers: &LocalServers,
) -> Result<(), Failure> {
    let nothing_told = report.installed.is_empty() && report.taken_up.is_empty();
    if !(nothing_told && report.refreshed.is_empty()) {
        authority.remember_clusters(servers.users())?;
    }
    Ok(())
}

fn tell(
    args: &Rotate,
    outcome: &Outcome,
    authority: &Authority,
    request: &Request<'_>,
    now: OffsetDateTime,
) -> Result<Exit, Failure> {
    match args.json {
        true => json::report(outcome)?,
        false => text::print(
            outcome,
            authority,
            request,
            now,
            &mut anstream::stdout().lock(),
        )?,
    }
    Ok(outcome.exit())
}

//! `pgpki rotate`: renew whatever is due; have one CA take over from another.

pub(super) mod outcome;
pub(super) mod root_change;
mod text;

use pgpki_authority::Authority;
use pgpki_authority::rotation::{Report, Request, Step};
use pgpki_core::due::Within;
use pgpki_core::validity::Validity;
use time::OffsetDateTime;

use self::outcome::Outcome;
use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::passphrase::{self, Passphrase};
use crate::progress::Progress;
use crate::servers::LocalServers;
use crate::show;
use crate::tokens::LocalTokens;

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
    if args.keys.issuing_key.is_some() && step.is_none() {
        let message = "--issuing-key names the key of a new issuing CA";
        return Err(Failure::new(Exit::Usage, message).hint("Say --issuing or --root with it"));
    }
    let (root, issuing) = (
        args.keys.root_key.as_deref(),
        args.keys.issuing_key.as_deref(),
    );
    let hardware = LocalTokens::hardware(&args.token, root, issuing)?;
    if step == Some(Step::Root) {
        args.home.open()?.may_begin_root(clock())?;
    }
    let passphrase = root_passphrase(args, step.is_some() && !args.dry_run)?;
    let request = Request {
        within: args.within.map_or(Within::Third, Within::Duration),
        force: args.force,
        succession: step,
        keep_sessions: args.keep_sessions,
        root_passphrase: passphrase.as_ref().map(|bytes| bytes.as_slice()),
    };
    if args.dry_run {
        let authority = args.home.open()?;
        let now = clock();
        check_root(&authority, step, now)?;
        let plan = authority.plan(&request, now)?;
        let outcome = Outcome::of_plan(&plan, &authority, now);
        return tell(args, &outcome, &authority, &request, now);
    }
    let mut authority = args.home.open_alone()?;
    authority.use_hardware(hardware);
    let now = clock();
    check_root(&authority, step, now)?;
    if step.is_some() {
        // Whoever asked for a step is there to try again; cron's rotation renews the leaves all the same.
        authority.try_root(request.root_passphrase)?;
    }
    let progress = Progress::new(None);
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let report = authority.rotate(&request, &mut servers, now, &|made| progress.add(made))?;
    drop(progress);
    remember(&mut authority, &report, &servers)?;
    let outcome = Outcome::of(&report, &authority, now);
    let exit = tell(args, &outcome, &authority, &request, now)?;
    // Only now: who must be handed something is not known to anybody before it is printed.
    authority.told(&report).map_err(|error| Failure {
        exit: Exit::Findings,
        ..Failure::from(error).hint("All of it was done, and the next pgpki rotate tells it again")
    })?;
    Ok(exit)
}

/// Under a root that does not count nothing can be renewed, and a new one, which nobody trusts yet, is for a person to
/// decide.
fn check_root(
    authority: &Authority,
    step: Option<Step>,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    let hierarchy = authority.hierarchy();
    let newest = hierarchy.newest_root();
    let Some(root) = newest.filter(|_| hierarchy.roots(now).next().is_none()) else {
        return Ok(());
    };
    let Validity {
        not_before,
        not_after,
    } = root.facts.validity;
    let name = &root.facts.common_name;
    let refused = |what: &str, when| {
        let when = show::date(when);
        Failure::new(Exit::Refused, format!("the root {name:?} {what} {when}"))
    };
    match step {
        _ if now < not_before => Err(refused("does not count before", not_before)
            .hint("The clock of this machine is behind: put it right")),
        Some(Step::Root) => Ok(()),
        _ => Err(refused("ended on", not_after).hint(
            "Nothing can be renewed under it. If the clock is right, make a new root:\n\
                 pgpki rotate --root\n\
                 It cannot be tied to the old one: everybody must be handed its root.crt",
        )),
    }
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

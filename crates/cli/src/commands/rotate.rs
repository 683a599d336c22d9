//! `pgpki rotate`: renew whatever is due; have one CA take over from another.

mod certify;
mod next_root;
pub(super) mod outcome;
mod requested;
pub(super) mod root_change;
mod text;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use pgpki_authority::rotation::{Report, Request, Step};
use pgpki_authority::{Authority, Endorsing, KeyPlace, Secrets};
use pgpki_core::due::Within;
use pgpki_core::profile::Profile;
use pgpki_core::validity::Validity;
use time::OffsetDateTime;

use self::outcome::Outcome;
use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::issuer;
use crate::json;
use crate::passphrase::LocalSecrets;
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
    if let Some(file) = &args.requested.request_issuing {
        return requested::request(args, file, clock);
    }
    let answer = args.requested.install_issuing.as_deref();
    if args.compromised && answer.is_some() {
        return Err(requested::lay_beside(args));
    }
    let mut step = match args {
        Rotate { root: true, .. } => Some(Step::Root),
        Rotate {
            compromised: true, ..
        } => Some(Step::Compromised),
        Rotate { issuing: true, .. } => Some(Step::Issuing),
        _ => answer.map(|_| Step::Issuing),
    };
    if args.keys.issuing_key.is_some() && step.is_none() {
        let message = "--issuing-key names the key of a new issuing CA";
        return Err(Failure::new(Exit::Usage, message).hint("Say --issuing or --root with it"));
    }
    if args.issuer.issuer_cert.is_some() && step.is_none() {
        let message = "--issuer-cert names the CA that certifies a new issuing CA";
        let hint = "Nothing was done. Say --issuing or --root with it";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let (root, issuing) = (
        args.keys.root_key.as_deref(),
        args.keys.issuing_key.as_deref(),
    );
    // Whether it can be read comes before anything that asks a person.
    let mut hardware = LocalTokens::hardware(&args.token, root, issuing)?;
    if step == Some(Step::Root) {
        args.home.open()?.may_begin_root(clock())?;
    }
    if !args.dry_run {
        hardware = LocalTokens::hardware_at_hand(&args.token, root, issuing)?;
    }
    let endorsing = match answer {
        None => issuer::named(&args.issuer, &args.token, clock())?,
        Some(_) => None,
    };
    // Nor is a person asked for the passphrase of a step that is refused whatever he types.
    let has_certifier = endorsing.is_some() || answer.is_some();
    if step.is_some() && !args.dry_run {
        let authority = args.home.open()?;
        check_root(&authority, step, clock())?;
        check_certified(args, step, has_certifier, &authority, clock())?;
    }
    let secrets = secrets(args, step.is_some())?;
    let mut request = Request {
        within: args.within.map_or(Within::Third, Within::Duration),
        force: args.force,
        succession: step,
        keep_sessions: args.keep_sessions,
        try_root: args.root_passphrase.root_passphrase_file.is_some(),
        would_ask: false,
    };
    if args.dry_run {
        request.would_ask = io::stdin().is_terminal();
        let mut authority = args.home.open()?;
        let secrets: Arc<dyn Secrets> = secrets;
        authority.use_secrets(&secrets);
        authority.use_hardware(hardware);
        return dry_run(args, &request, endorsing, authority, clock());
    }
    let mut authority = args.home.open_with(&args.token, secrets)?;
    authority.use_hardware(hardware);
    let now = clock();
    check_root(&authority, step, now)?;
    let handed = args.requested.issuer_root.as_deref();
    let handed = handed.map(|file| next_root::hand(args, file, &mut authority, now));
    let handed = handed.transpose()?;
    if let Some(file) = answer
        && !requested::take(args, file, &mut authority, now)?
    {
        if step == Some(Step::Root) {
            requested::forget(&authority)?;
            return Err(requested::in_use(args, file));
        }
        // A run before this one was killed when all but the places was done.
        (step, request.succession) = (None, None);
    }
    match endorsing {
        Some(endorsing) => authority.use_endorsing(endorsing, now)?,
        None => check_certified(args, step, has_certifier, &authority, now)?,
    }
    if step.is_some() {
        // Whoever asked for a step is there to try again; cron's rotation renews the leaves all the same.
        authority.try_root()?;
        authority.try_next_issuing()?;
    }
    let progress = Progress::new(None);
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let report = authority.rotate(&request, &mut servers, now, &|made| progress.add(made))?;
    drop(progress);
    if answer.is_some() && report.problem.is_none() {
        requested::forget(&authority)?;
    }
    remember(&mut authority, &report, &servers)?;
    if report.succession.is_some() {
        warn_if_open(args, &authority);
    }
    let outcome = Outcome::of(&report, &authority, &args.home.flag(), now);
    let exit = tell(args, &outcome, &authority, &request, now)?;
    if let Some(handed) = handed {
        handed.print(&mut anstream::stdout().lock())?;
    }
    // Only now: who must be handed something is not known to anybody before it is printed.
    authority.told(&report).map_err(|error| Failure {
        exit: Exit::Findings,
        ..Failure::from(error).hint("All of it was done, and the next pgpki rotate tells it again")
    })?;
    Ok(exit)
}

/// Tells what would be done.
fn dry_run(
    args: &Rotate,
    request: &Request,
    endorsing: Option<Endorsing>,
    mut authority: Authority,
    now: OffsetDateTime,
) -> Result<Exit, Failure> {
    check_root(&authority, request.succession, now)?;
    if let Some(endorsing) = endorsing {
        authority.use_endorsing(endorsing, now)?;
    }
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let plan = authority.plan(request, &mut servers, now)?;
    let outcome = Outcome::of_plan(&plan, &authority, &args.home.flag(), now);
    tell(args, &outcome, &authority, request, now)
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

/// That the company certifies the next issuing CA, if it has to.
fn check_certified(
    args: &Rotate,
    step: Option<Step>,
    has_certifier: bool,
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    match step {
        // A key that was stolen is revoked whoever has certified it.
        None | Some(Step::Compromised) => Ok(()),
        Some(_) if has_certifier => Ok(()),
        Some(step) => {
            let unendorsed = authority.check_unendorsed(now);
            unendorsed.map_err(|error| certify::needed(args, step, error))
        }
    }
}

/// What opens the keys. A person is asked for the root's if he wants what needs it, and before anybody has to wait for him.
fn secrets(args: &Rotate, is_needed: bool) -> Result<Arc<LocalSecrets>, Failure> {
    let root = &args.root_passphrase;
    let secrets = match args.dry_run {
        true => LocalSecrets::silent(root, &args.issuing_passphrase),
        false => LocalSecrets::for_rotation(root, &args.issuing_passphrase, is_needed),
    };
    // Whom the run would ask is not asked now.
    let is_needed = is_needed && !(args.dry_run && io::stdin().is_terminal());
    // A file is tried also where it is not needed: years may pass before it is.
    if root.root_passphrase_file.is_some() || is_needed && args.home.open()?.root_is_encrypted()? {
        secrets.passphrase(Profile::Root)?;
    }
    Ok(secrets)
}

/// Whoever gives a passphrase may think that the new key is encrypted with it.
fn warn_if_open(args: &Rotate, authority: &Authority) {
    let given = &args.issuing_passphrase;
    let is_given =
        given.issuing_passphrase_file.is_some() || given.issuing_passphrase_command.is_some();
    if is_given && matches!(authority.issuing_key_place(), Ok(Some(KeyPlace::File))) {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(
            io::stderr(),
            "pgpki: warning: the new issuing key is not encrypted, because the one before it is not: what was given opens \
             neither\n       pgpki key encrypt issuing{}",
            args.home.flag()
        );
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
    request: &Request,
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

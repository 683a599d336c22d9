//! `pgpki rotate --root --finish` and `--undo`: the end of a change of roots.

use std::io::{self, Write};
use std::sync::Arc;

use pgpki_authority::rotation::Request;
use pgpki_authority::{Authority, Session};
use pgpki_core::document::printable;
use serde::Serialize;
use time::OffsetDateTime;

use super::outcome::{LeafLine, Outcome};
use super::{remember, tell};
use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::passphrase::LocalSecrets;
use crate::progress::Progress;
use crate::servers::LocalServers;
use crate::show::{BAD, STRONG, WARNING};

/// How many certificates are named; the rest is counted.
const NAMED: usize = 50;

/// Retires the old root, unless somebody depends on it; with `--dry-run` only says who.
pub(super) fn finish(args: &Rotate, clock: Clock) -> Result<Exit, Failure> {
    if args.dry_run {
        let authority = args.home.open()?;
        return Left::now(args, &authority, clock())?.tell(args);
    }
    let mut authority = args.home.open_with(&args.token, secrets(args))?;
    let now = clock();
    let left = Left::now(args, &authority, now)?;
    if !left.is_empty() {
        return left.tell(args);
    }
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let progress = Progress::new(None);
    let report = authority.finish(&mut servers, now, &|made| progress.add(made))?;
    drop(progress);
    remember(&mut authority, &report, &servers)?;
    let outcome = Outcome::of_root_change("finished", &report, &authority, &args.home.flag(), now);
    tell(args, &outcome, &authority, &Request::default(), now)
}

/// Goes back to the old root.
pub(super) fn undo(args: &Rotate, clock: Clock) -> Result<Exit, Failure> {
    let mut authority = args.home.open_with(&args.token, secrets(args))?;
    let now = clock();
    // What goes back is signed anew.
    authority.try_next_issuing()?;
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let progress = Progress::new(None);
    let report = authority.undo(&mut servers, now, &|made| progress.add(made))?;
    drop(progress);
    remember(&mut authority, &report, &servers)?;
    let outcome = Outcome::of_root_change("undone", &report, &authority, &args.home.flag(), now);
    tell(args, &outcome, &authority, &Request::default(), now)
}

/// The root signs nothing here; certificates that are due may have to be renewed.
fn secrets(args: &Rotate) -> Arc<LocalSecrets> {
    LocalSecrets::for_rotation(&args.root_passphrase, &args.issuing_passphrase, false)
}

/// Who depends on the old root, as `docs/json.md` has it.
#[derive(Serialize)]
struct Left {
    version: u32,
    dry_run: bool,
    certificates: Vec<LeafLine>,
    sessions: Vec<SessionLine>,
    /// Servers that could not be asked, and why.
    unasked: Vec<String>,
}

#[derive(Serialize)]
pub(in crate::commands) struct SessionLine {
    pub(in crate::commands) server: String,
    pub(in crate::commands) pid: i32,
    pub(in crate::commands) role: String,
    pub(in crate::commands) serial_decimal: String,
    pub(in crate::commands) issuer: String,
}

impl SessionLine {
    pub(in crate::commands) fn of(session: &Session) -> Self {
        Self {
            server: session.server.clone(),
            pid: session.pid,
            role: session.role.clone(),
            serial_decimal: session.decimal.clone(),
            issuer: session.issuer.clone(),
        }
    }
}

impl Left {
    fn now(args: &Rotate, authority: &Authority, now: OffsetDateTime) -> Result<Self, Failure> {
        let mut servers = LocalServers::new(!args.no_reload, authority, now)?;
        let dependents = authority.dependents(&mut servers, now)?;
        Ok(Self {
            version: 1,
            dry_run: args.dry_run,
            certificates: dependents.certificates.iter().map(LeafLine::of).collect(),
            sessions: dependents.sessions.iter().map(SessionLine::of).collect(),
            unasked: dependents.unasked,
        })
    }

    fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.sessions.is_empty() && self.unasked.is_empty()
    }

    fn tell(&self, args: &Rotate) -> Result<Exit, Failure> {
        match args.json {
            true => json::report(self)?,
            false => self.print(&mut anstream::stdout().lock())?,
        }
        match (self.is_empty(), args.dry_run) {
            (true, _) => Ok(Exit::Done),
            (false, true) => Ok(Exit::Findings),
            (false, false) => Err(Failure::new(
                Exit::Refused,
                "the old root cannot be retired yet: somebody depends on it",
            )
            .hint(self.what_next())),
        }
    }

    fn what_next(&self) -> String {
        let mut lines = vec!["Nothing was changed, and everybody goes on connecting."];
        if !self.certificates.is_empty() {
            lines.push(
                "Hand out new certificates in place of these. Each stops counting when it ends, or once\n\
                 it is replaced and you revoke it: pgpki revoke SERIAL --reason superseded",
            );
        }
        if !self.sessions.is_empty() {
            lines.push(
                "A session is over when its program connects anew, with its new certificate, or by\n\
                 SELECT pg_terminate_backend(PROCESS)",
            );
        }
        if !self.unasked.is_empty() {
            lines.push("A server that was not asked has to answer first.");
        }
        lines.join("\n")
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        if self.is_empty() {
            return writeln!(
                out,
                "Nobody depends on the old root any more. To retire it: pgpki rotate --root --finish"
            );
        }
        for leaf in self.certificates.iter().take(NAMED) {
            let LeafLine {
                profile, serial, ..
            } = leaf;
            let end = leaf.not_after.split('T').next().unwrap_or_default();
            let place = leaf.place.as_deref().map(printable).unwrap_or_default();
            writeln!(
                out,
                "{WARNING}certificate{WARNING:#}  {profile} {STRONG}{}{STRONG:#}  until {end}  {serial}  {place}",
                printable(&leaf.name)
            )?;
        }
        if let Some(more @ 1..) = self.certificates.len().checked_sub(NAMED) {
            writeln!(out, "… and {more} more; --json names all")?;
        }
        for session in &self.sessions {
            writeln!(
                out,
                "{WARNING}session{WARNING:#}  {} on {}, process {}, through {}",
                printable(&session.role),
                printable(&session.server),
                session.pid,
                printable(&session.issuer)
            )?;
        }
        for why in &self.unasked {
            writeln!(out, "{BAD}not asked{BAD:#}  {}", printable(why))?;
        }
        Ok(())
    }
}

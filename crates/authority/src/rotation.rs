//! Rotation: what is due, decided by a pure function, and the act that renews it.
//!
//! A rotation begins by looking at what every place really holds. A certificate is recorded before
//! it is put there, so a run that was killed between the two has left an older one: such a place
//! is renewed, and the ledger is right again.

mod look;
mod policy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgpki_core::ca_key::Blame;
use pgpki_core::issue::Issued;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_fs::{Installation, Shelf};
use time::OffsetDateTime;

pub(crate) use self::look::MAX_FILE;
pub use self::policy::{Plan, Request, Step, plan, succession};
use crate::authority::{Authority, AuthorityError};
use crate::credential::{CRL, ROOT, certificate_file};
use crate::deliver::{DeliverError, Installed, Live, NoPassphrases};
use crate::hand_over::OnFailure;
use crate::ledger::{KnownPlace, Leaf, LedgerError, Place, PlaceKind};
use crate::requested::GivenUp;
use crate::servers::{
    Servers, Session, TakenUp, leave_to_be_taken_up, put_back, stays_to_be_taken_up,
};
pub use crate::succession::Lost;
use crate::succession::SuccessionError;
use crate::witnessed::Asking;

/// What a place holds.
#[derive(Clone, Debug)]
pub enum Holds {
    /// The certificate that belongs there.
    Expected,
    /// The server's certificate that belongs there, with roots, a chain or CRLs that are out of date.
    Stale,
    /// Another one that this authority has issued to the same holder: a run was killed on the way,
    /// or somebody has put an old one back. For an installation also anything else.
    Outdated,
    /// It is not there any more: somebody has moved it to where it is used, or the server is gone.
    Nothing,
    /// Something that this authority did not put there; and why it could not be told, if so.
    Foreign(Option<String>),
    /// It could not be looked at.
    Unreadable(Arc<DeliverError>),
}

/// A place, and what is really there.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The place as the ledger has it.
    pub known: KnownPlace,
    /// What is there.
    pub holds: Holds,
}

/// What a rotation did.
#[derive(Debug, Default)]
pub struct Report {
    /// The new CA that signs from now on, if there is one, and how it came about.
    pub succession: Option<(Step, Issued)>,
    /// What stands in the way of a step that is due or was asked for; after one that could not wait, of the next.
    pub problem: Option<(Step, SuccessionProblem)>,
    /// A request for the next issuing CA that waited, whose key may have been stolen as well.
    pub given_up: Option<GivenUp>,
    /// Whose certificates nobody accepts any more, because their CA was revoked. Whoever prints this says so with
    /// [`Authority::told`].
    pub lost: Vec<Lost>,
    /// Sessions that came in with such a certificate and were ended.
    pub ended: Vec<Session>,
    /// Servers that could not be asked for such sessions, sessions that did not end, and why.
    pub problems: Vec<String>,
    /// Installations with what was put there, and what the servers made of it.
    pub installed: Vec<(Place, Installed)>,
    /// Places of servers that keep their credential and have other roots, another chain or other CRLs now.
    pub refreshed: Vec<(KnownPlace, Live)>,
    /// Whether those may be the first CRLs that list a client whose session goes on: a `revoke` that was killed has not come
    /// to the sessions.
    pub published_revocations: bool,
    /// Folders with their new certificates.
    pub handed_over: Vec<(Place, Issued)>,
    /// Installations that were not due, but whose servers served something else and have taken
    /// them up now: a run was killed before it had told them, or a reload had failed.
    pub taken_up: Vec<(KnownPlace, TakenUp)>,
    /// Installations with CRLs that list clients who may get in all the same: a server does not read them, or nothing says
    /// whether it has.
    pub not_enforced: Vec<(KnownPlace, TakenUp)>,
    /// Places that are due but cannot gain before the issuing CA is renewed.
    pub waiting: Vec<KnownPlace>,
    /// Places that are due, and the issuing key is encrypted, with its passphrase missing or wrong.
    pub locked: Option<(Vec<KnownPlace>, AuthorityError)>,
    /// Places that are due, but no longer there, or hold something else. They were left alone.
    pub gone: Vec<Seen>,
    /// Certificates that are due and whose keys are elsewhere, so that only a person can have them renewed.
    pub elsewhere: Vec<Leaf>,
    /// Places that could not be looked at or renewed, and why. They are as they were.
    pub failed: Vec<(Place, Arc<DeliverError>)>,
    /// CRLs of roots that do not count yet and could not be signed again, and why.
    pub early: Vec<String>,
    /// Why a delivery ended early, or may not survive a power cut.
    pub stopped: Vec<DeliverError>,
    /// Leftovers of killed runs that were removed.
    pub swept: usize,
    /// Leftovers and files of users that could not be removed or moved, and why.
    pub left: Vec<String>,
}

impl Report {
    /// The places that have new certificates.
    pub fn renewed(&self) -> impl Iterator<Item = &Place> {
        let installed = self.installed.iter().map(|(place, _)| place);
        installed.chain(self.handed_over.iter().map(|(place, _)| place))
    }
}

/// Why a CA got no successor.
#[derive(Debug)]
pub enum SuccessionProblem {
    /// The root key is encrypted, and no passphrase was given.
    PassphraseNeeded,
    /// The same of the issuing key, whose successor is to be encrypted like it.
    IssuingPassphraseNeeded(SuccessionError),
    /// The step is due, and the root key is in a token that is not at hand, or whose PIN is not.
    TokenNeeded(SuccessionError),
    /// The issuing CA that signs now was certified by a CA of somebody else's, and nobody certifies the next one.
    EndorsementNeeded(SuccessionError),
    /// The root cannot sign: the passphrase is wrong, its files are damaged, its time is over.
    Failed(SuccessionError),
}

fn failed(error: AuthorityError) -> SuccessionProblem {
    SuccessionProblem::Failed(error.into())
}

/// Whether nobody has given a passphrase.
fn is_missing(error: &AuthorityError) -> bool {
    error.secret().is_some_and(|secret| secret.is_missing)
}

impl Authority {
    /// What a rotation would do. Changes nothing, and has no server take up anything.
    pub fn plan(
        &self,
        request: &Request,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Plan, AuthorityError> {
        self.check_parts()?;
        let places = self.look(None, now)?;
        let mut standing = standing(&places);
        let settings = self.settings();
        let due = succession(&self.hierarchy, settings, request, now);
        let mut problem = self.stands_in_the_way(due, request, now);
        let step = due.filter(|_| problem.is_none());
        if step == Some(Step::Compromised)
            && let Err(error) = self.check_endorsing(now)
        {
            let needed = SuccessionProblem::EndorsementNeeded(error.into());
            problem = Some((Step::Issuing, needed));
        }
        // Decide as if the new CA were there already.
        let hierarchy = match step {
            Some(step) => self.hierarchy.after(step, settings, now),
            None => self.hierarchy.clone(),
        };
        let in_use = self.ledger.servers_in_use(now)?;
        let mut plan = plan(places, &in_use, &hierarchy, settings, request, now);
        standing.retain(|known| !plan.renews(known));
        for known in std::mem::take(&mut plan.renew) {
            match check_installation(&known.place) {
                Ok(()) => plan.renew.push(known),
                Err(error) => plan.failed.push((known.place, Arc::new(error))),
            }
        }
        // A new CA's key is at hand when it has just been made.
        if step.is_none() {
            self.check_signer(now)?;
            self.lock(&mut plan, request, now);
        }
        let lost = match step {
            Some(Step::Compromised) => self.would_be_lost(now)?,
            _ => self.lost(now)?,
        };
        let mut servers = self.witnessed(servers, Asking::Forbidden, now)?;
        let take_up = standing.into_iter().filter_map(|known| {
            let installation = Installation::open(&known.place.path, known.place.owner).ok()?;
            let why = servers.look(&installation).err()?;
            Some((known, why))
        });
        Ok(Plan {
            succession: step,
            problem,
            lost,
            take_up: take_up.collect(),
            elsewhere: self.due_elsewhere(request, now)?,
            ..plan
        })
    }

    /// Renews whatever is due, and has `servers` take up what was installed. The authority is open
    /// alone. Where one place fails, the others are still renewed; where nothing is due and no
    /// killed run has left anything, nothing is written and no server is told.
    ///
    /// # Errors
    /// The authority itself cannot be used. What became of each place is in the report.
    pub fn rotate(
        &mut self,
        request: &Request,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Report, AuthorityError> {
        // A home that is damaged is found out today, not on the day on which something is due.
        self.check_parts()?;
        let mut report = Report {
            swept: self.sweep_home()?,
            ..Report::default()
        };
        report.early = self.renew_early_crls(now)?;
        self.rotate_authorities(request, now, &mut report)?;
        self.check_signer(now)?;
        let mut servers = self.witnessed(servers, Asking::Forbidden, now)?;
        self.rotate_places(request, &mut servers, now, progress, &mut report)?;
        report.published_revocations =
            !report.refreshed.is_empty() && self.has_revoked_clients(now)?;
        report.elsewhere = self.due_elsewhere(request, now)?;
        report.lost = self.lost(now)?;
        // Also of a run before this one that was killed, or did not reach every server.
        if self.is_revoking() && !request.keep_sessions {
            self.end_lost_sessions(&mut servers, &mut report)?;
        }
        Ok(report)
    }

    /// Whether somebody was revoked whom a server may let in.
    fn is_open_to_the_revoked(
        &self,
        taken_up: &TakenUp,
        now: OffsetDateTime,
    ) -> Result<bool, LedgerError> {
        Ok(taken_up.is_doubtful() && self.has_revoked_clients(now)?)
    }

    fn has_revoked_clients(&self, now: OffsetDateTime) -> Result<bool, LedgerError> {
        let counts = self.ledger.counts(now)?;
        let mut clients = counts.iter().filter(|it| it.profile == Profile::Client);
        Ok(clients.any(|it| it.revoked > 0))
    }

    /// What is due, and can be renewed by nobody but whoever has the key.
    fn due_elsewhere(
        &self,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Vec<Leaf>, LedgerError> {
        let mut leaves = self.ledger.elsewhere(now)?;
        leaves.retain(|leaf| request.within.is_due(leaf.validity, now));
        Ok(leaves)
    }

    /// Whatever becomes of the CAs, the leaves are renewed all the same.
    fn rotate_authorities(
        &mut self,
        request: &Request,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> Result<(), AuthorityError> {
        let due = succession(&self.hierarchy, self.settings(), request, now);
        report.problem = self.stands_in_the_way(due, request, now);
        let Some(step) = due.filter(|_| report.problem.is_none()) else {
            return Ok(());
        };
        match self.take(step, now, report) {
            Ok(issued) => report.succession = Some((step, issued)),
            Err(problem) => report.problem = Some((step, problem)),
        }
        if report.succession.is_some()
            && self.hierarchy.lacks_endorsement(now)
            && let Err(error) = self.check_unendorsed(now)
        {
            let needed = SuccessionProblem::EndorsementNeeded(error.into());
            report.problem = Some((Step::Issuing, needed));
        }
        Ok(())
    }

    /// Why the step that is due cannot be taken; where none is due, what is wrong with the passphrase that was given for one.
    fn stands_in_the_way(
        &self,
        due: Option<Step>,
        request: &Request,
        now: OffsetDateTime,
    ) -> Option<(Step, SuccessionProblem)> {
        let checked = match due {
            Some(step) => self.check_step(step, request, now),
            None if request.try_root => self.try_root().map_err(failed),
            None => Ok(()),
        };
        Some((due.unwrap_or(Step::Issuing), checked.err()?))
    }

    fn check_step(
        &self,
        step: Step,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<(), SuccessionProblem> {
        // Revoking takes nobody but our own root, and cannot wait for others.
        if step != Step::Compromised {
            let needed = self.check_endorsing(now);
            needed.map_err(|error| SuccessionProblem::EndorsementNeeded(error.into()))?;
        }
        let is_encrypted = self.root_is_encrypted().map_err(failed)?;
        let is_asked_for = request.succession.is_some();
        // A root's token may lie in a safe for years. Whoever has asked for a step has it at hand.
        if (is_encrypted || !is_asked_for)
            && let Err(error) = self.try_root()
        {
            let is_waiting = error.token().is_some_and(|it| it.blame != Blame::Token);
            match is_missing(&error) {
                true if is_asked_for && request.would_ask => {}
                true => return Err(SuccessionProblem::PassphraseNeeded),
                false if is_encrypted => return Err(failed(error)),
                false if is_waiting => return Err(SuccessionProblem::TokenNeeded(error.into())),
                false => {}
            }
        }
        match self.try_next_issuing() {
            Err(error) if is_missing(&error) && request.would_ask => Ok(()),
            Err(error) if is_missing(&error) => {
                Err(SuccessionProblem::IssuingPassphraseNeeded(error.into()))
            }
            tried => tried.map_err(failed),
        }
    }

    fn take(
        &mut self,
        step: Step,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> Result<Issued, SuccessionProblem> {
        match step {
            Step::Issuing => self.renew_issuing(now).map_err(failed),
            Step::Compromised => {
                report.given_up = self.give_up_next_request().map_err(failed)?;
                self.replace_compromised(now).map_err(failed)
            }
            Step::Root => {
                let begun = self.begin_root(now);
                begun.map_err(SuccessionProblem::Failed)
            }
        }
    }

    /// Nothing can be renewed where nothing opens the issuing key.
    fn lock(&self, plan: &mut Plan, request: &Request, now: OffsetDateTime) {
        if !plan.renew.is_empty()
            && let Err(error) = self.signer(Profile::Server, now)
            && error.needs_passphrase()
            && !(request.would_ask && is_missing(&error))
        {
            plan.locked = Some((std::mem::take(&mut plan.renew), error));
        }
    }

    /// Renews and refreshes the places that need it.
    pub(crate) fn rotate_places(
        &mut self,
        request: &Request,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
        report: &mut Report,
    ) -> Result<(), AuthorityError> {
        let places = self.look(Some(&mut *report), now)?;
        let mut standing = standing(&places);
        let in_use = self.ledger.servers_in_use(now)?;
        let settings = self.settings();
        let mut plan = plan(places, &in_use, &self.hierarchy, settings, request, now);
        standing.retain(|known| !plan.renews(known));
        self.lock(&mut plan, request, now);
        report.waiting = plan.waiting;
        report.gone = plan.gone;
        report.failed = plan.failed;
        report.locked = plan.locked;
        let (installations, folders): (Vec<_>, Vec<_>) = plan
            .renew
            .into_iter()
            .partition(|known| known.place.kind == PlaceKind::Installation);
        for known in installations {
            self.rotate_installation(known.place, servers, now, report);
        }
        for known in plan.refresh {
            self.refresh_place(known, servers, now, report);
        }
        self.doubt_what_was_refreshed(now, report)?;
        for known in standing {
            self.take_up_if_not_served(known, servers, now, report)?;
        }
        // Servers first: who signs for clients depends on what they have heard of.
        let mut shelves: BTreeMap<(bool, PathBuf), Vec<Place>> = BTreeMap::new();
        for KnownPlace { place, .. } in folders {
            let is_client = place.holder.profile() == Profile::Client;
            let shelf = place.path.parent().unwrap_or(Path::new("/")).to_owned();
            shelves.entry((is_client, shelf)).or_default().push(place);
        }
        for ((_, shelf), places) in shelves {
            self.rotate_folders(&shelf, places, now, progress, report);
        }
        Ok(())
    }

    pub(crate) fn rotate_installation(
        &mut self,
        place: Place,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        report: &mut Report,
    ) {
        let installed = Installation::open(&place.path, place.owner)
            .map_err(DeliverError::from)
            .and_then(|installation| self.install(&place, &installation, servers, now));
        match installed {
            Ok(mut done) => {
                report.left.append(&mut done.live.left);
                report.installed.push((place, done));
            }
            Err(error) => report.failed.push((place, Arc::new(error))),
        }
    }

    pub(crate) fn refresh_place(
        &mut self,
        known: KnownPlace,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        report: &mut Report,
    ) {
        match self.refresh(&known, servers, now) {
            Ok(mut live) => {
                report.left.append(&mut live.left);
                report.refreshed.push((known, live));
            }
            Err(error) => report.failed.push((known.place, Arc::new(error))),
        }
    }

    /// New CRLs, and servers that may not have read them: they stay to be told until it is known.
    fn doubt_what_was_refreshed(
        &self,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> Result<(), LedgerError> {
        for (known, live) in &report.refreshed {
            let place = &known.place;
            if place.kind == PlaceKind::Installation
                && live.taken_up.is_unread()
                && self.is_open_to_the_revoked(&live.taken_up, now)?
            {
                let left = Installation::open(&place.path, place.owner)
                    .and_then(|installation| leave_to_be_taken_up(&installation));
                report
                    .left
                    .extend(left.err().map(|error| error.to_string()));
            }
        }
        Ok(())
    }

    fn take_up_if_not_served(
        &self,
        known: KnownPlace,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> Result<(), LedgerError> {
        let Ok(installation) = Installation::open(&known.place.path, known.place.owner) else {
            return Ok(());
        };
        if let Ok(seen) = servers.look(&installation) {
            if self.is_open_to_the_revoked(&seen, now)? {
                report.not_enforced.push((known, seen));
            }
            return Ok(());
        }
        let taken_up = servers.take_up(&installation);
        let why = match taken_up.and_then(TakenUp::whole) {
            Ok(taken_up) if self.is_open_to_the_revoked(&taken_up, now)? => {
                if taken_up.is_unread()
                    && let Err(error) = leave_to_be_taken_up(&installation)
                {
                    report.left.push(error.to_string());
                }
                report.not_enforced.push((known, taken_up));
                return Ok(());
            }
            Ok(taken_up) => {
                report.taken_up.push((known, taken_up));
                return Ok(());
            }
            Err(why) => why,
        };
        let path = known.place.path.clone();
        let error = match self.generations_before(&installation, now)? {
            // The next rotation sees that an older one is there, and renews it.
            Some(before) => DeliverError::PutBack {
                path,
                why,
                after: put_back(&installation, before, servers),
            },
            None => DeliverError::NotServed {
                path,
                why: stays_to_be_taken_up(&installation, why),
            },
        };
        report.failed.push((known.place, Arc::new(error)));
        Ok(())
    }

    /// The generation to go back to, if there is one that may be, and the live one. A killed run may have left a live one
    /// that no server takes. Nothing is gained by going back from one that was put back itself, and an older one with other
    /// roots or CRLs may let in who was revoked since.
    fn generations_before(
        &self,
        installation: &Installation,
        now: OffsetDateTime,
    ) -> Result<Option<(Option<u32>, u32)>, LedgerError> {
        let Ok(Some(current)) = installation.current() else {
            return Ok(None);
        };
        let generations = installation.generations().unwrap_or_default();
        let was_put_back = generations.iter().any(|&number| number > current);
        let read = |number, name| installation.read(number, name, MAX_FILE).ok().flatten();
        let trusts_alike = |&before: &u32| {
            [ROOT, CRL].into_iter().all(|name| {
                let live = read(current, name);
                live.is_some() && live == read(before, name)
            })
        };
        let before = generations
            .into_iter()
            .rfind(|&number| number < current)
            .filter(|before| !was_put_back && trusts_alike(before));
        let certificate = before
            .and_then(|before| read(before, certificate_file(Profile::Server)))
            .and_then(|pem| serial_in(&pem));
        Ok(match certificate {
            Some(serial) if self.ledger.is_valid(serial, now)? => Some((before, current)),
            _ => None,
        })
    }

    pub(crate) fn rotate_folders(
        &mut self,
        shelf: &Path,
        places: Vec<Place>,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
        report: &mut Report,
    ) {
        let done = Shelf::open(shelf)
            .map_err(DeliverError::from)
            .and_then(|shelf| {
                self.hand_over(
                    &places,
                    &shelf,
                    OnFailure::GoOn,
                    &NoPassphrases,
                    now,
                    progress,
                )
            });
        match done {
            Ok(done) => {
                report.handed_over.extend(done.done);
                let failed = done.failed.into_iter();
                report
                    .failed
                    .extend(failed.map(|(place, error)| (place, Arc::new(error))));
                report.left.extend(done.left);
                report.stopped.extend(done.stopped);
            }
            Err(error) => {
                let error = Arc::new(error);
                let failed = places.into_iter().map(|place| (place, error.clone()));
                report.failed.extend(failed);
            }
        }
    }
}

/// The serial number of the first certificate of a PEM file.
pub(crate) fn serial_in(pem: &[u8]) -> Option<Serial> {
    let der = pgpki_core::first_certificate(pem)?;
    pgpki_core::issue::serial_of(&der)
}

/// That a new generation can be put where one is to go.
fn check_installation(place: &Place) -> Result<(), DeliverError> {
    match place.kind {
        PlaceKind::Installation => {
            Installation::open(&place.path, place.owner)?;
            Ok(())
        }
        PlaceKind::Folder => Ok(()),
    }
}

/// The installations that hold what belongs there.
fn standing(places: &[Seen]) -> Vec<KnownPlace> {
    let is_standing = |seen: &&Seen| {
        seen.known.place.kind == PlaceKind::Installation && matches!(seen.holds, Holds::Expected)
    };
    let standing = places.iter().filter(is_standing);
    standing.map(|seen| seen.known.clone()).collect()
}

//! Rotation: what is due, decided by a pure function, and the act that renews it.
//!
//! A rotation begins by looking at what every place really holds. A certificate is recorded before
//! it is put there, so a run that was killed between the two has left an older one: such a place
//! is renewed, and the ledger is right again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgpki_core::due::Within;
use pgpki_core::issue::{CaFacts, Holder, IssueError, Issued};
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_core::validity::Validity;
use pgpki_fs::{
    FolderState, Installation, InstallationError, ReadError, Shelf, ShelfError, Swept, WalkError,
};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::{certificate_file, file_names};
use crate::deliver::{DeliverError, Installed, OnFailure};
use crate::ledger::{KnownPlace, LedgerError, Place, PlaceKind};
use crate::servers::{Servers, TakenUp, put_back};
use crate::settings::Settings;

/// More than any file of a credential takes: the CRLs are the largest.
const MAX_FILE: u64 = 64 << 20;

/// What the operator asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// How long before its end something is renewed.
    pub within: Within,
    /// Renew every leaf, due or not.
    pub force: bool,
    /// What opens the root key, if it is encrypted and known.
    pub root_passphrase: Option<&'a [u8]>,
}

/// What a place holds.
#[derive(Clone, Debug)]
pub enum Holds {
    /// The certificate that belongs there.
    Expected,
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

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The issuing CA is due.
    pub issuing: bool,
    /// The places that get a new credential.
    pub renew: Vec<KnownPlace>,
    /// Places that are due, but that the issuing CA cannot give a longer time than they have.
    pub waiting: Vec<KnownPlace>,
    /// Places that are due, but no longer there, or hold something else. They are left alone.
    pub gone: Vec<Seen>,
    /// Places that could not be looked at.
    pub failed: Vec<(Place, Arc<DeliverError>)>,
}

/// Decides what is to be done with `places` at `now`. Pure, so that it can be tested a century at
/// a time.
///
/// `root` and `issuing` are the CAs in use. A server whose certificate comes from
/// another one is due at once, whatever its own time: its `root.crl` has no CRL of the new CA, and
/// PostgreSQL would refuse every client that the new CA signs. Clients move over as they are due.
pub fn plan(
    places: Vec<Seen>,
    root: &CaFacts,
    issuing: &CaFacts,
    settings: &Settings,
    request: &Request<'_>,
    now: OffsetDateTime,
) -> Plan {
    let mut plan = Plan {
        issuing: issuing_is_due(root, issuing, settings, request, now),
        ..Plan::default()
    };
    for seen in places {
        if let Holds::Unreadable(error) = seen.holds {
            plan.failed.push((seen.known.place, error));
            continue;
        }
        let is_overdue = request.force || matches!(seen.holds, Holds::Outdated);
        if !is_overdue && !is_due(&seen, issuing, request.within, now) {
            continue;
        }
        match seen.holds {
            // What is gone and has expired is nobody's concern any more.
            Holds::Nothing | Holds::Foreign(_) if now > seen.known.validity.not_after => {}
            Holds::Nothing | Holds::Foreign(_) => plan.gone.push(seen),
            _ if is_overdue || gains(&seen.known, issuing, settings, now) => {
                plan.renew.push(seen.known);
            }
            _ => plan.waiting.push(seen.known),
        }
    }
    plan
}

/// Whether the issuing CA is due, and a new one would last longer: near the root's own end, it
/// would not.
fn issuing_is_due(
    root: &CaFacts,
    issuing: &CaFacts,
    settings: &Settings,
    request: &Request<'_>,
    now: OffsetDateTime,
) -> bool {
    let (next, _) = Validity::starting(now, settings.issuing).cut_to(root.validity.not_after);
    let gains = next.not_after > issuing.validity.not_after;
    let is_early = now < issuing.validity.not_before;
    request.within.is_due(issuing.validity, now) && (gains || is_early)
}

fn is_due(seen: &Seen, issuing: &CaFacts, within: Within, now: OffsetDateTime) -> bool {
    let known = &seen.known;
    let moved_on = known.issuer != Some(issuing.serial);
    let is_server = matches!(known.place.holder, Holder::Server(_));
    within.is_due(known.validity, now) || (is_server && moved_on)
}

/// Whether a new certificate would end later than the one that is there, or come from a new CA.
/// Once the issuing CA's own end is near, renewing every day would gain nothing.
fn gains(known: &KnownPlace, issuing: &CaFacts, settings: &Settings, now: OffsetDateTime) -> bool {
    let days = known.place.days.unwrap_or(settings.leaf);
    let (next, _) = Validity::starting(now, days).cut_to(issuing.validity.not_after);
    let is_early = now < known.validity.not_before;
    known.issuer != Some(issuing.serial) || next.not_after > known.validity.not_after || is_early
}

/// What a rotation did.
#[derive(Debug, Default)]
pub struct Report {
    /// The new issuing CA, if there is one.
    pub issuing: Option<Issued>,
    /// What stands in the way of renewing the issuing CA, if it is due and was not renewed.
    pub issuing_problem: Option<IssuingProblem>,
    /// Installations with what was put there, and what the servers made of it.
    pub installed: Vec<(Place, Installed)>,
    /// Folders with their new certificates.
    pub handed_over: Vec<(Place, Issued)>,
    /// Installations that were not due, but whose servers served something else and have taken
    /// them up now: a run was killed before it had told them, or a reload had failed.
    pub taken_up: Vec<(KnownPlace, TakenUp)>,
    /// Places that are due but cannot gain before the issuing CA is renewed.
    pub waiting: Vec<KnownPlace>,
    /// Folders that are due, and would be refused: a server on this machine has no CRL of the new
    /// issuing CA yet.
    pub held_back: Vec<Place>,
    /// Places that are due, but no longer there, or hold something else. They were left alone.
    pub gone: Vec<Seen>,
    /// Places that could not be looked at or renewed, and why. They are as they were.
    pub failed: Vec<(Place, Arc<DeliverError>)>,
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

/// Why the issuing CA was not renewed.
#[derive(Debug)]
pub enum IssuingProblem {
    /// The root key is encrypted, and no passphrase was given.
    PassphraseNeeded,
    /// The root cannot sign: the passphrase is wrong, its files are damaged, its time is over.
    Failed(AuthorityError),
}

impl Authority {
    /// What a rotation would do. Changes nothing.
    pub fn plan(&self, request: &Request<'_>, now: OffsetDateTime) -> Result<Plan, AuthorityError> {
        self.trust(&self.issuing_ca()?, now)?;
        let places = self.look(None)?;
        let (root, mut issuing) = (self.root()?, self.issuing()?);
        let settings = self.settings();
        let renews_issuing = issuing_is_due(&root, &issuing, settings, request, now);
        if renews_issuing {
            // Decide as if the new one were there already.
            let validity = Validity::starting(now, settings.issuing);
            issuing.validity = validity.cut_to(root.validity.not_after).0;
            issuing.serial = Serial::random().map_err(IssueError::from)?;
        }
        let plan = plan(places, &root, &issuing, settings, request, now);
        Ok(Plan {
            issuing: renews_issuing,
            ..plan
        })
    }

    fn decide(
        &self,
        places: Vec<Seen>,
        request: &Request<'_>,
        now: OffsetDateTime,
    ) -> Result<Plan, AuthorityError> {
        let (root, issuing) = (self.root()?, self.issuing()?);
        let settings = self.settings();
        Ok(plan(places, &root, &issuing, settings, request, now))
    }

    /// Renews whatever is due, and has `servers` take up what was installed. The authority is open
    /// alone. Where one place fails, the others are still renewed; where nothing is due and no
    /// killed run has left anything, nothing is written and no server is told.
    ///
    /// # Errors
    /// The authority itself cannot be used. What became of each place is in the report.
    pub fn rotate(
        &mut self,
        request: &Request<'_>,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Report, AuthorityError> {
        // A home that is damaged is found out today, not on the day on which something is due.
        self.trust(&self.issuing_ca()?, now)?;
        let mut report = Report {
            swept: self.sweep_home()?,
            ..Report::default()
        };
        let places = self.look(Some(&mut report))?;
        self.rotate_issuing(request, now, &mut report)?;
        let mut standing = standing(&places);
        let plan = self.decide(places, request, now)?;
        standing.retain(|known| !plan.renew.contains(known));
        report.waiting = plan.waiting;
        report.gone = plan.gone;
        report.failed = plan.failed;
        let issuing = self.issuing()?.serial;
        let mut shelves: BTreeMap<PathBuf, Vec<Place>> = BTreeMap::new();
        let mut a_server_is_behind = false;
        // Servers first: a client's new chain is refused by a server that lacks its CA's CRL.
        for known in plan.renew {
            match known.place.kind {
                PlaceKind::Installation => {
                    let done = self.rotate_installation(known.place, servers, now, &mut report);
                    a_server_is_behind |= !done && known.issuer != Some(issuing);
                }
                PlaceKind::Folder => {
                    let shelf = known.place.path.parent().unwrap_or(Path::new("/"));
                    shelves
                        .entry(shelf.to_owned())
                        .or_default()
                        .push(known.place);
                }
            }
        }
        if a_server_is_behind {
            let folders = std::mem::take(&mut shelves).into_values().flatten();
            report.held_back = folders.collect();
        }
        for known in standing {
            self.take_up_if_not_served(known, servers, now, &mut report)?;
        }
        for (shelf, places) in shelves {
            self.rotate_folders(&shelf, places, now, progress, &mut report);
        }
        Ok(report)
    }

    /// Whatever becomes of the issuing CA, the leaves are renewed all the same.
    fn rotate_issuing(
        &mut self,
        request: &Request<'_>,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> Result<(), AuthorityError> {
        let (root, issuing) = (self.root()?, self.issuing()?);
        if issuing_is_due(&root, &issuing, self.settings(), request, now) {
            match self.try_renew_issuing(request, now) {
                Ok(issued) => report.issuing = Some(issued),
                Err(problem) => report.issuing_problem = Some(problem),
            }
        } else if request.root_passphrase.is_some()
            && let Err(error) = self.unlock_root(request.root_passphrase)
        {
            // It is tried even when it is not needed: years may pass before it is.
            report.issuing_problem = Some(IssuingProblem::Failed(error));
        }
        Ok(())
    }

    fn try_renew_issuing(
        &mut self,
        request: &Request<'_>,
        now: OffsetDateTime,
    ) -> Result<Issued, IssuingProblem> {
        let failed = IssuingProblem::Failed;
        if request.root_passphrase.is_none() && self.root_is_encrypted().map_err(failed)? {
            return Err(IssuingProblem::PassphraseNeeded);
        }
        let root = self.unlock_root(request.root_passphrase).map_err(failed)?;
        self.renew_issuing(&root, now).map_err(failed)
    }

    /// Whether it was renewed.
    fn rotate_installation(
        &mut self,
        place: Place,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> bool {
        let installed = Installation::open(&place.path, place.owner)
            .map_err(DeliverError::from)
            .and_then(|installation| self.install(&place, &installation, servers, now));
        match installed {
            Ok(mut done) => {
                report.left.append(&mut done.left);
                report.installed.push((place, done));
                true
            }
            Err(error) => {
                report.failed.push((place, Arc::new(error)));
                false
            }
        }
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
        if servers.look(&installation).is_ok() {
            return Ok(());
        }
        let why = match servers.take_up(&installation) {
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
            None => DeliverError::NotServed { path, why },
        };
        report.failed.push((known.place, Arc::new(error)));
        Ok(())
    }

    /// The generation to go back to, if there is one whose certificate still counts, and the live
    /// one.
    fn generations_before(
        &self,
        installation: &Installation,
        now: OffsetDateTime,
    ) -> Result<Option<(Option<u32>, u32)>, LedgerError> {
        let Ok(Some(current)) = installation.current() else {
            return Ok(None);
        };
        let generations = installation.generations().unwrap_or_default();
        let before = generations.into_iter().rfind(|&number| number < current);
        let certificate = before.map(|before| {
            let name = certificate_file(Profile::Server);
            found(installation.read(before, name, MAX_FILE))
        });
        Ok(match certificate {
            Some(Found::Certificate(serial)) if self.ledger.is_valid(serial, now)? => {
                Some((before, current))
            }
            _ => None,
        })
    }

    fn rotate_folders(
        &mut self,
        shelf: &Path,
        places: Vec<Place>,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
        report: &mut Report,
    ) {
        let done = Shelf::open(shelf)
            .map_err(DeliverError::from)
            .and_then(|shelf| self.hand_over(&places, &shelf, OnFailure::GoOn, now, progress));
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

    /// Looks at every place. With a report it also sweeps up after killed runs, which only a run
    /// that is alone may do.
    fn look(&self, mut report: Option<&mut Report>) -> Result<Vec<Seen>, LedgerError> {
        let mut shelf: Option<Result<Shelf, Arc<DeliverError>>> = None;
        let mut seen = Vec::new();
        for known in self.ledger.places()? {
            let place = &known.place;
            let found = match place.kind {
                PlaceKind::Installation => in_installation(place, report.as_deref_mut()),
                PlaceKind::Folder => {
                    // Sorted by path, so that the folders of a shelf come one after another.
                    let above = place.path.parent().unwrap_or(Path::new("/"));
                    let is_open = |shelf: &Result<Shelf, _>| {
                        shelf.as_ref().is_ok_and(|shelf| shelf.path() == above)
                    };
                    let shelf = match shelf.take().filter(is_open) {
                        Some(open) => shelf.insert(open),
                        None => shelf.insert(open_shelf(above, report.as_deref_mut())),
                    };
                    in_folder(shelf, place, report.as_deref_mut())
                }
            };
            let holds = self.judge(&known, found)?;
            seen.push(Seen { known, holds });
        }
        Ok(seen)
    }

    fn judge(&self, known: &KnownPlace, found: Found) -> Result<Holds, LedgerError> {
        let Place { kind, holder, .. } = &known.place;
        let name = holder.common_name().unwrap_or_default();
        Ok(match found {
            Found::Certificate(serial) if serial == known.serial => Holds::Expected,
            Found::Nothing => Holds::Nothing,
            // A server is owed its credential, whatever has become of the one before.
            _ if *kind == PlaceKind::Installation => Holds::Outdated,
            Found::Certificate(serial) => {
                match self.ledger.has_issued(serial, holder.profile(), &name)? {
                    true => Holds::Outdated,
                    false => Holds::Foreign(None),
                }
            }
            Found::SomethingElse(why) => Holds::Foreign(why),
            Found::Unreadable(error) => Holds::Unreadable(error),
        })
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

/// What stands in a place.
enum Found {
    Nothing,
    Certificate(Serial),
    SomethingElse(Option<String>),
    Unreadable(Arc<DeliverError>),
}

fn in_installation(place: &Place, report: Option<&mut Report>) -> Found {
    let installation = match Installation::open(&place.path, place.owner) {
        Ok(installation) => installation,
        Err(InstallationError::Directory(WalkError::Missing { .. })) => return Found::Nothing,
        // Whatever else is wrong here, the attempt to renew it is going to say so.
        Err(_) => return Found::SomethingElse(None),
    };
    if let Some(report) = report {
        report.sweep(installation.sweep());
    }
    let Ok(Some(current)) = installation.current() else {
        return Found::SomethingElse(None);
    };
    let is_there = |name: &&str| {
        let file = installation.read(current, name, MAX_FILE);
        matches!(file, Ok(Some(_)))
    };
    if !file_names(place.holder.profile()).iter().all(is_there) {
        return Found::SomethingElse(None);
    }
    let name = certificate_file(place.holder.profile());
    found(installation.read(current, name, MAX_FILE))
}

fn open_shelf(path: &Path, report: Option<&mut Report>) -> Result<Shelf, Arc<DeliverError>> {
    let shelf = Shelf::open(path).map_err(|error| Arc::new(error.into()))?;
    if let Some(report) = report {
        report.sweep(shelf.sweep());
    }
    Ok(shelf)
}

fn in_folder(
    shelf: &Result<Shelf, Arc<DeliverError>>,
    place: &Place,
    report: Option<&mut Report>,
) -> Found {
    let shelf = match shelf {
        Ok(shelf) => shelf,
        Err(error) => match &**error {
            DeliverError::Shelf(ShelfError::Directory(WalkError::Missing { .. })) => {
                return Found::Nothing;
            }
            _ => return Found::Unreadable(error.clone()),
        },
    };
    let name = place.path.file_name().unwrap_or_default();
    match shelf.folder_state(name) {
        Ok(FolderState::Missing) => Found::Nothing,
        Ok(FolderState::Other(kind)) => Found::SomethingElse(Some(format!("it is {kind}"))),
        Ok(FolderState::Folder { .. }) => {
            if let Some(report) = report {
                report.bring_back(shelf, place);
            }
            let file = certificate_file(place.holder.profile());
            found(shelf.read(name, file, MAX_FILE))
        }
        Err(error) => Found::Unreadable(Arc::new(error.into())),
    }
}

/// What killed runs have left is removed, or reported.
impl Report {
    fn sweep(&mut self, swept: Result<Swept, impl fmt::Display>) {
        match swept {
            Ok(swept) => {
                self.swept += swept.removed;
                let left = swept.left.iter().map(ToString::to_string);
                self.left.extend(left);
            }
            Err(error) => self.left.push(error.to_string()),
        }
    }

    /// A user's files that a killed run did not move along.
    fn bring_back(&mut self, shelf: &Shelf, place: &Place) {
        let name = place.path.file_name().unwrap_or_default();
        let files = file_names(place.holder.profile());
        match shelf.bring_back(name, files) {
            Ok(left) => self.left.extend(left.iter().map(ToString::to_string)),
            Err(error) => self.left.push(error.to_string()),
        }
    }
}

fn found(certificate_file: Result<Option<Vec<u8>>, ReadError>) -> Found {
    let pem = match certificate_file {
        Ok(Some(pem)) => pem,
        Err(ReadError::Io(error)) => {
            return Found::Unreadable(Arc::new(DeliverError::Read(error.into())));
        }
        Ok(None) => return Found::SomethingElse(None),
        Err(error) => return Found::SomethingElse(Some(error.to_string())),
    };
    let serial =
        pgpki_core::first_certificate(&pem).and_then(|der| pgpki_core::issue::serial_of(&der));
    match serial {
        Some(serial) => Found::Certificate(serial),
        None => Found::SomethingElse(None),
    }
}

//! Rotation: what is due, decided by a pure function, and the act that renews it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pgpki_core::due::Within;
use pgpki_core::issue::{CaFacts, Holder, Issued};
use pgpki_core::serial::Serial;
use pgpki_core::validity::Validity;
use pgpki_fs::{FolderState, Installation, IoError, Shelf, ShelfError};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::certificate_file;
use crate::deliver::DeliverError;
use crate::ledger::{KnownPlace, LedgerError, Place, PlaceKind};
use crate::settings::Settings;

/// More than a leaf and its chain take.
const MAX_CERTIFICATE_FILE: u64 = 1 << 20;

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

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The issuing CA is due.
    pub issuing: bool,
    /// The places that get a new credential.
    pub renew: Vec<KnownPlace>,
    /// Places that are due, but that the issuing CA cannot give a longer time than they have.
    pub waiting: Vec<KnownPlace>,
}

/// Decides what is to be done with `places` at `now`. Pure, so that it can be tested a century at
/// a time.
///
/// `issuing` is the issuing CA that is going to sign. A server whose certificate comes from
/// another one is due at once, whatever its own time: its `root.crl` has no CRL of the new CA, and
/// PostgreSQL would refuse every client that the new CA signs. Clients move over as they are due.
pub fn plan(
    places: Vec<KnownPlace>,
    issuing: &CaFacts,
    settings: &Settings,
    request: &Request<'_>,
    now: OffsetDateTime,
) -> Plan {
    let mut plan = Plan {
        issuing: request.within.is_due(issuing.validity, now),
        ..Plan::default()
    };
    for known in places {
        if request.force || is_due(&known, issuing, request.within, now) {
            let is_worth_it = request.force || gains(&known, issuing, settings, now);
            if is_worth_it {
                plan.renew.push(known);
            } else {
                plan.waiting.push(known);
            }
        }
    }
    plan
}

fn is_due(known: &KnownPlace, issuing: &CaFacts, within: Within, now: OffsetDateTime) -> bool {
    let Some(installed) = known.installed else {
        return true;
    };
    let moved_on = installed.issuer != Some(issuing.serial);
    let is_server = matches!(known.place.holder, Holder::Server(_));
    within.is_due(installed.validity, now) || (is_server && moved_on)
}

/// Whether a new certificate would end later than the one that is there, or come from a new CA.
/// Once the issuing CA's own end is near, renewing every day would gain nothing.
fn gains(known: &KnownPlace, issuing: &CaFacts, settings: &Settings, now: OffsetDateTime) -> bool {
    let Some(installed) = known.installed else {
        return true;
    };
    let days = known.place.days.unwrap_or(settings.leaf);
    let (next, _) = Validity::starting(now, days).cut_to(issuing.validity.not_after);
    installed.issuer != Some(issuing.serial) || next.not_after > installed.validity.not_after
}

/// What a rotation did.
#[derive(Debug, Default)]
pub struct Report {
    /// The new issuing CA, if there is one.
    pub issuing: Option<Issued>,
    /// What stands in the way of renewing the issuing CA, if it is due and was not renewed.
    pub issuing_problem: Option<IssuingProblem>,
    /// Places with their new certificates; for an installation also its generation.
    pub renewed: Vec<(Place, Issued, Option<u32>)>,
    /// Places that are due but cannot gain before the issuing CA is renewed.
    pub waiting: Vec<KnownPlace>,
    /// Folders that are no longer there, or hold something else. They were left alone.
    pub gone: Vec<(KnownPlace, Gone)>,
    /// Places that could not be renewed, and why. They are as they were.
    pub failed: Vec<(Place, String)>,
    /// Leftovers of killed runs that were removed.
    pub swept: usize,
    /// Leftovers and files of users that could not be removed or moved.
    pub left: Vec<IoError>,
}

/// Why the issuing CA was not renewed.
#[derive(Debug)]
pub enum IssuingProblem {
    /// The root key is encrypted, and no passphrase was given.
    PassphraseNeeded,
    /// The root cannot sign: the passphrase is wrong, its files are damaged, its time is over.
    Failed(AuthorityError),
}

/// Why a folder was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It is not there any more: somebody has moved it to where it is used.
    Moved,
    /// It holds another certificate than the one that was put there.
    Changed,
}

impl Authority {
    /// What a rotation would do. Changes nothing.
    pub fn plan(&self, request: &Request<'_>, now: OffsetDateTime) -> Result<Plan, AuthorityError> {
        let places = self.ledger.places()?;
        Ok(plan(
            places,
            &self.issuing()?,
            self.settings(),
            request,
            now,
        ))
    }

    /// Renews whatever is due. Where one place fails, the others are still renewed; where nothing
    /// is due and no killed run has left anything, nothing is written.
    ///
    /// # Errors
    /// The authority itself cannot be used. What became of each place is in the report.
    pub fn rotate(
        &mut self,
        request: &Request<'_>,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Report, AuthorityError> {
        let mut report = Report::default();
        self.clean_up(&mut report)?;
        if request.within.is_due(self.issuing()?.validity, now) {
            match self.try_renew_issuing(request, now) {
                Ok(issued) => report.issuing = Some(issued),
                Err(problem) => report.issuing_problem = Some(problem),
            }
        }
        let plan = self.plan(request, now)?;
        report.waiting = plan.waiting;
        let mut shelves: BTreeMap<PathBuf, Vec<KnownPlace>> = BTreeMap::new();
        // Servers first: a client's new chain is refused by a server that lacks its CA's CRL.
        for known in plan.renew {
            match known.place.kind {
                PlaceKind::Installation => self.rotate_installation(known.place, now, &mut report),
                PlaceKind::Folder => {
                    let shelf = known.place.path.parent().unwrap_or(Path::new("/"));
                    shelves.entry(shelf.to_owned()).or_default().push(known);
                }
            }
        }
        for (shelf, folders) in shelves {
            self.rotate_folders(&shelf, folders, now, progress, &mut report)?;
        }
        Ok(report)
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

    fn rotate_installation(&mut self, place: Place, now: OffsetDateTime, report: &mut Report) {
        let installed = Installation::open(&place.path, place.owner)
            .map_err(DeliverError::from)
            .and_then(|installation| self.install(&place, &installation, now));
        match installed {
            Ok(done) => report
                .renewed
                .push((place, done.issued, Some(done.generation))),
            Err(error) => report.failed.push((place, error.to_string())),
        }
    }

    fn rotate_folders(
        &mut self,
        shelf: &Path,
        folders: Vec<KnownPlace>,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
        report: &mut Report,
    ) -> Result<(), AuthorityError> {
        let shelf = match open_shelf(shelf) {
            Ok(Some(shelf)) => shelf,
            Ok(None) => {
                let gone = folders.into_iter().map(|known| (known, Gone::Moved));
                report.gone.extend(gone);
                return Ok(());
            }
            Err(error) => {
                let why = error.to_string();
                let failed = folders.into_iter().map(|known| (known.place, why.clone()));
                report.failed.extend(failed);
                return Ok(());
            }
        };
        let mut places = Vec::new();
        for known in folders {
            match self.gone(&shelf, &known) {
                Some(gone) => report.gone.push((known, gone)),
                None => places.push(known.place),
            }
        }
        match self.hand_over(&places, &shelf, now, progress) {
            Ok(done) => {
                let renewed = done
                    .done
                    .into_iter()
                    .map(|(place, issued)| (place, issued, None));
                report.renewed.extend(renewed);
                let failed = done
                    .failed
                    .into_iter()
                    .map(|(place, why)| (place, why.to_string()));
                report.failed.extend(failed);
                report.left.extend(done.left_behind);
            }
            Err(error) => {
                let why = error.to_string();
                report
                    .failed
                    .extend(places.into_iter().map(|place| (place, why.clone())));
            }
        }
        Ok(())
    }

    /// Whether a folder is no longer the one that was handed over.
    fn gone(&self, shelf: &Shelf, known: &KnownPlace) -> Option<Gone> {
        match serial_in_folder(shelf, &known.place) {
            Found::Nothing => Some(Gone::Moved),
            Found::Certificate(serial) if known.installed.is_some_and(|i| i.serial == serial) => {
                None
            }
            Found::Certificate(_) | Found::SomethingElse => Some(Gone::Changed),
        }
    }

    /// Settles what killed runs have left: certificates of which the ledger does not know whether
    /// they arrived, and files that were never published.
    fn clean_up(&mut self, report: &mut Report) -> Result<(), LedgerError> {
        for known in self.ledger.places()? {
            if let Some(pending) = known.pending {
                self.settle(&known, pending, report)?;
            }
        }
        Ok(())
    }

    fn settle(
        &mut self,
        known: &KnownPlace,
        pending: Serial,
        report: &mut Report,
    ) -> Result<(), LedgerError> {
        let place = &known.place;
        let (found, swept) = match place.kind {
            PlaceKind::Installation => match Installation::open(&place.path, place.owner) {
                Ok(installation) => (serial_installed(&installation), installation.sweep().ok()),
                Err(_) => (Found::SomethingElse, None),
            },
            PlaceKind::Folder => match open_shelf(place.path.parent().unwrap_or(Path::new("/"))) {
                Ok(Some(shelf)) => (serial_in_folder(&shelf, place), shelf.sweep().ok()),
                _ => (Found::Nothing, None),
            },
        };
        if let Some(swept) = swept {
            report.swept += swept.removed;
            report.left.extend(swept.left);
        }
        match found {
            Found::Certificate(serial) if serial == pending => self.ledger.arrived(&[&place.path]),
            _ => self.ledger.never_arrived(&[&place.path]),
        }
    }
}

/// What a place holds.
enum Found {
    Nothing,
    Certificate(Serial),
    SomethingElse,
}

fn serial_installed(installation: &Installation) -> Found {
    let Ok(Some(current)) = installation.current() else {
        return Found::Nothing;
    };
    let name = certificate_file(pgpki_core::profile::Profile::Server);
    found(
        installation
            .read(current, name, MAX_CERTIFICATE_FILE)
            .ok()
            .flatten(),
    )
}

fn serial_in_folder(shelf: &Shelf, place: &Place) -> Found {
    let Some(name) = place.path.file_name() else {
        return Found::Nothing;
    };
    match shelf.folder_state(name) {
        Ok(FolderState::Missing) => Found::Nothing,
        Ok(FolderState::Folder { .. }) => {
            let file = certificate_file(place.holder.profile());
            found(shelf.read(name, file, MAX_CERTIFICATE_FILE).ok().flatten())
        }
        _ => Found::SomethingElse,
    }
}

fn found(certificate_file: Option<Vec<u8>>) -> Found {
    let serial = certificate_file
        .and_then(|pem| pgpki_core::first_certificate(&pem))
        .and_then(|der| pgpki_core::issue::serial_of(&der));
    match serial {
        Some(serial) => Found::Certificate(serial),
        None => Found::SomethingElse,
    }
}

/// The shelf, or nothing where there is no such directory any more.
fn open_shelf(path: &Path) -> Result<Option<Shelf>, ShelfError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => Shelf::open(path).map(Some),
    }
}

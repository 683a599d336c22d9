//! Issuing and delivering as one act: keys and certificates are made, the ledger records them and
//! where they go, the files are written, synced, and given their names, and the ledger notes that
//! they have arrived.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pgpki_core::issue::{Ca, Holder, Issued};
use pgpki_core::key::PrivateKey;
use pgpki_core::validity::Days;
use pgpki_fs::{
    FolderState, Installation, InstallationError, IoError, Kind, Owner, Shelf, ShelfError,
    StageError, Staged, Synced, sync_all,
};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::{Credential, Trust, file_names};
use crate::ledger::{KnownPlace, LedgerError, Place};
use crate::settings::Settings;

/// How many generations a place keeps, the live one included: enough to go back over a mistake
/// that shows only after the next rotation.
pub(crate) const KEPT_GENERATIONS: usize = 3;

/// How many credentials are made, recorded and synced together. One transaction and one sync of
/// the file system for each batch; at some 3 KiB a credential a batch takes about 30 MB of memory.
const BATCH: usize = 10_000;

/// Why a credential could not be issued or put in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The server's directory failed.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The directory of the folders failed.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The files could not be written.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Something else stands where a folder is to be.
    #[error("{} is {kind}, where a folder for a credential is to be", path.display())]
    NotAFolder {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: Kind,
    },
    /// A folder that this authority did not make.
    #[error("{} is there already, and this authority did not make it", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Another holder's credential lives there.
    #[error("{} holds the credential of {holder}", path.display())]
    AnotherHolder {
        /// The folder or installation.
        path: PathBuf,
        /// Whose it is.
        holder: String,
    },
    /// A path that the ledger, which holds text, cannot name.
    #[error("{} is not valid UTF-8, and the ledger keeps paths as text", path.display())]
    PathNotText {
        /// The path.
        path: PathBuf,
    },
}

impl From<LedgerError> for DeliverError {
    fn from(error: LedgerError) -> Self {
        Self::Authority(error.into())
    }
}

/// A server's credential that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The certificate.
    pub issued: Issued,
    /// The number of the generation that is live now.
    pub generation: u32,
}

/// A server's credential that is on disk but not in use. Dropping it removes the files.
#[must_use = "dropping it removes the files"]
pub struct Ready {
    issued: Issued,
    files: Synced,
}

impl Ready {
    /// Makes it the live generation of the installation that it was made ready for.
    pub fn publish(self, installation: &Installation) -> Result<Installed, DeliverError> {
        let generation = installation.publish(self.files)?;
        Ok(Installed {
            issued: self.issued,
            generation,
        })
    }
}

/// What became of a batch of folders.
#[derive(Debug, Default)]
pub struct HandOver {
    /// Folders with their new certificates, in the order of the request.
    pub done: Vec<(Place, Issued)>,
    /// Folders that are as they were, and why.
    pub failed: Vec<(Place, ShelfError)>,
    /// Files of a user's that could not be moved along into a new folder.
    pub left_behind: Vec<IoError>,
}

impl Authority {
    /// Issues a server's credential and makes it the live generation of an installation.
    pub fn install(
        &mut self,
        place: &Place,
        installation: &Installation,
        now: OffsetDateTime,
    ) -> Result<Installed, DeliverError> {
        let before = self.ledger.place(&place.path)?;
        let installed = self
            .make_ready(place, installation, now)
            .and_then(|ready| ready.publish(installation))
            .inspect_err(|_| {
                // If this fails as well, the next rotation sees that another one is there.
                let _ = self.ledger.take_back(&[(&place.path, before.as_ref())]);
            })?;
        // What cannot be removed stays until the next time; the new one is live.
        let _ = installation.prune(KEPT_GENERATIONS)?;
        Ok(installed)
    }

    /// Issues a server's credential and writes it beside the live generation, on disk but not yet
    /// in use. The ledger has it, and takes it for being in its place.
    pub fn make_ready(
        &mut self,
        place: &Place,
        installation: &Installation,
        now: OffsetDateTime,
    ) -> Result<Ready, DeliverError> {
        check_text(&place.path)?;
        let ca = self.issuing_ca()?;
        let trust = self.trust(&ca, now)?;
        let credential = make(place, &ca, self.settings(), &trust, now)?;
        self.ledger.record(
            Some(ca.facts().serial),
            &[(&credential.issued, Some(place))],
        )?;
        let files = installation.stage(&credential.files(&trust))?.sync()?;
        let issued = credential.issued;
        Ok(Ready { issued, files })
    }

    /// Issues a credential to each of `places`, which are folders on `shelf`, on every core, and
    /// tells `progress` how many have been made. A folder whose delivery fails is left as it was.
    ///
    /// # Errors
    /// Nothing was issued: a folder is in somebody's way, or the CA cannot be used. Or a whole
    /// batch could not be written; the ones before it stand.
    pub fn hand_over(
        &mut self,
        places: &[Place],
        shelf: &Shelf,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<HandOver, DeliverError> {
        let targets = self.targets(places, shelf)?;
        let ca = self.issuing_ca()?;
        let trust = self.trust(&ca, now)?;
        let mut result = HandOver::default();
        for batch in targets.chunks(BATCH) {
            self.hand_over_batch(batch, shelf, &ca, &trust, now, progress, &mut result)?;
        }
        Ok(result)
    }

    #[allow(clippy::too_many_arguments)]
    fn hand_over_batch(
        &mut self,
        batch: &[Target<'_>],
        shelf: &Shelf,
        ca: &Ca,
        trust: &Trust,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
        result: &mut HandOver,
    ) -> Result<(), DeliverError> {
        let settings = self.settings();
        let credentials = on_every_core(batch, |target| {
            let credential = make(target.place, ca, settings, trust, now)?;
            progress(1);
            Ok::<_, DeliverError>(credential)
        })?;
        let records: Vec<_> = credentials
            .iter()
            .zip(batch)
            .map(|(credential, target)| (&credential.issued, Some(target.place)))
            .collect();
        self.ledger.record(Some(ca.facts().serial), &records)?;

        let work: Vec<_> = credentials.iter().zip(batch).collect();
        let staged = on_every_core(&work, |(credential, target)| {
            shelf.stage(&credential.files(trust), target.owner)
        });
        let synced = staged
            .map_err(DeliverError::from)
            .and_then(|staged: Vec<Staged>| Ok(sync_all(staged)?));
        let synced = match synced {
            Ok(synced) => synced,
            Err(error) => {
                // If this fails as well, the next rotation sees that others are there.
                let _ = self.ledger.take_back(&before(batch));
                return Err(error);
            }
        };

        let mut failed = Vec::new();
        for ((credential, target), synced) in credentials.into_iter().zip(batch).zip(synced) {
            match shelf.publish(synced, &target.name, target.known.is_some()) {
                Ok(left) => {
                    result.left_behind.extend(left);
                    result.done.push((target.place.clone(), credential.issued));
                }
                Err(error) => failed.push((target, error)),
            }
        }
        shelf.settle()?;
        let lost: Vec<_> = failed.iter().map(|(target, _)| target.before()).collect();
        if !lost.is_empty() {
            self.ledger.take_back(&lost)?;
        }
        for target in batch.iter().filter(|target| target.known.is_some()) {
            let files = file_names(target.place.holder.profile());
            let _ = shelf.prune(&target.name, KEPT_GENERATIONS, files)?;
        }
        let failed = failed
            .into_iter()
            .map(|(target, error)| (target.place.clone(), error));
        result.failed.extend(failed);
        Ok(())
    }

    /// What stands where each folder is to be. Refuses all of them if one is in somebody's way,
    /// before anything is issued.
    fn targets<'a>(
        &self,
        places: &'a [Place],
        shelf: &Shelf,
    ) -> Result<Vec<Target<'a>>, DeliverError> {
        places
            .iter()
            .map(|place| self.target(place, shelf))
            .collect()
    }

    fn target<'a>(&self, place: &'a Place, shelf: &Shelf) -> Result<Target<'a>, DeliverError> {
        let path = || place.path.clone();
        check_text(&place.path)?;
        let name = place.path.file_name().unwrap_or(OsStr::new(""));
        let known = self.ledger.place(&place.path)?;
        let owner = match shelf.folder_state(name)? {
            FolderState::Missing => place.owner,
            FolderState::Folder { owner } if known.is_some() => owner,
            FolderState::Folder { owner } if shelf.folder_is_empty(name)? => owner,
            FolderState::Folder { .. } => return Err(DeliverError::Foreign { path: path() }),
            FolderState::Other(kind) => {
                return Err(DeliverError::NotAFolder { path: path(), kind });
            }
        };
        match known {
            Some(known) if !may_follow(&known.place.holder, &place.holder) => {
                Err(DeliverError::AnotherHolder {
                    path: path(),
                    holder: known.place.holder.to_string(),
                })
            }
            known => Ok(Target {
                place,
                name: name.to_owned(),
                owner,
                known,
            }),
        }
    }
}

/// Whether a place may change hands: a server's names may change, a role may not.
fn may_follow(before: &Holder, after: &Holder) -> bool {
    match (before, after) {
        (Holder::Server(_), Holder::Server(_)) => true,
        (before, after) => before == after,
    }
}

/// A folder that is about to be made or replaced.
struct Target<'a> {
    place: &'a Place,
    name: OsString,
    /// Whoever owns the folder that is there keeps the new one.
    owner: Owner,
    /// The folder as the ledger had it, if this authority made it.
    known: Option<KnownPlace>,
}

impl Target<'_> {
    fn before(&self) -> (&Path, Option<&KnownPlace>) {
        (&self.place.path, self.known.as_ref())
    }
}

fn before<'a>(batch: &'a [Target<'_>]) -> Vec<(&'a Path, Option<&'a KnownPlace>)> {
    batch.iter().map(Target::before).collect()
}

/// A key and a certificate for `place`. Nobody has seen them yet.
fn make(
    place: &Place,
    ca: &Ca,
    settings: &Settings,
    trust: &Trust,
    now: OffsetDateTime,
) -> Result<Credential, AuthorityError> {
    let key = PrivateKey::generate(place.algorithm)?;
    let days: Days = place.days.unwrap_or(settings.leaf);
    let issued = ca.issue_leaf(&place.holder, &key, &settings.organization, now, days)?;
    Ok(Credential::new(issued, key.to_pem()?, trust))
}

fn check_text(path: &Path) -> Result<(), DeliverError> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(DeliverError::PathNotText { path: path.into() }),
    }
}

/// Maps `items` in parallel, in order. The first error ends it.
fn on_every_core<T: Sync, R: Send, E: Send>(
    items: &[T],
    act: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    if let [item] = items {
        // One certificate is the everyday case: asking how many cores there are takes longer.
        return Ok(vec![act(item)?]);
    }
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    // Small shares that each core takes when it is free: the other cores may have other work.
    let share = items.len().div_ceil(cores * 8).max(1);
    let shares: Vec<&[T]> = items.chunks(share).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, items)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            shares.get(index).map(|items| (index, items))
        } {
            let results: Result<Vec<R>, E> = items.iter().map(&act).collect();
            let failed = results.is_err();
            done.push((index, results));
            if failed {
                next.store(shares.len(), Ordering::Relaxed);
            }
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..cores.min(shares.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(results) => done.extend(results),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    let mut all = Vec::with_capacity(items.len());
    for (_, results) in done {
        all.extend(results?);
    }
    Ok(all)
}

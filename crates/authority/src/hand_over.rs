//! Folders to be handed over: credentials are made on every core, recorded in one transaction, written beside where they
//! are going to be, synced together, and given their names.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pgpki_core::issue::Issued;
use pgpki_core::serial::Serial;
use pgpki_fs::{FolderState, Owner, Shelf, Synced, sync_all};
use time::OffsetDateTime;

use crate::authority::Authority;
use crate::credential::{Credential, Signer, Trust, file_names, made_by};
use crate::deliver::{
    DeliverError, KEPT_GENERATIONS, Passphrases, Terms, check_holder, check_text, key_passphrase,
    texts,
};
use crate::ledger::{KnownPlace, Place};
use crate::uninterrupted::uninterrupted;

/// How many credentials are made, recorded and synced together. One transaction and one sync of
/// the file system for each batch; at some 3 KiB a credential a batch takes about 30 MB of memory.
const BATCH: usize = 10_000;

/// Every data directory has it ("Database File Layout" in PostgreSQL's documentation).
const PG_VERSION: &str = "PG_VERSION";

/// What became of a batch of folders.
#[derive(Debug, Default)]
pub struct HandOver {
    /// Folders with their new certificates, in the order of the request.
    pub done: Vec<(Place, Issued)>,
    /// Folders that are as they were, and why.
    pub failed: Vec<(Place, DeliverError)>,
    /// A user's files that could not be moved along, former generations that could not be removed,
    /// and why.
    pub left: Vec<String>,
    /// Why it ended early, or why what was done may not survive a power cut, if that is so.
    pub stopped: Option<DeliverError>,
}

/// What a folder that cannot be delivered does to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// None is delivered: somebody is there to mend it and try again.
    Stop,
    /// They are delivered all the same: nobody is looking.
    GoOn,
}

impl Authority {
    /// Issues a credential to each of `places`, which are folders on `shelf` and all for servers or all for clients, on
    /// every core, and tells `progress` how many have been made. `passphrases` is for the formats that need one. A folder
    /// whose delivery fails is left as it was.
    ///
    /// # Errors
    /// Nothing was delivered. What fails after a first batch has been delivered is in the result.
    pub fn hand_over(
        &mut self,
        places: &[Place],
        shelf: &Shelf,
        on_failure: OnFailure,
        passphrases: &dyn Passphrases,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<HandOver, DeliverError> {
        let mut result = HandOver::default();
        let targets = self.targets(places, shelf, on_failure, &mut result)?;
        let Some(profile) = places.first().map(|place| place.holder.profile()) else {
            return Ok(result);
        };
        let signer = self.signer(profile, now)?;
        let trust = self.trust(profile, now)?;
        let run = Run {
            signer: &signer,
            trust: &trust,
            shelf,
            on_failure,
            passphrases,
            now,
            progress,
        };
        for batch in targets.chunks(BATCH) {
            if let Err(error) = self.hand_over_batch(batch, &run, &mut result) {
                if result.done.is_empty() && on_failure == OnFailure::Stop {
                    return Err(error);
                }
                result.stopped = Some(error);
            }
            if result.stopped.is_some() {
                break;
            }
        }
        Ok(result)
    }

    fn hand_over_batch(
        &mut self,
        batch: &[Target<'_>],
        run: &Run<'_>,
        result: &mut HandOver,
    ) -> Result<(), DeliverError> {
        let terms = Terms {
            signer: run.signer,
            trust: run.trust,
            settings: self.settings(),
            passphrases: run.passphrases,
            now: run.now,
        };
        let credentials = on_every_core(batch, |target| {
            let credential = terms.make(target.place)?;
            (run.progress)(1);
            Ok::<_, DeliverError>(credential)
        })?;
        let work: Vec<_> = credentials.iter().zip(batch).collect();
        uninterrupted(|| self.deliver_batch(&work, run, result))?;
        prune(batch, run.shelf, result);
        Ok(())
    }

    /// Records the credentials and brings them to their folders.
    fn deliver_batch<'a>(
        &mut self,
        work: &Work<'a, 'a>,
        run: &Run<'_>,
        result: &mut HandOver,
    ) -> Result<(), DeliverError> {
        let records: Vec<_> = work
            .iter()
            .map(|(credential, target)| (&credential.issued, target.place))
            .collect();
        self.ledger.record(run.signer.id, &records)?;

        let mut lost = Vec::new();
        let staged = stage(work, run, result, &mut lost);
        let (work, synced) = staged.inspect_err(|_| {
            let all: Vec<_> = work.iter().map(|(c, target)| target.before(c)).collect();
            // If this fails as well, the next rotation sees that others are there.
            let _ = self.ledger.take_back(&all);
        })?;
        for ((credential, target), synced) in work.into_iter().zip(synced) {
            let published = match &target.known {
                Some(known) => {
                    let made = made_by(&known.place);
                    run.shelf.publish_over(synced, &target.name, &made)
                }
                None => run.shelf.publish(synced, &target.name, false),
            };
            match published {
                Ok(left) => {
                    result.left.extend(texts(left));
                    let issued = credential.issued.clone();
                    result.done.push((target.place.clone(), issued));
                }
                Err(error) => {
                    lost.push(target.before(credential));
                    result.failed.push((target.place.clone(), error.into()));
                }
            }
        }
        if let Err(source) = run.shelf.settle() {
            result.stopped = Some(DeliverError::NotSettled { source });
        }
        if !lost.is_empty() {
            self.ledger.take_back(&lost)?;
        }
        Ok(())
    }

    /// Refuses a directory that is something else, and would not be the same with folders in it.
    pub(crate) fn check_shelf(&self, shelf: &Path) -> Result<(), DeliverError> {
        let mut above = shelf.ancestors();
        let what = if shelf.starts_with(self.home()) {
            "in the authority's own directory"
        } else if self.ledger.place(shelf)?.is_some() {
            "itself where a certificate of this authority belongs"
        } else if above.any(|dir| dir.join(PG_VERSION).exists()) {
            "in a data directory of PostgreSQL"
        } else {
            return Ok(());
        };
        let path = shelf.to_owned();
        Err(DeliverError::NotAShelf { path, what })
    }

    /// What stands where each folder is to be, before anything is issued.
    fn targets<'a>(
        &self,
        places: &'a [Place],
        shelf: &Shelf,
        on_failure: OnFailure,
        result: &mut HandOver,
    ) -> Result<Vec<Target<'a>>, DeliverError> {
        let mut targets = Vec::with_capacity(places.len());
        for place in places {
            match (self.target(place, shelf), on_failure) {
                (Ok(target), _) => targets.push(target),
                (Err(error), OnFailure::Stop) => return Err(error),
                (Err(error), OnFailure::GoOn) => result.failed.push((place.clone(), error)),
            }
        }
        Ok(targets)
    }

    pub(crate) fn target<'a>(
        &self,
        place: &'a Place,
        shelf: &Shelf,
    ) -> Result<Target<'a>, DeliverError> {
        let path = || place.path.clone();
        check_text(&place.path)?;
        place
            .passphrase_file
            .as_deref()
            .map_or(Ok(()), check_text)?;
        let name = place.path.file_name().unwrap_or(OsStr::new(""));
        let known = self.ledger.place(&place.path)?;
        if known.is_none() {
            self.check_shelf(shelf.path())?;
        }
        let owner = match shelf.folder_state(name)? {
            FolderState::Missing => place.owner,
            FolderState::Folder { owner } => {
                if known.is_none() && !shelf.folder_is_empty(name)? {
                    return Err(DeliverError::Foreign { path: path() });
                }
                // The operator may have given the folder away. Where somebody else can put folders
                // as well, he may only seem to have, and the key would go to that somebody.
                if owner.uid != place.owner.uid && !shelf.is_callers_alone()? {
                    let shelf = shelf.path().to_owned();
                    return Err(DeliverError::OwnerInDoubt {
                        path: path(),
                        owner,
                        shelf,
                    });
                }
                owner
            }
            FolderState::Other(kind) => {
                return Err(DeliverError::NotAFolder { path: path(), kind });
            }
        };
        if let Some(known) = &known {
            check_holder(known, place)?;
        }
        // Here, so that others on this shelf are none the worse for it.
        key_passphrase(place)?;
        Ok(Target {
            place,
            name: name.to_owned(),
            owner,
            known,
        })
    }
}

/// What is the same for every folder of a delivery.
struct Run<'a> {
    signer: &'a Signer,
    trust: &'a Trust,
    shelf: &'a Shelf,
    on_failure: OnFailure,
    passphrases: &'a dyn Passphrases,
    now: OffsetDateTime,
    progress: &'a (dyn Fn(usize) + Sync),
}

type Work<'a, 'b> = Vec<(&'a Credential, &'a Target<'b>)>;
type Lost<'a> = Vec<(&'a Path, Serial, Option<&'a KnownPlace>)>;

/// Writes the files of each folder beside it, and waits until they are on disk. Returns those of which that can be said.
fn stage<'a, 'b>(
    work: &Work<'a, 'b>,
    run: &Run<'_>,
    result: &mut HandOver,
    lost: &mut Lost<'a>,
) -> Result<(Work<'a, 'b>, Vec<Synced>), DeliverError> {
    let staged = on_every_core(work, |(credential, target)| {
        let staged = run.shelf.stage(&credential.files(run.trust), target.owner);
        match (staged, run.on_failure) {
            (Err(error), OnFailure::Stop) => Err(error),
            (staged, _) => Ok(staged),
        }
    })?;
    let mut fail = |work: &(&'a Credential, &'a Target<'b>), error| {
        let (credential, target) = work;
        lost.push(target.before(credential));
        result.failed.push((target.place.clone(), error));
    };
    let mut written = (Vec::new(), Vec::new());
    for (work, staged) in work.iter().zip(staged) {
        match staged {
            Ok(staged) => {
                written.0.push(*work);
                written.1.push(staged);
            }
            Err(error) => fail(work, error.into()),
        }
    }
    let mut on_disk = (Vec::new(), Vec::new());
    for (work, synced) in written.0.into_iter().zip(sync_all(written.1)?) {
        match (synced, run.on_failure) {
            (Ok(synced), _) => {
                on_disk.0.push(work);
                on_disk.1.push(synced);
            }
            (Err(error), OnFailure::Stop) => return Err(error.into()),
            (Err(error), OnFailure::GoOn) => fail(&work, error.into()),
        }
    }
    Ok(on_disk)
}

/// Removes the oldest former generations of the folders that have some.
fn prune(batch: &[Target<'_>], shelf: &Shelf, result: &mut HandOver) {
    for target in batch.iter().filter(|target| target.known.is_some()) {
        let files = file_names(target.place.holder.profile());
        match shelf.prune(&target.name, KEPT_GENERATIONS, files) {
            Ok(pruned) => result.left.extend(texts(pruned.left)),
            Err(error) => result.left.push(error.to_string()),
        }
    }
}

/// A folder that is about to be made or replaced.
pub(crate) struct Target<'a> {
    place: &'a Place,
    pub(crate) name: OsString,
    /// Whoever owns the folder that is there keeps the new one.
    pub(crate) owner: Owner,
    /// The folder as the ledger had it, if this authority made it.
    known: Option<KnownPlace>,
}

impl Target<'_> {
    /// What the ledger needs to take `credential` back.
    fn before<'a>(&'a self, credential: &Credential) -> (&'a Path, Serial, Option<&'a KnownPlace>) {
        let serial = credential.issued.serial;
        (&self.place.path, serial, self.known.as_ref())
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

//! Issuing and delivering as one act: keys and certificates are made, the ledger records them and
//! where they go, the files are written, synced, and given their names, and the ledger notes that
//! they have arrived.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pgpki_core::issue::{Holder, Issued};
use pgpki_core::key::PrivateKey;
use pgpki_core::serial::Serial;
use pgpki_core::validity::Days;
use pgpki_fs::{
    FolderState, Installation, InstallationError, IoError, Kind, Owner, ReadError, Shelf,
    ShelfError, StageError, Staged, Synced, sync_all,
};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::{Credential, Kept, Signer, Trust, chain, file_names};
use crate::ledger::{KnownPlace, LedgerError, Place, PlaceKind};
use crate::rotation::MAX_FILE;
use crate::servers::{Servers, TakenUp, put_back};
use crate::settings::Settings;

/// How many generations a place keeps, the live one included: enough to go back over a mistake
/// that shows only after the next rotation.
pub(crate) const KEPT_GENERATIONS: usize = 3;

/// How many credentials are made, recorded and synced together. One transaction and one sync of
/// the file system for each batch; at some 3 KiB a credential a batch takes about 30 MB of memory.
const BATCH: usize = 10_000;

/// Up to this many folders are synced one by one: their files take a few milliseconds, while a
/// sync of the file system would wait for everything that a database beside them has written.
const FEW: usize = 32;

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
    /// What is in a place could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was put in place may be lost in a power cut.
    #[error("{source}; what has been made may be undone by a power cut")]
    NotSettled {
        /// Why it could not be synced.
        source: ShelfError,
    },
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
    /// The place is of the other kind.
    #[error("{} is a place of the kind {}, and would become another", path.display(), kind.as_str())]
    AnotherKind {
        /// The folder or installation.
        path: PathBuf,
        /// What it is.
        kind: PlaceKind,
    },
    /// Somebody other than expected owns a folder, where anybody may have put it.
    #[error("{} belongs to {owner}, who may have put it there", path.display())]
    OwnerInDoubt {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: Owner,
        /// The directory that others can write to.
        shelf: PathBuf,
    },
    /// A server does not serve what was installed, and the generation before is live again.
    #[error("{}: {why}; {after}", path.display())]
    PutBack {
        /// The installation.
        path: PathBuf,
        /// Why the new generation was not taken up.
        why: String,
        /// How it stands now.
        after: String,
    },
    /// A server does not serve what has been installed for a while, and did not take it up now.
    #[error("{}: {why}", path.display())]
    NotServed {
        /// The installation.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file of a credential is gone.
    #[error("{} is missing, or not what it should be", path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
    },
    /// A path that the ledger, which holds text, cannot name.
    #[error("{} is not valid UTF-8, and the ledger keeps paths as text", path.display())]
    PathNotText {
        /// The path.
        path: PathBuf,
    },
}

impl DeliverError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let elsewhere = || Some("Move it away, or choose another directory".to_owned());
        match self {
            Self::Authority(_) | Self::PathNotText { .. } => None,
            Self::FileMissing { .. } => {
                Some("Have it issued again: pgpki rotate --force".to_owned())
            }
            Self::NotServed { .. } => Some(
                "Put right what the server complains of; what is on disk is what the ledger has"
                    .to_owned(),
            ),
            Self::PutBack { .. } => {
                Some("Put right what the server complains of and run it again".to_owned())
            }
            Self::Installation(error) => error.hint(),
            Self::Shelf(error) => error.hint(),
            Self::Stage(error) => error.hint(),
            Self::Read(error) => error.hint(),
            Self::NotSettled { source } => source.hint(),
            Self::OwnerInDoubt { shelf, .. } => Some(format!(
                "If that is right, let nobody else write to the directory around it: \
                 chmod go-w {shelf}, and chown {} {shelf}",
                Owner::caller(),
                shelf = shelf.display()
            )),
            Self::NotAFolder { .. }
            | Self::Foreign { .. }
            | Self::AnotherKind { .. }
            | Self::AnotherHolder { .. } => elsewhere(),
        }
    }
}

impl From<LedgerError> for DeliverError {
    fn from(error: LedgerError) -> Self {
        Self::Authority(error.into())
    }
}

/// A generation that is live now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its number; a folder has none.
    pub generation: Option<u32>,
    /// What the servers made of it.
    pub taken_up: TakenUp,
    /// What of former generations could not be removed, and why.
    pub left: Vec<String>,
}

/// A server's credential that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The certificate.
    pub issued: Issued,
    /// The generation that it is in.
    pub live: Live,
}

/// A server's credential that is on disk but not in use. Dropping it removes the files.
#[must_use = "dropping it removes the files"]
pub struct Ready {
    issued: Issued,
    files: Synced,
    /// The place as the ledger had it.
    before: Option<KnownPlace>,
}

impl Ready {
    /// Makes it the live generation of the installation that it was made ready for. No server is
    /// told.
    pub fn publish(self, installation: &Installation) -> Result<Installed, DeliverError> {
        let generation = installation.publish(self.files)?;
        Ok(Installed {
            issued: self.issued,
            live: Live {
                generation: Some(generation),
                taken_up: TakenUp::nobody("no server was asked"),
                left: Vec::new(),
            },
        })
    }
}

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
    /// Issues a server's credential, makes it the live generation of an installation, and has
    /// `servers` take it up. If one does not, the generation before is live again.
    pub fn install(
        &mut self,
        place: &Place,
        installation: &Installation,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Installed, DeliverError> {
        let before = installation.current()?;
        let ready = self.make_ready(place, installation, now)?;
        let (serial, known) = (ready.issued.serial, ready.before.clone());
        let taken_back = [(&*place.path, serial, known.as_ref())];
        let Ready { issued, files, .. } = ready;
        let generation = installation.publish(files).inspect_err(|_| {
            // If this fails as well, the next rotation sees that another one is there.
            let _ = self.ledger.take_back(&taken_back);
        })?;
        match settle(installation, (before, generation), servers) {
            Ok(live) => Ok(Installed { issued, live }),
            Err(error) => {
                self.ledger.take_back(&taken_back)?;
                Err(error)
            }
        }
    }

    /// Gives a server's place the roots, chain and CRLs of this moment beside the credential that it has, as a new
    /// generation, and has `servers` take it up. If one does not, the generation before is live again.
    pub(crate) fn refresh(
        &self,
        known: &KnownPlace,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Live, DeliverError> {
        let place = &known.place;
        let trust = self.trust(place.holder.profile(), now)?;
        let chain = chain(&self.hierarchy, known.issuer, place.holder.profile(), now);
        match place.kind {
            PlaceKind::Installation => {
                let installation = Installation::open(&place.path, place.owner)?;
                let before = installation.current()?;
                let live = before.unwrap_or_default();
                let kept = Kept::read(place, &chain, |name, secret| match secret {
                    true => installation.read_secret(live, name, MAX_FILE),
                    false => installation.read(live, name, MAX_FILE),
                })?;
                let staged = installation.stage(&kept.files(&trust))?.sync()?;
                let generation = installation.publish(staged)?;
                settle(&installation, (before, generation), servers)
            }
            PlaceKind::Folder => {
                let shelf = Shelf::open(place.path.parent().unwrap_or(Path::new("/")))?;
                let target = self.target(place, &shelf)?;
                let kept = Kept::read(place, &chain, |name, _| {
                    shelf.read(&target.name, name, MAX_FILE)
                })?;
                let staged = shelf.stage(&kept.files(&trust), target.owner)?.sync()?;
                let left = shelf.publish(staged, &target.name, true)?;
                shelf.settle()?;
                Ok(Live {
                    generation: None,
                    taken_up: TakenUp::nobody("it is for a server elsewhere"),
                    left: texts(left).collect(),
                })
            }
        }
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
        let before = self.ledger.place(&place.path)?;
        if let Some(before) = &before {
            check_holder(before, place)?;
        }
        let profile = place.holder.profile();
        let signer = self.signer(profile, now)?;
        let trust = self.trust(profile, now)?;
        let credential = make(place, &signer, self.settings(), now)?;
        let issued = &credential.issued;
        self.ledger.record(signer.id, &[(issued, place)])?;
        let staged = installation
            .stage(&credential.files(&trust))
            .map_err(DeliverError::from)
            .and_then(|staged| Ok(staged.sync()?));
        let files = staged.inspect_err(|_| {
            // If this fails as well, the next rotation sees that another one is there.
            let _ = self
                .ledger
                .take_back(&[(&place.path, issued.serial, before.as_ref())]);
        })?;
        Ok(Ready {
            issued: credential.issued,
            files,
            before,
        })
    }

    /// Issues a credential to each of `places`, which are folders on `shelf` and all for servers or all for clients, on
    /// every core, and tells `progress` how many have been made. A folder whose delivery fails is left as it was.
    ///
    /// # Errors
    /// Nothing was delivered. What fails after a first batch has been delivered is in the result.
    pub fn hand_over(
        &mut self,
        places: &[Place],
        shelf: &Shelf,
        on_failure: OnFailure,
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
            now,
            progress,
        };
        for batch in targets.chunks(BATCH) {
            if let Err(error) = self.hand_over_batch(batch, &run, &mut result) {
                if result.done.is_empty() && on_failure == OnFailure::Stop {
                    return Err(error);
                }
                result.stopped = Some(error);
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
        let settings = self.settings();
        let credentials = on_every_core(batch, |target| {
            let credential = make(target.place, run.signer, settings, run.now)?;
            (run.progress)(1);
            Ok::<_, DeliverError>(credential)
        })?;
        let work: Vec<_> = credentials.iter().zip(batch).collect();
        let records: Vec<_> = work
            .iter()
            .map(|(credential, target)| (&credential.issued, target.place))
            .collect();
        self.ledger.record(run.signer.id, &records)?;

        let mut lost = Vec::new();
        let staged = stage(&work, run, result, &mut lost);
        let synced = staged.and_then(|(work, staged)| Ok((work, sync(staged)?)));
        let (work, synced) = synced.inspect_err(|_| {
            let all: Vec<_> = work.iter().map(|(c, target)| target.before(c)).collect();
            // If this fails as well, the next rotation sees that others are there.
            let _ = self.ledger.take_back(&all);
        })?;
        for ((credential, target), synced) in work.into_iter().zip(synced) {
            match run
                .shelf
                .publish(synced, &target.name, target.known.is_some())
            {
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
        prune(batch, run.shelf, result);
        Ok(())
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

    fn target<'a>(&self, place: &'a Place, shelf: &Shelf) -> Result<Target<'a>, DeliverError> {
        let path = || place.path.clone();
        check_text(&place.path)?;
        let name = place.path.file_name().unwrap_or(OsStr::new(""));
        let known = self.ledger.place(&place.path)?;
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
        Ok(Target {
            place,
            name: name.to_owned(),
            owner,
            known,
        })
    }
}

/// A server's names may change; a role may not, nor may an installation become a folder.
fn check_holder(before: &KnownPlace, after: &Place) -> Result<(), DeliverError> {
    if before.place.kind != after.kind {
        return Err(DeliverError::AnotherKind {
            path: after.path.clone(),
            kind: before.place.kind,
        });
    }
    match (&before.place.holder, &after.holder) {
        (Holder::Server(_), Holder::Server(_)) => Ok(()),
        (before, after) if before == after => Ok(()),
        (before, _) => Err(DeliverError::AnotherHolder {
            path: after.path.clone(),
            holder: before.to_string(),
        }),
    }
}

fn texts(errors: Vec<IoError>) -> impl Iterator<Item = String> {
    errors.into_iter().map(|error| error.to_string())
}

/// What is the same for every folder of a delivery.
struct Run<'a> {
    signer: &'a Signer,
    trust: &'a Trust,
    shelf: &'a Shelf,
    on_failure: OnFailure,
    now: OffsetDateTime,
    progress: &'a (dyn Fn(usize) + Sync),
}

type Work<'a, 'b> = Vec<(&'a Credential, &'a Target<'b>)>;
type Lost<'a> = Vec<(&'a Path, Serial, Option<&'a KnownPlace>)>;

/// Writes the files of each folder beside it. Returns those that could be written.
fn stage<'a, 'b>(
    work: &Work<'a, 'b>,
    run: &Run<'_>,
    result: &mut HandOver,
    lost: &mut Lost<'a>,
) -> Result<(Work<'a, 'b>, Vec<Staged>), DeliverError> {
    let staged = on_every_core(work, |(credential, target)| {
        let staged = run.shelf.stage(&credential.files(run.trust), target.owner);
        match (staged, run.on_failure) {
            (Err(error), OnFailure::Stop) => Err(error),
            (staged, _) => Ok(staged),
        }
    })?;
    let mut written = (Vec::new(), Vec::new());
    for ((credential, target), staged) in work.iter().zip(staged) {
        match staged {
            Ok(staged) => {
                written.0.push((*credential, *target));
                written.1.push(staged);
            }
            Err(error) => {
                lost.push(target.before(credential));
                result.failed.push((target.place.clone(), error.into()));
            }
        }
    }
    Ok(written)
}

/// Waits until the files are on disk, a few by themselves and many with their whole file system.
fn sync(staged: Vec<Staged>) -> Result<Vec<Synced>, StageError> {
    match staged.len() > FEW {
        true => sync_all(staged),
        false => staged.into_iter().map(Staged::sync).collect(),
    }
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
struct Target<'a> {
    place: &'a Place,
    name: OsString,
    /// Whoever owns the folder that is there keeps the new one.
    owner: Owner,
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

/// Has `servers` take up the generation that has just been published, and removes the oldest ones. If one does not,
/// the generation before is live again.
fn settle(
    installation: &Installation,
    generations: (Option<u32>, u32),
    servers: &mut dyn Servers,
) -> Result<Live, DeliverError> {
    let taken_up = servers.take_up(installation);
    let taken_up = taken_up.and_then(TakenUp::whole).map_err(|why| {
        let after = put_back(installation, generations, servers);
        let path = installation.path().to_owned();
        DeliverError::PutBack { path, why, after }
    })?;
    let left = match installation.prune(KEPT_GENERATIONS) {
        Ok(pruned) => texts(pruned.left).collect(),
        Err(error) => vec![error.to_string()],
    };
    Ok(Live {
        generation: Some(generations.1),
        taken_up,
        left,
    })
}

/// A key and a certificate for `place`. Nobody has seen them yet.
fn make(
    place: &Place,
    signer: &Signer,
    settings: &Settings,
    now: OffsetDateTime,
) -> Result<Credential, AuthorityError> {
    let key = PrivateKey::generate(place.algorithm)?;
    let days: Days = place.days.unwrap_or(settings.leaf);
    let organization = &settings.organization;
    let issued = signer
        .ca
        .issue_leaf(&place.holder, &key, organization, now, days)?;
    Ok(Credential::new(issued, key.to_pem()?, &signer.chain))
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

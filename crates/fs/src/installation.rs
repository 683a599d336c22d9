//! An installation: a directory of generations, and `current`, a link to the live one.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;

use crate::claim::Place;
use crate::dir::{Dir, IoError};
use crate::entry::FileId;
use crate::generation;
use crate::read::{Demands, read_in};
use crate::removal::{self, Contents, remove_dir_of_files};
use crate::staging::{StageError, stage};
use crate::temporary::{fresh, is_fresh};
use crate::walk::{self, check_private};
use crate::{
    Created, Kind, NewFile, Owner, PrivateDir, Pruned, ReadError, Staged, Swept, Synced, WalkError,
    shell_word,
};

const CURRENT: &str = "current";
const NEW_FILES: &str = ".new-";
const NEW_CURRENT: &str = ".current-";

/// How many numbers are tried for a generation. More are taken only if somebody takes them as fast
/// as we count.
const MOST_TRIES: u32 = 100;

/// What went wrong with an installation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallationError {
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] WalkError),
    /// The files could not be staged.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// `current` is no link.
    #[error("{} is {kind}, not a link to a generation", path.display())]
    CurrentIsNoLink {
        /// Where `current` should be.
        path: PathBuf,
        /// What stands there.
        kind: Kind,
    },
    /// `current` is a link to something else than a generation beside it.
    #[error("{} leads to {target:?}, not to a generation beside it", path.display())]
    CurrentLeadsElsewhere {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: OsString,
    },
    /// There is no such generation.
    #[error("{} is not a generation", path.display())]
    NoSuchGeneration {
        /// Where it should be.
        path: PathBuf,
    },
    /// What stands under the new generation's name is not what was staged.
    #[error("{} was replaced while it was published", path.display())]
    Replaced {
        /// The generation.
        path: PathBuf,
    },
    /// No free number was found for a new generation.
    #[error("{} has no free number for a generation after g{highest:04}", path.display())]
    NoFreeNumber {
        /// The installation.
        path: PathBuf,
        /// The highest number that is taken.
        highest: u32,
    },
    /// A file of a generation cannot be written anew.
    #[error(transparent)]
    File(ReadError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl InstallationError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.hint(),
            Self::Stage(error) => error.hint(),
            Self::CurrentIsNoLink { path, .. } | Self::CurrentLeadsElsewhere { path, .. } => {
                Some(format!(
                    "pgpki did not put it there: move {} away and run again",
                    path.display()
                ))
            }
            Self::NoSuchGeneration { .. } => None,
            Self::Replaced { .. } => {
                Some("The directory's owner is interfering: look what he runs".into())
            }
            Self::NoFreeNumber { path, .. } => Some(format!(
                "Remove the directories that pgpki did not make: ls -ld {}/g*",
                shell_word(path)
            )),
            Self::File(error) => error.hint(),
            Self::Io(error) => error.hint(),
        }
    }
}

/// An open installation. One run at a time may change it; the caller's lock sees to that.
#[derive(Debug)]
pub struct Installation {
    place: Arc<Place>,
    owner: Owner,
}

impl Installation {
    /// Opens an installation at a canonical path, making what is missing: the directory 0700 and
    /// the owner's, its ancestors 0755 and the caller's. An empty directory of the caller's is
    /// taken over.
    ///
    /// # Errors
    /// The directory belongs to somebody else, is open to others, or cannot be made. Whatever was
    /// made is removed again.
    pub fn prepare(path: &Path, owner: Owner) -> Result<(Self, Created), InstallationError> {
        let (dir, created) = walk::prepare_private(path, owner)?;
        Ok((Self::new(dir, owner), created))
    }

    /// Opens an existing installation at a canonical path.
    ///
    /// # Errors
    /// The directory is missing, belongs to somebody else, or is open to others.
    pub fn open(path: &Path, owner: Owner) -> Result<Self, InstallationError> {
        let dir = walk::open_path(path)?;
        check_private(&dir, owner)?;
        Ok(Self::new(dir, owner))
    }

    /// Opens an existing installation of the caller's within a private directory.
    ///
    /// # Errors
    /// The directory is missing, belongs to somebody else, or is open to others.
    pub fn open_in(parent: &PrivateDir, name: &str) -> Result<Self, InstallationError> {
        let owner = Owner::caller();
        let dir = parent.dir().open_dir(name)?.ok_or_else(|| {
            let path = parent.path().join(name);
            IoError::new("open", &path, Errno::ENOENT)
        })?;
        check_private(&dir, owner)?;
        Ok(Self::new(dir, owner))
    }

    fn new(dir: Dir, owner: Owner) -> Self {
        Self {
            place: Arc::new(Place::new(dir)),
            owner,
        }
    }

    fn dir(&self) -> &Dir {
        &self.place.dir
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir().path()
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The live generation, if there is one. Whether it is still there is another question.
    ///
    /// # Errors
    /// `current` is something that pgpki does not make: anything but a link of the form `g0001`.
    pub fn current(&self) -> Result<Option<u32>, InstallationError> {
        let path = || self.path().join(CURRENT);
        let target = match self.dir().read_link(CURRENT) {
            Ok(Some(target)) => target,
            Ok(None) => return Ok(None),
            Err(error) => {
                return match self.dir().look(CURRENT)? {
                    Some(seen) if seen.kind != Kind::Symlink => {
                        Err(InstallationError::CurrentIsNoLink {
                            path: path(),
                            kind: seen.kind,
                        })
                    }
                    _ => Err(error.into()),
                };
            }
        };
        match generation::parse(&target) {
            Some(number) => Ok(Some(number)),
            None => Err(InstallationError::CurrentLeadsElsewhere {
                path: path(),
                target,
            }),
        }
    }

    /// The generations that are there, oldest first: directories with such a name, whole or not.
    ///
    /// # Errors
    /// A system call failed.
    pub fn generations(&self) -> Result<Vec<u32>, InstallationError> {
        let mut numbers = self.taken_numbers()?;
        numbers.retain(|&number| {
            self.dir().kind_of(generation::name(number)) == Some(Kind::Directory)
        });
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn taken_numbers(&self) -> Result<Vec<u32>, InstallationError> {
        Ok(generation_numbers(self.dir())?)
    }

    /// Makes the files of a new generation, owned by the installation's owner. They are not synced,
    /// and nothing that is installed changes.
    ///
    /// # Errors
    /// A system call failed, or somebody replaced the directory while it was made. Whatever was
    /// made is removed again.
    pub fn stage(&self, files: &[NewFile<'_>]) -> Result<Staged, InstallationError> {
        Ok(stage(&self.place, None, NEW_FILES, files, self.owner)?)
    }

    /// Makes the staged files the live generation, in one step, and returns its number.
    ///
    /// # Errors
    /// `current` is not ours, a system call failed, or somebody replaced the files. Then `current`
    /// is what it was and the new generation is gone.
    pub fn publish(&self, synced: Synced) -> Result<u32, InstallationError> {
        let before = self.current()?;
        let number = self.name_generation(&synced, before)?;
        let id = synced.staging().id;
        let done = self
            .check_generation(number, id)
            .and_then(|()| self.switch(number));
        if let Err(error) = done {
            let files: Vec<&str> = synced.staging().file_names().collect();
            self.take_back(number, id, before, &files);
            synced.published();
            return Err(error);
        }
        synced.published();
        Ok(number)
    }

    /// Points `current` to another generation, as for putting an old one back, in one step.
    ///
    /// # Errors
    /// There is no such generation, `current` is not ours, or a system call failed; then `current`
    /// is what it was.
    pub fn point_to(&self, number: u32) -> Result<(), InstallationError> {
        let before = self.current()?;
        self.open_generation(number)?
            .ok_or_else(|| self.no_such(number))?;
        self.switch(number)
            .inspect_err(|_| self.restore(number, before))
    }

    /// Takes back the generation that was published first, and `current` with it: for an
    /// installation that came to nothing.
    ///
    /// # Errors
    /// It is not the live one, or a system call failed.
    pub fn withdraw(&self, number: u32) -> Result<(), InstallationError> {
        if self.current()? != Some(number) {
            return Err(self.no_such(number));
        }
        self.dir().remove_file(CURRENT)?;
        let name = generation::name(number);
        remove_dir_of_files(self.dir(), name.as_ref(), None, Contents::Files)?;
        Ok(self.dir().sync()?)
    }

    /// Removes a generation that came to nothing. If it is the live one, the newest of the others is from then on.
    ///
    /// # Errors
    /// There is no other, something is in it that pgpki did not make, or a system call failed.
    pub fn discard(&self, number: u32) -> Result<(), InstallationError> {
        if self.current()? == Some(number) {
            let mut others = self.generations()?.into_iter();
            let other = others.rfind(|&other| other != number);
            self.point_to(other.ok_or_else(|| self.no_such(number))?)?;
        }
        let name = generation::name(number);
        remove_dir_of_files(self.dir(), name.as_ref(), None, Contents::Files)?;
        Ok(self.dir().sync()?)
    }

    /// Removes the oldest generations beyond `keep`, never the live one, and nothing in a directory
    /// that somebody put into one: that stays and is reported.
    ///
    /// # Errors
    /// It cannot be told which generations there are; then none is removed.
    pub fn prune(&self, keep: usize) -> Result<Pruned, InstallationError> {
        let live = self.current()?;
        let numbers = self.generations()?;
        let excess = numbers.len().saturating_sub(keep);
        let mut pruned = Pruned::default();
        for number in numbers
            .into_iter()
            .filter(|&number| Some(number) != live)
            .take(excess)
        {
            let name = generation::name(number);
            match remove_dir_of_files(self.dir(), name.as_ref(), None, Contents::Files) {
                Ok(()) => pruned.removed.push(number),
                Err(error) => pruned.left.push(error),
            }
        }
        Ok(pruned)
    }

    /// Removes what killed runs left behind. Writes nothing when there is nothing. No other run may
    /// be active.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn sweep(&self) -> Result<Swept, InstallationError> {
        let is_leftover = |name: &OsStr| is_fresh(name, NEW_FILES) || is_fresh(name, NEW_CURRENT);
        Ok(removal::sweep(self.dir(), is_leftover)?)
    }

    /// Reads a file of a generation, at most `limit` bytes; nothing if there is no such generation
    /// or file.
    ///
    /// # Errors
    /// It is no regular file, has a second name, or is not the owner's; it is larger; or a system
    /// call failed.
    pub fn read(&self, number: u32, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        self.read_with(number, name, limit, false)
    }

    /// [`Installation::read`] for a key: refuses one that others have access to.
    ///
    /// # Errors
    /// As for [`Installation::read`], and when the mode has bits for group or others.
    pub fn read_secret(
        &self,
        number: u32,
        name: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        self.read_with(number, name, limit, true)
    }

    fn read_with(
        &self,
        number: u32,
        name: &str,
        limit: u64,
        secret: bool,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let owner = self.owner;
        match self.dir().open_dir(generation::name(number))? {
            Some(dir) => read_in(&dir, name, limit, Demands { owner, secret }),
            None => Ok(None),
        }
    }
}

/// The steps of publishing.
impl Installation {
    /// Gives the staged directory the next free number.
    fn name_generation(
        &self,
        synced: &Synced,
        before: Option<u32>,
    ) -> Result<u32, InstallationError> {
        let staging = synced.staging();
        let highest = self
            .taken_numbers()?
            .into_iter()
            .chain(before)
            .max()
            .unwrap_or(0);
        for number in (1..=MOST_TRIES).map_while(|step| highest.checked_add(step)) {
            match staging.place.dir.rename_new_dir(
                &staging.name,
                self.dir(),
                generation::name(number),
            ) {
                Ok(()) => return Ok(number),
                Err(error) if error.errno() == Some(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(InstallationError::NoFreeNumber {
            path: self.path().into(),
            highest,
        })
    }

    /// Makes sure that the generation is the directory that was staged, and that its name is on
    /// disk before `current` says so.
    fn check_generation(&self, number: u32, id: FileId) -> Result<(), InstallationError> {
        let name = generation::name(number);
        match self.dir().look(&name)? {
            Some(seen) if seen.id == id => Ok(self.dir().sync()?),
            _ => Err(InstallationError::Replaced {
                path: self.path().join(name),
            }),
        }
    }

    /// The link keeps the caller as its owner: to give away a link is to name it, and by then the
    /// name may be a hard link to a file of root's.
    fn switch(&self, number: u32) -> Result<(), InstallationError> {
        let link = fresh(NEW_CURRENT);
        self.dir().symlink(&generation::name(number), &link)?;
        self.dir()
            .rename(&link, self.dir(), CURRENT)
            .inspect_err(|_| {
                let _ = self.dir().remove_file(&link);
            })?;
        Ok(self.dir().sync()?)
    }

    /// Undoes a publication that failed half-way. What fails here is left to the next sweep and
    /// prune: the caller hears of the first failure.
    fn take_back(&self, number: u32, id: FileId, before: Option<u32>, files: &[&str]) {
        self.restore(number, before);
        if self.current().is_ok_and(|now| now != Some(number)) {
            let name = generation::name(number);
            let _ =
                remove_dir_of_files(self.dir(), name.as_ref(), Some(id), Contents::Named(files));
        }
    }

    /// Has `current` say again what it said, if it says `number` now.
    fn restore(&self, number: u32, before: Option<u32>) {
        if !matches!(self.current(), Ok(Some(now)) if now == number) {
            return;
        }
        match before {
            Some(before) => drop(self.switch(before)),
            None => drop(self.dir().remove_file(CURRENT)),
        }
    }

    /// The directory of a generation, which must be there.
    pub(crate) fn generation_dir(&self, number: u32) -> Result<Dir, InstallationError> {
        self.open_generation(number)?
            .ok_or_else(|| self.no_such(number))
    }

    fn open_generation(&self, number: u32) -> Result<Option<Dir>, InstallationError> {
        match self.dir().open_dir(generation::name(number)) {
            Err(error) if error.errno() == Some(Errno::ENOTDIR) => Err(self.no_such(number)),
            opened => Ok(opened?),
        }
    }

    fn no_such(&self, number: u32) -> InstallationError {
        InstallationError::NoSuchGeneration {
            path: self.path().join(generation::name(number)),
        }
    }
}

/// Every number that a name in the directory takes, in no order.
pub(crate) fn generation_numbers(dir: &Dir) -> Result<Vec<u32>, IoError> {
    let mut numbers = Vec::new();
    for name in dir.names()? {
        numbers.extend(generation::parse(&name?));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    /// The directory's owner strikes between two steps of publishing.
    #[test]
    fn a_generation_that_was_swapped_is_not_made_current() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap();
        fs::create_dir(path.join("tls")).unwrap();
        let (installation, _created) =
            Installation::prepare(&path.join("tls"), Owner::caller()).unwrap();
        let file = NewFile {
            name: "server.key",
            mode: 0o600,
            bytes: b"",
        };
        let synced = installation.stage(&[file]).unwrap().sync().unwrap();
        let id = synced.staging().id;
        let number = installation.name_generation(&synced, None).unwrap();
        installation.check_generation(number, id).unwrap();

        fs::rename(path.join("tls/g0001"), path.join("tls/aside")).unwrap();
        fs::create_dir(path.join("tls/g0001")).unwrap();
        fs::write(path.join("tls/g0001/server.key"), "planted").unwrap();
        let refused = installation.check_generation(number, id);
        assert!(matches!(refused, Err(InstallationError::Replaced { .. })));
        installation.take_back(number, id, None, &["server.key"]);
        assert!(
            path.join("tls/g0001/server.key").exists(),
            "what is not ours stays"
        );
    }
}

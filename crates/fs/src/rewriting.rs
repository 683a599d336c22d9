//! A file is written anew, as when a key gets another passphrase: at every instant the old one or the new one is there,
//! whole. Only in a directory of the caller's own, which nobody else can enter.

use std::ffi::OsStr;

use crate::dir::{Dir, IoError, is_plain_name};
use crate::temporary::{fresh, is_fresh};
use crate::{
    Installation, InstallationError, NewFile, Owner, PrivateDir, PrivateError, ReadError, Swept,
};

const NEW_FILE: &str = ".new-";

/// A file that is on disk, and is going to take the place of another one. Dropping it removes it.
#[derive(Debug)]
#[must_use = "dropping it removes the file"]
pub struct Rewriting {
    dir: Dir,
    draft: String,
    name: String,
}

impl Installation {
    /// Writes a file that is to take the place of the one with this name in a generation, and waits until it is on disk.
    ///
    /// # Errors
    /// There is no such generation, or a system call failed; then nothing is left of it.
    pub fn rewrite(
        &self,
        generation: u32,
        file: &NewFile<'_>,
    ) -> Result<Rewriting, InstallationError> {
        if !is_plain_name(OsStr::new(file.name)) {
            let name = file.name.into();
            return Err(InstallationError::File(ReadError::BadName { name }));
        }
        Ok(Rewriting::begin(self.generation_dir(generation)?, file)?)
    }

    /// Removes what a killed run has left within the generations. Writes nothing where there is nothing. No other run may
    /// be active.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn sweep_rewriting(&self) -> Result<Swept, InstallationError> {
        let mut swept = Swept::default();
        for generation in self.generations()? {
            let dir = self.generation_dir(generation)?;
            swept.extend(crate::removal::sweep(&dir, |name| {
                is_fresh(name, NEW_FILE)
            })?);
        }
        Ok(swept)
    }
}

impl PrivateDir {
    /// Writes a file that is to take the place of the one with this name, and waits until it is on disk.
    /// [`PrivateDir::sweep`] removes what a killed run has left of it.
    ///
    /// # Errors
    /// The name is none, or a system call failed; then nothing is left of it.
    pub fn rewrite(self, file: &NewFile<'_>) -> Result<Rewriting, PrivateError> {
        if !is_plain_name(OsStr::new(file.name)) {
            let name = file.name.into();
            return Err(PrivateError::BadName { name });
        }
        Ok(Rewriting::begin(self.into_dir(), file)?)
    }
}

impl Rewriting {
    fn begin(dir: Dir, file: &NewFile<'_>) -> Result<Self, IoError> {
        let rewriting = Self {
            dir,
            draft: fresh(NEW_FILE),
            name: file.name.to_owned(),
        };
        let Self { dir, draft, .. } = &rewriting;
        let made = dir.create_file(draft, file.mode, Owner::caller(), file.bytes)?;
        dir.sync_file(&made, draft)?;
        Ok(rewriting)
    }

    /// Gives it the name, in one step. What had the name is gone.
    ///
    /// # Errors
    /// A system call failed; then the old one is there, unless it was the last sync.
    pub fn commit(self) -> Result<(), IoError> {
        self.dir.rename(&self.draft, &self.dir, &self.name)?;
        self.dir.sync()
    }
}

impl Drop for Rewriting {
    fn drop(&mut self) {
        // Once it was renamed there is nothing to remove; otherwise the next sweep tries again.
        let _ = self.dir.remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key(bytes: &[u8]) -> NewFile<'_> {
        NewFile {
            name: "ca.key",
            mode: 0o600,
            bytes,
        }
    }

    #[test]
    fn the_old_file_is_there_until_the_new_one_is() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap().join("root");
        let (installation, _created) = Installation::prepare(&path, Owner::caller()).unwrap();
        let staged = installation.stage(&[key(b"old")]).unwrap();
        installation.publish(staged.sync().unwrap()).unwrap();
        let file = path.join("g0001/ca.key");
        let names = || fs::read_dir(path.join("g0001")).unwrap().count();

        drop(installation.rewrite(1, &key(b"dropped")).unwrap());
        assert_eq!((fs::read(&file).unwrap(), names()), (b"old".into(), 1));
        let rewriting = installation.rewrite(1, &key(b"new")).unwrap();
        assert_eq!((fs::read(&file).unwrap(), names()), (b"old".into(), 2));
        rewriting.commit().unwrap();
        assert_eq!((fs::read(&file).unwrap(), names()), (b"new".into(), 1));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(installation.rewrite(2, &key(b"no such")).is_err());
    }

    #[test]
    fn the_same_in_a_private_directory() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap().join("next");
        let staged = PrivateDir::stage_new(&path).unwrap();
        staged.dir().write_new("ca.key", 0o600, b"old").unwrap();
        staged.commit().unwrap();
        let open = || PrivateDir::open(&path).unwrap();
        let content = || fs::read(path.join("ca.key")).unwrap();
        std::mem::forget(open().rewrite(&key(b"plain")).unwrap());
        assert_eq!(content(), b"old");
        assert_eq!(open().sweep().unwrap().removed, 1);
        open().rewrite(&key(b"new")).unwrap().commit().unwrap();
        assert_eq!(content(), b"new");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        let elsewhere = NewFile {
            name: "../ca.key",
            ..key(b"")
        };
        assert!(open().rewrite(&elsewhere).is_err());
    }

    #[test]
    fn what_a_killed_run_left_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap().join("root");
        let (installation, _created) = Installation::prepare(&path, Owner::caller()).unwrap();
        let staged = installation.stage(&[key(b"old")]).unwrap();
        installation.publish(staged.sync().unwrap()).unwrap();
        std::mem::forget(installation.rewrite(1, &key(b"plain")).unwrap());
        assert_eq!(installation.sweep_rewriting().unwrap().removed, 1);
        assert_eq!(installation.sweep_rewriting().unwrap().removed, 0);
        assert_eq!(fs::read_dir(path.join("g0001")).unwrap().count(), 1);
    }
}

//! Reading a backup. What comes out of it is taken for hostile, although it was encrypted with the
//! operator's passphrase: only what a home has is made, each thing once, under names that are made
//! here.

use std::collections::BTreeSet;
use std::io::{self, Read, Write as _};
use std::path::Path;

use pgpki_core::profile::Profile;
use pgpki_fs::{Installation, IoError, NewPrivateDir, Output, PrivateDir};
use tar::{Archive, Entry};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::archive::{Part, Store, generation, number};
use super::seal::{failed, open};
use super::{BackupError, Remembered};
use crate::authority::{Authority, AuthorityError};
use crate::ca_store::{self, CERTIFICATE, CaStoreError, KEY, URI};
use crate::hierarchy::Hierarchy;
use crate::ledger::CaState;
use crate::{ledger, settings};

/// How much of the ledger is in memory at a time, in bytes.
const CHUNK: usize = 1 << 16;

/// More CAs than any authority has had: one a day for ten years, with four entries each.
const MOST_ENTRIES: usize = 16_384;

/// How many numbers of CRLs are left out: more than were used since the backup and are not known here. They are times in
/// seconds, so it is as many as there are in ten years: no backup is older, and no clock that somebody goes by is wrong by
/// more. The field has room for some ten billion restores one after the other.
const LEFT_OUT: i64 = 10 * 365 * 86_400;

/// What was restored.
pub struct Restored {
    /// The authority, under its name for the time being.
    pub authority: Authority,
    /// How many certificates its ledger knows, those of CAs included.
    pub certificates: u64,
    /// What it has been told of the time after the backup.
    pub remembered: Remembered,
    /// When the newest of it begins, if that is still to come: this clock is behind, or the one was ahead that it was made
    /// by.
    pub newest: Option<OffsetDateTime>,
}

impl Authority {
    /// Makes the home that is in a backup, beside where it is going to be, and tells it what the
    /// places that it knows show of the time after the backup. It is not there before the returned
    /// directory is committed, after `restored` was dropped; all of it vanishes if that is dropped.
    ///
    /// # Errors
    /// Something stands at `path`; the passphrase is another; it is no backup, damaged or cut off;
    /// what is in it is no authority; or the home cannot be written.
    pub fn restore(
        path: &Path,
        source: impl Read,
        passphrase: &[u8],
        now: OffsetDateTime,
    ) -> Result<(NewPrivateDir, Restored), BackupError> {
        let opened = open(source, passphrase)?;
        let staged = PrivateDir::stage_new(path)?;
        unpack(opened, staged.dir())?;
        let mut authority = Self::open(staged.dir().path()).map_err(BackupError::Unsound)?;
        authority.check_restored().map_err(BackupError::Unsound)?;
        let remembered = authority.remember(now)?;
        let (certificates, newest) = authority.go_on(now)?;
        let restored = Restored {
            certificates,
            authority,
            remembered,
            newest: newest.filter(|newest| *newest > now),
        };
        Ok((staged, restored))
    }

    /// Has the numbers of CRLs go on after all that were ever used. Returns how many certificates it knows, and when the
    /// newest thing that it knows begins.
    fn go_on(
        &mut self,
        now: OffsetDateTime,
    ) -> Result<(u64, Option<OffsetDateTime>), AuthorityError> {
        self.ledger.leave_out_crl_numbers(LEFT_OUT, now)?;
        self.hierarchy = Hierarchy::of(&self.ledger)?;
        Ok((self.ledger.len()?, self.ledger.newest()?))
    }

    /// That the ledger is whole, and the keys are those of its CAs.
    fn check_restored(&self) -> Result<(), AuthorityError> {
        self.ledger.check()?;
        self.check_parts()?;
        for ca in self.hierarchy.cas() {
            let store = match ca.profile {
                Profile::Root => &self.roots,
                _ => &self.issuing,
            };
            match store.unlock(&ca.certificate) {
                Ok(_) => {}
                // Without its passphrase or its token no more can be said of it.
                Err(error) if error.is_closed() => {}
                // A root's key may be kept elsewhere between two uses; a CA that came to nothing
                // has none, nor has one that an earlier restore has only heard of.
                Err(CaStoreError::Missing { .. } | CaStoreError::NotKept { .. })
                    if ca.profile == Profile::Root || ca.state != CaState::Active => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn unpack(source: impl Read, home: &PrivateDir) -> Result<(), BackupError> {
    let mut archive = Archive::new(source);
    let mut unpacking = Unpacking {
        home,
        seen: BTreeSet::new(),
        live: Vec::new(),
    };
    // Raw: an extended name would be read into memory whatever its length. Here it is an entry of
    // an unexpected kind.
    let entries = archive.entries().map_err(failed)?.raw(true);
    for entry in entries {
        unpacking.take(entry.map_err(failed)?)?;
    }
    unpacking.finish()?;
    to_the_end(archive.into_inner())
}

/// The last piece of an age file vouches for there being no more of it.
fn to_the_end(mut source: impl Read) -> Result<(), BackupError> {
    let mut chunk = [0; CHUNK];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) if chunk[..read].iter().all(|byte| *byte == 0) => {}
            Ok(_) => {
                let why = "something follows the end of the archive".to_owned();
                return Err(BackupError::Damaged { why });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

struct Unpacking<'a> {
    home: &'a PrivateDir,
    seen: BTreeSet<Part>,
    live: Vec<(Store, u32)>,
}

impl Unpacking<'_> {
    fn take<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), BackupError> {
        let path = entry.path_bytes().into_owned();
        let unexpected = |why| BackupError::Unexpected {
            name: String::from_utf8_lossy(&path).into_owned(),
            why,
        };
        let Some(part) = Part::parse(&path) else {
            return Err(unexpected("has a name that nothing in a home has"));
        };
        if entry.header().entry_type() != part.kind() {
            return Err(unexpected("is of another kind than it is in a home"));
        }
        if !self.seen.insert(part) {
            return Err(unexpected("is there twice"));
        }
        if self.seen.len() > MOST_ENTRIES {
            return Err(unexpected("comes after more than a home has"));
        }
        let limit = match part {
            Part::Settings => settings::MAX_BYTES,
            Part::Certificate(..) | Part::Key(..) | Part::Uri(..) => ca_store::MAX_BYTES,
            // No longer than the backup itself: tar does not compress, and has no holes but in
            // kinds of entries that are refused.
            Part::Ledger => u64::MAX,
            Part::Directory(_) | Part::Generation(..) | Part::Current(_) => 0,
        };
        if entry.size() > limit {
            return Err(unexpected("is larger than it can be in a home"));
        }
        match part {
            Part::Settings => self.write(self.home, settings::FILE, &mut entry),
            Part::Certificate(store, number) => {
                self.write(&self.generation(store, number)?, CERTIFICATE, &mut entry)
            }
            Part::Key(store, number) => {
                self.write(&self.generation(store, number)?, KEY, &mut entry)
            }
            Part::Uri(store, number) => {
                self.write(&self.generation(store, number)?, URI, &mut entry)
            }
            Part::Ledger => self.write_ledger(&mut entry),
            Part::Directory(store) => self.directory(store).map(drop),
            Part::Generation(store, number) => self.generation(store, number).map(drop),
            Part::Current(store) => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let live = number(&target).ok_or_else(|| unexpected("leads elsewhere"))?;
                self.live.push((store, live));
                Ok(())
            }
        }
    }

    fn directory(&self, store: Store) -> Result<PrivateDir, BackupError> {
        enter(self.home, store.name())
    }

    fn generation(&self, store: Store, number: u32) -> Result<PrivateDir, BackupError> {
        enter(&self.directory(store)?, &generation(number))
    }

    /// A small file, which may be a key.
    fn write<R: Read>(
        &self,
        dir: &PrivateDir,
        name: &str,
        entry: &mut Entry<'_, R>,
    ) -> Result<(), BackupError> {
        let size = usize::try_from(entry.size()).unwrap_or_default();
        // Room for everything at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(vec![0; size]);
        entry.read_exact(&mut bytes).map_err(failed)?;
        Ok(dir.write_new(name, 0o600, &bytes)?)
    }

    fn write_ledger<R: Read>(&self, entry: &mut Entry<'_, R>) -> Result<(), BackupError> {
        let mut output = Output::create_in(self.home, ledger::FILE)?;
        let path = output.path();
        let mut left = entry.size();
        let mut chunk = [0; CHUNK];
        while left > 0 {
            let room = chunk.len().min(usize::try_from(left).unwrap_or(CHUNK));
            entry.read_exact(&mut chunk[..room]).map_err(failed)?;
            output.write_all(&chunk[..room]).map_err(|source| IoError {
                operation: "write",
                path: path.clone(),
                source,
            })?;
            left -= room as u64;
        }
        Ok(output.commit()?)
    }

    /// Everything that must be there is, and the live generations are known.
    fn finish(self) -> Result<(), BackupError> {
        let needed = [
            Part::Settings,
            Part::Ledger,
            Part::Directory(Store::Roots),
            Part::Directory(Store::Issuing),
        ];
        if let Some(missing) = needed.into_iter().find(|part| !self.seen.contains(part)) {
            let why = format!("there is no {} in it", missing.path());
            return Err(BackupError::Damaged { why });
        }
        for (store, live) in &self.live {
            if !self.seen.contains(&Part::Certificate(*store, *live)) {
                return Err(BackupError::Unexpected {
                    name: Part::Current(*store).path(),
                    why: "leads to nothing",
                });
            }
            let failed = |error| AuthorityError::from(CaStoreError::from(error));
            Installation::open_in(self.home, store.name())
                .and_then(|installation| installation.point_to(*live))
                .map_err(failed)?;
        }
        Ok(())
    }
}

/// A directory in another, made if it is not there yet.
fn enter(above: &PrivateDir, name: &str) -> Result<PrivateDir, BackupError> {
    match above.create_subdir(name) {
        Err(pgpki_fs::PrivateError::AlreadyExists { .. }) => Ok(above.subdir(name)?),
        made => Ok(made?),
    }
}

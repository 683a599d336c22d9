//! `.pgpki` on a shelf: where it is the caller's own, whoever owns the shelf.

use std::sync::{Arc, PoisonError};

use nix::errno::Errno;

use super::{Shelf, ShelfError};
use crate::Owner;
use crate::claim::{Claim, Place};
use crate::dir::{Dir, IoError, MakeError};
use crate::entry::Entry;
use crate::lock::Lock;

pub(super) const RESERVED: &str = ".pgpki";

/// How often `.pgpki` may be removed by another run that is done with it, at the very moment that this one opens it.
const ATTEMPTS: usize = 100;

impl Shelf {
    pub(super) fn open_reserved(&self) -> Result<Option<Arc<Place>>, ShelfError> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if reserved.is_none() {
            *reserved = self.find_reserved()?.map(|dir| self.share(dir));
        }
        Ok(reserved.clone())
    }

    /// `.pgpki`, made where it is missing, and claimed: another run that is done with it leaves it there.
    pub(super) fn make_reserved(&self) -> Result<(Arc<Claim>, Arc<Place>), ShelfError> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS {
            let place = match reserved.take() {
                Some(place) => place,
                None => match self.find_or_make_reserved()? {
                    Some(dir) => self.share(dir),
                    None => continue,
                },
            };
            let Some(claim) = place.claim()? else {
                return Err(Lock::busy(&place.dir)?.into());
            };
            if place.is_there()? {
                *reserved = Some(Arc::clone(&place));
                return Ok((claim, place));
            }
        }
        Err(IoError::new("keep", &self.path().join(RESERVED), Errno::ESTALE).into())
    }

    /// Nothing if another run has made or used it at this moment.
    fn find_or_make_reserved(&self) -> Result<Option<Dir>, ShelfError> {
        if let Some(dir) = self.find_reserved()? {
            return Ok(Some(dir));
        }
        match self.dir().make_dir(RESERVED, 0o700) {
            Ok((dir, _)) => Ok(Some(dir)),
            Err(MakeError::Io(error)) if error.errno() == Some(Errno::EEXIST) => Ok(None),
            // Another run has found what this one has made: it has something in it already, or was done with it and has
            // removed it. Whose it is, the next look tells.
            Err(MakeError::Replaced { .. }) => Ok(None),
            Err(MakeError::Io(error))
                if error.operation == "open" && error.errno() == Some(Errno::ENOENT) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn share(&self, dir: Dir) -> Arc<Place> {
        Arc::new(Place::passing(dir, &self.place, RESERVED))
    }

    fn find_reserved(&self) -> Result<Option<Dir>, ShelfError> {
        let taken = |seen: &Entry| ShelfError::ReservedTaken {
            path: self.path().join(RESERVED),
            kind: seen.kind,
            owner: seen.owner,
            mode: seen.mode,
        };
        let dir = match self.dir().open_dir(RESERVED) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(None),
            Err(error) => {
                return Err(self
                    .dir()
                    .look(RESERVED)?
                    .map_or(error.into(), |seen| taken(&seen)));
            }
        };
        let seen = dir.entry()?;
        if seen.owner.uid != Owner::caller().uid || seen.is_open_to_others() {
            return Err(taken(&seen));
        }
        Ok(Some(dir))
    }
}

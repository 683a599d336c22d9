//! Directories that several runs stage in at a time. Whoever does claims the directory, together with all others who do;
//! what looks like a killed run's leftover is swept only while nobody has a claim.
//!
//! A claim is a shared flock(2) on the directory, so that nothing is written for it, and the kernel ends it with its
//! holder.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::dir::{Dir, IoError};
use crate::lock::Lock;

/// A sweep is over in milliseconds.
const RETRY: Duration = Duration::from_millis(10);

/// Longer than any sweep. Where others may open the directory, one of them may have locked it, and never let go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps everybody from sweeping a directory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: Lock,
}

/// The directory that staging directories are made in.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: Dir,
    /// The directory around it and its name there, if it is to go when the last user is done.
    remove_from: Option<(Arc<Self>, &'static str)>,
    claim: Mutex<Weak<Claim>>,
}

impl Place {
    pub(crate) fn new(dir: Dir) -> Self {
        Self {
            dir,
            remove_from: None,
            claim: Mutex::default(),
        }
    }

    /// A directory that goes with its last user, if it is empty then.
    pub(crate) fn passing(dir: Dir, parent: &Arc<Self>, name: &'static str) -> Self {
        let mut place = Self::new(dir);
        place.remove_from = Some((Arc::clone(parent), name));
        place
    }

    /// One claim for all that this process stages here: there may be ten thousand, and a descriptor goes with it. Nothing
    /// if somebody has had the directory for himself for longer than a sweep takes.
    pub(crate) fn claim(&self) -> Result<Option<Arc<Claim>>, IoError> {
        let mut held = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claim) = held.upgrade() {
            return Ok(Some(claim));
        }
        let started = Instant::now();
        loop {
            if let Some(lock) = Lock::try_share(&self.dir)? {
                let claim = Arc::new(Claim { _lock: lock });
                *held = Arc::downgrade(&claim);
                return Ok(Some(claim));
            }
            if started.elapsed() >= PATIENCE {
                return Ok(None);
            }
            sleep(RETRY);
        }
    }

    /// What is done while nobody has a claim; nothing if somebody has one.
    pub(crate) fn alone<T>(
        &self,
        act: impl FnOnce(&Dir) -> Result<T, IoError>,
    ) -> Result<Option<T>, IoError> {
        let lock = Lock::try_take(&self.dir)?;
        lock.map(|_alone| act(&self.dir)).transpose()
    }

    /// Whether it still has its name: somebody else who was done with it may have removed it.
    pub(crate) fn is_there(&self) -> Result<bool, IoError> {
        let Some((parent, name)) = &self.remove_from else {
            return Ok(true);
        };
        let own = self.dir.entry()?.id;
        Ok(parent.dir.look(name)?.is_some_and(|seen| seen.id == own))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((parent, name)) = &self.remove_from {
            // Fails when something is in it, as it should; whoever has a claim removes it in his turn.
            let _ = self.alone(|_| match self.is_there()? {
                true => parent.dir.remove_dir(name),
                false => Ok(()),
            });
        }
    }
}

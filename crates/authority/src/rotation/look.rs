//! What every place really holds. A certificate is recorded before it is put there, so a run that
//! was killed between the two has left an older one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_fs::{
    FolderState, Installation, InstallationError, ReadError, Shelf, ShelfError, Swept, WalkError,
};
use time::OffsetDateTime;

use super::{Holds, Report, Seen};
use crate::authority::{Authority, AuthorityError};
use crate::credential::{CRL, ROOT, Trust, certificate_file, file_names};
use crate::deliver::DeliverError;
use crate::ledger::{KnownPlace, Place, PlaceKind};

/// More than any file of a credential takes, in bytes: the CRLs are the largest.
pub(crate) const MAX_FILE: u64 = 64 << 20;

impl Authority {
    /// Looks at every place. With a report it also sweeps up after killed runs, which only a run
    /// that is alone may do.
    pub(crate) fn look(
        &self,
        report: Option<&mut Report>,
        now: OffsetDateTime,
    ) -> Result<Vec<Seen>, AuthorityError> {
        self.look_at(self.ledger.places()?, report, now)
    }

    /// Whether an installation has the certificate that belongs there, and roots, a chain or CRLs that are out of date:
    /// whoever should have brought them has not come so far. Changes nothing.
    ///
    /// # Errors
    /// The authority cannot be used.
    pub fn is_behind(
        &self,
        known: KnownPlace,
        now: OffsetDateTime,
    ) -> Result<bool, AuthorityError> {
        let seen = self.look_at(vec![known], None, now)?;
        Ok(seen.iter().any(|it| matches!(it.holds, Holds::Stale)))
    }

    fn look_at(
        &self,
        places: Vec<KnownPlace>,
        mut report: Option<&mut Report>,
        now: OffsetDateTime,
    ) -> Result<Vec<Seen>, AuthorityError> {
        let trust = self.trust(Profile::Server, now)?;
        let next_root = self.hierarchy.next_root(now);
        let next_root = next_root.map(|root| pgpki_core::pem("CERTIFICATE", root));
        let mut shelf: Option<Result<Shelf, Arc<DeliverError>>> = None;
        let mut seen = Vec::new();
        let revoked = self.ledger.revoked_in_places()?;
        for known in places {
            let place = &known.place;
            let is_revoked = revoked.binary_search(&known.serial).is_ok();
            // Whoever has lost his certificate gets another one from a person, not from cron.
            if is_revoked && place.holder.profile() == Profile::Client {
                continue;
            }
            let due = Due {
                trust: &trust,
                next_root: next_root.as_deref(),
                chain: self
                    .hierarchy
                    .chain(known.issuer, place.holder.profile(), now),
                profile: place.holder.profile(),
            };
            let found = match place.kind {
                PlaceKind::Installation => in_installation(place, &due, report.as_deref_mut()),
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
                    in_folder(shelf, place, &due, report.as_deref_mut())
                }
            };
            let holds = match self.judge(&known, found)? {
                // Clients check no CRL: to have another one is all that helps a server.
                Holds::Expected | Holds::Stale if is_revoked => Holds::Outdated,
                // It is known that there is no such server any more.
                Holds::Nothing if is_revoked => continue,
                holds => holds,
            };
            seen.push(Seen { known, holds });
        }
        Ok(seen)
    }

    fn judge(&self, known: &KnownPlace, found: Found) -> Result<Holds, AuthorityError> {
        let Place { kind, holder, .. } = &known.place;
        let name = holder.common_name().unwrap_or_default();
        Ok(match found {
            Found::Certificate { serial, is_stale } if serial == known.serial => {
                match (is_stale, holder.profile()) {
                    (false, _) => Holds::Expected,
                    (true, Profile::Server) => Holds::Stale,
                    // He has to be handed something in any case.
                    (true, _) => Holds::Outdated,
                }
            }
            Found::Nothing => Holds::Nothing,
            // A server is owed its credential, whatever has become of the one before.
            _ if *kind == PlaceKind::Installation => Holds::Outdated,
            Found::Certificate { serial, .. } => {
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

/// What is due around a leaf: the same for every server, but for the chain.
struct Due<'a> {
    trust: &'a Trust,
    /// What a client has to know before servers can have a chain to it, PEM.
    next_root: Option<&'a str>,
    /// DER.
    chain: Vec<&'a [u8]>,
    profile: Profile,
}

impl Due<'_> {
    /// What stands in a certificate's file, and whether the files beside it, which `read` reads, are out of date.
    /// A client's may be: it goes on working with what it has, and gets the rest with its next certificate. Only the next root
    /// of a company's is due at once, because servers wait for it.
    fn found(
        &self,
        certificate: Result<Option<Vec<u8>>, ReadError>,
        read: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Found {
        let pem = match certificate {
            Ok(Some(pem)) => pem,
            Err(ReadError::Io(error)) => {
                return Found::Unreadable(Arc::new(DeliverError::Read(error.into())));
            }
            Ok(None) => return Found::SomethingElse(None),
            Err(error) => return Found::SomethingElse(Some(error.to_string())),
        };
        let certificates = pgpki_core::certificates(&pem);
        let leaf = certificates.first();
        let Some(serial) = leaf.and_then(|der| pgpki_core::issue::serial_of(der)) else {
            return Found::SomethingElse(None);
        };
        let has = |name, text: &str| read(name).is_some_and(|bytes| bytes == text.as_bytes());
        let is_stale = match self.profile {
            Profile::Server => {
                !(certificates.iter().skip(1).eq(&self.chain)
                    && has(ROOT, &self.trust.roots)
                    && has(CRL, &self.trust.crls))
            }
            _ => self.next_root.is_some_and(|next| {
                let roots = read(ROOT);
                let roots = roots.as_deref().map(String::from_utf8_lossy);
                roots.is_some_and(|roots| !roots.contains(next))
            }),
        };
        Found::Certificate { serial, is_stale }
    }
}

/// What stands in a place.
enum Found {
    Nothing,
    Certificate {
        serial: Serial,
        /// What surrounds it is out of date.
        is_stale: bool,
    },
    SomethingElse(Option<String>),
    Unreadable(Arc<DeliverError>),
}

fn in_installation(place: &Place, due: &Due<'_>, report: Option<&mut Report>) -> Found {
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
    let read = |name: &str| installation.read(current, name, MAX_FILE);
    let certificate = read(certificate_file(place.holder.profile()));
    due.found(certificate, |name| read(name).ok().flatten())
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
    due: &Due<'_>,
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
            let read = |file: &str| shelf.read(name, file, MAX_FILE);
            let certificate = read(certificate_file(place.holder.profile()));
            due.found(certificate, |file| read(file).ok().flatten())
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

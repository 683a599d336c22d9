//! What happened after a backup, as far as the places that the ledger knows show it. Without it
//! somebody who was revoked in between would come back to life with the next CRL.
//!
//! The places belong to others. Nothing in them is believed that one of our CAs has not signed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use pgpki_core::crl::{Published, Revoked, crls};
use pgpki_core::document::{CertificateFacts, Document, Signature};
use pgpki_core::issue::{Holder, Issued, serial_of};
use pgpki_core::name::{Host, Role};
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_fs::{FolderState, Installation, InstallationError, Shelf, ShelfError, WalkError};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::{CRL, ROOT, certificate_file};
use crate::ledger::{CaId, CaState, KnownCa, KnownPlace, NewCrl, Place, PlaceKind, Succession};
use crate::rotation::MAX_FILE;

/// A certificate that the ledger had not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it was found.
    pub path: PathBuf,
    /// Whom it is for.
    pub holder: Holder,
    /// Its serial number.
    pub serial: Serial,
}

/// What a restored authority was told by the places that its ledger knows.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// How many places were there.
    pub places: usize,
    /// Places of the ledger that were not there, and whose they are.
    pub missing: Vec<Place>,
    /// Places that could not be looked at, and why.
    pub unread: Vec<(PathBuf, String)>,
    /// CAs that had been made since, roots or issuing CAs, by their common names. Their keys are
    /// lost: they sign nothing more, and what they have signed goes on counting.
    pub cas: Vec<(Profile, String)>,
    /// CAs that had been revoked since.
    pub revoked_cas: Vec<String>,
    /// Newer CRLs: whose, and their numbers.
    pub crls: Vec<(String, u64)>,
    /// Certificates that had been revoked since.
    pub revoked: Vec<Serial>,
    /// Certificates that had been issued since, and are in the ledger now.
    pub certificates: Vec<Found>,
    /// Certificates in these places that no CA has signed whose certificate could be found.
    pub strangers: Vec<PathBuf>,
}

/// What the places hold that the ledger does not know.
#[derive(Default)]
struct Seen {
    leaves: Vec<(Place, CertificateFacts)>,
    cas: Vec<CertificateFacts>,
    crls: BTreeSet<Vec<u8>>,
}

impl Authority {
    /// Looks at every place, and takes over what our CAs have signed since: CAs, CRLs, revocations,
    /// certificates.
    pub(super) fn remember(&mut self, now: OffsetDateTime) -> Result<Remembered, AuthorityError> {
        let mut remembered = Remembered::default();
        let seen = self.look_around(&mut remembered)?;
        self.remember_roots(&seen, &mut remembered)?;
        self.remember_issuing(&seen, &mut remembered)?;
        self.remember_leaves(&seen, &mut remembered)?;
        self.remember_crls(&seen, now, &mut remembered)?;
        Ok(remembered)
    }

    fn look_around(&self, remembered: &mut Remembered) -> Result<Seen, AuthorityError> {
        let mut seen = Seen::default();
        let own = self.ledger.crls()?;
        let mut places = self.ledger.places()?;
        let known = places.len();
        places.extend(self.siblings()?);
        for (number, KnownPlace { place, .. }) in places.into_iter().enumerate() {
            let files = match read(&place) {
                Ok(Some(files)) => files,
                Ok(None) => {
                    remembered.missing.extend((number < known).then_some(place));
                    continue;
                }
                Err(why) => {
                    remembered.unread.push((place.path, why));
                    continue;
                }
            };
            remembered.places += 1;
            let file = |name| files.get(name).map(Vec::as_slice).unwrap_or_default();
            for der in crls(file(CRL)) {
                if !own.iter().any(|crl| crl.der == der) {
                    seen.crls.insert(der);
                }
            }
            let own_file = file(certificate_file(place.holder.profile()));
            let mut chain = pgpki_core::certificates(own_file).into_iter();
            let leaf = chain.next();
            for der in chain.chain(pgpki_core::certificates(file(ROOT))) {
                if !self.knows_ca(&der) && !seen.cas.iter().any(|ca| ca.der == der) {
                    seen.cas.extend(facts(&der));
                }
            }
            if let Some(leaf) = leaf
                && !self.knows(&leaf)?
                && let Some(facts) = facts(&leaf)
            {
                seen.leaves.push((place, facts));
            }
        }
        Ok(seen)
    }

    fn knows_ca(&self, der: &[u8]) -> bool {
        self.hierarchy.cas().any(|ca| {
            let cross = ca.cross.as_ref();
            ca.certificate == der || cross.is_some_and(|cross| cross.certificate == der)
        })
    }

    fn knows(&self, leaf: &[u8]) -> Result<bool, AuthorityError> {
        Ok(match serial_of(leaf) {
            Some(serial) => self.ledger.end_of(serial)?.is_some(),
            None => false,
        })
    }

    /// Folders of roles beside those that are known: the same `--out` was used again.
    fn siblings(&self) -> Result<Vec<KnownPlace>, AuthorityError> {
        let known = self.ledger.places()?;
        let paths: BTreeSet<&Path> = known.iter().map(|known| &*known.place.path).collect();
        let mut shelves: BTreeMap<&Path, &KnownPlace> = BTreeMap::new();
        for known in &known {
            if let (Holder::Client(_), Some(above)) =
                (&known.place.holder, known.place.path.parent())
            {
                shelves.insert(above, known);
            }
        }
        let mut found = Vec::new();
        for (shelf, like) in shelves {
            let names = fs::read_dir(shelf).into_iter().flatten().flatten();
            for name in names.map(|entry| entry.file_name()) {
                let path = shelf.join(&name);
                let role = name.to_str().and_then(|name| name.parse::<Role>().ok());
                if let Some(role) = role.filter(|_| !paths.contains(&*path)) {
                    let mut sibling = like.clone();
                    sibling.place.path = path;
                    sibling.place.holder = Holder::Client(role);
                    sibling.place.days = None;
                    found.push(sibling);
                }
            }
        }
        Ok(found)
    }

    /// New roots, as long as an old one vouches for their keys. They are kept as after
    /// `rotate --root --undo`: not trusted for themselves, and what is under them still counts.
    fn remember_roots(
        &mut self,
        seen: &Seen,
        remembered: &mut Remembered,
    ) -> Result<(), AuthorityError> {
        let crosses = seen.cas.iter();
        for cross in crosses.filter(|it| it.profile() == Some(Profile::Cross)) {
            let Some(parent) = self.signed_by(cross, Profile::Root) else {
                continue;
            };
            let has_its_key = |root: &&CertificateFacts| {
                root.profile() == Some(Profile::Root)
                    && root.subject == cross.subject
                    && root.signed_by(cross) == Signature::Good
            };
            if let Some(root) = seen.cas.iter().find(has_its_key) {
                self.remember_ca(None, root, Some((parent, cross)), seen, remembered)?;
            }
        }
        Ok(())
    }

    fn remember_issuing(
        &mut self,
        seen: &Seen,
        remembered: &mut Remembered,
    ) -> Result<(), AuthorityError> {
        let issuing = |it: &&CertificateFacts| it.profile() == Some(Profile::Issuing);
        for ca in seen.cas.iter().filter(issuing) {
            if let Some(parent) = self.signed_by(ca, Profile::Root) {
                self.remember_ca(Some(parent), ca, None, seen, remembered)?;
            }
        }
        Ok(())
    }

    fn remember_ca(
        &mut self,
        parent: Option<CaId>,
        ca: &CertificateFacts,
        cross: Option<(CaId, &CertificateFacts)>,
        seen: &Seen,
        remembered: &mut Remembered,
    ) -> Result<(), AuthorityError> {
        let profile = parent.map_or(Profile::Root, |_| Profile::Issuing);
        // A server that has its chain has its CRL. Without one nothing under it could count.
        let (Some(issued), Some(crl)) = (issued(ca, profile), newest_crl(seen, &ca.der)) else {
            return Ok(());
        };
        let cross = cross.and_then(|(id, it)| Some((id, self::issued(it, Profile::Cross)?)));
        let cross = cross.as_ref().map(|(id, issued)| (*id, issued));
        let id = self.ledger.record_ca(parent, &issued, cross, None, &crl)?;
        self.succeed(Succession {
            states: vec![(id, CaState::Retired)],
            ..Succession::default()
        })?;
        remembered.cas.push((profile, issued.common_name));
        Ok(())
    }

    fn remember_leaves(
        &mut self,
        seen: &Seen,
        remembered: &mut Remembered,
    ) -> Result<(), AuthorityError> {
        for (place, leaf) in &seen.leaves {
            let issuer = self.signed_by(leaf, Profile::Issuing);
            let issued = issued(leaf, place.holder.profile());
            let (Some(issuer), Some(issued)) = (issuer, issued) else {
                remembered.strangers.push(place.path.clone());
                continue;
            };
            let holder = match &place.holder {
                Holder::Server(_) => Holder::Server(issued.hosts.clone()),
                Holder::Client(role) => Holder::Client(role.clone()),
            };
            // Somebody may have put another role's certificate there.
            if holder.common_name().ok().as_ref() != Some(&issued.common_name) {
                remembered.strangers.push(place.path.clone());
                continue;
            }
            let place = Place {
                holder,
                ..place.clone()
            };
            self.ledger.record(issuer, &[(&issued, &place)])?;
            remembered.certificates.push(Found {
                path: place.path,
                holder: place.holder,
                serial: issued.serial,
            });
        }
        Ok(())
    }

    /// The known CA of this profile that has signed it.
    fn signed_by(&self, certificate: &CertificateFacts, profile: Profile) -> Option<CaId> {
        let has_signed = |ca: &&KnownCa| {
            facts(&ca.certificate).is_some_and(|facts| {
                facts.subject == certificate.issuer
                    && certificate.signed_by(&facts) == Signature::Good
            })
        };
        let mut cas = self.hierarchy.cas().filter(|ca| ca.profile == profile);
        cas.find(has_signed).map(|ca| ca.id)
    }
}

/// The CRLs.
impl Authority {
    fn remember_crls(
        &mut self,
        seen: &Seen,
        now: OffsetDateTime,
        remembered: &mut Remembered,
    ) -> Result<(), AuthorityError> {
        let mut change = Succession::default();
        let own = self.ledger.crls()?;
        for known in self.hierarchy.cas() {
            let crls = seen.crls.iter();
            let mut read: Vec<(Published, &Vec<u8>)> = crls
                .filter_map(|der| Some((Published::read(der, &known.certificate)?, der)))
                .collect();
            read.sort_by_key(|(published, _)| published.number);
            let own = own.iter().find(|crl| crl.ca == known.id);
            let own = own.map(|crl| crl.der.as_slice()).unwrap_or_default();
            self.remember_crl(known, own, &read, now, remembered, &mut change)?;
        }
        match change.crls.is_empty() && change.revoked.is_empty() {
            true => Ok(()),
            false => self.succeed(change),
        }
    }

    /// `read` are the CRLs of this CA that were found, the newest last.
    fn remember_crl(
        &self,
        known: &KnownCa,
        own: &[u8],
        read: &[(Published, &Vec<u8>)],
        now: OffsetDateTime,
        remembered: &mut Remembered,
        change: &mut Succession,
    ) -> Result<(), AuthorityError> {
        let before = self.ledger.ever_revoked_by(known.id)?;
        let mut new: BTreeMap<Serial, &Revoked> = BTreeMap::new();
        for revoked in read.iter().flat_map(|(published, _)| &published.revoked) {
            if !before.contains(&revoked.serial) {
                new.insert(revoked.serial, revoked);
            }
        }
        for (serial, revoked) in &new {
            // Of what nobody remembers, the CA's own end is the last that it can have.
            let end = self.ledger.end_of(*serial)?;
            let end = end.unwrap_or(known.facts.validity.not_after);
            change.revoked.push((known.id, (*revoked).clone(), end));
            let mut cas = self.hierarchy.cas();
            let is_it =
                |ca: &&KnownCa| pgpki_core::issue::serial_of(&ca.certificate) == Some(*serial);
            match cas.find(is_it) {
                Some(ca) => {
                    change.states.push((ca.id, CaState::Revoking));
                    remembered.revoked_cas.push(ca.facts.common_name.clone());
                }
                None => remembered.revoked.push(*serial),
            }
        }
        let Some((newest, der)) = read.last() else {
            return Ok(());
        };
        let number = newest.number.max(known.crl_number);
        if number == known.crl_number && new.is_empty() {
            return Ok(());
        }
        let listed: BTreeSet<Serial> = newest.revoked.iter().map(|it| it.serial).collect();
        let ours = self.ledger.revoked_by(known.id, now)?;
        let has_all = ours.iter().all(|it| listed.contains(&it.serial))
            && new.keys().all(|serial| listed.contains(serial));
        let crl = match has_all && newest.number == number {
            true => NewCrl {
                number,
                from: newest.from,
                der: (*der).clone(),
            },
            false => self.both(known, own, number, change, now)?,
        };
        remembered
            .crls
            .push((known.facts.common_name.clone(), crl.number));
        change.crls.push((known.id, crl));
        Ok(())
    }

    /// A CRL over what this ledger and that of a lost home have revoked, where the CA's key is at
    /// hand. Otherwise the one that there is, and the next has the number after all others.
    fn both(
        &self,
        known: &KnownCa,
        own: &[u8],
        number: u64,
        change: &Succession,
        now: OffsetDateTime,
    ) -> Result<NewCrl, AuthorityError> {
        let store = match known.profile {
            Profile::Root => &self.roots,
            _ => &self.issuing,
        };
        let known = KnownCa {
            crl_number: number,
            ..known.clone()
        };
        match store.unlock(&known.certificate) {
            Ok(ca) => self.next_crl(&known, &ca, &change.revoked, now),
            Err(_) => Ok(NewCrl {
                number,
                from: known.crl_from,
                der: own.to_vec(),
            }),
        }
    }
}

/// The newest CRL of a CA in all places.
fn newest_crl(seen: &Seen, ca: &[u8]) -> Option<NewCrl> {
    let crls = seen.crls.iter();
    let read = crls.filter_map(|der| Some((Published::read(der, ca)?, der)));
    let (newest, der) = read.max_by_key(|(published, _)| published.number)?;
    Some(NewCrl {
        number: newest.number,
        from: newest.from,
        der: der.clone(),
    })
}

fn facts(der: &[u8]) -> Option<CertificateFacts> {
    let document = Document::read(der).ok()?;
    document.certificates().next().cloned()
}

/// What the ledger keeps of a certificate, if it can be one of ours with this profile.
fn issued(facts: &CertificateFacts, profile: Profile) -> Option<Issued> {
    if facts.profile() != Some(profile) {
        return None;
    }
    let common_name = facts.common_name.clone()?;
    let names = &facts.alternative_names;
    let dns = names.dns.iter().cloned();
    let all = dns.chain(names.ip.iter().map(ToString::to_string));
    let mut hosts: Vec<Host> = all.filter_map(|name| name.parse().ok()).collect();
    // The first is the common name.
    hosts.sort_by_key(|host| host.as_common_name().as_ref() != Some(&common_name));
    if profile == Profile::Server && hosts.is_empty() {
        return None;
    }
    Some(Issued {
        der: facts.der.clone(),
        serial: facts.serial.hex.parse().ok()?,
        profile,
        common_name,
        hosts,
        validity: facts.validity,
        cut_to_issuer: false,
    })
}

/// The files of a place, by their names; nothing if it is not there.
fn read(place: &Place) -> Result<Option<BTreeMap<&'static str, Vec<u8>>>, String> {
    let names = [certificate_file(place.holder.profile()), ROOT, CRL];
    let mut files = BTreeMap::new();
    match place.kind {
        PlaceKind::Installation => {
            let installation = match Installation::open(&place.path, place.owner) {
                Err(InstallationError::Directory(WalkError::Missing { .. })) => return Ok(None),
                opened => opened.map_err(|error| error.to_string())?,
            };
            let current = installation.current().map_err(|error| error.to_string())?;
            let Some(current) = current else {
                return Ok(None);
            };
            for name in names {
                let read = installation.read(current, name, MAX_FILE);
                let bytes = read.map_err(|error| error.to_string())?;
                files.extend(bytes.map(|bytes| (name, bytes)));
            }
        }
        PlaceKind::Folder => {
            let above = place.path.parent().unwrap_or(Path::new("/"));
            let shelf = match Shelf::open(above) {
                Err(ShelfError::Directory(WalkError::Missing { .. })) => return Ok(None),
                opened => opened.map_err(|error| error.to_string())?,
            };
            let folder: &OsStr = place.path.file_name().unwrap_or_default();
            match shelf
                .folder_state(folder)
                .map_err(|error| error.to_string())?
            {
                FolderState::Folder { .. } => {}
                _ => return Ok(None),
            }
            for name in names {
                let read = shelf.read(folder, name, MAX_FILE);
                let bytes = read.map_err(|error| error.to_string())?;
                files.extend(bytes.map(|bytes| (name, bytes)));
            }
        }
    }
    Ok(Some(files))
}

//! The issuing key is lost or stolen: all that it has signed is revoked, and whoever holds some of it gets another one.
//!
//! A CA that is being revoked is marked until every place has what it can have, the sessions that came in through it have
//! ended, and whoever asked has been told who must be handed something. A run that was killed on the way is gone on with
//! by the next rotation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pgpki_core::crl::{Reason, Revoked};
use pgpki_core::issue::{Issued, serial_of};
use pgpki_core::profile::Profile;
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::ledger::{CaId, CaState, KnownCa, KnownPlace, Leaf, LeafHolder, PlaceKind, Succession};
use crate::rotation::Report;
use crate::servers::{Servers, Session, TakenUp};

/// Somebody whose certificate nobody accepts any more, because its CA was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Whoever must be handed a new one.
    pub holder: LeafHolder,
    /// The folders that have one for him; none where it is not known where the old one went.
    pub ready: Vec<PathBuf>,
}

impl Authority {
    /// Revokes every issuing CA whose time is not over, and makes a new one: their keys lie side by
    /// side, and who has taken one has taken all. The keys themselves are not needed, nor is anybody else who has
    /// certified them: a thief does not wait for him. The new one has no endorsement then.
    pub fn replace_compromised(&mut self, now: OffsetDateTime) -> Result<Issued, AuthorityError> {
        let (root, ca) = self.signing_root(now)?;
        let passphrase = self.passphrase_of_the_next(Profile::Issuing)?;
        let draft = self.draft_issuing(&ca, passphrase.as_ref().map(|it| it.as_slice()), now)?;
        let issued = draft.issued.clone();
        let is_lost = |ca: &&KnownCa| {
            let may_sign = matches!(ca.state, CaState::Active | CaState::Retired);
            ca.profile == Profile::Issuing && may_sign && now <= ca.facts.validity.not_after
        };
        let lost: Vec<KnownCa> = self.hierarchy.cas().filter(is_lost).cloned().collect();
        let mut change = Succession::default();
        let mut signers: Vec<CaId> = Vec::new();
        for ca in &lost {
            change.states.push((ca.id, CaState::Revoking));
            let Some(parent) = ca.parent else { continue };
            let end = ca.facts.validity.not_after;
            change
                .revoked
                .extend(compromised(parent, &ca.certificate, end, now));
            signers.extend(self.revoke_below(parent, &mut change, now)?);
        }
        signers.sort_unstable();
        signers.dedup();
        for signer in signers {
            let known = self.known(signer)?;
            let root = self.roots.unlock(&known.certificate)?;
            let crl = self.next_crl(&known, &root, &change.revoked, now)?;
            change.crls.push((signer, crl));
        }
        let issuing = self.keep(Some(root), draft)?;
        change.states.push((issuing, CaState::Active));
        self.succeed(change)?;
        Ok(issued)
    }

    /// Whose CRL takes out what `root` has signed: its own, or where its key is lost, as after a restore, that of the
    /// root that has signed its key. Nothing if neither is kept; then nobody trusts it any more.
    fn revoke_below(
        &self,
        root: CaId,
        change: &mut Succession,
        now: OffsetDateTime,
    ) -> Result<Option<CaId>, AuthorityError> {
        let known = self.known(root)?;
        if self.roots.has(&known.certificate)? {
            return Ok(Some(root));
        }
        let Some(cross) = known.cross else {
            return Ok(None);
        };
        change.states.push((root, CaState::Retired));
        let end = cross.validity.not_after;
        change
            .revoked
            .extend(compromised(cross.parent, &cross.certificate, end, now));
        let above = self.known(cross.parent)?;
        Ok(self.roots.has(&above.certificate)?.then_some(cross.parent))
    }

    /// Whose certificates nobody would accept any more if every issuing CA were revoked: of servers on this machine
    /// none, which get new ones at once.
    pub(crate) fn would_be_lost(&self, now: OffsetDateTime) -> Result<Vec<Lost>, AuthorityError> {
        let places = self.ledger.places()?;
        let is_installed = |known: &&KnownPlace| known.place.kind == PlaceKind::Installation;
        let installed = places.iter().filter(is_installed);
        let here: BTreeSet<_> = installed.map(|known| *known.serial.as_bytes()).collect();
        let issuing = |ca: &&KnownCa| ca.profile == Profile::Issuing;
        let mut lost = BTreeSet::new();
        for ca in self.hierarchy.covered(now).filter(issuing) {
            let in_use = self.ledger.in_use_of(ca.id, now)?.into_iter();
            let elsewhere = in_use.filter(|leaf| !here.contains(leaf.serial.as_bytes()));
            lost.extend(elsewhere.map(holder));
        }
        let nothing_yet = |holder| Lost {
            holder,
            ready: Vec::new(),
        };
        Ok(lost.into_iter().map(nothing_yet).collect())
    }

    /// Whose certificates nobody accepts any more: while a CA is being revoked everybody who may have one, so that
    /// whoever asked hears of all of them once; after that those who have been handed no other one.
    pub(crate) fn lost(&self, now: OffsetDateTime) -> Result<Vec<Lost>, AuthorityError> {
        let mut lost: BTreeSet<LeafHolder> =
            self.ledger.without_another(now)?.into_iter().collect();
        if self.is_revoking() {
            for ca in self.revoked_issuing() {
                lost.extend(self.ledger.in_use_of(ca.id, now)?.into_iter().map(holder));
            }
        }
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let mut ready = self.ready()?;
        let lost = lost.into_iter().map(|holder| Lost {
            ready: ready.remove(&holder).unwrap_or_default(),
            holder,
        });
        Ok(lost.collect())
    }

    /// The folders of each holder with a certificate that counts.
    fn ready(&self) -> Result<BTreeMap<LeafHolder, Vec<PathBuf>>, AuthorityError> {
        let mut ready: BTreeMap<LeafHolder, Vec<PathBuf>> = BTreeMap::new();
        for known in self.ledger.places()? {
            let issuer = self.hierarchy.ca(known.issuer);
            let is_good = issuer.is_some_and(|ca| !ca.state.is_revoked());
            if !is_good || known.place.kind != PlaceKind::Folder {
                continue;
            }
            let holder = LeafHolder {
                profile: known.place.holder.profile(),
                common_name: known.place.holder.common_name().unwrap_or_default(),
            };
            ready.entry(holder).or_default().push(known.place.path);
        }
        Ok(ready)
    }

    /// Whether a CA was revoked, and that has not come to its end.
    pub(crate) fn is_revoking(&self) -> bool {
        let mut cas = self.hierarchy.cas();
        cas.any(|ca| ca.state == CaState::Revoking)
    }

    fn revoked_issuing(&self) -> impl Iterator<Item = &KnownCa> {
        let is_revoked = |ca: &&KnownCa| ca.profile == Profile::Issuing && ca.state.is_revoked();
        self.hierarchy.cas().filter(is_revoked)
    }

    /// Ends the sessions that came in through a CA that was revoked.
    pub(crate) fn end_lost_sessions(
        &self,
        servers: &mut dyn Servers,
        report: &mut Report,
    ) -> Result<(), AuthorityError> {
        let revoked: Vec<&KnownCa> = self.revoked_issuing().collect();
        let is_meant = |session: &Session| {
            let came_through = self.came_through(session, &revoked);
            came_through.unwrap_or_else(|_| {
                let mut revoked = revoked.iter();
                revoked.any(|ca| session.is_from(&ca.name_in_sessions()))
            })
        };
        Ok(self.end_sessions(servers, is_meant, &mut report.ended, &mut report.problems)?)
    }

    /// For whoever has told what a rotation did: that CAs were revoked has come to its end with it, unless a place failed, a
    /// session may go on, or a server may not have what it was given. Otherwise the next rotation goes on with it. Where no
    /// CA was being revoked, nothing is written.
    ///
    /// # Errors
    /// The ledger cannot be written: the next rotation tells the same again.
    pub fn told(&mut self, report: &Report) -> Result<(), AuthorityError> {
        let is_revoking = |ca: &&KnownCa| ca.state == CaState::Revoking;
        let revoking = self.hierarchy.cas().filter(is_revoking);
        let states: Vec<_> = revoking.map(|ca| (ca.id, CaState::Revoked)).collect();
        let is_open = !(report.failed.is_empty()
            && report.stopped.is_empty()
            && report.locked.is_none()
            && report.problems.is_empty()
            && taken_up(report).all(|it| it.not_proven().next().is_none()));
        if states.is_empty() || is_open {
            return Ok(());
        }
        self.succeed(Succession {
            states,
            ..Succession::default()
        })
    }
}

/// What servers made of whatever a rotation gave them.
fn taken_up(report: &Report) -> impl Iterator<Item = &TakenUp> {
    let installed = report.installed.iter().map(|(_, done)| &done.live.taken_up);
    let is_here = |(known, _): &&(KnownPlace, _)| known.place.kind == PlaceKind::Installation;
    let refreshed = report.refreshed.iter().filter(is_here);
    let refreshed = refreshed.map(|(_, live)| &live.taken_up);
    let told = report.taken_up.iter().map(|(_, taken_up)| taken_up);
    installed.chain(refreshed).chain(told)
}

fn holder(leaf: Leaf) -> LeafHolder {
    LeafHolder {
        profile: leaf.profile,
        common_name: leaf.common_name,
    }
}

/// A CA's certificate (DER), as the CRL of the CA that signed it lists it; with both it makes an entry of a
/// [`Succession`].
fn compromised(
    signer: CaId,
    certificate: &[u8],
    end: OffsetDateTime,
    now: OffsetDateTime,
) -> Option<(CaId, Revoked, OffsetDateTime)> {
    let revoked = Revoked {
        serial: serial_of(certificate)?,
        at: now,
        reason: Some(Reason::CaCompromise),
    };
    Some((signer, revoked, end))
}

//! One CA takes over from another: a new issuing CA, a new root, an old root retired.
//!
//! A CA is recorded first, does nothing until its key is in its place, and becomes active together
//! with everything that depends on it, in one transaction. A run that is killed before that has
//! changed nothing; what it leaves is a CA that never signs.

use std::path::PathBuf;

use pgpki_core::crl::{Reason, Revoked, this_update};
use pgpki_core::issue::{Ca, Issued, serial_of};
use pgpki_core::key::PrivateKey;
use pgpki_core::profile::Profile;
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::hierarchy::Hierarchy;
use crate::ledger::{
    CaId, CaState, KnownCa, KnownPlace, Leaf, LedgerError, NewCrl, PlaceKind, Succession,
};
use crate::rotation::Report;
use crate::servers::{Servers, Session};

/// Why the CAs could not be changed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A new root has already begun to take over.
    #[error("{newer:?} is already taking over from {older:?}")]
    Underway {
        /// The common name of the old root.
        older: String,
        /// The common name of the new one.
        newer: String,
    },
    /// There is one root, and nothing to be ended or undone.
    #[error("no root is taking over from another: there is only {root:?}")]
    NotUnderway {
        /// The root's common name.
        root: String,
    },
}

impl SuccessionError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Authority(_) => None,
            Self::Underway { .. } => Some(
                "See who still depends on the old one: pgpki rotate --root --finish --dry-run; \
                 or go back to it: pgpki rotate --root --undo"
                    .to_owned(),
            ),
            Self::NotUnderway { .. } => Some(
                "Begin with: pgpki rotate --root. If a run was broken off at the end of a change: \
                 pgpki rotate tells the servers what they have not heard of"
                    .to_owned(),
            ),
        }
    }
}

impl From<LedgerError> for SuccessionError {
    fn from(error: LedgerError) -> Self {
        Self::Authority(error.into())
    }
}

impl Authority {
    /// The first root, with the first issuing CA.
    pub(crate) fn found_root(
        &mut self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let (root, ca) = self.prepare_root(None, passphrase, now)?;
        let (issuing, _) = self.prepare_issuing(root, &ca, now)?;
        self.succeed(Succession {
            states: vec![(root, CaState::Active), (issuing, CaState::Active)],
            ..Succession::default()
        })
    }

    /// Makes a new issuing CA under the newest root that counts, and has it sign from now on. What
    /// the old one signed stays good, because the same root signed both.
    pub fn renew_issuing(
        &mut self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Issued, AuthorityError> {
        let (root, ca) = self.signing_root(passphrase, now)?;
        let (issuing, issued) = self.prepare_issuing(root, &ca, now)?;
        self.succeed(Succession {
            states: vec![(issuing, CaState::Active)],
            ..Succession::default()
        })?;
        Ok(issued)
    }

    /// Makes a new root, has the old one sign its key, and an issuing CA under it, which signs from
    /// now on. Its key is encrypted as the old one's is. If the old root's time is over, nothing can
    /// tie the new one to it.
    ///
    /// # Errors
    /// The root's key cannot be opened, or another new root is already taking over.
    pub fn begin_root(
        &mut self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Issued, SuccessionError> {
        self.may_begin_root(now)?;
        let (old, old_ca) = self.signing_root(passphrase, now)?;
        let is_over = now > old_ca.not_after();
        let predecessor = (!is_over).then_some((old, &old_ca));
        let passphrase = passphrase.filter(|_| self.root_is_encrypted().unwrap_or(true));
        let (root, ca) = self.prepare_root(predecessor, passphrase, now)?;
        let (issuing, issued) = self.prepare_issuing(root, &ca, now)?;
        self.succeed(Succession {
            states: vec![(root, CaState::Active), (issuing, CaState::Active)],
            ..Succession::default()
        })?;
        Ok(issued)
    }

    /// Whether a new root may begin to take over.
    ///
    /// # Errors
    /// Another one is already.
    pub fn may_begin_root(&self, now: OffsetDateTime) -> Result<(), SuccessionError> {
        let mut roots = self.hierarchy.roots(now);
        match (roots.next(), roots.next()) {
            (Some(newer), Some(older)) if !self.hierarchy.is_settled(now) => {
                Err(SuccessionError::Underway {
                    older: older.facts.common_name.clone(),
                    newer: newer.facts.common_name.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Retires every root but the newest, and the issuing CAs under them. Who depends on them is for
    /// the caller to ask first.
    pub(crate) fn finish_root(&mut self, now: OffsetDateTime) -> Result<(), SuccessionError> {
        let (newest, older) = self.roots_in_change(now)?;
        let retired = |ca: &&KnownCa| {
            ca.state == CaState::Active && ca.id != newest && ca.parent != Some(newest)
        };
        debug_assert!(older < newest);
        let states = self.hierarchy.cas().filter(retired);
        let states = states.map(|ca| (ca.id, CaState::Retired)).collect();
        Ok(self.succeed(Succession {
            states,
            ..Succession::default()
        })?)
    }

    /// Goes back to the root before the newest one. What the newer one's issuing CA has signed stays
    /// good for servers that trust the old root, which has signed the newer one's key.
    pub(crate) fn undo_root(&mut self, now: OffsetDateTime) -> Result<(), SuccessionError> {
        let (newest, _) = self.roots_in_change(now)?;
        let retired = |ca: &&KnownCa| {
            ca.state == CaState::Active && (ca.id == newest || ca.parent == Some(newest))
        };
        let states = self.hierarchy.cas().filter(retired);
        let states = states.map(|ca| (ca.id, CaState::Retired)).collect();
        Ok(self.succeed(Succession {
            states,
            ..Succession::default()
        })?)
    }

    /// The new root and the one that it takes over from.
    pub(crate) fn roots_in_change(
        &self,
        now: OffsetDateTime,
    ) -> Result<(CaId, CaId), SuccessionError> {
        let mut roots = self.hierarchy.roots(now);
        match (roots.next(), roots.next()) {
            (Some(newer), Some(older)) => Ok((newer.id, older.id)),
            _ => Err(SuccessionError::NotUnderway {
                root: self.newest_root()?.facts.common_name.clone(),
            }),
        }
    }

    /// Revokes every issuing CA whose time is not over, and makes a new one: their keys lie side by
    /// side, and who has taken one has taken all. The keys themselves are not needed.
    pub fn replace_compromised(
        &mut self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Issued, AuthorityError> {
        let (root, ca) = self.signing_root(passphrase, now)?;
        let (issuing, issued) = self.prepare_issuing(root, &ca, now)?;
        let is_lost = |ca: &&KnownCa| {
            let may_sign = matches!(ca.state, CaState::Active | CaState::Retired);
            ca.profile == Profile::Issuing && may_sign && now <= ca.facts.validity.not_after
        };
        let lost: Vec<KnownCa> = self.hierarchy.cas().filter(is_lost).cloned().collect();
        let mut change = Succession {
            states: vec![(issuing, CaState::Active)],
            ..Succession::default()
        };
        let mut signers: Vec<CaId> = Vec::new();
        for ca in &lost {
            change.states.push((ca.id, CaState::Revoked));
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
            let root = self.roots.unlock(&known.certificate, passphrase)?;
            let crl = self.next_crl(&known, &root, &change.revoked, now)?;
            change.crls.push((signer, crl));
        }
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

    /// The places whose certificates were signed by a CA that is revoked now.
    pub(crate) fn places_of_revoked_cas(&self) -> Result<Vec<PathBuf>, AuthorityError> {
        let is_revoked = |known: &KnownPlace| {
            let issuer = self.hierarchy.ca(known.issuer);
            issuer.is_some_and(|ca| ca.state == CaState::Revoked)
        };
        let places = self.ledger.places()?.into_iter().filter(is_revoked);
        Ok(places.map(|known| known.place.path).collect())
    }

    /// Whose certificates nobody would accept any more if every issuing CA were revoked: of servers on this machine
    /// none, which get new ones at once.
    pub(crate) fn would_be_lost(&self, now: OffsetDateTime) -> Result<Vec<Leaf>, AuthorityError> {
        let places = self.ledger.places()?;
        let is_here = |leaf: &Leaf| {
            let mut places = places.iter();
            places.any(|it| it.serial == leaf.serial && it.place.kind == PlaceKind::Installation)
        };
        let issuing = |ca: &&KnownCa| ca.profile == Profile::Issuing;
        let mut lost = Vec::new();
        for ca in self.hierarchy.covered(now).filter(issuing) {
            let in_use = self.ledger.in_use_of(ca.id, now)?.into_iter();
            lost.extend(in_use.filter(|leaf| !is_here(leaf)));
        }
        Ok(lost)
    }

    /// After every place has what it can have: who still holds a certificate of a CA that is revoked, and, unless
    /// they are to be kept, an end to the sessions that live on one.
    pub(crate) fn lose(
        &self,
        keep_sessions: bool,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        report: &mut Report,
    ) -> Result<(), AuthorityError> {
        let is_revoked =
            |ca: &&KnownCa| ca.profile == Profile::Issuing && ca.state == CaState::Revoked;
        let revoked: Vec<&KnownCa> = self.hierarchy.cas().filter(is_revoked).collect();
        for ca in &revoked {
            report.lost.extend(self.ledger.in_use_of(ca.id, now)?);
        }
        if keep_sessions {
            return Ok(());
        }
        let is_meant = |session: &Session| {
            let came_through = self.came_through(session, &revoked);
            came_through.unwrap_or_else(|_| {
                let mut revoked = revoked.iter();
                revoked.any(|ca| session.is_from(&ca.name_in_sessions()))
            })
        };
        Ok(self.end_sessions(servers, is_meant, &mut report.ended, &mut report.problems)?)
    }

    /// The next CRL of a CA: what it has revoked so far, and `more`.
    pub(crate) fn next_crl(
        &self,
        known: &KnownCa,
        ca: &Ca,
        more: &[(CaId, Revoked, OffsetDateTime)],
        now: OffsetDateTime,
    ) -> Result<NewCrl, AuthorityError> {
        let mut revoked = self.ledger.revoked_by(known.id, now)?;
        let before = revoked.len();
        for (_, new, _) in more.iter().filter(|(issuer, ..)| *issuer == known.id) {
            let earlier = revoked.get(..before).unwrap_or_default();
            if earlier
                .binary_search_by_key(&new.serial, |it| it.serial)
                .is_err()
            {
                revoked.push(new.clone());
            }
        }
        revoked.sort_unstable_by_key(|revoked| revoked.serial);
        crl(ca, known.crl_number, &revoked, now)
    }

    pub(crate) fn known(&self, id: CaId) -> Result<KnownCa, AuthorityError> {
        let known = self.hierarchy.ca(id).cloned();
        known.ok_or_else(|| self.inconsistent("ledger.db does not know a CA", "that it names"))
    }

    /// Makes the change, and knows of it.
    pub(crate) fn succeed(&mut self, change: Succession) -> Result<(), AuthorityError> {
        self.ledger.succeed(&change)?;
        self.hierarchy = Hierarchy::new(self.ledger.cas()?);
        Ok(())
    }

    /// The newest root that counts, or the newest there is, whose error says why it does not.
    fn signing_root(
        &self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<(CaId, Ca), AuthorityError> {
        let root = match self.hierarchy.roots(now).next() {
            Some(root) => root,
            None => self.newest_root()?,
        };
        Ok((root.id, self.roots.unlock(&root.certificate, passphrase)?))
    }

    /// Makes a root that does nothing yet.
    fn prepare_root(
        &mut self,
        predecessor: Option<(CaId, &Ca)>,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<(CaId, Ca), AuthorityError> {
        let settings = &self.settings;
        let key = PrivateKey::generate(settings.algorithm)?;
        let pem = match passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase)?,
            None => key.to_pem()?,
        };
        let number = self.ledger.number_of_cas(Profile::Root)? + 1;
        let name = format!("{} root CA {number}", settings.name);
        let organization = &settings.organization;
        let (root, issued) = Ca::new_root(key, organization, &name, now, settings.root)?;
        let cross = match predecessor {
            Some((id, old)) => Some((id, old.cross_sign(&root, organization, now)?)),
            None => None,
        };
        let staged = self.roots.stage(&issued.der, &pem)?;
        let crl = crl(&root, 0, &[], now)?;
        let cross = cross.as_ref().map(|(id, cross)| (*id, cross));
        let id = self.ledger.record_ca(None, &issued, cross, &crl)?;
        self.roots.publish(staged)?;
        Ok((id, root))
    }

    /// Makes an issuing CA that does nothing yet.
    fn prepare_issuing(
        &mut self,
        root: CaId,
        root_ca: &Ca,
        now: OffsetDateTime,
    ) -> Result<(CaId, Issued), AuthorityError> {
        let settings = &self.settings;
        let key = PrivateKey::generate(settings.algorithm)?;
        let pem = key.to_pem()?;
        let number = self.ledger.number_of_cas(Profile::Issuing)? + 1;
        let name = format!("{} issuing CA {number}", settings.name);
        let issued =
            root_ca.issue_ca(&key, &settings.organization, &name, now, settings.issuing)?;
        let staged = self.issuing.stage(&issued.der, &pem)?;
        let crl = crl(&Ca::load(&issued.der, key)?, 0, &[], now)?;
        let id = self.ledger.record_ca(Some(root), &issued, None, &crl)?;
        self.issuing.publish(staged)?;
        Ok((id, issued))
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

/// Signs the CRL that follows number `before`.
///
/// Its number is the time, in seconds since 1970, unless the one before is as large already: so it also grows where a
/// ledger was restored that does not know the last ones.
fn crl(
    ca: &Ca,
    before: u64,
    revoked: &[Revoked],
    now: OffsetDateTime,
) -> Result<NewCrl, AuthorityError> {
    let time = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let number = time.max(before + 1);
    Ok(NewCrl {
        number,
        from: this_update(now),
        der: ca.sign_crl(number, revoked, now)?,
    })
}

//! One CA takes over from another: a new issuing CA, a new root, an old root retired.
//!
//! A CA is recorded first, does nothing until its key is in its place, and becomes active together
//! with everything that depends on it, in one transaction. A run that is killed before that has
//! changed nothing; what it leaves is a CA that never signs.

mod compromised;

use pgpki_core::crl::{Reason, Revoked, this_update};
use pgpki_core::issue::{Ca, CaName, Issued, NewIssuing};
use pgpki_core::profile::Profile;
use pgpki_fs::Synced;
use time::OffsetDateTime;

pub use self::compromised::Lost;
use crate::authority::{Authority, AuthorityError, Founding};
use crate::endorsing::Seed;
use crate::hierarchy::Hierarchy;
use crate::ledger::{CaId, CaState, Endorsement, KnownCa, LedgerError, NewCrl, Succession};
use crate::new_key::check_apart;

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
            Self::Authority(error) => {
                let token = error.token().map(|error| &error.hint);
                let hint = token.or(error.secret().map(|error| &error.hint));
                hint.cloned().flatten()
            }
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
        founding: &Founding<'_>,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let (root, ca) = self.draft_root(None, founding.root_passphrase, now)?;
        let issuing = self.draft_issuing(&ca, founding.issuing_passphrase, now)?;
        let root = self.keep(None, root)?;
        let issuing = self.keep(Some(root), issuing)?;
        self.succeed(Succession {
            states: vec![(root, CaState::Active), (issuing, CaState::Active)],
            ..Succession::default()
        })
    }

    /// Makes a new issuing CA under the newest root that counts, and has it sign from now on. What
    /// the old one signed stays good, because the same root signed both. Its key is encrypted as the old one's is.
    pub fn renew_issuing(&mut self, now: OffsetDateTime) -> Result<Issued, AuthorityError> {
        self.check_endorsing(now)?;
        let (root, ca) = self.signing_root(now)?;
        let passphrase = self.passphrase_of_the_next(Profile::Issuing)?;
        let draft = self.draft_issuing(&ca, passphrase.as_ref().map(|it| it.as_slice()), now)?;
        let issued = draft.issued.clone();
        let issuing = self.keep(Some(root), draft)?;
        self.succeed(Succession {
            states: vec![(issuing, CaState::Active)],
            ..Succession::default()
        })?;
        Ok(issued)
    }

    /// Makes a new root, has the old one sign its key, and an issuing CA under it, which signs from
    /// now on. Their keys are encrypted as the old ones' are. If the old root's time is over, nothing can
    /// tie the new one to it.
    ///
    /// # Errors
    /// The root's key cannot be opened, or another new root is already taking over.
    pub fn begin_root(&mut self, now: OffsetDateTime) -> Result<Issued, SuccessionError> {
        self.may_begin_root(now)?;
        self.check_endorsing(now)?;
        let (old, old_ca) = self.signing_root(now)?;
        let is_over = now > old_ca.not_after();
        let predecessor = (!is_over).then_some((old, &old_ca));
        let passphrase = self.passphrase_of_the_next(Profile::Root)?;
        let passphrase = passphrase.as_ref().map(|it| it.as_slice());
        let (root, ca) = self.draft_root(predecessor, passphrase, now)?;
        let passphrase = self.passphrase_of_the_next(Profile::Issuing)?;
        let issuing = self.draft_issuing(&ca, passphrase.as_ref().map(|it| it.as_slice()), now)?;
        let issued = issuing.issued.clone();
        let root = self.keep(None, root)?;
        let issuing = self.keep(Some(root), issuing)?;
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
            let earlier = revoked.get_mut(..before).unwrap_or_default();
            match earlier.binary_search_by_key(&new.serial, |it| it.serial) {
                Err(_) => revoked.push(new.clone()),
                // As the ledger is going to have it.
                Ok(index) if new.reason.is_some_and(Reason::is_compromise) => {
                    revoked[index].reason = new.reason;
                }
                Ok(_) => {}
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
        self.hierarchy = Hierarchy::of(&self.ledger)?;
        Ok(())
    }

    /// The newest root that counts, or the newest there is, whose error says why it does not.
    fn signing_root(&self, now: OffsetDateTime) -> Result<(CaId, Ca), AuthorityError> {
        let root = match self.hierarchy.roots(now).next() {
            Some(root) => root,
            None => self.newest_root()?,
        };
        Ok((root.id, self.roots.unlock(&root.certificate)?))
    }

    /// Signs all that a new root begins with.
    fn draft_root(
        &self,
        predecessor: Option<(CaId, &Ca)>,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<(Draft, Ca), AuthorityError> {
        let settings = &self.settings;
        let number = self.ledger.number_of_cas(Profile::Root)? + 1;
        let name = format!("{} root CA {number}", settings.name);
        let organization = &settings.organization;
        let (key, kept) = self.new_key(Profile::Root, passphrase, &name)?;
        let (root, issued) = Ca::new_root(key, organization, &name, now, settings.root)?;
        let cross = match predecessor {
            Some((id, old)) => Some((id, old.cross_sign(&root, organization, now)?)),
            None => None,
        };
        let draft = Draft {
            crl: crl(&root, 0, &[], now)?,
            staged: self.roots.stage(&issued.der, &kept)?,
            issued,
            cross,
            endorsement: None,
        };
        Ok((draft, root))
    }

    /// Signs all that a new issuing CA begins with, and has it endorsed by whoever does that next.
    fn draft_issuing(
        &mut self,
        root: &Ca,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Draft, AuthorityError> {
        let endorsing = self.endorsing.take();
        let number = self.ledger.number_of_cas(Profile::Issuing)? + 1;
        let name = format!("{} issuing CA {number}", self.settings.name);
        let Seed { key, kept, by } = self.seed(endorsing, passphrase, &name)?;
        let public = key.public_key();
        check_apart(root, &public)?;
        let settings = &self.settings;
        let issued = root.issue(
            &NewIssuing {
                key: &public,
                name: by.name(CaName::Common(&settings.organization, &name)),
                permitted: &settings.permitted,
                days: settings.issuing,
                until: None,
            },
            now,
        )?;
        let endorsement = by.endorsement(&issued.der, &public, settings, now)?;
        let ca = Ca::load(&issued.der, key)?;
        self.check_places(&ca, endorsement.as_ref(), now)?;
        Ok(Draft {
            crl: crl(&ca, 0, &[], now)?,
            staged: self.issuing.stage(&issued.der, &kept)?,
            issued,
            cross: None,
            endorsement,
        })
    }

    /// Makes a CA of a draft, which does nothing yet.
    fn keep(&mut self, parent: Option<CaId>, draft: Draft) -> Result<CaId, AuthorityError> {
        let Draft {
            issued,
            cross,
            endorsement,
            crl,
            staged,
        } = draft;
        let cross = cross.as_ref().map(|(id, cross)| (*id, cross));
        let endorsement = endorsement.as_ref();
        let id = self
            .ledger
            .record_ca(parent, &issued, cross, endorsement, &crl)?;
        match parent {
            None => self.roots.publish(staged)?,
            Some(_) => self.issuing.publish(staged)?,
        }
        Ok(id)
    }
}

/// A CA of which the ledger knows nothing yet. All that has to be signed is: a token that is lost on the way has changed
/// nothing.
struct Draft {
    issued: Issued,
    /// The certificate that ties it to the root before it, which signed that.
    cross: Option<(CaId, Issued)>,
    /// What a CA of somebody else's makes of it.
    endorsement: Option<Endorsement>,
    crl: NewCrl,
    staged: Synced,
}

/// Signs the CRL that follows number `before`.
///
/// Its number is the time, in seconds since 1970, unless the one before is as large already. After a restore the one
/// before is years ahead of whatever was published since the backup.
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

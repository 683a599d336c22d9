//! The CAs of an authority and what follows from them: whom a client or server has to trust, who
//! signs, which chain goes with a leaf, whose CRLs are needed. Pure.
//!
//! There is one active root, or two while a new one takes over: the newer signs, both are trusted,
//! and the older has signed the newer one's key. So a server's chain closes for a client that knows
//! only one of them, whichever that is (RFC 4210 section 4.4 has the same for its "NewWithOld").

use pgpki_core::issue::CaFacts;
use pgpki_core::profile::Profile;
use pgpki_core::validity::Validity;
use time::OffsetDateTime;

use crate::ledger::{CaId, CaState, Cross, Endorsement, KnownCa, Ledger, LedgerError};
use crate::rotation::Step;
use crate::settings::Settings;

/// Every CA that the ledger knows.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    cas: Vec<KnownCa>,
    /// The root of others that clients are handed before any chain ends in it, DER, and when it counts.
    next_root: Option<(Vec<u8>, Validity)>,
}

impl Hierarchy {
    /// From the ledger's CAs, in the order in which they were made.
    #[must_use]
    pub fn new(cas: Vec<KnownCa>) -> Self {
        Self {
            cas,
            next_root: None,
        }
    }

    /// As the ledger has it.
    pub(crate) fn of(ledger: &Ledger) -> Result<Self, LedgerError> {
        let next_root = ledger.next_root()?.and_then(|root| {
            let validity = CaFacts::read(&root).ok()?.validity;
            Some((root, validity))
        });
        Ok(Self {
            next_root,
            ..Self::new(ledger.cas()?)
        })
    }

    /// Every CA, in the order in which they were made; those that came to nothing as well.
    pub fn cas(&self) -> impl DoubleEndedIterator<Item = &KnownCa> {
        self.cas.iter()
    }

    /// A CA by its number.
    #[must_use]
    pub fn ca(&self, id: CaId) -> Option<&KnownCa> {
        self.cas.iter().find(|ca| ca.id == id)
    }

    /// The roots that are to be trusted at `now`, the newest first.
    pub fn roots(&self, now: OffsetDateTime) -> impl Iterator<Item = &KnownCa> {
        self.active(Profile::Root)
            .filter(move |ca| counts(ca.facts.validity, now))
    }

    /// The newest active root, whether it counts or not.
    #[must_use]
    pub fn newest_root(&self) -> Option<&KnownCa> {
        self.active(Profile::Root).next()
    }

    /// Whether the newest root has taken over at `now`: it is the only one, or no issuing CA under another one counts any
    /// more, and so nothing that it has signed.
    #[must_use]
    pub fn is_settled(&self, now: OffsetDateTime) -> bool {
        let mut roots = self.roots(now);
        let newest = roots.next().map(|root| root.id);
        if roots.next().is_none() {
            return true;
        }
        let mut issuing = self
            .covered(now)
            .filter(|ca| ca.profile == Profile::Issuing);
        issuing.all(|ca| ca.parent == newest)
    }

    /// The issuing CAs that may sign at `now`, the newest first.
    pub fn signers(&self, now: OffsetDateTime) -> impl Iterator<Item = &KnownCa> {
        self.active(Profile::Issuing).filter(move |ca| {
            let trusted = |parent| self.roots(now).any(|root| root.id == parent);
            counts(ca.facts.validity, now) && ca.parent.is_some_and(trusted)
        })
    }

    /// Who signs for servers at `now`: the newest. Without one that counts, the newest active one,
    /// whose own error then says why it cannot sign.
    #[must_use]
    pub fn server_signer(&self, now: OffsetDateTime) -> Option<&KnownCa> {
        let newest = || self.active(Profile::Issuing).next();
        self.signers(now).next().or_else(newest)
    }

    /// Who signs for clients at `now`: the newest that every server in use has heard of.
    ///
    /// PostgreSQL checks a CRL of every CA in a client's chain, and a server that has none of the
    /// newest CA refuses its clients. `servers` are those that have signed the certificates of servers in
    /// use: the files beside each are of the same time, and have the CRLs of the CAs up to it. A
    /// server whose CA was revoked has to be handed another certificate in any case.
    ///
    /// Close to its end a CA signs for clients no more, whoever has not heard of the next: all that it signs ends with
    /// it, at one instant, and for most of its last third the next one was there to be handed over.
    #[must_use]
    pub fn client_signer(
        &self,
        servers: impl IntoIterator<Item = CaId>,
        now: OffsetDateTime,
    ) -> Option<&KnownCa> {
        let is_revoked = |id: &CaId| {
            let ca = self.ca(*id);
            ca.is_some_and(|ca| ca.state.is_revoked())
        };
        let oldest = servers.into_iter().filter(|id| !is_revoked(id)).min();
        let is_known = |ca: &&KnownCa| oldest.is_none_or(|oldest| ca.id <= oldest);
        let newest = || self.server_signer(now);
        let mut known = self.signers(now).filter(is_known);
        known.find(|ca| !is_closing(ca, now)).or_else(newest)
    }

    /// The certificates that follow a leaf of this issuing CA, DER: its own, and for a server the one that ties its root
    /// to the root before it. Where a CA of somebody else's has endorsed it, a server has that certificate instead, and
    /// those above it but for the root.
    ///
    /// A client does without: servers trust its root, or have that certificate themselves. pgJDBC keeps a certificate
    /// to itself when the last issuer in its file is none that the server names, which the old root is not any more
    /// when it has been retired, and a company's CA never is.
    #[must_use]
    pub fn chain(&self, issuer: CaId, profile: Profile, now: OffsetDateTime) -> Vec<&[u8]> {
        let Some(issuer) = self.ca(issuer) else {
            return Vec::new();
        };
        if let Some(endorsement) = endorsement(issuer, now).filter(|_| profile == Profile::Server) {
            let above = endorsement.chain.below_root().iter();
            let chain = std::iter::once(&endorsement.certificate).chain(above);
            return chain.map(Vec::as_slice).collect();
        }
        let root = issuer.parent.and_then(|parent| self.ca(parent));
        let cross = root
            .and_then(|root| self.bridge(root, now))
            .filter(|_| profile == Profile::Server);
        let own = std::iter::once(&issuer.certificate);
        let chain = own.chain(cross.map(|cross| &cross.certificate));
        chain.map(Vec::as_slice).collect()
    }

    /// The issuing CA that signs for servers, if a CA of somebody else's has endorsed it, whether that counts or not: its
    /// successor needs an endorsement as well. Where it had to do without, because the one before was revoked in a hurry,
    /// the last one that was endorsed: clients have been handed the root that its chain ends in.
    #[must_use]
    pub fn endorsed(&self, now: OffsetDateTime) -> Option<(&KnownCa, &Endorsement)> {
        let signer = self.server_signer(now)?;
        let up_to_it = self.cas.iter().rev().filter(|ca| {
            ca.profile == Profile::Issuing && ca.state != CaState::Pending && ca.id <= signer.id
        });
        let mut endorsed = up_to_it.filter_map(|ca| Some((ca, ca.endorsement.as_ref()?)));
        endorsed.next()
    }

    /// Whether the issuing CA that signs for servers has no endorsement, although one before it had.
    #[must_use]
    pub fn lacks_endorsement(&self, now: OffsetDateTime) -> bool {
        let signer = self.server_signer(now).map(|ca| ca.id);
        self.endorsed(now)
            .is_some_and(|(ca, _)| Some(ca.id) != signer)
    }

    /// The roots of others that a client has to trust at `now`, DER, the newest first: servers' chains end there, or will
    /// again once the next issuing CA is endorsed, and what is handed over meanwhile has to last.
    #[must_use]
    pub fn roots_of_others(&self, now: OffsetDateTime) -> Vec<&[u8]> {
        let mut roots = Vec::new();
        for (_, endorsement) in self.endorsements(now) {
            let root = endorsement.chain.root();
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        if self.lacks_endorsement(now)
            && let Some((_, endorsement)) = self.endorsed(now)
            && !roots.contains(&endorsement.chain.root())
        {
            roots.push(endorsement.chain.root());
        }
        roots.extend(self.next_root(now).filter(|next| !roots.contains(next)));
        roots
    }

    /// The root of others that clients are handed before any chain ends in it, DER, as long as that counts.
    #[must_use]
    pub fn next_root(&self, now: OffsetDateTime) -> Option<&[u8]> {
        let (root, validity) = self.next_root.as_ref()?;
        counts(*validity, now).then_some(root)
    }

    /// The roots of others in one of which the chain of the next issuing CA ends: the one of now, and the one that clients
    /// have been handed beside it.
    pub(crate) fn roots_for_the_next(&self, now: OffsetDateTime) -> Vec<&[u8]> {
        let present = self.endorsed(now);
        let present = present.map(|(_, endorsement)| endorsement.chain.root());
        present.into_iter().chain(self.next_root(now)).collect()
    }

    /// The certificates of endorsed issuing CAs from our own roots, DER, the newest first. A server has them beside the
    /// roots: so whoever comes with the chain of a server, which ends elsewhere, is seen to be ours; and a server that
    /// connects to another one knows that by its own files.
    #[must_use]
    pub fn endorsed_issuing(&self, now: OffsetDateTime) -> Vec<&[u8]> {
        let endorsed = self.endorsements(now);
        endorsed.map(|(ca, _)| ca.certificate.as_slice()).collect()
    }

    fn endorsements(&self, now: OffsetDateTime) -> impl Iterator<Item = (&KnownCa, &Endorsement)> {
        let newest_first = self.cas.iter().rev();
        let covered = newest_first.filter(move |ca| {
            !ca.state.is_revoked() && self.covered(now).any(|covered| covered.id == ca.id)
        });
        covered.filter_map(move |ca| Some((ca, endorsement(ca, now)?)))
    }

    /// The certificates of roots that are not trusted for themselves, DER, but were signed by one that is. A server has
    /// them beside the roots, so that the clients of a change of roots that was undone stay good.
    pub fn bridges(&self, now: OffsetDateTime) -> impl Iterator<Item = &[u8]> {
        let retired = self.cas.iter().filter(|ca| ca.state == CaState::Retired);
        let bridges = retired.filter_map(move |root| self.bridge(root, now));
        bridges.map(|cross| cross.certificate.as_slice())
    }

    /// The certificate that ties a root to one that is trusted at `now`.
    fn bridge<'a>(&'a self, root: &'a KnownCa, now: OffsetDateTime) -> Option<&'a Cross> {
        root.cross.as_ref().filter(|cross| {
            let trusted = self.roots(now).any(|root| root.id == cross.parent);
            trusted && counts(cross.validity, now)
        })
    }

    /// The CAs whose CRLs a server needs at `now`: all whose time is not over, and whose chain leads to a root that is
    /// trusted. Also one that was made by a clock that was ahead, so that every server knows it when its time comes.
    pub fn covered(&self, now: OffsetDateTime) -> impl Iterator<Item = &KnownCa> {
        self.cas.iter().filter(move |ca| {
            let is_over = now > ca.facts.validity.not_after;
            ca.state != CaState::Pending && !is_over && self.leads_up(ca, now)
        })
    }

    /// The CAs as they would be after a step at `now`, for whoever wants to know what would follow from it.
    pub(crate) fn after(&self, step: Step, settings: &Settings, now: OffsetDateTime) -> Self {
        let mut after = self.clone();
        if step == Step::Compromised {
            let issuing = |ca: &&mut KnownCa| ca.profile == Profile::Issuing;
            for ca in after.cas.iter_mut().filter(issuing) {
                ca.state = CaState::Revoking;
            }
        }
        let root = match step {
            Step::Root => Some(after.imagine(None, Validity::starting(now, settings.root))),
            _ => self.roots(now).next().map(|root| root.id),
        };
        if let Some(root) = root.and_then(|root| after.ca(root)) {
            let (id, end) = (root.id, root.facts.validity.not_after);
            after.imagine(
                Some(id),
                Validity::starting(now, settings.issuing).cut_to(end).0,
            );
        }
        after
    }

    fn imagine(&mut self, parent: Option<CaId>, validity: Validity) -> CaId {
        let id = CaId::after(self.cas.last().map(|ca| ca.id));
        self.cas.push(KnownCa {
            id,
            profile: match parent {
                Some(_) => Profile::Issuing,
                None => Profile::Root,
            },
            state: CaState::Active,
            parent,
            certificate: Vec::new(),
            facts: CaFacts {
                common_name: String::new(),
                validity,
            },
            cross: None,
            endorsement: None,
            crl_number: 0,
            crl_from: validity.not_before,
        });
        id
    }

    /// The root that a CA is under, which is itself for a root.
    #[must_use]
    pub fn root_of(&self, id: CaId) -> Option<CaId> {
        let ca = self.ca(id)?;
        Some(ca.parent.unwrap_or(ca.id))
    }

    fn leads_up(&self, ca: &KnownCa, now: OffsetDateTime) -> bool {
        let root = ca.parent.map_or(Some(ca), |parent| self.ca(parent));
        root.is_some_and(|root| {
            let mut trusted = self.roots(now);
            trusted.any(|it| it.id == root.id) || self.bridge(root, now).is_some()
        })
    }

    fn active(&self, profile: Profile) -> impl Iterator<Item = &KnownCa> {
        let newest_first = self.cas.iter().rev();
        newest_first.filter(move |ca| {
            ca.profile == profile && ca.state == CaState::Active && !self.is_overtaken(ca)
        })
    }

    /// Whether a root that was made later begins earlier: this one was made by a clock that was ahead. Nobody has waited
    /// for its time to come, and when it comes nobody trusts it.
    fn is_overtaken(&self, ca: &KnownCa) -> bool {
        let later = self.cas.iter().rev().take_while(|later| later.id > ca.id);
        let mut roots =
            later.filter(|it| it.profile == Profile::Root && it.state != CaState::Pending);
        let begins = ca.facts.validity.not_before;
        ca.profile == Profile::Root && roots.any(|later| later.facts.validity.not_before < begins)
    }
}

/// What part of its own time a CA that is followed by another one stops signing for clients before its end: of five
/// years five months, which is more than the four in which a client's certificate of a year is due.
pub(crate) const CLOSING: i32 = 12;

fn is_closing(ca: &KnownCa, now: OffsetDateTime) -> bool {
    let validity = ca.facts.validity;
    now >= validity.not_after - validity.length() / CLOSING
}

/// What somebody else's CA has certified, as long as that counts.
fn endorsement(ca: &KnownCa, now: OffsetDateTime) -> Option<&Endorsement> {
    let endorsement = ca.endorsement.as_ref();
    endorsement.filter(|it| counts(it.validity, now))
}

/// When a leaf of this CA ends at the latest: with the CA; and a server's with what its chain ends in.
pub(crate) fn end_of_leaves(ca: &KnownCa, profile: Profile, now: OffsetDateTime) -> OffsetDateTime {
    let end = ca.facts.validity.not_after;
    let endorsement = endorsement(ca, now).filter(|_| profile == Profile::Server);
    endorsement.map_or(end, |it| it.validity.not_after.min(end))
}

fn counts(validity: Validity, now: OffsetDateTime) -> bool {
    (validity.not_before..=validity.not_after).contains(&now)
}

#[cfg(test)]
mod tests;

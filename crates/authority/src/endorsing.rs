//! An issuing CA that a CA of somebody else's certifies beside our own root: the same key and the same name twice.
//!
//! Servers trust our root alone, and clients' certificates lead there. What the other certificate is for is that whoever
//! trusts the other CA's root trusts our servers.

use pgpki_core::ca_key::CaKey;
use pgpki_core::endorsement::IssuerChain;
use pgpki_core::issue::{
    Ca, CaFacts, CaName, IssueError, NewIssuing, has_same_name, is_certificate_of,
};
use pgpki_core::profile::Profile;
use pgpki_core::subject_key::SubjectKey;
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::ca_store::KeptKey;
use crate::ledger::Endorsement;
use crate::settings::Settings;

/// Who certifies a new issuing CA beside our own root.
pub enum Endorsing {
    /// A CA whose key is at hand.
    By(Box<Endorser>),
    /// A CA that has answered a request.
    Answered(Box<Answered>),
}

/// A CA of somebody else's that signs once.
pub struct Endorser {
    ca: Ca,
    chains: Chains,
}

/// What came back for a request, and the key that it was made with.
pub struct Answered {
    pub(crate) key: CaKey,
    pub(crate) kept: KeptKey,
    pub(crate) certificate: Vec<u8>,
    pub(crate) chains: Chains,
}

/// The ways from whoever signs to roots, of which one is taken.
pub(crate) struct Chains {
    taken: IssuerChain,
    others: Vec<IssuerChain>,
}

impl Chains {
    /// The first is taken; nothing if there is none.
    pub(crate) fn new(chains: Vec<IssuerChain>) -> Option<Self> {
        let mut chains = chains.into_iter();
        Some(Self {
            taken: chains.next()?,
            others: chains.collect(),
        })
    }

    /// Takes the first that ends in one of these roots (DER), unless that is taken. Whether there is one.
    fn end_in(&mut self, roots: &[&[u8]]) -> bool {
        let is_known = |chain: &IssuerChain| {
            let mut roots = roots.iter();
            roots.any(|root| is_same_root(chain.root(), root))
        };
        if is_known(&self.taken) {
            return true;
        }
        let known = self.others.iter().position(is_known);
        known.is_some_and(|place| {
            self.taken = self.others.swap_remove(place);
            true
        })
    }
}

impl Answered {
    /// What came back, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}

impl Endorser {
    /// The CA at the lower end of these chains, and its key. Where nothing speaks for another one, the first chain counts.
    ///
    /// # Errors
    /// The key does not belong to the certificate, or is of a kind that cannot sign CAs here; or there is no chain.
    pub fn new(chains: Vec<IssuerChain>, key: impl Into<CaKey>) -> Result<Self, IssueError> {
        let chains = Chains::new(chains).ok_or(IssueError::NotACertificate)?;
        Ok(Self {
            ca: Ca::load(chains.taken.issuer(), key)?,
            chains,
        })
    }

    /// Certifies a CA that our own root has certified as `own` (DER).
    pub(crate) fn endorse(
        &self,
        own: &[u8],
        key: &SubjectKey,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Endorsement, AuthorityError> {
        let mut above = self.chains.taken.certificates().iter();
        if let Some(ca) = above.find(|ca| is_certificate_of(ca, key)) {
            return Err(AuthorityError::KeyInUse { ca: name_of(ca) });
        }
        let new = NewIssuing {
            key,
            name: CaName::Of(own),
            permitted: &settings.permitted,
            days: settings.issuing,
            until: Some(self.chains.taken.until()),
        };
        let certificate = self.ca.issue(&new, now)?.der;
        self.chains.taken.check_subject(&certificate)?;
        Ok(Endorsement::new(certificate, self.chains.taken.clone())?)
    }
}

/// The key of a new issuing CA, and who certifies it beside our own root.
pub(crate) struct Seed {
    pub(crate) key: CaKey,
    pub(crate) kept: KeptKey,
    pub(crate) by: By,
}

/// Who certifies a new issuing CA beside our own root.
pub(crate) enum By {
    Nobody,
    Endorser(Box<Endorser>),
    /// Somebody has, under this name.
    Answer(Box<Endorsement>),
}

impl By {
    /// The name that the new CA has, which may not be the one that it would have had.
    pub(crate) fn name<'a>(&'a self, own: CaName<'a>) -> CaName<'a> {
        match self {
            Self::Answer(endorsement) => CaName::Of(&endorsement.certificate),
            _ => own,
        }
    }

    /// The second certificate of the CA that our root has certified as `own` (DER).
    pub(crate) fn endorsement(
        self,
        own: &[u8],
        key: &SubjectKey,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Option<Endorsement>, AuthorityError> {
        match self {
            Self::Nobody => Ok(None),
            Self::Endorser(endorser) => Ok(Some(endorser.endorse(own, key, settings, now)?)),
            Self::Answer(endorsement) => Ok(Some(*endorsement)),
        }
    }
}

impl Authority {
    /// Has the next new issuing CA certified by a CA of somebody else's as well. Of several chains it takes one that ends in a
    /// root which clients know.
    ///
    /// # Errors
    /// Servers' chains would then end in a root that clients do not know, or would take for another one.
    pub fn use_endorsing(
        &mut self,
        mut endorsing: Endorsing,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let next = match &mut endorsing {
            Endorsing::By(endorser) => &mut endorser.chains,
            Endorsing::Answered(answered) => &mut answered.chains,
        };
        let known = self.hierarchy.roots_for_the_next(now);
        if !next.end_in(&known) {
            return Err(AuthorityError::AnotherRoot {
                root: name_of(next.taken.root()),
            });
        }
        // Clients have more than these for as long as a chain to the one before counts.
        check_told_apart(&next.taken, &known)?;
        check_told_apart(&next.taken, &self.hierarchy.roots_of_others(now))?;
        self.endorsing = Some(endorsing);
        Ok(())
    }

    /// That the next issuing CA can do without an endorsement.
    ///
    /// # Errors
    /// The one that signs now is endorsed, and clients may know nothing but the other root.
    pub fn check_unendorsed(&self, now: OffsetDateTime) -> Result<(), AuthorityError> {
        match self.hierarchy.endorsed(now) {
            None => Ok(()),
            Some((ca, endorsement)) => Err(AuthorityError::EndorsementNeeded {
                ca: ca.facts.common_name.clone(),
                issuer: endorsement.issuer(),
                until: endorsement.validity.not_after,
            }),
        }
    }

    /// That somebody certifies the next issuing CA, if somebody has to.
    ///
    /// # Errors
    /// As for [`Authority::check_unendorsed`].
    pub(crate) fn check_endorsing(&self, now: OffsetDateTime) -> Result<(), AuthorityError> {
        match self.endorsing {
            Some(_) => Ok(()),
            None => self.check_unendorsed(now),
        }
    }

    /// That a new issuing CA may sign for whoever has a certificate now: otherwise none of them could be renewed.
    pub(crate) fn check_places(
        &self,
        ca: &Ca,
        endorsement: Option<&Endorsement>,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let others = endorsement.map(Endorsement::constraints);
        let others = others.unwrap_or_default();
        if self.settings.permitted.is_everything() && others.is_empty() {
            return Ok(());
        }
        for known in self.ledger.places()? {
            let holder = &known.place.holder;
            let others = match holder.profile() {
                Profile::Server => &*others,
                _ => &[],
            };
            if now <= known.validity.not_after {
                ca.check_holder(holder, &self.settings.organization, others)?;
            }
        }
        Ok(())
    }

    /// What a new issuing CA begins with.
    pub(crate) fn seed(
        &self,
        endorsing: Option<Endorsing>,
        passphrase: Option<&[u8]>,
        name: &str,
    ) -> Result<Seed, AuthorityError> {
        let by = match endorsing {
            Some(Endorsing::Answered(answered)) => {
                let Answered {
                    key,
                    kept,
                    certificate,
                    chains,
                } = *answered;
                let by = By::Answer(Box::new(Endorsement::new(certificate, chains.taken)?));
                return Ok(Seed { key, kept, by });
            }
            Some(Endorsing::By(endorser)) => By::Endorser(endorser),
            None => By::Nobody,
        };
        let (key, kept) = self.new_key(Profile::Issuing, passphrase, name)?;
        Ok(Seed { key, kept, by })
    }
}

/// A root that was certified anew is the same to whoever trusts it: name and key.
fn is_same_root(one: &[u8], other: &[u8]) -> bool {
    let key = SubjectKey::of_certificate(other);
    one == other || has_same_name(one, other) && key.is_some_and(|key| is_certificate_of(one, &key))
}

/// That clients which have all of these roots (DER) know the one in which a chain ends.
pub(crate) fn check_told_apart(chain: &IssuerChain, roots: &[&[u8]]) -> Result<(), AuthorityError> {
    let mut roots = roots.iter();
    match roots.any(|root| chain.may_be_mistaken_for(root)) {
        false => Ok(()),
        true => Err(AuthorityError::SameName {
            root: name_of(chain.root()),
        }),
    }
}

fn name_of(certificate: &[u8]) -> String {
    let facts = CaFacts::read(certificate);
    facts.map(|facts| facts.common_name).unwrap_or_default()
}

//! What is due, decided by a pure function of the ledger's records, the settings and the time, so that it can be
//! tested a century at a time. `docs/rotation.md` has the same as a table.

use std::sync::Arc;

use pgpki_core::due::Within;
use pgpki_core::issue::Holder;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_core::validity::Validity;
use time::OffsetDateTime;

use super::{Holds, Lost, Seen, SuccessionProblem};
use crate::authority::AuthorityError;
use crate::deliver::DeliverError;
use crate::hierarchy::{Hierarchy, end_of_leaves};
use crate::ledger::{CaId, CaState, KnownCa, KnownPlace, Leaf, Place, PlaceKind};
use crate::settings::Settings;

/// What the operator asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// How long before its end something is renewed; an issuing CA at the latest when a third of its time is left, the
    /// root always then.
    pub within: Within,
    /// Renew every leaf, due or not.
    pub force: bool,
    /// Which CA gets a successor, if not only those that are due.
    pub succession: Option<Step>,
    /// Let the sessions run that live on a CA which is revoked.
    pub keep_sessions: bool,
    /// Open the root key even where it is not needed: whoever has given its passphrase wants to hear now that it is wrong,
    /// not in the years in which it is.
    pub try_root: bool,
    /// Where a passphrase is missing, the run would ask a person for it, whom nobody wants to ask now.
    pub would_ask: bool,
}

/// A step from one CA to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new issuing CA beside the old one.
    Issuing,
    /// A new issuing CA in place of all others, which are revoked.
    Compromised,
    /// A new root, certified by the old one, with an issuing CA of its own.
    Root,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// The CA that gets a successor first.
    pub succession: Option<Step>,
    /// What stands in the way of a step that is due or was asked for; after one that could not wait, of the next.
    pub problem: Option<(Step, SuccessionProblem)>,
    /// Whose certificates nobody accepts any more, because their CA was revoked, or would be.
    pub lost: Vec<Lost>,
    /// The places that get a new credential.
    pub renew: Vec<KnownPlace>,
    /// Places of servers whose credential stays, and whose roots, chain or CRLs are out of date.
    pub refresh: Vec<KnownPlace>,
    /// Installations that stay as they are, and whose servers serve something else or have not loaded it; and why that is said.
    pub take_up: Vec<(KnownPlace, String)>,
    /// Places that are due, but that the issuing CA cannot give a longer time than they have.
    pub waiting: Vec<KnownPlace>,
    /// Places that are due, and the issuing key is encrypted, with its passphrase missing or wrong.
    pub locked: Option<(Vec<KnownPlace>, AuthorityError)>,
    /// Places that are due, but no longer there, or hold something else; and installations that are no longer there, due or
    /// not. They are left alone.
    pub gone: Vec<Seen>,
    /// Certificates that are due and whose keys are elsewhere, so that only a person can have them renewed.
    pub elsewhere: Vec<Leaf>,
    /// Places that could not be looked at.
    pub failed: Vec<(Place, Arc<DeliverError>)>,
}

impl Plan {
    /// Whether a place gets other files.
    pub(super) fn renews(&self, known: &KnownPlace) -> bool {
        self.renew.contains(known) || self.refresh.contains(known)
    }
}

/// Which CA gets a successor at `now`: the one that was asked for, or the one that is due.
///
/// A root that is due comes before its issuing CA, because the new root has one of its own. A second new root does not
/// begin before the first has taken over. Where no root counts, only a person can say what is to be done: the clock may be
/// wrong, and nothing would tie a new root to the old one.
#[must_use]
pub fn succession(
    hierarchy: &Hierarchy,
    settings: &Settings,
    request: &Request,
    now: OffsetDateTime,
) -> Option<Step> {
    if request.succession.is_some() {
        return request.succession;
    }
    let root = hierarchy.roots(now).next()?;
    let next_root = Validity::starting(now, settings.root);
    if hierarchy.is_settled(now) && replaces(root.facts.validity, next_root, Within::Third, now) {
        return Some(Step::Root);
    }
    let (next, _) = Validity::starting(now, settings.issuing).cut_to(root.facts.validity.not_after);
    let is_due = match hierarchy.signers(now).next() {
        Some(_) if hierarchy.lacks_endorsement(now) => true,
        Some(issuing) => {
            let endorsed = issuing.endorsement.as_ref().map(|it| it.validity);
            let mut present = std::iter::once(issuing.facts.validity).chain(endorsed);
            present.any(|present| replaces(present, next, request.within, now))
        }
        None => true,
    };
    is_due.then_some(Step::Issuing)
}

/// Whether a CA is due, and what would replace it ends later. Near the end of its issuer nothing does, and a new one
/// every day would only wear the disk out. A third of its time is the least: leaves that are cut to its end, and servers
/// elsewhere that have to hear of the next one, need it.
fn replaces(present: Validity, next: Validity, within: Within, now: OffsetDateTime) -> bool {
    let is_due = Within::Third.is_due(present, now) || within.is_due(present, now);
    is_due && next.not_after > present.not_after
}

/// Decides what is to be done with `places` at `now`, when whatever [`succession`] says has been done.
///
/// `servers` are the certificates of servers in use, and who signed them. A server whose certificate comes from another
/// CA than the one that signs now is due at once, whatever its own time: its files have no CRL of the new CA, and
/// PostgreSQL would refuse every client that the new CA signs. Clients move over as they are due.
#[must_use]
pub fn plan(
    places: Vec<Seen>,
    servers: &[(Serial, CaId)],
    hierarchy: &Hierarchy,
    settings: &Settings,
    request: &Request,
    now: OffsetDateTime,
) -> Plan {
    let mut plan = Plan::default();
    let (of_servers, of_clients): (Vec<Seen>, Vec<Seen>) = places
        .into_iter()
        .partition(|seen| seen.known.place.holder.profile() == Profile::Server);
    let judge = |signer| Judge {
        signer,
        hierarchy,
        settings,
        request,
        now,
    };
    if let Some(signer) = hierarchy.server_signer(now) {
        judge(signer).sort(of_servers, &mut plan);
    }
    let is_renewed = |serial: &Serial| {
        let mut renewed = plan.renew.iter();
        renewed.any(|it| it.serial == *serial && it.place.kind == PlaceKind::Installation)
    };
    let servers = servers.iter().filter(|(serial, _)| !is_renewed(serial));
    let issuers = servers.map(|(_, issuer)| *issuer);
    if let Some(signer) = hierarchy.client_signer(issuers, now) {
        judge(signer).sort(of_clients, &mut plan);
    }
    plan
}

/// What is the same for every place of one profile.
struct Judge<'a> {
    signer: &'a KnownCa,
    hierarchy: &'a Hierarchy,
    settings: &'a Settings,
    request: &'a Request,
    now: OffsetDateTime,
}

impl Judge<'_> {
    fn sort(&self, places: Vec<Seen>, plan: &mut Plan) {
        for seen in places {
            if let Holds::Unreadable(error) = seen.holds {
                plan.failed.push((seen.known.place, error));
                continue;
            }
            let is_overdue = self.request.force || matches!(seen.holds, Holds::Outdated);
            if !is_overdue && !self.is_due(&seen.known) {
                match seen.holds {
                    Holds::Stale => plan.refresh.push(seen.known),
                    // A folder is taken to its user. What a server reads from should be where it was put.
                    Holds::Nothing
                        if seen.known.place.kind == PlaceKind::Installation
                            && self.now <= seen.known.validity.not_after =>
                    {
                        plan.gone.push(seen);
                    }
                    _ => {}
                }
                continue;
            }
            match seen.holds {
                // What is gone and has expired is nobody's concern any more.
                Holds::Nothing | Holds::Foreign(_) if self.now > seen.known.validity.not_after => {}
                Holds::Nothing | Holds::Foreign(_) => plan.gone.push(seen),
                _ if seen.known.place.needs_a_person() => plan.gone.push(seen),
                _ if is_overdue || self.gains(&seen.known) => plan.renew.push(seen.known),
                _ => plan.waiting.push(seen.known),
            }
        }
    }

    fn is_due(&self, known: &KnownPlace) -> bool {
        let is_server = matches!(known.place.holder, Holder::Server(_));
        let moved_on = known.issuer != self.signer.id;
        let issuer = self.hierarchy.ca(known.issuer);
        let is_orphan = issuer.is_none_or(|ca| ca.state != CaState::Active);
        self.request.within.is_due(known.validity, self.now) || (is_server && moved_on) || is_orphan
    }

    /// Whether a new certificate would end later than the one that is there, or come from another CA. A CA whose time is
    /// over gives none.
    fn gains(&self, known: &KnownPlace) -> bool {
        let days = known.place.days.unwrap_or(self.settings.leaf);
        let profile = known.place.holder.profile();
        let end = end_of_leaves(self.signer, profile, self.now);
        let (next, _) = Validity::starting(self.now, days).cut_to(end);
        let is_early = self.now < known.validity.not_before;
        let is_over = self.now > end;
        let is_longer = next.not_after > known.validity.not_after;
        !is_over && (known.issuer != self.signer.id || is_longer || is_early)
    }
}

#[cfg(test)]
mod manual;
#[cfg(test)]
mod tests;

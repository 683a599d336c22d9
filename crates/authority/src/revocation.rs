//! Revoking: a certificate goes onto its CA's CRL, the CRL to every server, and the sessions that
//! live on it end.
//!
//! The ledger has the revocation and the new CRL before any server does. Whatever fails after that,
//! the next `revoke` or `rotate` sees that an installation's CRL is out of date, and goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pgpki_core::crl::{Published, Reason, Revoked};
use pgpki_core::profile::Profile;
use pgpki_fs::Installation;
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::CRL;
use crate::deliver::DeliverError;
use crate::ledger::{
    CaId, Certificate, KnownCa, KnownPlace, Leaf, LedgerError, Place, PlaceKind, Succession,
};
use crate::rotation::{Holds, MAX_FILE, Report, Seen};
use crate::servers::{Servers, Session, TakenUp, leave_to_be_taken_up, stays_to_be_taken_up};
use crate::witnessed::Asking;

/// What a revocation did.
#[derive(Debug, Default)]
pub struct Revocation {
    /// Certificates that are on their CA's CRL now.
    pub revoked: Vec<Leaf>,
    /// Certificates that were on it before, for this reason or none.
    pub already: Vec<(Leaf, Option<Reason>)>,
    /// Certificates that were on it before, for this reason or none, and are there now because of a key that somebody
    /// else may have.
    pub corrected: Vec<(Leaf, Option<Reason>)>,
    /// The CAs that signed these, and the numbers of their CRLs.
    pub crls: Vec<(String, u64)>,
    /// Installations, and what the servers made of their CRLs.
    pub told: Vec<(Place, TakenUp)>,
    /// Servers' places whose own certificate was revoked, and that have a new one.
    pub replaced: Vec<Place>,
    /// Folders of servers elsewhere, which have the new CRLs and are to be taken there.
    pub elsewhere: Vec<Place>,
    /// Certificates of servers whose keys are elsewhere, and their files with them: each is to be handed the new CRLs.
    pub signed: Vec<Certificate>,
    /// Places of servers that are not there any more, or could not be looked at.
    pub unreached: Vec<Seen>,
    /// Servers that were seen to refuse what the new CRLs list.
    pub refused: BTreeSet<String>,
    /// Sessions that lived on a revoked certificate and were ended.
    pub ended: Vec<Session>,
    /// What failed, place by place.
    pub report: Report,
    /// What could not be asked or ended, and why.
    pub problems: Vec<String>,
}

impl Authority {
    /// Revokes leaves, publishes the new CRLs, has `servers` take them up, and ends the sessions that live on them,
    /// unless those are to be kept. What was revoked before is published again; its reason stays as it was, unless the
    /// new one says that somebody else may have the key. The authority is open alone.
    ///
    /// # Errors
    /// Nothing was revoked: a CA's key cannot be used, or the ledger cannot be written. What became of each server is
    /// in the result.
    pub fn revoke(
        &mut self,
        leaves: Vec<Leaf>,
        reason: Option<Reason>,
        keep_sessions: bool,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Revocation, AuthorityError> {
        self.check_parts()?;
        let mut done = Revocation::default();
        for leaf in leaves {
            if !leaf.revoked {
                done.revoked.push(leaf);
                continue;
            }
            let before = self.ledger.reason(leaf.issuer, leaf.serial)?;
            let is_worse = reason.is_some_and(Reason::is_compromise) && reason != before;
            match is_worse {
                true => done.corrected.push((leaf, before)),
                false => done.already.push((leaf, before)),
            }
        }
        let before = done.corrected.iter().map(|(leaf, _)| leaf);
        let new: Vec<Leaf> = done.revoked.iter().chain(before).cloned().collect();
        self.record_revocation(&new, reason, now)?;
        let already = done.already.iter().map(|(leaf, _)| leaf.clone());
        let all: Vec<Leaf> = new.into_iter().chain(already).collect();
        done.crls = self.crls_of(&all)?;
        let mut servers = self.witnessed(servers, Asking::Allowed, now)?;
        self.publish_crls(&mut servers, now, &mut done)?;
        done.refused = std::mem::take(&mut servers.refused);
        done.signed = self.ledger.servers_elsewhere(now)?;
        self.check_crls(now, &mut done)?;
        for (place, taken_up) in &done.told {
            if taken_up.is_unread() {
                let left = Installation::open(&place.path, place.owner)
                    .and_then(|installation| leave_to_be_taken_up(&installation));
                done.problems
                    .extend(left.err().map(|error| error.to_string()));
            }
        }
        if !keep_sessions {
            let is_meant = |session: &Session| {
                let mut leaves = all.iter();
                leaves.any(|leaf| session.serial == Some(leaf.serial) && self.signed(leaf, session))
            };
            self.end_sessions(&mut servers, is_meant, &mut done.ended, &mut done.problems)?;
        }
        Ok(done)
    }

    /// The CAs that signed these leaves, and the numbers of their CRLs. A ledger that was restored has the number before
    /// the next one, which none of them need have.
    fn crls_of(&self, leaves: &[Leaf]) -> Result<Vec<(String, u64)>, LedgerError> {
        let crls = self.ledger.crls()?;
        let cas = self.hierarchy.cas();
        let signed = cas.filter(|ca| leaves.iter().any(|leaf| leaf.issuer == ca.id));
        let number = |ca: &KnownCa| {
            let crl = crls.iter().find(|crl| crl.ca == ca.id)?;
            Some(Published::read(&crl.der, &ca.certificate)?.number)
        };
        let numbers = signed.map(|ca| {
            let number = number(ca).unwrap_or(ca.crl_number);
            (ca.facts.common_name.clone(), number)
        });
        Ok(numbers.collect())
    }

    /// Whether a session's certificate came from the CA that signed this leaf, as far as PostgreSQL tells: a name that is
    /// not ASCII comes mangled from a database with another encoding than the one that is asked. The serial number, 128
    /// random bits, is the same in both then.
    fn signed(&self, leaf: &Leaf, session: &Session) -> bool {
        let issuer = self.hierarchy.ca(leaf.issuer);
        issuer
            .is_some_and(|ca| session.is_from(&ca.name_in_sessions()) || !session.issuer.is_ascii())
    }

    fn record_revocation(
        &mut self,
        leaves: &[Leaf],
        reason: Option<Reason>,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let mut change = Succession::default();
        for leaf in leaves {
            let revoked = Revoked {
                serial: leaf.serial,
                at: now,
                reason,
            };
            change
                .revoked
                .push((leaf.issuer, revoked, leaf.validity.not_after));
        }
        let mut issuers: Vec<CaId> = leaves.iter().map(|leaf| leaf.issuer).collect();
        issuers.sort_unstable();
        issuers.dedup();
        for issuer in issuers {
            let known = self.known(issuer)?;
            // The root has revoked it, and all that it signed; its key may be gone.
            if known.state.is_revoked() {
                continue;
            }
            let ca = self.issuing.unlock(&known.certificate)?;
            let crl = self.next_crl(&known, &ca, &change.revoked, now)?;
            change.crls.push((issuer, crl));
        }
        match change.revoked.is_empty() {
            true => Ok(()),
            false => self.succeed(change),
        }
    }

    /// Signs again what was signed by a clock that was ahead: PostgreSQL refuses every client while a CRL is not valid
    /// yet. Returns what has to wait, in words: without a key's passphrase its CRL cannot be signed.
    pub(crate) fn renew_early_crls(
        &mut self,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, AuthorityError> {
        let mut change = Succession::default();
        let mut waiting = Vec::new();
        // A revoked CA's key may be lost, and its root's CRL says all there is to say.
        let early = |ca: &&KnownCa| ca.crl_from > now && !ca.state.is_revoked();
        for known in self.hierarchy.covered(now).filter(early) {
            let ca = match self.store(known.profile).unlock(&known.certificate) {
                Ok(ca) => ca,
                Err(error) if known.profile == Profile::Root || error.needs_passphrase() => {
                    waiting.push(format!(
                        "the CRL of {:?} was signed by a clock that was ahead: servers refuse every client until {}, \
                         and it cannot be signed again: {error}",
                        known.facts.common_name, known.crl_from
                    ));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let crl = self.next_crl(known, &ca, &[], now)?;
            change.crls.push((known.id, crl));
        }
        if !change.crls.is_empty() {
            self.succeed(change)?;
        }
        Ok(waiting)
    }

    /// Brings the CRLs of this moment to every place of a server, and has each server told, also where they were there
    /// already: an earlier run may not have come to that.
    fn publish_crls(
        &mut self,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        done: &mut Revocation,
    ) -> Result<(), AuthorityError> {
        let places = self.look(Some(&mut done.report), now)?;
        let is_server = |seen: &Seen| seen.known.place.holder.profile() == Profile::Server;
        for seen in places.into_iter().filter(is_server) {
            let kind = seen.known.place.kind;
            match (&seen.holds, kind) {
                (Holds::Stale, _) => {
                    self.refresh_place(seen.known, servers, now, &mut done.report);
                }
                (Holds::Outdated, PlaceKind::Installation) => {
                    let place = seen.known.place;
                    self.rotate_installation(place, servers, now, &mut done.report);
                }
                (Holds::Outdated, PlaceKind::Folder) => {
                    let place = seen.known.place;
                    let shelf = place.path.parent().unwrap_or(Path::new("/")).to_owned();
                    self.rotate_folders(&shelf, vec![place], now, &|_| {}, &mut done.report);
                }
                (Holds::Expected, PlaceKind::Installation) => {
                    tell(seen.known, servers, done);
                }
                (Holds::Expected, PlaceKind::Folder) => done.elsewhere.push(seen.known.place),
                (Holds::Unreadable(error), _) => {
                    let error = Arc::clone(error);
                    done.report.failed.push((seen.known.place, error));
                }
                _ if !self.may_be_in_use(&seen.known, now)? => {}
                _ => done.unreached.push(seen),
            }
        }
        for (known, live) in std::mem::take(&mut done.report.refreshed) {
            match known.place.kind {
                PlaceKind::Installation => done.told.push((known.place, live.taken_up)),
                PlaceKind::Folder => done.elsewhere.push(known.place),
            }
        }
        for (place, installed) in std::mem::take(&mut done.report.installed) {
            done.replaced.push(place.clone());
            done.told.push((place, installed.live.taken_up));
        }
        for (place, _) in std::mem::take(&mut done.report.handed_over) {
            done.replaced.push(place.clone());
            done.elsewhere.push(place);
        }
        Ok(())
    }

    /// Whether a server whose place is gone may still be there: its certificate counts.
    fn may_be_in_use(&self, known: &KnownPlace, now: OffsetDateTime) -> Result<bool, LedgerError> {
        self.ledger.is_valid(known.serial, now)
    }

    /// That each installation whose servers were told has the CRLs of this moment: what was not yet read when they were
    /// told may have been exchanged by somebody else.
    fn check_crls(&self, now: OffsetDateTime, done: &mut Revocation) -> Result<(), AuthorityError> {
        let due = self.trust(Profile::Server, now)?.crls;
        for (place, _) in &done.told {
            let read = || -> Result<_, DeliverError> {
                let installation = Installation::open(&place.path, place.owner)?;
                let current = installation.current()?.unwrap_or_default();
                Ok(installation.read(current, CRL, MAX_FILE)?)
            };
            let path = place.path.display();
            match read() {
                Ok(Some(crls)) if crls == due.as_bytes() => {}
                Ok(_) => done
                    .problems
                    .push(format!("{path}/current/{CRL} is not what was put there")),
                Err(error) => done.problems.push(error.to_string()),
            }
        }
        Ok(())
    }

    /// Ends the sessions that are meant, on every server that uses an installation of this authority; also of those who
    /// were let in by what a server had loaded before, and come to their session only now.
    pub(crate) fn end_sessions(
        &self,
        servers: &mut dyn Servers,
        is_meant: impl Fn(&Session) -> bool,
        ended: &mut Vec<Session>,
        problems: &mut Vec<String>,
    ) -> Result<(), LedgerError> {
        for known in self.ledger.places()? {
            if known.place.kind != PlaceKind::Installation {
                continue;
            }
            let path = &known.place.path;
            end(servers, path, &is_meant, ended, problems);
            problems.extend(servers.let_arrive(path));
            end(servers, path, &is_meant, ended, problems);
        }
        problems.sort_unstable();
        problems.dedup();
        Ok(())
    }
}

fn end(
    servers: &mut dyn Servers,
    installation: &Path,
    is_meant: impl Fn(&Session) -> bool,
    ended: &mut Vec<Session>,
    problems: &mut Vec<String>,
) {
    let sessions = servers.sessions(installation);
    problems.extend(sessions.unasked);
    let meant: Vec<Session> = sessions.found.into_iter().filter(is_meant).collect();
    match servers.end(&meant) {
        Ok(()) => ended.extend(meant),
        Err(why) => problems.push(why),
    }
}

fn tell(known: KnownPlace, servers: &mut dyn Servers, done: &mut Revocation) {
    let place = &known.place;
    let told = Installation::open(&place.path, place.owner)
        .map_err(DeliverError::from)
        .and_then(|installation| {
            let path = place.path.clone();
            let not_served = |why| DeliverError::NotServed {
                path,
                why: stays_to_be_taken_up(&installation, why),
            };
            let taken_up = servers.take_up_each(&installation);
            taken_up.and_then(TakenUp::whole).map_err(not_served)
        });
    match told {
        Ok(taken_up) => done.told.push((known.place, taken_up)),
        Err(error) => done.report.failed.push((known.place, Arc::new(error))),
    }
}

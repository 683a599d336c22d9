//! Revoking: a certificate goes onto its CA's CRL, the CRL to every server, and the sessions that
//! live on it end.
//!
//! The ledger has the revocation and the new CRL before any server does. Whatever fails after that,
//! the next `revoke` or `rotate` sees that an installation's CRL is out of date, and goes on.

use std::sync::Arc;

use pgpki_core::crl::{Reason, Revoked};
use pgpki_core::profile::Profile;
use pgpki_fs::{Installation, Shelf};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::credential::{certificate_file, key_file};
use crate::deliver::DeliverError;
use crate::ledger::{CaId, CaState, KnownPlace, Leaf, LedgerError, PlaceKind, Succession};
use crate::rotation::{Holds, MAX_FILE, Report, Seen, serial_in};
use crate::servers::{Servers, Session, TakenUp};

/// What a revocation did.
#[derive(Debug, Default)]
pub struct Revocation {
    /// Certificates that are on their CA's CRL now.
    pub revoked: Vec<Leaf>,
    /// Certificates that were on it before.
    pub already: Vec<Leaf>,
    /// Installations, and what the servers made of their CRLs.
    pub told: Vec<(KnownPlace, TakenUp)>,
    /// Folders of servers elsewhere, which have the new CRLs and are to be taken there.
    pub elsewhere: Vec<KnownPlace>,
    /// Places of servers that are not there any more, or could not be looked at.
    pub unreached: Vec<Seen>,
    /// Servers that were seen to refuse a revoked certificate.
    pub refused: Vec<String>,
    /// Sessions that lived on a revoked certificate and were ended.
    pub ended: Vec<Session>,
    /// What failed, place by place.
    pub report: Report,
    /// What could not be asked or ended, and why.
    pub problems: Vec<String>,
}

impl Authority {
    /// Revokes leaves, publishes the new CRLs, has `servers` take them up, and ends the sessions that live on them,
    /// unless those are to be kept. What was revoked before is published again. The authority is open alone.
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
        (done.already, done.revoked) = leaves.into_iter().partition(|leaf| leaf.revoked);
        self.record_revocation(&done.revoked, reason, now)?;
        self.publish_crls(servers, now, &mut done)?;
        let all: Vec<Leaf> = done.revoked.iter().chain(&done.already).cloned().collect();
        self.try_revoked(&all, servers, &mut done);
        if !keep_sessions {
            let is_meant = |session: &Session| {
                let mut leaves = all.iter();
                leaves.any(|leaf| session.serial == Some(leaf.serial) && self.signed(leaf, session))
            };
            let (mut ended, mut problems) = (Vec::new(), Vec::new());
            self.end_sessions(servers, is_meant, &mut ended, &mut problems)?;
            done.ended = ended;
            done.problems.append(&mut problems);
        }
        Ok(done)
    }

    /// Whether a session's certificate came from the CA that signed this leaf, as far as PostgreSQL tells.
    fn signed(&self, leaf: &Leaf, session: &Session) -> bool {
        let issuer = self.hierarchy.ca(leaf.issuer);
        issuer.is_some_and(|ca| session.is_from(&ca.facts.subject))
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
            if known.state == CaState::Revoked {
                continue;
            }
            let ca = self.issuing.unlock(&known.certificate, None)?;
            let crl = self.next_crl(&known, &ca, &change.revoked, now)?;
            change.crls.push((issuer, crl));
        }
        match change.revoked.is_empty() {
            true => Ok(()),
            false => self.succeed(change),
        }
    }

    /// Signs again what was signed by a clock that was ahead: PostgreSQL refuses every client while a CRL is not valid
    /// yet. Without a root's passphrase its CRL has to wait.
    pub(crate) fn renew_early_crls(
        &mut self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let mut change = Succession::default();
        for known in self.hierarchy.covered(now).filter(|ca| ca.crl_from > now) {
            let ca = match known.profile {
                Profile::Root => match self.roots.unlock(&known.certificate, passphrase) {
                    Ok(ca) => ca,
                    Err(_) => continue,
                },
                _ => self.issuing.unlock(&known.certificate, None)?,
            };
            let crl = self.next_crl(known, &ca, &[], now)?;
            change.crls.push((known.id, crl));
        }
        match change.crls.is_empty() {
            true => Ok(()),
            false => self.succeed(change),
        }
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
                (Holds::Expected, PlaceKind::Installation) => {
                    tell(seen.known, servers, done);
                }
                (Holds::Expected, PlaceKind::Folder) => done.elsewhere.push(seen.known),
                _ => done.unreached.push(seen),
            }
        }
        for (known, live) in std::mem::take(&mut done.report.refreshed) {
            match known.place.kind {
                PlaceKind::Installation => done.told.push((known, live.taken_up)),
                PlaceKind::Folder => done.elsewhere.push(known),
            }
        }
        Ok(())
    }

    /// Comes to the servers with the revoked certificates whose keys are at hand, to see them refused.
    fn try_revoked(&self, leaves: &[Leaf], servers: &mut dyn Servers, done: &mut Revocation) {
        for (certificate, key) in leaves.iter().filter_map(held) {
            for (known, taken_up) in &done.told {
                if taken_up.proven.is_empty() {
                    continue;
                }
                let place = &known.place;
                let Ok(installation) = Installation::open(&place.path, place.owner) else {
                    continue;
                };
                match servers.refuse(&installation, &certificate, &key) {
                    Ok(mut refused) => done.refused.append(&mut refused),
                    Err(why) => done.problems.push(why),
                }
            }
        }
        done.refused.sort_unstable();
        done.refused.dedup();
    }

    /// Ends the sessions that are meant, on every server that uses an installation of this authority.
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
            let sessions = servers.sessions(&known.place.path);
            problems.extend(sessions.unasked);
            let meant: Vec<Session> = sessions.found.into_iter().filter(&is_meant).collect();
            match servers.end(&meant) {
                Ok(()) => ended.extend(meant),
                Err(why) => problems.push(why),
            }
        }
        Ok(())
    }
}

fn tell(known: KnownPlace, servers: &mut dyn Servers, done: &mut Revocation) {
    let place = &known.place;
    let told = Installation::open(&place.path, place.owner)
        .map_err(DeliverError::from)
        .and_then(|installation| {
            let path = place.path.clone();
            let not_served = |why| DeliverError::NotServed { path, why };
            let taken_up = servers.take_up(&installation);
            taken_up.and_then(TakenUp::whole).map_err(not_served)
        });
    match told {
        Ok(taken_up) => done.told.push((known, taken_up)),
        Err(error) => done.report.failed.push((known.place, Arc::new(error))),
    }
}

/// A revoked certificate with its key, PEM, where they are still in the folder that they were put into.
fn held(leaf: &Leaf) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    let path = leaf
        .place
        .as_deref()
        .filter(|_| leaf.profile == Profile::Client)?;
    let shelf = Shelf::open(path.parent()?).ok()?;
    let read = |name| shelf.read(path.file_name()?, name, MAX_FILE).ok().flatten();
    let certificate = read(certificate_file(leaf.profile))?;
    let key = Zeroizing::new(read(key_file(leaf.profile))?);
    (serial_in(&certificate) == Some(leaf.serial)).then_some((certificate, key))
}

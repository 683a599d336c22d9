//! The end of a change of roots: who still depends on the old one, and retiring it, or going back to
//! it.

use pgpki_core::profile::Profile;
use time::OffsetDateTime;

use crate::authority::Authority;
use crate::ledger::{KnownCa, Leaf, LedgerError, PlaceKind};
use crate::rotation::{Report, Request};
use crate::servers::{Servers, Session};
use crate::succession::SuccessionError;

/// Who depends on a root that is to be retired.
#[derive(Debug, Default)]
pub struct Dependents {
    /// Certificates that count, may be in use, and lead to no other root.
    pub certificates: Vec<Leaf>,
    /// Sessions that came in with a certificate that leads to no other root.
    pub sessions: Vec<Session>,
    /// Servers that could not be asked for their sessions, and why.
    pub unasked: Vec<String>,
}

impl Dependents {
    /// Whether the root can be retired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.sessions.is_empty() && self.unasked.is_empty()
    }
}

impl Authority {
    /// Who depends on the root that is being replaced. Changes nothing.
    ///
    /// # Errors
    /// No root is being replaced.
    pub fn dependents(
        &self,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Dependents, SuccessionError> {
        let (newest, _) = self.roots_in_change(now)?;
        let mut found = Dependents::default();
        let old = |ca: &&KnownCa| ca.profile == Profile::Issuing && ca.parent != Some(newest);
        let old: Vec<&KnownCa> = self.hierarchy.covered(now).filter(old).collect();
        // What a revoked one has signed, nobody accepts any more; a session may live on it all the same.
        for ca in old.iter().filter(|ca| !ca.state.is_revoked()) {
            found
                .certificates
                .extend(self.ledger.in_use_of(ca.id, now)?);
        }
        for known in self.ledger.places()? {
            if known.place.kind != PlaceKind::Installation {
                continue;
            }
            let sessions = servers.sessions(&known.place.path);
            found.unasked.extend(sessions.unasked);
            for session in sessions.found {
                if self.came_through(&session, &old)? {
                    found.sessions.push(session);
                }
            }
        }
        Ok(found)
    }

    /// Whether a session's certificate was signed by one of these. One that the ledger does not know, or that has the
    /// serial number of another one, is judged by its issuer's name, of which PostgreSQL may not keep all.
    pub(crate) fn came_through(
        &self,
        session: &Session,
        cas: &[&KnownCa],
    ) -> Result<bool, LedgerError> {
        let leaf = match session.serial {
            Some(serial) => self.ledger.leaf(serial)?,
            None => None,
        };
        let issuer = leaf.and_then(|leaf| self.hierarchy.ca(leaf.issuer));
        let issuer = issuer.filter(|ca| session.is_from(&ca.name_in_sessions()));
        Ok(cas.iter().any(|ca| match issuer {
            Some(issuer) => issuer.id == ca.id,
            None => session.is_from(&ca.name_in_sessions()),
        }))
    }

    /// Retires the old root: from now on only the new one is trusted. Who depends on the old one is for the caller to
    /// ask first. The authority is open alone.
    ///
    /// # Errors
    /// No root is being replaced, or the authority cannot be used.
    pub fn finish(
        &mut self,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Report, SuccessionError> {
        self.finish_root(now)?;
        self.follow(servers, now, progress)
    }

    /// Goes back to the old root: servers get certificates under it at once, clients as well where their folders are
    /// known. The authority is open alone.
    ///
    /// # Errors
    /// No root is being replaced, or the authority cannot be used.
    pub fn undo(
        &mut self,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Report, SuccessionError> {
        self.undo_root(now)?;
        self.follow(servers, now, progress)
    }

    fn follow(
        &mut self,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Report, SuccessionError> {
        let mut report = Report::default();
        let request = Request::default();
        self.rotate_places(&request, servers, now, progress, &mut report)?;
        Ok(report)
    }
}

//! Servers that are tried: whether they refuse what their CRLs list is seen with a witness of each list, whatever their
//! logs say.

use std::collections::BTreeSet;
use std::path::Path;

use pgpki_core::crl::Named;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_fs::Installation;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::credential::chain;
use crate::ledger::{KnownCa, LedgerError};
use crate::servers::{Doubt, Servers, Session, Sessions, TakenUp, Tried, Unsure};

/// Whether a person may be asked for what opens a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// It was needed anyway.
    Allowed,
    /// Nothing may be due.
    Forbidden,
}

/// A witness of a CRL of a CA's ([`pgpki_core::crl::Witness`]).
pub struct Witness {
    /// The certificate and its chain, PEM.
    pub certificate: String,
    /// Its key, PKCS#8 in PEM.
    pub key: Zeroizing<String>,
}

/// Servers, and the witnesses of the CRLs that they are to load.
pub(crate) struct Witnessed<'a> {
    servers: &'a mut dyn Servers,
    /// One of each CA that lists somebody. None where one is missing: the others say nothing about its list.
    witnesses: Vec<Witness>,
    /// The servers that have refused every witness.
    pub(crate) refused: BTreeSet<String>,
}

impl Authority {
    /// With the witnesses of the CRLs of this moment.
    pub(crate) fn witnessed<'a>(
        &self,
        servers: &'a mut dyn Servers,
        asking: Asking,
        now: OffsetDateTime,
    ) -> Result<Witnessed<'a>, LedgerError> {
        Ok(Witnessed {
            servers,
            witnesses: self.witnesses_if(asking, now)?,
            refused: BTreeSet::new(),
        })
    }

    /// The witnesses of the CRLs of this moment. Where one cannot be made, such as with a key that is closed, there are
    /// none, and what is known of a server's CRLs is what it says itself. Nobody is asked for a passphrase.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn witnesses(&self, now: OffsetDateTime) -> Result<Vec<Witness>, LedgerError> {
        self.witnesses_if(Asking::Forbidden, now)
    }

    fn witnesses_if(
        &self,
        asking: Asking,
        now: OffsetDateTime,
    ) -> Result<Vec<Witness>, LedgerError> {
        let crls = self.ledger.crls()?;
        // The list of a revoked CA counts no more, and its key may be lost.
        let is_alive = |ca: &&KnownCa| ca.profile == Profile::Issuing && !ca.state.is_revoked();
        let issuing = self.hierarchy.covered(now).filter(is_alive);
        let witnesses: Option<Vec<Witness>> = issuing
            .filter_map(|known| {
                let crl = crls.iter().find(|crl| crl.ca == known.id)?;
                match Named::by(&crl.der) {
                    Named::Nobody => None,
                    Named::Witness(serial) => Some(self.witness(known, serial, asking, now)),
                    Named::Others => Some(None),
                }
            })
            .collect();
        Ok(witnesses.unwrap_or_default())
    }

    fn witness(
        &self,
        known: &KnownCa,
        serial: Serial,
        asking: Asking,
        now: OffsetDateTime,
    ) -> Option<Witness> {
        let store = &self.issuing;
        let would_ask = asking == Asking::Forbidden
            && store.key_is_encrypted(&known.certificate).ok()?
            && store.given_passphrase().ok()?.is_none();
        if would_ask {
            return None;
        }
        let ca = store.unlock(&known.certificate).ok()?;
        let organization = &self.settings().organization;
        let made = ca.witness(serial, organization, now).ok()?;
        let own = pgpki_core::pem("CERTIFICATE", &made.certificate);
        let chain = chain(&self.hierarchy, known.id, Profile::Client, now);
        Some(Witness {
            certificate: own + &chain,
            key: made.key,
        })
    }
}

impl Witnessed<'_> {
    /// What the servers of an installation make of every witness: one has refused them all, or accepts one.
    fn try_witnesses(&mut self, installation: &Installation) -> Tried {
        let mut tried = self.witnesses.iter().map(|Witness { certificate, key }| {
            let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
            self.servers.try_revoked(installation, certificate, key)
        });
        let first = tried.next().unwrap_or_default();
        let all = tried.fold(first, |mut all, next| {
            all.refused.retain(|server| next.refused.contains(server));
            all.accepted.extend(next.accepted);
            all
        });
        self.refused.extend(all.refused.iter().cloned());
        all
    }

    /// What is known of each server goes by what it does where it was tried, and by what it says of itself otherwise.
    fn judge(&mut self, installation: &Installation, mut taken_up: TakenUp) -> TakenUp {
        let tried = self.try_witnesses(installation);
        let proven = std::mem::take(&mut taken_up.proven);
        let is_accepting = |server: &String| tried.accepted.contains(server);
        let (accepting, proven): (Vec<String>, Vec<String>) =
            proven.into_iter().partition(is_accepting);
        taken_up.proven = proven;
        for it in std::mem::take(&mut taken_up.unsure) {
            match it.doubt {
                _ if tried.refused.contains(&it.server) => taken_up.proven.push(it.server),
                Doubt::Unread if is_accepting(&it.server) => {
                    taken_up.unsure.push(has_not_loaded(it.server));
                }
                Doubt::Always if is_accepting(&it.server) => taken_up.unsure.push(Unsure {
                    why: "it accepts what the CRLs list: it checks none, or has not loaded them"
                        .to_owned(),
                    ..it
                }),
                _ => taken_up.unsure.push(it),
            }
        }
        let accepting = accepting.into_iter().map(has_not_loaded);
        taken_up.unsure.extend(accepting);
        taken_up
    }
}

fn has_not_loaded(server: String) -> Unsure {
    Unsure {
        server,
        why: "it still accepts what its CRLs list: it has not loaded them, and its log may say why"
            .to_owned(),
        doubt: Doubt::Unread,
    }
}

impl Servers for Witnessed<'_> {
    fn take_up(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        let taken_up = self.servers.take_up(installation)?;
        Ok(self.judge(installation, taken_up))
    }

    fn take_up_each(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        let taken_up = self.servers.take_up_each(installation)?;
        Ok(self.judge(installation, taken_up))
    }

    /// One that accepts a witness has not taken up what is installed.
    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        let seen = self.servers.look(installation)?;
        let proven = seen.proven.clone();
        let judged = self.judge(installation, seen);
        let mut doubted = judged.unsure.iter();
        match doubted.find(|it| proven.contains(&it.server)) {
            Some(Unsure { server, .. }) => {
                Err(format!("{server} accepts a certificate that its CRLs list"))
            }
            None => Ok(judged),
        }
    }

    fn try_revoked(
        &mut self,
        installation: &Installation,
        certificate: &[u8],
        key: &[u8],
    ) -> Tried {
        self.servers.try_revoked(installation, certificate, key)
    }

    fn sessions(&mut self, installation: &Path) -> Sessions {
        self.servers.sessions(installation)
    }

    fn let_arrive(&mut self, installation: &Path) -> Vec<String> {
        self.servers.let_arrive(installation)
    }

    fn end(&mut self, sessions: &[Session]) -> Result<(), String> {
        self.servers.end(sessions)
    }
}

//! The CAs: their certificates, how they stand, and their CRLs.

use pgpki_core::crl::{Reason, Revoked};
use pgpki_core::issue::{CaFacts, Issued, subject_as_postgresql_prints_it};
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_core::validity::Validity;
use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::endorsements::{self, Endorsement};
use super::rows::{insert_certificate, instant, invalid, parsed};
use super::{Ledger, LedgerError};

/// A CA, by the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaId(pub(super) i64);

impl CaId {
    /// The number that the next CA after this one gets.
    pub(crate) fn after(last: Option<Self>) -> Self {
        Self(last.map_or(0, |last| last.0) + 1)
    }
}

/// How a CA stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaState {
    /// It was recorded, and then came to nothing, or its key is not in its place yet.
    Pending,
    /// It counts: a root is trusted, an issuing CA may sign.
    Active,
    /// A root that is no longer trusted for itself, an issuing CA that signs nothing more. What it has signed may
    /// still count.
    Retired,
    /// An issuing CA that its root has revoked, and all that it signed with it. That has not come to its end: a server
    /// may not know, a session that came in through it may go on, or nobody has been told who holds what it signed.
    Revoking,
    /// The same, and it has come to its end.
    Revoked,
}

/// A root's key, certified by the root before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cross {
    /// The root before it.
    pub parent: CaId,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// From when until when it counts.
    pub validity: Validity,
}

/// A CA, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCa {
    /// Which one.
    pub id: CaId,
    /// [`Profile::Root`] or [`Profile::Issuing`].
    pub profile: Profile,
    /// How it stands.
    pub state: CaState,
    /// The root that signed it; nothing for a root.
    pub parent: Option<CaId>,
    /// Its certificate, DER; a root's is signed by itself.
    pub certificate: Vec<u8>,
    /// What the certificate says.
    pub facts: CaFacts,
    /// A root that took over from another one has a second certificate.
    pub cross: Option<Cross>,
    /// So has an issuing CA under a CA of somebody else's.
    pub endorsement: Option<Endorsement>,
    /// The number of its last CRL; after a restore a larger one, and the next is larger again.
    pub crl_number: u64,
    /// When its last CRL begins to count.
    pub crl_from: OffsetDateTime,
}

impl KnownCa {
    /// Its name as `pg_stat_ssl.issuer_dn` has it, in full; empty where the certificate cannot be read.
    #[must_use]
    pub fn name_in_sessions(&self) -> String {
        subject_as_postgresql_prints_it(&self.certificate).unwrap_or_default()
    }
}

/// A CRL that was signed and is to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct NewCrl {
    pub(crate) number: u64,
    /// `thisUpdate`.
    pub(crate) from: OffsetDateTime,
    pub(crate) der: Vec<u8>,
}

/// A CRL of a CA.
#[derive(Clone, Debug)]
pub(crate) struct Crl {
    pub(crate) ca: CaId,
    pub(crate) der: Vec<u8>,
}

/// What changes among the CAs, in one transaction.
#[derive(Default)]
pub(crate) struct Succession {
    pub(crate) states: Vec<(CaId, CaState)>,
    /// Certificates that the CA's next CRL lists, with their ends.
    pub(crate) revoked: Vec<(CaId, Revoked, OffsetDateTime)>,
    pub(crate) crls: Vec<(CaId, NewCrl)>,
}

impl CaState {
    /// Whether its root has revoked it.
    #[must_use]
    pub fn is_revoked(self) -> bool {
        matches!(self, Self::Revoking | Self::Revoked)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Revoking => "revoking",
            Self::Revoked => "revoked",
        }
    }
}

/// A state that no version of this program writes.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no state of a CA")]
pub struct UnknownCaState(String);

impl std::str::FromStr for CaState {
    type Err = UnknownCaState;

    fn from_str(text: &str) -> Result<Self, UnknownCaState> {
        let states = [
            Self::Pending,
            Self::Active,
            Self::Retired,
            Self::Revoking,
            Self::Revoked,
        ];
        let mut states = states.into_iter();
        states
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownCaState(text.to_owned()))
    }
}

impl Ledger {
    /// Every CA, in the order in which they were made.
    pub fn cas(&self) -> Result<Vec<KnownCa>, LedgerError> {
        let mut cas = self.query(
            "SELECT id, profile, state, parent, certificate, cross_parent, cross_certificate,
                    crl_number, crl_from
             FROM cas ORDER BY id",
            [],
            known_ca,
        )?;
        for (id, endorsement) in self.endorsements()? {
            let endorsed = cas.iter_mut().find(|ca| ca.id == id);
            if let Some(ca) = endorsed {
                ca.endorsement = Some(endorsement);
            }
        }
        Ok(cas)
    }

    /// The CAs that were revoked, as SQL lists them; the numbers are the ledger's own. What they have signed is revoked
    /// with them, which stands nowhere else.
    pub(super) fn revoked_cas(&self) -> Result<String, LedgerError> {
        let found = self.query(
            "SELECT id FROM cas WHERE state IN (?1, ?2) ORDER BY id",
            [CaState::Revoking.as_str(), CaState::Revoked.as_str()],
            |row| row.get::<_, i64>(0),
        )?;
        let ids: Vec<String> = found.iter().map(i64::to_string).collect();
        Ok(ids.join(", "))
    }

    /// How many CAs of a profile there have been, whatever became of them.
    pub(crate) fn number_of_cas(&self, profile: Profile) -> Result<u32, LedgerError> {
        self.connection
            .query_row(
                "SELECT count(*) FROM cas WHERE profile = ?1",
                [profile.as_str()],
                |row| row.get(0),
            )
            .map_err(self.at())
    }

    /// The last CRL of every CA, DER.
    pub(crate) fn crls(&self) -> Result<Vec<Crl>, LedgerError> {
        self.query("SELECT id, crl FROM cas ORDER BY id", [], |row| {
            Ok(Crl {
                ca: CaId(row.get(0)?),
                der: row.get(1)?,
            })
        })
    }

    /// What the next CRL of a CA lists: the certificates that would still count at `now`.
    pub(crate) fn revoked_by(
        &self,
        ca: CaId,
        now: OffsetDateTime,
    ) -> Result<Vec<Revoked>, LedgerError> {
        self.query(
            "SELECT serial, revoked_at, reason FROM revocations
             WHERE ca = ?1 AND not_after >= ?2 ORDER BY serial",
            params![ca.0, now.unix_timestamp()],
            |row| {
                let reason: Option<u8> = row.get(2)?;
                Ok(Revoked {
                    serial: Serial::from_bytes(row.get(0)?),
                    at: instant(row, 1)?,
                    reason: reason
                        .map(Reason::try_from)
                        .transpose()
                        .map_err(invalid(2))?,
                })
            },
        )
    }

    /// Records a CA that does nothing before [`Ledger::succeed`] makes it active.
    pub(crate) fn record_ca(
        &mut self,
        parent: Option<CaId>,
        ca: &Issued,
        cross: Option<(CaId, &Issued)>,
        endorsement: Option<&Endorsement>,
        crl: &NewCrl,
    ) -> Result<CaId, LedgerError> {
        self.transaction(|t| {
            insert_certificate(t, parent, ca, false)?;
            if let Some((parent, cross)) = cross {
                insert_certificate(t, Some(parent), cross, false)?;
            }
            t.execute(
                "INSERT INTO cas (profile, state, parent, certificate, cross_parent,
                                  cross_certificate, crl_number, crl_from, crl)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    ca.profile.as_str(),
                    CaState::Pending.as_str(),
                    parent.map(|parent| parent.0),
                    ca.der,
                    cross.map(|(parent, _)| parent.0),
                    cross.map(|(_, cross)| &cross.der),
                    crl.number.cast_signed(),
                    crl.from.unix_timestamp(),
                    crl.der,
                ],
            )?;
            let id = CaId(t.last_insert_rowid());
            if let Some(endorsement) = endorsement {
                endorsements::insert(t, id, endorsement)?;
            }
            mark_replaced(t)?;
            Ok(id)
        })
    }

    /// Makes a change among the CAs: all of it, or nothing.
    pub(crate) fn succeed(&mut self, change: &Succession) -> Result<(), LedgerError> {
        self.transaction(|t| {
            for (ca, state) in &change.states {
                t.execute(
                    "UPDATE cas SET state = ?2 WHERE id = ?1",
                    params![ca.0, state.as_str()],
                )?;
            }
            revoke(t, &change.revoked)?;
            for (ca, crl) in &change.crls {
                t.execute(
                    "UPDATE cas SET crl_number = ?2, crl_from = ?3, crl = ?4 WHERE id = ?1",
                    params![
                        ca.0,
                        crl.number.cast_signed(),
                        crl.from.unix_timestamp(),
                        crl.der
                    ],
                )?;
            }
            if !change.states.is_empty() {
                mark_replaced(t)?;
            }
            Ok(())
        })
    }
}

/// What was revoked before keeps its time, and its reason unless a key turns out to be compromised.
fn revoke(t: &Connection, revoked: &[(CaId, Revoked, OffsetDateTime)]) -> rusqlite::Result<()> {
    let mut record = t.prepare(
        "INSERT INTO revocations (ca, serial, revoked_at, reason, not_after)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (ca, serial) DO UPDATE SET reason = excluded.reason WHERE ?6",
    )?;
    let mut mark = t.prepare("UPDATE certificates SET revoked = 1 WHERE serial = ?1")?;
    for (ca, revoked, not_after) in revoked {
        record.execute(params![
            ca.0,
            revoked.serial.as_bytes(),
            revoked.at.unix_timestamp(),
            revoked.reason.map(Reason::code),
            not_after.unix_timestamp(),
            revoked.reason.is_some_and(Reason::is_compromise),
        ])?;
        mark.execute([revoked.serial.as_bytes()])?;
    }
    Ok(())
}

/// Of the certificates of CAs, those count as replaced that are not the newest active one's, and
/// every cross-certificate between roots that are not both active.
fn mark_replaced(t: &Connection) -> rusqlite::Result<()> {
    let mut statement = t.prepare(
        "SELECT id, profile, state, parent, certificate, cross_parent, cross_certificate,
                crl_number, crl_from
         FROM cas ORDER BY id",
    )?;
    let cas: Vec<KnownCa> = statement
        .query_map([], known_ca)?
        .collect::<Result<_, _>>()?;
    let is_active = |id: CaId| {
        let mut cas = cas.iter();
        cas.any(|ca| ca.id == id && ca.state == CaState::Active)
    };
    let newest = |profile| {
        let mut cas = cas.iter().rev();
        cas.find(|ca| ca.profile == profile && ca.state == CaState::Active)
            .map(|ca| ca.id)
    };
    let mark = |profile: Profile, ca: &KnownCa, replaced: bool| {
        t.execute(
            "UPDATE certificates SET replaced = ?3 WHERE common_name = ?1 AND profile = ?2",
            params![ca.facts.common_name, profile.as_str(), replaced],
        )
    };
    for ca in &cas {
        mark(ca.profile, ca, newest(ca.profile) != Some(ca.id))?;
        if let Some(cross) = &ca.cross {
            mark(
                Profile::Cross,
                ca,
                !(is_active(ca.id) && is_active(cross.parent)),
            )?;
        }
    }
    Ok(())
}

fn known_ca(row: &Row<'_>) -> rusqlite::Result<KnownCa> {
    let certificate: Vec<u8> = row.get(4)?;
    let facts = CaFacts::read(&certificate).map_err(invalid(4))?;
    let parent: Option<i64> = row.get(5)?;
    let cross: Option<Vec<u8>> = row.get(6)?;
    let cross = match (parent, cross) {
        (Some(parent), Some(certificate)) => Some(Cross {
            parent: CaId(parent),
            validity: CaFacts::read(&certificate).map_err(invalid(6))?.validity,
            certificate,
        }),
        _ => None,
    };
    Ok(KnownCa {
        id: CaId(row.get(0)?),
        profile: parsed(row, 1)?,
        state: parsed(row, 2)?,
        parent: row.get::<_, Option<i64>>(3)?.map(CaId),
        certificate,
        facts,
        cross,
        endorsement: None,
        crl_number: row.get::<_, i64>(7)?.cast_unsigned(),
        crl_from: instant(row, 8)?,
    })
}

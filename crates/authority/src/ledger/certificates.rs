//! What was issued: looked up, listed and counted.

use std::path::PathBuf;

use pgpki_core::crl::Reason;
use pgpki_core::name::Role;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_core::validity::Validity;
use rusqlite::params;
use time::OffsetDateTime;

use super::rows::{instant, invalid, leaf, listed, parsed};
use super::{CaId, Ledger, LedgerError};

/// One certificate, as the ledger lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial number.
    pub serial: Serial,
    /// Its kind.
    pub profile: Profile,
    /// The subject's common name.
    pub common_name: String,
    /// The subjectAltName entries, as text.
    pub hosts: Vec<String>,
    /// From when until when it counts.
    pub validity: Validity,
    /// Whether another one has taken its place.
    pub replaced: bool,
    /// Whether it was revoked, by itself or with the CA that signed it.
    pub revoked: bool,
    /// Where it was put, unless another one was put there since.
    pub place: Option<PathBuf>,
}

/// A leaf that this authority has issued, with what is needed to revoke it, or to say who depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its serial number.
    pub serial: Serial,
    /// The CA that signed it.
    pub issuer: CaId,
    /// [`Profile::Server`] or [`Profile::Client`].
    pub profile: Profile,
    /// The subject's common name.
    pub common_name: String,
    /// From when until when it counts.
    pub validity: Validity,
    /// Whether it was revoked by itself: of one whose CA was revoked, that says all there is to say.
    pub revoked: bool,
    /// Where it was put, unless another one was put there since.
    pub place: Option<PathBuf>,
}

/// Somebody who holds a leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeafHolder {
    /// [`Profile::Server`] or [`Profile::Client`].
    pub profile: Profile,
    /// The subject's common name.
    pub common_name: String,
}

/// How many certificates there are, by what they are and how they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The kind that is counted.
    pub profile: Profile,
    /// They count, and are not due.
    pub valid: u64,
    /// They count, and should be renewed.
    pub due: u64,
    /// Another one has taken their place, and they still count.
    pub replaced: u64,
    /// They were revoked, by themselves or with their CA, and would still count otherwise.
    pub revoked: u64,
    /// They no longer count.
    pub expired: u64,
}

/// What a role had before it is issued another certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// A certificate that goes on counting.
    Live {
        /// Its end.
        until: OffsetDateTime,
    },
    /// None that counts, and at least one that was revoked.
    Revoked,
}

impl Ledger {
    /// The certificates of installations that no longer count at `now`.
    pub fn expired_installations(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<Certificate>, LedgerError> {
        let revoked = self.revoked("c.")?;
        self.query(
            &format!(
                "SELECT c.serial, c.profile, c.common_name, c.hosts, c.not_before, c.not_after,
                        c.replaced, {revoked}, p.path
                 FROM places p JOIN certificates c ON c.serial = p.serial
                 WHERE p.kind = 'installation' AND c.not_after < ?1 ORDER BY c.not_after"
            ),
            [now.unix_timestamp()],
            listed,
        )
    }

    /// Whether this authority has issued a certificate with this serial number to this name.
    pub fn has_issued(
        &self,
        serial: Serial,
        profile: Profile,
        common_name: &str,
    ) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT 1 FROM certificates
                 WHERE serial = ?1 AND profile = ?2 AND common_name = ?3",
            )
            .and_then(|mut statement| {
                statement.exists(params![serial.as_bytes(), profile.as_str(), common_name])
            })
            .map_err(self.at())
    }

    /// Whether the certificate with this serial number is one of this authority's, and counts at
    /// `now`.
    pub(crate) fn is_valid(
        &self,
        serial: Serial,
        now: OffsetDateTime,
    ) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT 1 FROM certificates WHERE serial = ?1 AND not_after >= ?2 AND revoked = 0",
            )
            .and_then(|mut statement| {
                statement.exists(params![serial.as_bytes(), now.unix_timestamp()])
            })
            .map_err(self.at())
    }

    /// Whether a certificate was revoked, in SQL: by itself, or with the CA that signed it. `of` stands before the names
    /// of its columns.
    fn revoked(&self, of: &str) -> Result<String, LedgerError> {
        let cas = self.revoked_cas()?;
        Ok(match cas.is_empty() {
            true => format!("{of}revoked"),
            // A root has no issuer.
            false => format!("({of}revoked OR ifnull({of}issuer, 0) IN ({cas}))"),
        })
    }

    /// What `role` has had until `now` that has not ended: the last client certificate that counts, or else that one was
    /// revoked. One whose CA was revoked, which is for `is_revoked` to say, does not count; that is not its holder's doing.
    pub(crate) fn earlier(
        &self,
        role: &Role,
        is_revoked: impl Fn(CaId) -> bool,
        now: OffsetDateTime,
    ) -> Result<Option<Earlier>, LedgerError> {
        let had = self.query(
            "SELECT issuer, not_after, revoked FROM certificates
             WHERE common_name = ?1 AND profile = 'client' AND not_after >= ?2
             ORDER BY not_after DESC",
            params![role.as_str(), now.unix_timestamp()],
            |row| Ok((CaId(row.get(0)?), instant(row, 1)?, row.get(2)?)),
        )?;
        let last = had
            .iter()
            .find(|(issuer, _, revoked)| !revoked && !is_revoked(*issuer));
        Ok(match last {
            Some((_, until, _)) => Some(Earlier::Live { until: *until }),
            None => had
                .iter()
                .any(|(_, _, revoked)| *revoked)
                .then_some(Earlier::Revoked),
        })
    }

    /// The certificates that end soonest, from `since` on; those that were replaced or revoked do not count.
    pub fn most_urgent(
        &self,
        since: OffsetDateTime,
        limit: usize,
    ) -> Result<Vec<Certificate>, LedgerError> {
        let revoked = self.revoked("c.")?;
        self.query(
            &certificates(
                &revoked,
                &format!(
                    "WHERE c.replaced = 0 AND NOT {revoked} AND c.not_after >= ?1
                     ORDER BY c.not_after LIMIT ?2"
                ),
            ),
            params![since.unix_timestamp(), limit as i64],
            listed,
        )
    }

    /// One page of all certificates, the soonest to end first, `after` the last one of the page
    /// before. Pages, so that no reader keeps the ledger locked while a person looks at a pager.
    pub fn page(
        &self,
        after: Option<(OffsetDateTime, Serial)>,
        limit: usize,
    ) -> Result<Vec<Certificate>, LedgerError> {
        let (end, id) = match after {
            None => (i64::MIN, 0),
            Some((end, serial)) => (end.unix_timestamp(), self.id(serial)?),
        };
        let revoked = self.revoked("c.")?;
        self.query(
            &certificates(
                &revoked,
                "WHERE (c.not_after, c.id) > (?1, ?2) ORDER BY c.not_after, c.id LIMIT ?3",
            ),
            params![end, id, limit as i64],
            listed,
        )
    }

    fn id(&self, serial: Serial) -> Result<i64, LedgerError> {
        self.connection
            .query_row(
                "SELECT id FROM certificates WHERE serial = ?1",
                [serial.as_bytes()],
                |row| row.get(0),
            )
            .map_err(self.at())
    }

    /// How many certificates there are, by profile.
    pub fn counts(&self, now: OffsetDateTime) -> Result<Vec<Count>, LedgerError> {
        let revoked = self.revoked("")?;
        // The same third as `Within::Third`, which a test compares with this.
        self.query(
            &format!(
                "SELECT profile,
                        sum(NOT {revoked} AND NOT replaced AND not_after >= ?1
                            AND not_after - (not_after - not_before) / 3 > ?1),
                        sum(NOT {revoked} AND NOT replaced AND not_after >= ?1
                            AND not_after - (not_after - not_before) / 3 <= ?1),
                        sum(NOT {revoked} AND replaced AND not_after >= ?1),
                        sum({revoked} AND not_after >= ?1),
                        sum(not_after < ?1)
                 FROM certificates GROUP BY profile ORDER BY profile"
            ),
            [now.unix_timestamp()],
            |row| {
                Ok(Count {
                    profile: parsed(row, 0)?,
                    valid: row.get::<_, i64>(1)? as u64,
                    due: row.get::<_, i64>(2)? as u64,
                    replaced: row.get::<_, i64>(3)? as u64,
                    revoked: row.get::<_, i64>(4)? as u64,
                    expired: row.get::<_, i64>(5)? as u64,
                })
            },
        )
    }

    /// The leaf with this serial number.
    pub fn leaf(&self, serial: Serial) -> Result<Option<Leaf>, LedgerError> {
        let found = self.query(
            &leaves("c.serial = ?1 AND c.profile IN ('server', 'client')"),
            [serial.as_bytes()],
            leaf,
        )?;
        Ok(found.into_iter().next())
    }

    /// Whether a CA has revoked a certificate; also one that was issued after the backup that this ledger comes from.
    pub fn is_revoked(&self, ca: CaId, serial: Serial) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached("SELECT 1 FROM revocations WHERE ca = ?1 AND serial = ?2")
            .and_then(|mut statement| statement.exists(params![ca.0, serial.as_bytes()]))
            .map_err(self.at())
    }

    /// Why a CA has revoked a certificate, where that was said.
    pub(crate) fn reason(&self, ca: CaId, serial: Serial) -> Result<Option<Reason>, LedgerError> {
        let found = self.query(
            "SELECT reason FROM revocations WHERE ca = ?1 AND serial = ?2",
            params![ca.0, serial.as_bytes()],
            |row| {
                let code: Option<u8> = row.get(0)?;
                code.map(Reason::try_from).transpose().map_err(invalid(0))
            },
        )?;
        Ok(found.into_iter().next().flatten())
    }

    /// The certificates that belong to places and were revoked.
    pub fn revoked_in_places(&self) -> Result<Vec<Serial>, LedgerError> {
        self.query(
            "SELECT c.serial FROM places p JOIN certificates c ON c.serial = p.serial
             WHERE c.revoked = 1 ORDER BY c.serial",
            [],
            |row| Ok(Serial::from_bytes(row.get(0)?)),
        )
    }

    /// Every client certificate of a role that still counts at `now`, or would if it were not revoked.
    pub fn leaves_of(&self, role: &Role, now: OffsetDateTime) -> Result<Vec<Leaf>, LedgerError> {
        self.query(
            &leaves("c.common_name = ?1 AND c.profile = 'client' AND c.not_after >= ?2"),
            params![role.as_str(), now.unix_timestamp()],
            leaf,
        )
    }

    /// The leaves that an issuing CA has signed, that still count at `now`, and that may be in use: those that were
    /// handed over may be, wherever a newer one was put; of an installation's only the one that is there.
    pub fn in_use_of(&self, issuer: CaId, now: OffsetDateTime) -> Result<Vec<Leaf>, LedgerError> {
        self.query(
            &leaves(
                "c.issuer = ?1 AND c.not_after >= ?2 AND c.profile IN ('server', 'client')
                 AND NOT c.revoked AND (c.handed_over OR NOT c.replaced)",
            ),
            params![issuer.0, now.unix_timestamp()],
            leaf,
        )
    }

    /// Whoever was handed a leaf of a CA that was revoked since, which would still count at `now`, and has been handed no
    /// other one after it; each once. Who has had it revoked by itself is not waiting for another one.
    pub fn without_another(&self, now: OffsetDateTime) -> Result<Vec<LeafHolder>, LedgerError> {
        let cas = self.revoked_cas()?;
        if cas.is_empty() {
            return Ok(Vec::new());
        }
        self.query(
            &format!(
                "SELECT DISTINCT c.profile, c.common_name FROM certificates c
                 WHERE c.not_after >= ?1 AND c.issuer IN ({cas}) AND c.handed_over AND NOT c.revoked
                       AND NOT EXISTS (
                           SELECT 1 FROM certificates later
                           WHERE later.common_name = c.common_name AND later.profile = c.profile
                                 AND later.id > c.id AND later.handed_over
                                 AND later.issuer NOT IN ({cas}))
                 ORDER BY c.profile, c.common_name"
            ),
            [now.unix_timestamp()],
            |row| {
                Ok(LeafHolder {
                    profile: parsed(row, 0)?,
                    common_name: row.get(1)?,
                })
            },
        )
    }

    /// The leaves that were handed over, still count at `now` and belong to no place, so that no rotation can renew them.
    /// A role's does not count any more once the role was handed another one like it in the last third of its time; of
    /// servers with the same names there may be several.
    pub(crate) fn elsewhere(&self, now: OffsetDateTime) -> Result<Vec<Leaf>, LedgerError> {
        let revoked = self.revoked("c.")?;
        self.query(
            &leaves(&format!(
                "c.not_after >= ?1 AND c.handed_over AND NOT c.replaced AND NOT {revoked} AND p.path IS NULL
                 AND NOT EXISTS (
                     SELECT 1 FROM certificates later
                     WHERE later.common_name = c.common_name AND later.profile = c.profile AND c.profile = 'client'
                           AND later.not_after > c.not_after AND later.handed_over AND NOT later.revoked
                           AND later.not_before >= c.not_after - (c.not_after - c.not_before) / 3
                           AND later.serial NOT IN (SELECT serial FROM places))"
            )),
            [now.unix_timestamp()],
            leaf,
        )
    }

    /// Of [`Ledger::elsewhere`] the certificates of servers.
    pub(crate) fn servers_elsewhere(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<Certificate>, LedgerError> {
        let revoked = self.revoked("c.")?;
        self.query(
            &certificates(
                &revoked,
                &format!(
                    "WHERE c.profile = 'server' AND c.not_after >= ?1 AND c.handed_over AND NOT c.replaced
                           AND NOT {revoked} AND p.path IS NULL
                     ORDER BY c.common_name, c.not_after"
                ),
            ),
            [now.unix_timestamp()],
            listed,
        )
    }

    /// The certificates of servers that may be in use at `now`, as [`Ledger::in_use_of`] has it, and who signed them.
    pub(crate) fn servers_in_use(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<(Serial, CaId)>, LedgerError> {
        self.query(
            "SELECT serial, issuer FROM certificates
             WHERE profile = 'server' AND not_after >= ?1
                   AND NOT revoked AND (handed_over OR NOT replaced)",
            [now.unix_timestamp()],
            |row| Ok((Serial::from_bytes(row.get(0)?), CaId(row.get(1)?))),
        )
    }
}

fn leaves(condition: &str) -> String {
    format!(
        "SELECT c.serial, c.issuer, c.profile, c.common_name, c.not_before, c.not_after, c.revoked, p.path
         FROM certificates c LEFT JOIN places p ON p.serial = c.serial
         WHERE {condition} ORDER BY c.common_name, c.not_after"
    )
}

/// What [`listed`] reads, `revoked` as [`Ledger::revoked`] has it.
fn certificates(revoked: &str, which: &str) -> String {
    format!(
        "SELECT c.serial, c.profile, c.common_name, c.hosts, c.not_before, c.not_after,
                c.replaced, {revoked}, p.path
         FROM certificates c LEFT JOIN places p ON p.serial = c.serial {which}"
    )
}

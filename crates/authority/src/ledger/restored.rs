//! A ledger that comes out of a backup: whether it is whole, and what it has to hear of.

use std::collections::HashSet;

use pgpki_core::serial::Serial;
use rusqlite::params;
use time::OffsetDateTime;

use super::rows::instant;
use super::{CaId, Ledger, LedgerError};

impl Ledger {
    /// Reads all of it, and looks whether every page and index is as it should be.
    pub(crate) fn check(&self) -> Result<(), LedgerError> {
        let found = self.query("PRAGMA integrity_check(1)", [], |row| {
            row.get::<_, String>(0)
        })?;
        match found.iter().all(|line| line == "ok") {
            true => Ok(()),
            false => Err(LedgerError::NotALedger {
                path: self.path.clone(),
            }),
        }
    }

    /// How many certificates it knows.
    pub(crate) fn len(&self) -> Result<u64, LedgerError> {
        let count = "SELECT count(*) FROM certificates";
        self.connection
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(self.at())
    }

    /// The end of the certificate with this serial number, whatever it is, if it is known.
    pub(crate) fn end_of(&self, serial: Serial) -> Result<Option<OffsetDateTime>, LedgerError> {
        let found = self.query(
            "SELECT not_after FROM certificates WHERE serial = ?1",
            [serial.as_bytes()],
            |row| instant(row, 0),
        )?;
        Ok(found.into_iter().next())
    }

    /// The latest instant at which something in it begins: when it was made, or some minutes before that.
    pub(crate) fn newest(&self) -> Result<Option<OffsetDateTime>, LedgerError> {
        let found = self.query(
            "SELECT max(begins) FROM (
                 SELECT max(not_before) AS begins FROM certificates
                 UNION ALL SELECT max(crl_from) FROM cas
                 UNION ALL SELECT max(revoked_at) FROM revocations)",
            [],
            |row| row.get::<_, Option<i64>>(0),
        )?;
        let newest = found.into_iter().next().flatten();
        Ok(newest.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()))
    }

    /// Has the next CRL of every CA get a number that is larger by `gap` than its last one and than `now`.
    pub(crate) fn leave_out_crl_numbers(
        &mut self,
        gap: i64,
        now: OffsetDateTime,
    ) -> Result<(), LedgerError> {
        // A ledger that somebody has made up may stand where no number follows.
        self.transaction(|t| {
            t.execute(
                "UPDATE cas SET crl_number = min(max(crl_number, ?1), ?2) + ?3",
                params![now.unix_timestamp(), i64::MAX - 2 * gap, gap],
            )
            .map(drop)
        })
    }

    /// Every certificate that a CA has revoked, those that are over included.
    pub(crate) fn ever_revoked_by(&self, ca: CaId) -> Result<HashSet<Serial>, LedgerError> {
        let found = self.query(
            "SELECT serial FROM revocations WHERE ca = ?1",
            params![ca.0],
            |row| Ok(Serial::from_bytes(row.get(0)?)),
        )?;
        Ok(found.into_iter().collect())
    }
}

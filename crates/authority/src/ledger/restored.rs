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

//! The ledger: the record of every certificate ever issued, of the CAs that signed them, and of the
//! places where some of them live. No certificate leaves the process before the ledger has it committed.
//!
//! SQLite with a rollback journal, which stays beside the ledger and is empty between two commands: then the ledger is one
//! file, and a command that only reads writes nothing at all, not even beside it.

mod cas;
mod certificates;
mod endorsements;
mod places;
mod restored;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

pub use self::cas::{CaId, CaState, Cross, KnownCa};
pub(crate) use self::cas::{Crl, NewCrl, Succession};
pub use self::certificates::{Certificate, Count, Earlier, Leaf, LeafHolder};
pub use self::endorsements::Endorsement;
pub use self::places::{KnownPlace, Place, PlaceKind, UnknownPlaceKind};

/// The name of the ledger within the home.
pub const FILE: &str = "ledger.db";

/// "pgpk" in ASCII: tells a ledger from any other SQLite database.
const APPLICATION_ID: i32 = 0x7067_706b;

/// The layout below. A ledger with a larger number than the last of these was written by a newer pgpki.
const LAYOUT: i32 = 1;

/// The same with the table of `endorsements`.
const ENDORSED_LAYOUT: i32 = 2;

/// The same with the table `next_root`.
const NEXT_ROOT_LAYOUT: i32 = 3;

/// How long a command waits for another one's transaction, which lasts milliseconds.
const BUSY: Duration = Duration::from_secs(60);

/// `certificates_by_end` holds every column that listing and counting look at, so that neither
/// reads the certificates themselves. `servers_by_end` finds the few servers among many clients.
const SCHEMA: &str = "
CREATE TABLE cas (
    id           INTEGER PRIMARY KEY,                  -- in the order in which they were made
    profile      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    parent       INTEGER,                              -- the root that signed it; NULL: a root
    certificate  BLOB    NOT NULL,
    cross_parent INTEGER,                              -- the root before it, which signed its key too
    cross_certificate BLOB,
    crl_number   INTEGER NOT NULL,
    crl_from     INTEGER NOT NULL,                     -- thisUpdate; seconds since 1970, UTC
    crl          BLOB    NOT NULL
) STRICT;

CREATE TABLE certificates (
    id           INTEGER PRIMARY KEY,
    serial       BLOB    NOT NULL UNIQUE CHECK (length(serial) = 16),
    issuer       INTEGER,                              -- of cas; NULL: signed by itself
    profile      TEXT    NOT NULL,
    common_name  TEXT    NOT NULL,
    hosts        TEXT    NOT NULL,                     -- one a line
    not_before   INTEGER NOT NULL,
    not_after    INTEGER NOT NULL,
    replaced     INTEGER NOT NULL DEFAULT 0,           -- 1: another one stands in its place
    revoked      INTEGER NOT NULL DEFAULT 0,           -- 1: see revocations
    handed_over  INTEGER NOT NULL DEFAULT 0,           -- 1: it went to a folder, and from there to who knows where
    der          BLOB    NOT NULL
) STRICT;
CREATE INDEX certificates_by_end ON certificates
    (not_after, not_before, profile, replaced, revoked, issuer, handed_over);
CREATE INDEX certificates_by_name ON certificates (common_name, profile, not_after);
CREATE INDEX servers_by_end ON certificates (not_after) WHERE profile = 'server';

CREATE TABLE revocations (
    ca           INTEGER NOT NULL,                     -- whose CRL has it
    serial       BLOB    NOT NULL CHECK (length(serial) = 16),
    revoked_at   INTEGER NOT NULL,
    reason       INTEGER,                              -- RFC 5280 section 5.3.1; NULL: unspecified
    not_after    INTEGER NOT NULL,                     -- of the certificate: then it leaves the CRL
    PRIMARY KEY (ca, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE places (
    path         TEXT    PRIMARY KEY,
    kind         TEXT    NOT NULL,
    profile      TEXT    NOT NULL,
    common_name  TEXT    NOT NULL,
    hosts        TEXT    NOT NULL,
    algorithm    TEXT    NOT NULL,
    days         INTEGER,                              -- NULL: what the settings say
    uid          INTEGER NOT NULL,
    gid          INTEGER NOT NULL,
    formats      TEXT    NOT NULL,                     -- such as libpq,jdbc
    passphrase_file TEXT,                              -- of a server's key; NULL: it is not encrypted
    serial       BLOB    NOT NULL CHECK (length(serial) = 16)  -- what belongs there
) STRICT, WITHOUT ROWID;
CREATE INDEX places_by_serial ON places (serial);

CREATE TABLE clusters (
    data_directory TEXT PRIMARY KEY                    -- of one that was seen to use an installation
) STRICT;
";

/// Why the ledger could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// SQLite failed.
    #[error("the ledger {}: {source}", path.display())]
    Sqlite {
        /// The ledger's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// There is no ledger.
    #[error("the ledger {} is missing", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// No database, a damaged one, or none of ours.
    #[error("{} is damaged, or not a ledger of pgpki", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error("the ledger {} was written by a newer pgpki (layout {found}, this one knows {NEXT_ROOT_LAYOUT})", path.display())]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// The number of its layout.
        found: i32,
    },
}

/// An open ledger.
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
}

impl Ledger {
    /// Lays out a new ledger in the empty file `path`, which exists with the right owner and mode.
    pub(crate) fn create(path: &Path) -> Result<Self, LedgerError> {
        let mut ledger = Self::connect(path)?;
        ledger.transaction(|t| {
            // SQLite keeps the text, and reads it again each time that the ledger is opened.
            let lines = SCHEMA.lines().filter_map(|line| line.split("--").next());
            t.execute_batch(&lines.map(str::trim).collect::<Vec<_>>().join(" "))?;
            t.pragma_update(None, "application_id", APPLICATION_ID)?;
            t.pragma_update(None, "user_version", LAYOUT)
        })?;
        Ok(ledger)
    }

    /// Opens a ledger. Reading it writes nothing.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let ledger = Self::open_alone(path)?;
        ledger
            .connection
            .execute_batch("COMMIT")
            .map_err(ledger.at())?;
        Ok(ledger)
    }

    /// [`Ledger::open`] for whoever holds the home's lock: all that is read from here to the first change is one
    /// transaction, which saves locking the file for each query. Nobody else would change anything meanwhile.
    pub(crate) fn open_alone(path: &Path) -> Result<Self, LedgerError> {
        let ledger = Self::connect(path)?;
        ledger
            .connection
            .execute_batch("BEGIN")
            .map_err(ledger.at())?;
        let number = |pragma| {
            ledger
                .connection
                .pragma_query_value(None, pragma, |row| row.get::<_, i32>(0))
                .map_err(ledger.at())
        };
        let (application_id, layout) = (number("application_id")?, number("user_version")?);
        if application_id != APPLICATION_ID {
            return Err(LedgerError::NotALedger { path: path.into() });
        }
        match layout {
            LAYOUT | ENDORSED_LAYOUT | NEXT_ROOT_LAYOUT => Ok(ledger),
            found => Err(LedgerError::Newer {
                path: path.into(),
                found,
            }),
        }
    }

    fn connect(path: &Path) -> Result<Self, LedgerError> {
        let at = |source| failed(path, source);
        // Without CREATE: the file is made elsewhere, with its mode, and a missing one is an error.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(at)?;
        connection.busy_timeout(BUSY).map_err(at)?;
        // An inode less to be made and removed each time. SQLite syncs the empty journal, so that after a power cut it does
        // not come back and undo a transaction whose certificates are already in somebody's hands.
        connection
            .pragma_update(None, "journal_mode", "TRUNCATE")
            .map_err(at)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    fn at(&self) -> impl Fn(rusqlite::Error) -> LedgerError + '_ {
        |source| failed(&self.path, source)
    }

    fn transaction<T>(
        &mut self,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let connection = &self.connection;
        let result = (|| {
            // Whoever is alone goes on in the transaction that has been read in.
            if connection.is_autocommit() {
                connection.execute_batch("BEGIN IMMEDIATE")?;
            }
            let value = act(connection)?;
            connection.execute_batch("COMMIT")?;
            Ok(value)
        })();
        if result.is_err() && !connection.is_autocommit() {
            // What went wrong first is what matters; SQLite undoes the rest when the file is closed, at the latest.
            let _ = connection.execute_batch("ROLLBACK");
        }
        result.map_err(self.at())
    }

    /// Remembers clusters by their data directories; those that are known already change nothing.
    pub(crate) fn remember_clusters(&mut self, directories: &[&str]) -> Result<(), LedgerError> {
        let known = self.clusters()?;
        let is_new = |directory: &&&str| !known.iter().any(|known| known == **directory);
        let new: Vec<_> = directories.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.transaction(|t| {
            for directory in new {
                t.execute(
                    "INSERT OR IGNORE INTO clusters (data_directory) VALUES (?1)",
                    [directory],
                )?;
            }
            Ok(())
        })
    }

    /// The data directories of clusters that were seen to use an installation.
    pub fn clusters(&self) -> Result<Vec<String>, LedgerError> {
        self.query(
            "SELECT data_directory FROM clusters ORDER BY data_directory",
            [],
            |row| row.get(0),
        )
    }

    fn query<T, P: rusqlite::Params>(
        &self,
        sql: &str,
        parameters: P,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(parameters, read)?.collect())
            .map_err(self.at())
    }
}

fn failed(path: &Path, source: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    let damaged = [ErrorCode::NotADatabase, ErrorCode::DatabaseCorrupt];
    match &source {
        rusqlite::Error::FromSqlConversionFailure(..) => LedgerError::NotALedger { path },
        rusqlite::Error::SqliteFailure(error, _) if damaged.contains(&error.code) => {
            LedgerError::NotALedger { path }
        }
        _ => LedgerError::Sqlite { path, source },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// <https://www.sqlite.org/pragma.html#pragma_synchronous>: FULL, which syncs a journal once more when it was emptied.
    const FULL: i32 = 2;

    #[test]
    fn a_commit_is_on_disk_and_leaves_an_empty_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, b"").unwrap();
        let ledger = Ledger::create(&path).unwrap();
        let number = |name| {
            ledger
                .connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
        };
        assert!(number("synchronous").unwrap() >= FULL);
        let journal = std::fs::metadata(dir.path().join("ledger.db-journal")).unwrap();
        assert_eq!(journal.len(), 0);
    }
}

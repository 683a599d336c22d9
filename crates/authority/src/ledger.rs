//! The ledger: the record of every certificate ever issued, and of the places where some of them
//! live. No certificate leaves the process before the ledger has it committed.
//!
//! SQLite with a rollback journal: between two commands the ledger is one file, and a command
//! that only reads writes nothing at all, not even beside it.

mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgpki_core::issue::{Holder, Issued};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::name::Role;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_core::validity::{Days, Validity};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};
use time::OffsetDateTime;

use self::rows::{insert_certificate, insert_place, known_place, listed, parsed, replace, text};

/// The name of the ledger within the home.
pub const FILE: &str = "ledger.db";

/// "pgpk" in ASCII: tells a ledger from any other SQLite database.
const APPLICATION_ID: i32 = 0x7067_706b;

/// The layout below. A ledger with a larger number was written by a newer pgpki.
const LAYOUT: i32 = 1;

/// How long a command waits for another one's transaction, which lasts milliseconds.
const BUSY: Duration = Duration::from_secs(60);

/// `certificates_by_end` holds every column that listing and counting look at, so that neither
/// reads the certificates themselves.
const SCHEMA: &str = "
CREATE TABLE certificates (
    id           INTEGER PRIMARY KEY,
    serial       BLOB    NOT NULL UNIQUE CHECK (length(serial) = 16),
    issuer       BLOB    CHECK (length(issuer) = 16),  -- NULL: signed by itself
    profile      TEXT    NOT NULL,
    common_name  TEXT    NOT NULL,
    hosts        TEXT    NOT NULL,                     -- one a line
    not_before   INTEGER NOT NULL,                     -- seconds since 1970, UTC
    not_after    INTEGER NOT NULL,
    replaced     INTEGER NOT NULL DEFAULT 0,           -- 1: another one stands in its place
    der          BLOB    NOT NULL
) STRICT;
CREATE INDEX certificates_by_end ON certificates (not_after, not_before, profile, replaced);
CREATE INDEX certificates_by_name ON certificates (common_name, profile, not_after);

CREATE TABLE crls (
    ca           BLOB    PRIMARY KEY CHECK (length(ca) = 16),
    number       INTEGER NOT NULL,
    not_after    INTEGER NOT NULL,                     -- the CA's own end
    der          BLOB    NOT NULL
) STRICT;

CREATE TABLE places (
    id           INTEGER PRIMARY KEY,
    path         TEXT    NOT NULL UNIQUE,
    kind         TEXT    NOT NULL,
    profile      TEXT    NOT NULL,
    common_name  TEXT    NOT NULL,
    hosts        TEXT    NOT NULL,
    algorithm    TEXT    NOT NULL,
    days         INTEGER,                              -- NULL: what the settings say
    uid          INTEGER NOT NULL,
    gid          INTEGER NOT NULL,
    serial       BLOB    NOT NULL CHECK (length(serial) = 16)  -- what belongs there
) STRICT;
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
    #[error("the ledger {} was written by a newer pgpki (layout {found}, this one knows {LAYOUT})", path.display())]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// The number of its layout.
        found: i32,
    },
}

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
    /// Where it was put, unless another one was put there since.
    pub place: Option<PathBuf>,
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
    /// They no longer count.
    pub expired: u64,
}

/// What kind of place a credential lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A directory of generations behind a `current` symlink, for a server on this machine.
    Installation,
    /// A plain folder, to be handed over.
    Folder,
}

/// A place where a credential lives, and what belongs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The installation, or the folder; absolute, without symlinks.
    pub path: PathBuf,
    /// Which of the two.
    pub kind: PlaceKind,
    /// Whom the credential there is for.
    pub holder: Holder,
    /// The kind of key that it gets.
    pub algorithm: KeyAlgorithm,
    /// How long it lasts, where that differs from the settings.
    pub days: Option<Days>,
    /// The user that owns the files.
    pub owner: pgpki_fs::Owner,
}

/// A place with the certificate that belongs there. It is recorded before it is put there, so a
/// run that was killed may have left an older one: what the place really holds is for whoever
/// looks to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// The place.
    pub place: Place,
    /// The certificate's serial number.
    pub serial: Serial,
    /// The serial number of the CA's certificate that signed it.
    pub issuer: Option<Serial>,
    /// From when until when it counts.
    pub validity: Validity,
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
            t.execute_batch(SCHEMA)?;
            t.pragma_update(None, "application_id", APPLICATION_ID)?;
            t.pragma_update(None, "user_version", LAYOUT)
        })?;
        Ok(ledger)
    }

    /// Opens a ledger. Reading it writes nothing.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let ledger = Self::connect(path)?;
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
            LAYOUT => Ok(ledger),
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
        // EXTRA, so that after a power cut a journal that was deleted does not come back and undo
        // a transaction whose certificates are already in somebody's hands.
        connection
            .pragma_update(None, "synchronous", "EXTRA")
            .map_err(at)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// Makes all that is read from here to the first change one transaction, which saves locking the file for each
    /// query. For whoever holds the home's lock: nobody else would change anything meanwhile.
    pub(crate) fn read_at_once(&self) -> Result<(), LedgerError> {
        self.connection.execute_batch("BEGIN").map_err(self.at())
    }

    fn at(&self) -> impl Fn(rusqlite::Error) -> LedgerError + '_ {
        |source| failed(&self.path, source)
    }

    fn transaction<T>(
        &mut self,
        act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let result = (|| {
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("COMMIT")?;
            }
            let transaction = self
                .connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let value = act(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })();
        result.map_err(self.at())
    }

    /// Records certificates and the places that they are about to go to, in one transaction. What
    /// belonged there before counts as replaced.
    pub(crate) fn record(
        &mut self,
        issuer: Option<Serial>,
        issued: &[(&Issued, Option<&Place>)],
    ) -> Result<(), LedgerError> {
        self.transaction(|t| {
            for (certificate, place) in issued {
                insert_certificate(t, issuer, certificate)?;
                if let Some(place) = place {
                    replace(t, &place.path)?;
                    insert_place(t, place, certificate.serial)?;
                }
            }
            Ok(())
        })
    }

    /// Takes back what was recorded for places that their certificates did not reach: each again
    /// has the certificate that it had before, or is forgotten. A place that another run has given
    /// a newer certificate meanwhile is left to it.
    pub(crate) fn take_back(
        &mut self,
        places: &[(&Path, Serial, Option<&KnownPlace>)],
    ) -> Result<(), LedgerError> {
        self.transaction(|t| {
            for (path, serial, before) in places {
                let (path, serial) = (text(path), serial.as_bytes());
                t.execute(
                    "UPDATE certificates SET replaced = 1 WHERE serial = ?1",
                    [serial],
                )?;
                let taken = t.execute(
                    "DELETE FROM places WHERE path = ?1 AND serial = ?2",
                    params![path, serial],
                )?;
                if let (1, Some(known)) = (taken, before) {
                    insert_place(t, &known.place, known.serial)?;
                    t.execute(
                        "UPDATE certificates SET replaced = 0 WHERE serial = ?1",
                        [known.serial.as_bytes()],
                    )?;
                }
            }
            Ok(())
        })
    }

    /// Records a new CA with its first CRL, in one transaction. The CA that it takes over from
    /// counts as replaced; what that one has signed does not.
    pub(crate) fn record_ca(
        &mut self,
        issuer: Option<Serial>,
        ca: &Issued,
        crl: &[u8],
        predecessor: Option<Serial>,
    ) -> Result<(), LedgerError> {
        let end = ca.validity.not_after.unix_timestamp();
        self.transaction(|t| {
            insert_certificate(t, issuer, ca)?;
            t.execute(
                "INSERT INTO crls (ca, number, not_after, der) VALUES (?1, 1, ?2, ?3)",
                params![ca.serial.as_bytes(), end, crl],
            )?;
            if let Some(predecessor) = predecessor {
                t.execute(
                    "UPDATE certificates SET replaced = 1 WHERE serial = ?1",
                    [predecessor.as_bytes()],
                )?;
            }
            Ok(())
        })
    }

    /// Takes back a CA whose key could not be stored, and which therefore will never sign.
    pub(crate) fn take_back_ca(
        &mut self,
        ca: Serial,
        predecessor: Option<Serial>,
    ) -> Result<(), LedgerError> {
        self.transaction(|t| {
            t.execute("DELETE FROM crls WHERE ca = ?1", [ca.as_bytes()])?;
            t.execute(
                "UPDATE certificates SET replaced = 1 WHERE serial = ?1",
                [ca.as_bytes()],
            )?;
            if let Some(predecessor) = predecessor {
                t.execute(
                    "UPDATE certificates SET replaced = 0 WHERE serial = ?1",
                    [predecessor.as_bytes()],
                )?;
            }
            Ok(())
        })
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

    /// How many certificates of a profile there have been.
    pub(crate) fn number_of(&self, profile: Profile) -> Result<u32, LedgerError> {
        self.connection
            .query_row(
                "SELECT count(*) FROM certificates WHERE profile = ?1",
                [profile.as_str()],
                |row| row.get(0),
            )
            .map_err(self.at())
    }

    /// Whether this authority has recorded the CA with this serial number and name, and a CRL of it.
    pub(crate) fn knows_ca(
        &self,
        serial: Serial,
        profile: Profile,
        common_name: &str,
    ) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT 1 FROM crls JOIN certificates ON serial = ca
                 WHERE ca = ?1 AND profile = ?2 AND common_name = ?3",
            )
            .and_then(|mut statement| {
                statement.exists(params![serial.as_bytes(), profile.as_str(), common_name])
            })
            .map_err(self.at())
    }

    /// The CRLs of every CA that still counts at `now`, DER; the CA that ends last comes first.
    pub fn crls(&self, now: OffsetDateTime) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.query(
            "SELECT der FROM crls WHERE not_after >= ?1 ORDER BY not_after DESC",
            [now.unix_timestamp()],
            |row| row.get(0),
        )
    }

    /// Every place that the ledger knows, by path.
    pub fn places(&self) -> Result<Vec<KnownPlace>, LedgerError> {
        self.query(
            "SELECT p.path, p.kind, p.profile, p.common_name, p.hosts, p.algorithm, p.days,
                    p.uid, p.gid, p.serial, c.issuer, c.not_before, c.not_after
             FROM places p JOIN certificates c ON c.serial = p.serial ORDER BY p.path",
            [],
            known_place,
        )
    }

    /// The certificates of installations that no longer count at `now`.
    pub fn expired_installations(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<Certificate>, LedgerError> {
        self.query(
            "SELECT c.serial, c.profile, c.common_name, c.hosts, c.not_before, c.not_after,
                    c.replaced, p.path
             FROM places p JOIN certificates c ON c.serial = p.serial
             WHERE p.kind = 'installation' AND c.not_after < ?1 ORDER BY c.not_after",
            [now.unix_timestamp()],
            listed,
        )
    }

    /// The place with this path.
    pub fn place(&self, path: &Path) -> Result<Option<KnownPlace>, LedgerError> {
        let found = self.query(
            "SELECT p.path, p.kind, p.profile, p.common_name, p.hosts, p.algorithm, p.days,
                    p.uid, p.gid, p.serial, c.issuer, c.not_before, c.not_after
             FROM places p JOIN certificates c ON c.serial = p.serial WHERE p.path = ?1",
            [text(path)],
            known_place,
        )?;
        Ok(found.into_iter().next())
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
            .prepare_cached("SELECT 1 FROM certificates WHERE serial = ?1 AND not_after >= ?2")
            .and_then(|mut statement| {
                statement.exists(params![serial.as_bytes(), now.unix_timestamp()])
            })
            .map_err(self.at())
    }

    /// The end of the last client certificate of `role` that still counts at `now`.
    pub fn live_until(
        &self,
        role: &Role,
        now: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT max(not_after) FROM certificates
                 WHERE common_name = ?1 AND profile = 'client' AND not_after >= ?2",
            )
            .and_then(|mut statement| {
                let parameters = params![role.as_str(), now.unix_timestamp()];
                statement.query_row(parameters, |row| row.get::<_, Option<i64>>(0))
            })
            .map(|end| end.and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok()))
            .map_err(self.at())
    }

    /// The certificates that end soonest, from `since` on; those that were replaced do not count.
    pub fn most_urgent(
        &self,
        since: OffsetDateTime,
        limit: usize,
    ) -> Result<Vec<Certificate>, LedgerError> {
        self.query(
            "SELECT c.serial, c.profile, c.common_name, c.hosts, c.not_before, c.not_after,
                    c.replaced, p.path
             FROM certificates c LEFT JOIN places p ON p.serial = c.serial
             WHERE c.replaced = 0 AND c.not_after >= ?1 ORDER BY c.not_after LIMIT ?2",
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
        self.query(
            "SELECT c.serial, c.profile, c.common_name, c.hosts, c.not_before, c.not_after,
                    c.replaced, p.path
             FROM certificates c LEFT JOIN places p ON p.serial = c.serial
             WHERE (c.not_after, c.id) > (?1, ?2) ORDER BY c.not_after, c.id LIMIT ?3",
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
        // The same third as `Within::Third`, which a test compares with this.
        self.query(
            "SELECT profile,
                    sum(NOT replaced AND not_after >= ?1
                        AND not_after - (not_after - not_before) / 3 > ?1),
                    sum(NOT replaced AND not_after >= ?1
                        AND not_after - (not_after - not_before) / 3 <= ?1),
                    sum(replaced AND not_after >= ?1),
                    sum(not_after < ?1)
             FROM certificates GROUP BY profile ORDER BY profile",
            [now.unix_timestamp()],
            |row| {
                Ok(Count {
                    profile: parsed(row, 0)?,
                    valid: row.get::<_, i64>(1)? as u64,
                    due: row.get::<_, i64>(2)? as u64,
                    replaced: row.get::<_, i64>(3)? as u64,
                    expired: row.get::<_, i64>(4)? as u64,
                })
            },
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

impl PlaceKind {
    /// The name used in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Folder => "folder",
        }
    }
}

/// A name that is no [`PlaceKind`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no kind of place")]
pub struct UnknownPlaceKind(String);

impl std::str::FromStr for PlaceKind {
    type Err = UnknownPlaceKind;

    fn from_str(text: &str) -> Result<Self, UnknownPlaceKind> {
        match text {
            "installation" => Ok(Self::Installation),
            "folder" => Ok(Self::Folder),
            other => Err(UnknownPlaceKind(other.to_owned())),
        }
    }
}

//! What CAs of others have certified: the second certificates of issuing CAs.
//!
//! The table is made when there is a first one. A ledger without any is one that a pgpki which does not know of them can
//! read as well.

use pgpki_core::endorsement::{IssuerChain, fingerprint};
use pgpki_core::issue::CaFacts;
use pgpki_core::name_constraints::NameConstraints;
use pgpki_core::validity::Validity;
use rusqlite::{Connection, Row, params};

use super::rows::invalid;
use super::{CaId, ENDORSED_LAYOUT, Ledger, LedgerError, NEXT_ROOT_LAYOUT};

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS endorsements (
    ca          INTEGER PRIMARY KEY, -- of cas
    certificate BLOB NOT NULL,       -- its key and name, signed by the CA of somebody else's
    chain       BLOB NOT NULL        -- that CA and those above it, one after the other
) STRICT";

/// One row, or none.
const NEXT_ROOT: &str = "CREATE TABLE IF NOT EXISTS next_root (certificate BLOB NOT NULL) STRICT";

/// An issuing CA's second certificate, from a CA that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsement {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Who signed it, and the CAs above that up to a root.
    pub chain: IssuerChain,
    /// From when until when it counts: no longer than any of the chain does.
    pub validity: Validity,
}

impl Endorsement {
    /// From a certificate (DER) and the chain of whoever signed it.
    ///
    /// # Errors
    /// It is no CA's certificate.
    pub(crate) fn new(
        certificate: Vec<u8>,
        chain: IssuerChain,
    ) -> Result<Self, pgpki_core::issue::IssueError> {
        let (validity, _) = CaFacts::read(&certificate)?.validity.cut_to(chain.until());
        Ok(Self {
            certificate,
            chain,
            validity,
        })
    }

    /// What it says, and what the CAs above it say, about the names of servers.
    #[must_use]
    pub fn constraints(&self) -> Vec<NameConstraints> {
        let own = pgpki_core::endorsement::constraints_of(&self.certificate);
        let above = self.chain.constraints().iter().cloned();
        own.into_iter().chain(above).collect()
    }

    /// Its serial number, in hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> String {
        pgpki_core::endorsement::serial_number(&self.certificate).unwrap_or_default()
    }

    /// The common name of the CA that signed it; empty where that has none.
    #[must_use]
    pub fn issuer(&self) -> String {
        common_name(self.chain.issuer())
    }

    /// The same of the root above that, and the root's SHA-256 in hexadecimal digits.
    #[must_use]
    pub fn root(&self) -> (String, String) {
        let root = self.chain.root();
        (common_name(root), fingerprint(root))
    }
}

fn common_name(certificate: &[u8]) -> String {
    let facts = CaFacts::read(certificate);
    facts.map(|facts| facts.common_name).unwrap_or_default()
}

impl Ledger {
    pub(super) fn endorsements(&self) -> Result<Vec<(CaId, Endorsement)>, LedgerError> {
        if layout(&self.connection).map_err(self.at())? < ENDORSED_LAYOUT {
            return Ok(Vec::new());
        }
        self.query(
            "SELECT ca, certificate, chain FROM endorsements ORDER BY ca",
            [],
            read,
        )
    }

    /// The root of somebody else's that clients are handed before any chain ends in it, DER.
    pub(crate) fn next_root(&self) -> Result<Option<Vec<u8>>, LedgerError> {
        if layout(&self.connection).map_err(self.at())? < NEXT_ROOT_LAYOUT {
            return Ok(None);
        }
        let roots = self.query("SELECT certificate FROM next_root", [], |row| row.get(0))?;
        Ok(roots.into_iter().next())
    }

    /// Puts this one in its place, or none.
    pub(crate) fn set_next_root(&mut self, root: Option<&[u8]>) -> Result<(), LedgerError> {
        self.transaction(|t| {
            t.execute_batch(NEXT_ROOT)?;
            raise_layout(t, NEXT_ROOT_LAYOUT)?;
            t.execute("DELETE FROM next_root", [])?;
            if let Some(root) = root {
                t.execute("INSERT INTO next_root (certificate) VALUES (?1)", [root])?;
            }
            Ok(())
        })
    }
}

fn layout(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A table that is there stays there.
fn raise_layout(t: &Connection, needed: i32) -> rusqlite::Result<()> {
    t.pragma_update(None, "user_version", layout(t)?.max(needed))
}

pub(super) fn insert(t: &Connection, ca: CaId, endorsement: &Endorsement) -> rusqlite::Result<()> {
    let lines = TABLE.lines().filter_map(|line| line.split("--").next());
    t.execute_batch(&lines.map(str::trim).collect::<Vec<_>>().join(" "))?;
    raise_layout(t, ENDORSED_LAYOUT)?;
    t.execute(
        "INSERT INTO endorsements (ca, certificate, chain) VALUES (?1, ?2, ?3)",
        params![ca.0, endorsement.certificate, endorsement.chain.to_record()],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<(CaId, Endorsement)> {
    let chain = IssuerChain::recorded(&row.get::<_, Vec<u8>>(2)?).map_err(invalid(2))?;
    let endorsement = Endorsement::new(row.get(1)?, chain).map_err(invalid(1))?;
    Ok((CaId(row.get(0)?), endorsement))
}

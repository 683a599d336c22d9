//! What is wrong with a cluster's TLS before its users find out.
//!
//! Facts are gathered first, then judged: what looks at files, asks the server or shakes hands
//! decides nothing, and each judgement is a pure function of what was seen. A healthy cluster gives
//! no finding of warning or worse. What could not be looked at is a finding of its own.

mod access;
mod certificates;
mod crls;
pub mod facts;
mod gather;
mod names;
mod passphrase;
mod reload;
mod revoked;
mod roles;
mod rules;
mod served;
mod settings;
mod unseen;

use std::path::PathBuf;

use pgpki_core::finding::Finding;
use time::OffsetDateTime;

use facts::Facts;

pub use gather::gather;

/// A finding, and what it is about: a file and perhaps its line, or a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What was found.
    pub finding: Finding,
    /// The file that it is about; escape it before it goes to a terminal.
    pub file: Option<PathBuf>,
    /// The line of the file, from 1.
    pub line: Option<u32>,
    /// The role that it is about, to the letter; escape it before it goes to a terminal.
    pub role: Option<String>,
}

/// Everything that is wrong with what was seen, or worth knowing about it.
#[must_use]
pub fn judge(facts: &Facts, now: OffsetDateTime) -> Vec<Located> {
    let certificates = certificates::judge(facts, now);
    // Where the CRL beside it tells, that is enough.
    let mut revoked = revoked::judge(facts);
    let is_told = |it: &Located| it.finding.code == "revoked";
    revoked.take_if(|_| certificates.iter().any(is_told));
    let subjects = [
        settings::judge(facts),
        access::judge(facts),
        certificates,
        passphrase::judge(facts),
        revoked.into_iter().collect(),
        crls::judge(facts),
        names::judge(facts),
        reload::judge(facts),
        served::judge(facts).into_iter().collect(),
        rules::judge(facts),
        roles::judge(facts, now),
        unseen::judge(facts),
    ];
    subjects.into_iter().flatten().collect()
}

impl From<Finding> for Located {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            file: None,
            line: None,
            role: None,
        }
    }
}

impl Located {
    /// A finding about a file.
    #[must_use]
    pub fn in_file(finding: Finding, file: impl Into<PathBuf>) -> Self {
        Self {
            file: Some(file.into()),
            ..Self::from(finding)
        }
    }

    /// A finding about a line of a file, from 1.
    #[must_use]
    pub fn at_line(finding: Finding, file: impl Into<PathBuf>, line: u32) -> Self {
        Self {
            line: Some(line),
            ..Self::in_file(finding, file)
        }
    }

    /// A finding about a role.
    #[must_use]
    pub fn of_role(finding: Finding, role: impl Into<String>) -> Self {
        Self {
            role: Some(role.into()),
            ..Self::from(finding)
        }
    }
}

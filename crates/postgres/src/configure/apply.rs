//! Carrying out a plan: written, judged by the server, and put back if it does not agree.

use std::fs::File;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use pgpki_fs::{Text, TextError};

use super::{Change, ConfigureError};
use crate::cluster::{Cluster, ClusterError, MAX_CONFIG};
use crate::sql::{Row, Session, SqlError};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server said to the new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It found nothing wrong with them.
    Accepted,
    /// It does not run: only pgpki has looked.
    NotRunning,
}

/// Files that say what they are to say, and what they said before.
#[derive(Debug)]
#[must_use = "the way back is in it"]
pub struct Applied<'a> {
    changes: &'a [Change],
    /// What the server said.
    pub judgement: Judgement,
    _alone: Flock<File>,
}

impl<'a> Applied<'a> {
    /// Writes the files and lets the server judge them. Nothing is loaded yet.
    ///
    /// # Errors
    /// A file cannot be written, or the server cannot be asked or does not accept them. What was
    /// written is put back.
    pub fn write(cluster: &Cluster, changes: &'a [Change]) -> Result<Self, ConfigureError> {
        let alone = lock(cluster)?;
        let mut session = open(cluster)?;
        // What was wrong before, such as a parameter that needs a restart, is none of ours.
        let known = match &mut session {
            Some(session) => about_settings(session)?,
            None => Vec::new(),
        };
        for (index, change) in changes.iter().enumerate() {
            let written =
                Text::exchange(&change.path, change.before.as_ref(), change.after.as_ref());
            if let Err(error) = written {
                // It may stand there all the same, where only waiting for the disk has failed.
                let written = index + usize::from(stands(change));
                put_back(&changes[..written], &error)?;
                return Err(error.into());
            }
        }
        let Some(session) = &mut session else {
            return Ok(Self {
                changes,
                judgement: Judgement::NotRunning,
                _alone: alone,
            });
        };
        // Of the rules it takes all or none, so that one that was broken before matters.
        let new = about_settings(session).and_then(|mut found| {
            found.retain(|complaint| !known.contains(complaint));
            found.extend(about_rules(session)?);
            Ok(found)
        });
        let refused = match new {
            Ok(new) if new.is_empty() => {
                return Ok(Self {
                    changes,
                    judgement: Judgement::Accepted,
                    _alone: alone,
                });
            }
            Ok(new) => ConfigureError::Rejected(new),
            Err(error) => error.into(),
        };
        put_back(changes, &refused)?;
        Err(refused)
    }

    /// Puts back what the files said before, byte for byte.
    ///
    /// # Errors
    /// A file cannot be put back; the others are.
    pub fn undo(self, because: &dyn std::fmt::Display) -> Result<(), ConfigureError> {
        put_back(self.changes, because)
    }
}

fn stands(change: &Change) -> bool {
    Text::read(&change.path, MAX_CONFIG).is_ok_and(|now| now == change.after)
}

fn put_back(changes: &[Change], because: &dyn std::fmt::Display) -> Result<(), ConfigureError> {
    let mut stuck = None;
    for change in changes.iter().rev() {
        let back = Text::exchange(&change.path, change.after.as_ref(), change.before.as_ref());
        if let Err(source) = back {
            stuck = Some((change.path.clone(), source));
        }
    }
    match stuck {
        None => Ok(()),
        Some((path, source)) => Err(stuck_at(path, source, because)),
    }
}

fn stuck_at(
    path: std::path::PathBuf,
    source: TextError,
    because: &dyn std::fmt::Display,
) -> ConfigureError {
    ConfigureError::Stuck {
        because: because.to_string(),
        path,
        source,
    }
}

/// Runs at once would sweep up each other's files. It is the data directory that is locked, so that
/// nothing is left behind; the server does not use flock(2).
fn lock(cluster: &Cluster) -> Result<Flock<File>, ConfigureError> {
    let path = || cluster.data_directory.clone();
    let directory = File::open(path()).map_err(|source| ClusterError::Io {
        path: path(),
        source,
    })?;
    Flock::lock(directory, FlockArg::LockExclusiveNonblock)
        .map_err(|_| ConfigureError::Busy(cluster.name()))
}

fn open(cluster: &Cluster) -> Result<Option<Session>, ConfigureError> {
    let Some(postmaster) = cluster.postmaster()? else {
        return Ok(None);
    };
    let socket = postmaster.socket().ok_or(ConfigureError::NoSocket)?;
    Ok(Some(Session::open(&socket, Instant::now() + PATIENCE)?))
}

/// What the server finds wrong with its parameters as they are on disk now.
fn about_settings(session: &mut Session) -> Result<Vec<String>, SqlError> {
    let settings = session.query(
        "SELECT sourcefile, sourceline, coalesce(name || ': ', '') || error \
         FROM pg_file_settings WHERE error IS NOT NULL",
    )?;
    Ok(settings.iter().map(complaint).collect())
}

/// What it finds wrong with its rules.
///
/// A broken line has no type, and may have no error either; one with both is a good line that
/// cannot match yet, such as `hostssl` while TLS is off. The name of the file is known from
/// version 16 on, which has rules in several.
fn about_rules(session: &mut Session) -> Result<Vec<String>, SqlError> {
    let rules = session.query(
        "SELECT coalesce(to_jsonb(r)->>'file_name', 'pg_hba.conf'), line_number, \
         coalesce(error, 'this line is not understood') \
         FROM pg_hba_file_rules r WHERE type IS NULL",
    )?;
    Ok(rules.iter().map(complaint).collect())
}

/// The roles that a `scram-sha-256` rule would lock out, because their password is stored as an
/// MD5 hash: the default before version 14, and what an upgrade keeps. Nothing while the server
/// does not run.
pub(super) fn roles_with_md5(cluster: &Cluster) -> Result<Vec<String>, ConfigureError> {
    let Some(mut session) = open(cluster)? else {
        return Ok(Vec::new());
    };
    let rows = session.query(
        "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'md5%' ORDER BY rolname",
    )?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

fn complaint(row: &Row) -> String {
    let column = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    format!("{}, line {}: {}", column(0), column(1), column(2))
}

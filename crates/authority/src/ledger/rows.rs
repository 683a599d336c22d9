//! What the ledger's rows mean: values to columns, columns to values.

use std::path::{Path, PathBuf};

use pgpki_core::issue::{Holder, Issued};
use pgpki_core::name::Host;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use pgpki_core::validity::{Days, Validity};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use time::OffsetDateTime;

use super::{CaId, Certificate, KnownPlace, Leaf, Place};
use crate::format::Format;

pub(super) fn insert_certificate(
    connection: &Connection,
    issuer: Option<CaId>,
    issued: &Issued,
    handed_over: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO certificates
             (serial, issuer, profile, common_name, hosts, not_before, not_after, handed_over, der)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            issued.serial.as_bytes(),
            issuer.map(|issuer| issuer.0),
            issued.profile.as_str(),
            issued.common_name,
            lines(&issued.hosts),
            issued.validity.not_before.unix_timestamp(),
            issued.validity.not_after.unix_timestamp(),
            handed_over,
            issued.der,
        ])?;
    Ok(())
}

/// The serial number of what belongs to a place. Mostly there is none, and statements that do more with a place are dear to
/// prepare.
pub(super) fn serial_at(
    connection: &Connection,
    path: &Path,
) -> rusqlite::Result<Option<[u8; 16]>> {
    connection
        .prepare_cached("SELECT serial FROM places WHERE path = ?1")?
        .query_row([text(path)], |row| row.get(0))
        .optional()
}

/// What belongs to a place does not any more.
pub(super) fn replace(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    if let Some(serial) = serial_at(connection, path)? {
        connection
            .prepare_cached("UPDATE certificates SET replaced = 1 WHERE serial = ?1")?
            .execute([serial])?;
    }
    Ok(())
}

pub(super) fn insert_place(
    connection: &Connection,
    place: &Place,
    serial: Serial,
) -> rusqlite::Result<()> {
    let (name, hosts) = match &place.holder {
        Holder::Client(role) => (role.to_string(), String::new()),
        Holder::Server(hosts) => (
            hosts.first().map(Host::to_string).unwrap_or_default(),
            lines(hosts),
        ),
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO places
             (path, kind, profile, common_name, hosts, algorithm, days, uid, gid, serial, formats, passphrase_file)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            text(&place.path),
            place.kind.as_str(),
            place.holder.profile().as_str(),
            name,
            hosts,
            place.algorithm.as_str(),
            place.days.map(Days::get),
            place.owner.uid,
            place.owner.gid,
            serial.as_bytes(),
            names(&place.formats),
            place.passphrase_file.as_deref().map(text),
        ])?;
    Ok(())
}

pub(super) fn known_place(row: &Row<'_>) -> rusqlite::Result<KnownPlace> {
    let holder = match parsed(row, 2)? {
        Profile::Client => Holder::Client(parsed(row, 3)?),
        _ => Holder::Server(hosts(row, 4)?),
    };
    let days: Option<u32> = row.get(6)?;
    Ok(KnownPlace {
        place: Place {
            path: PathBuf::from(row.get::<_, String>(0)?),
            kind: parsed(row, 1)?,
            holder,
            algorithm: parsed(row, 5)?,
            days: days.map(Days::new).transpose().map_err(invalid(6))?,
            formats: formats(row, 13)?,
            owner: pgpki_fs::Owner {
                uid: row.get(7)?,
                gid: row.get(8)?,
            },
            passphrase_file: row.get::<_, Option<String>>(14)?.map(PathBuf::from),
        },
        serial: Serial::from_bytes(row.get(9)?),
        issuer: CaId(row.get(10)?),
        validity: validity(row, 11)?,
    })
}

pub(super) fn listed(row: &Row<'_>) -> rusqlite::Result<Certificate> {
    let hosts: String = row.get(3)?;
    Ok(Certificate {
        serial: Serial::from_bytes(row.get(0)?),
        profile: parsed(row, 1)?,
        common_name: row.get(2)?,
        hosts: hosts.lines().map(str::to_owned).collect(),
        validity: validity(row, 4)?,
        replaced: row.get(6)?,
        revoked: row.get(7)?,
        place: row.get::<_, Option<String>>(8)?.map(PathBuf::from),
    })
}

pub(super) fn leaf(row: &Row<'_>) -> rusqlite::Result<Leaf> {
    Ok(Leaf {
        serial: Serial::from_bytes(row.get(0)?),
        issuer: CaId(row.get(1)?),
        profile: parsed(row, 2)?,
        common_name: row.get(3)?,
        validity: validity(row, 4)?,
        revoked: row.get(6)?,
        place: row.get::<_, Option<String>>(7)?.map(PathBuf::from),
    })
}

fn validity(row: &Row<'_>, first: usize) -> rusqlite::Result<Validity> {
    Ok(Validity {
        not_before: instant(row, first)?,
        not_after: instant(row, first + 1)?,
    })
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(row.get(column)?).map_err(invalid(column))
}

fn formats(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Format>> {
    let text: String = row.get(column)?;
    text.split(',')
        .map(|name| name.parse().map_err(invalid(column)))
        .collect()
}

/// `libpq,jdbc`.
fn names(formats: &[Format]) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
    names.join(",")
}

fn hosts(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Host>> {
    let text: String = row.get(column)?;
    text.lines()
        .map(|line| line.parse().map_err(invalid(column)))
        .collect()
}

/// A value that is stored by its name.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, String>(column)?
        .parse()
        .map_err(invalid(column))
}

/// A ledger that somebody has edited by hand.
pub(super) fn invalid<E>(column: usize) -> impl Fn(E) -> rusqlite::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    }
}

/// One name a line: none of them contains a line feed.
fn lines(hosts: &[Host]) -> String {
    let names: Vec<String> = hosts.iter().map(Host::to_string).collect();
    names.join("\n")
}

/// Paths are checked to be UTF-8 before they become places.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

//! What the server is asked. Views and columns are those of "System Catalogs" and "System Views"
//! in PostgreSQL's documentation.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::super::facts::{
    Answers, FileErrorRow, HbaErrorRow, PARAMETERS, RoleRow, SettingRow, Unseen,
};
use crate::roles::members;
use crate::sql::{Row, Session, SqlCause, SqlError, literal};

/// The first version whose `pg_hba_file_rules` names the file.
const HBA_FILE_NAME_SINCE: u32 = 16;

/// What a superuser may read and others may not.
const PRIVILEGE: &str = "42501";

pub(super) fn ask(session: &mut Session, major: u32) -> Answers {
    Answers {
        settings: rows(session, &settings_sql(), setting),
        file_errors: rows(session, FILE_ERRORS, file_error),
        hba_errors: rows(session, hba_errors_sql(major), hba_error),
        loaded: loaded(session),
        roles: rows(session, ROLES, role),
        md5: rows(session, MD5, |row| text(row, 0)),
        members: members(session).map_err(|error| unseen(&error)),
    }
}

fn settings_sql() -> String {
    let names: Vec<String> = PARAMETERS.iter().map(|name| literal(name)).collect();
    format!(
        "SELECT name, setting, boot_val, context = 'postmaster' FROM pg_settings \
         WHERE name IN ({}) AND source IN ('configuration file', 'default')",
        names.join(", ")
    )
}

const FILE_ERRORS: &str = "SELECT f.sourcefile, f.sourceline, f.name, f.error, \
     coalesce(s.context = 'postmaster', false) \
     FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name) \
     WHERE f.error IS NOT NULL ORDER BY f.seqno LIMIT 100";

/// A broken line has no type; its error may be NULL all the same.
fn hba_errors_sql(major: u32) -> &'static str {
    match major >= HBA_FILE_NAME_SINCE {
        true => {
            "SELECT file_name, line_number, error FROM pg_hba_file_rules WHERE type IS NULL LIMIT 100"
        }
        false => {
            "SELECT NULL, line_number, error FROM pg_hba_file_rules WHERE type IS NULL LIMIT 100"
        }
    }
}

const LOADED: &str = "SELECT extract(epoch FROM pg_conf_load_time())";

const ROLES: &str = "SELECT rolname, rolcanlogin, rolsuper, rolreplication, \
     CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil) END \
     FROM pg_roles ORDER BY rolname";

const MD5: &str = "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY rolname";

fn rows<T>(
    session: &mut Session,
    sql: &str,
    read: impl Fn(&Row) -> Option<T>,
) -> Result<Vec<T>, Unseen> {
    let rows = session.query(sql).map_err(|error| unseen(&error))?;
    Ok(rows.iter().filter_map(read).collect())
}

fn loaded(session: &mut Session) -> Result<OffsetDateTime, Unseen> {
    let answer = rows(session, LOADED, |row| instant(row, 0))?;
    answer.into_iter().next().ok_or_else(|| Unseen {
        why: "the server does not say when it read its files".to_owned(),
        hint: "Ask pg_conf_load_time().".to_owned(),
    })
}

fn unseen(error: &SqlError) -> Unseen {
    let hint = match &error.cause {
        SqlCause::Server(server) if server.code == PRIVILEGE => {
            "Make the role that is called like the cluster's own user a superuser, as initdb does."
        }
        _ => "Look at the server's log, and run it again.",
    };
    Unseen {
        why: error.to_string(),
        hint: hint.to_owned(),
    }
}

fn setting(row: &Row) -> Option<SettingRow> {
    Some(SettingRow {
        name: text(row, 0)?,
        value: text(row, 1).unwrap_or_default(),
        default: text(row, 2).unwrap_or_default(),
        needs_restart: is_so(row, 3),
    })
}

fn file_error(row: &Row) -> Option<FileErrorRow> {
    Some(FileErrorRow {
        file: text(row, 0).map(PathBuf::from),
        line: number(row, 1),
        name: text(row, 2),
        error: text(row, 3)?,
        needs_restart: is_so(row, 4),
    })
}

fn hba_error(row: &Row) -> Option<HbaErrorRow> {
    Some(HbaErrorRow {
        file: text(row, 0).map(PathBuf::from),
        line: number(row, 1),
        error: text(row, 2),
    })
}

fn role(row: &Row) -> Option<RoleRow> {
    Some(RoleRow {
        name: text(row, 0)?,
        can_login: is_so(row, 1),
        is_superuser: is_so(row, 2),
        may_replicate: is_so(row, 3),
        valid_until: instant(row, 4),
    })
}

fn text(row: &Row, column: usize) -> Option<String> {
    row.get(column)?.clone()
}

fn number(row: &Row, column: usize) -> Option<u32> {
    text(row, column)?.parse().ok()
}

fn is_so(row: &Row, column: usize) -> bool {
    text(row, column).as_deref() == Some("t")
}

/// Seconds since 1970 with a fraction.
fn instant(row: &Row, column: usize) -> Option<OffsetDateTime> {
    let seconds: f64 = text(row, column)?.parse().ok()?;
    let since = time::Duration::checked_seconds_f64(seconds)?;
    OffsetDateTime::UNIX_EPOCH.checked_add(since)
}

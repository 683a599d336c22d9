//! What a server says of its roles (`pg_authid`, `pg_auth_members`; "System Catalogs" in PostgreSQL's documentation).

use std::collections::{HashMap, HashSet};

use crate::sql::{Row, Session, SqlError};

/// For each role the groups that it is a member of, directly or not.
pub(crate) type Members = HashMap<String, HashSet<String>>;

const MEMBERS: &str = "WITH RECURSIVE upward (member, roleid) AS ( \
     SELECT member, roleid FROM pg_auth_members UNION \
     SELECT upward.member, m.roleid FROM upward JOIN pg_auth_members m ON m.member = upward.roleid) \
     SELECT a.rolname, b.rolname FROM upward JOIN pg_roles a ON a.oid = upward.member \
     JOIN pg_roles b ON b.oid = upward.roleid";

const LOGINS: &str = "SELECT rolname, rolreplication OR rolsuper, \
     CASE WHEN rolpassword IS NULL OR rolvaliduntil <= now() THEN 'none' \
     WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'scram' END FROM pg_authid WHERE rolcanlogin";

/// A role that may log in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleLogin {
    /// Whether it may replicate.
    pub(crate) may_replicate: bool,
    /// How its password is kept.
    pub(crate) password: Password,
}

/// How the server keeps a role's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password {
    /// There is none, or its time is over.
    None,
    /// As MD5, which is of no use where SCRAM is asked for.
    Md5,
    /// As SCRAM-SHA-256.
    Scram,
}

pub(crate) fn members(session: &mut Session) -> Result<Members, SqlError> {
    let mut members = Members::new();
    for row in session.query(MEMBERS)? {
        if let [Some(member), Some(group)] = &row[..] {
            let groups = members.entry(member.clone()).or_default();
            groups.insert(group.clone());
        }
    }
    Ok(members)
}

/// Whether a role is a group or a member of it; `None` where that is not known.
pub(crate) fn is_member(members: Option<&Members>, role: &str, group: &[u8]) -> Option<bool> {
    if role.as_bytes() == group {
        return Some(true);
    }
    let groups = members?.get(role);
    let group = std::str::from_utf8(group).ok();
    Some(group.is_some_and(|group| groups.is_some_and(|it| it.contains(group))))
}

/// The roles that may log in. Superusers alone are told.
pub(crate) fn logins(session: &mut Session) -> Result<HashMap<String, RoleLogin>, SqlError> {
    let login = |row: Row| {
        let [role, may_replicate, password] = <[Option<String>; 3]>::try_from(row).ok()?;
        let login = RoleLogin {
            may_replicate: may_replicate? == "t",
            password: match password.as_deref()? {
                "none" => Password::None,
                "md5" => Password::Md5,
                _ => Password::Scram,
            },
        };
        Some((role?, login))
    };
    let rows = session.query(LOGINS)?.into_iter();
    Ok(rows.filter_map(login).collect())
}

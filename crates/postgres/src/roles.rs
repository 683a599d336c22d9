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

const LOGINS: &str = "SELECT rolname, \
     rolpassword IS NOT NULL AND coalesce(rolvaliduntil > now(), true) FROM pg_authid WHERE rolcanlogin";

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

/// Whether a role is a group or a member of it.
pub(crate) fn is_member(members: Option<&Members>, role: &str, group: &[u8]) -> bool {
    let groups = members.and_then(|members| members.get(role));
    let group_name = std::str::from_utf8(group);
    role.as_bytes() == group
        || group_name.is_ok_and(|group| groups.is_some_and(|it| it.contains(group)))
}

/// The roles that may log in, and whether each has a password that counts now. Superusers alone are told.
pub(crate) fn logins(session: &mut Session) -> Result<HashMap<String, bool>, SqlError> {
    let login = |row: Row| {
        let [role, has_password] = <[Option<String>; 2]>::try_from(row).ok()?;
        Some((role?, has_password? == "t"))
    };
    Ok(session
        .query(LOGINS)?
        .into_iter()
        .filter_map(login)
        .collect())
}

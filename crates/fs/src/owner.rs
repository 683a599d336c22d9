//! Who a file belongs to.

use std::fmt;
use std::io;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

/// The user and the group that a file or directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Why a text names no owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// The text is not `USER` or `USER:GROUP`.
    #[error("{text:?} is not USER or USER:GROUP")]
    Form {
        /// The text as given.
        text: String,
    },
    /// This machine has no such user.
    #[error("there is no user {name:?} on this machine")]
    NoSuchUser {
        /// The name as given.
        name: String,
    },
    /// This machine has no such group.
    #[error("there is no group {name:?} on this machine")]
    NoSuchGroup {
        /// The name as given.
        name: String,
    },
    /// A bare number that is nobody's has no primary group.
    #[error("user {uid} is not known on this machine, so its group is not either")]
    NoPrimaryGroup {
        /// The number as given.
        uid: u32,
    },
    /// The user database did not answer.
    #[error("cannot look up {name:?}: {source}")]
    Lookup {
        /// The name as given.
        name: String,
        /// What the database said.
        source: io::Error,
    },
}

impl OwnerError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Form { .. } => Some("For example: postgres, postgres:ssl-cert, 999:999".into()),
            Self::NoSuchUser { .. } => {
                Some("`getent passwd` lists the users; a number with a group, as in 999:999, needs no entry".into())
            }
            Self::NoSuchGroup { .. } => Some("`getent group` lists the groups".into()),
            Self::NoPrimaryGroup { uid } => Some(format!("Name the group as well: {uid}:{uid}")),
            Self::Lookup { .. } => None,
        }
    }
}

impl Owner {
    /// The effective user and group of this process.
    #[must_use]
    pub fn caller() -> Self {
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        }
    }

    /// Reads `USER` or `USER:GROUP`, each a name or a number. Without a group, the user's primary
    /// group is taken.
    ///
    /// # Errors
    /// A user or group that this machine does not know, or a text of another form.
    pub fn parse(text: &str) -> Result<Self, OwnerError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if user.is_empty() || group.is_some_and(str::is_empty) {
            return Err(OwnerError::Form { text: text.into() });
        }
        let (uid, primary) = find_user(user)?;
        let gid = match group {
            Some(group) => find_group(group)?,
            None => primary.ok_or(OwnerError::NoPrimaryGroup { uid })?,
        };
        Ok(Self { uid, gid })
    }
}

/// Names where they resolve, numbers where they do not: `postgres:postgres`, `999:999`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => write!(f, "{}:", user.name)?,
            _ => write!(f, "{}:", self.uid)?,
        }
        match Group::from_gid(Gid::from_raw(self.gid)) {
            Ok(Some(group)) => f.write_str(&group.name),
            _ => write!(f, "{}", self.gid),
        }
    }
}

/// The user's number, and its primary group if it has an entry. A name wins over a number, as in
/// chown(1).
fn find_user(name: &str) -> Result<(u32, Option<u32>), OwnerError> {
    let lookup = |source: nix::Error| OwnerError::Lookup {
        name: name.into(),
        source: source.into(),
    };
    if let Some(user) = User::from_name(name).map_err(lookup)? {
        return Ok((user.uid.as_raw(), Some(user.gid.as_raw())));
    }
    let uid = number(name).ok_or_else(|| OwnerError::NoSuchUser { name: name.into() })?;
    let user = User::from_uid(Uid::from_raw(uid)).map_err(lookup)?;
    Ok((uid, user.map(|user| user.gid.as_raw())))
}

fn find_group(name: &str) -> Result<u32, OwnerError> {
    let lookup = |source: nix::Error| OwnerError::Lookup {
        name: name.into(),
        source: source.into(),
    };
    if let Some(group) = Group::from_name(name).map_err(lookup)? {
        return Ok(group.gid.as_raw());
    }
    number(name).ok_or_else(|| OwnerError::NoSuchGroup { name: name.into() })
}

/// A user's or group's number. The highest is none: chown(2) takes it for "leave as it is".
fn number(text: &str) -> Option<u32> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&number| number != u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        let root = Owner { uid: 0, gid: 0 };
        for text in ["root", "root:root", "0", "0:0", "root:0"] {
            assert_eq!(Owner::parse(text).unwrap(), root, "{text}");
        }
        assert_eq!(
            Owner::parse("4242:4343").unwrap(),
            Owner {
                uid: 4242,
                gid: 4343
            }
        );
        assert_eq!(root.to_string(), "root:root");
        assert_eq!(
            Owner {
                uid: 4242,
                gid: 4343
            }
            .to_string(),
            "4242:4343"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |text| Owner::parse(text).unwrap_err().to_string();
        assert_eq!(
            message("nosuch"),
            r#"there is no user "nosuch" on this machine"#
        );
        assert_eq!(
            message("root:nosuch"),
            r#"there is no group "nosuch" on this machine"#
        );
        assert!(matches!(
            Owner::parse("4242"),
            Err(OwnerError::NoPrimaryGroup { uid: 4242 })
        ));
        for text in ["", ":", "root:", ":root"] {
            assert!(
                matches!(Owner::parse(text), Err(OwnerError::Form { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn the_number_that_chown_ignores_is_nobody() {
        assert!(matches!(
            Owner::parse("4294967295:0"),
            Err(OwnerError::NoSuchUser { .. })
        ));
        assert!(matches!(
            Owner::parse("0:4294967295"),
            Err(OwnerError::NoSuchGroup { .. })
        ));
        assert!(matches!(
            Owner::parse("+5:0"),
            Err(OwnerError::NoSuchUser { .. })
        ));
    }
}

//! The operating system's user that a cluster runs as.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getgid, getuid};

/// The operating system's user that a cluster runs as and that owns its files: the caller, or
/// `postgres` when the caller is root, because PostgreSQL refuses to run as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
    /// Login name; the number in digits for a user without one.
    pub name: String,
}

impl Owner {
    /// Who a cluster started by this process will run as.
    pub fn of_new_clusters() -> Result<Self, String> {
        if getuid().is_root() {
            let user = User::from_name("postgres")
                .map_err(|error| format!("cannot look up the user postgres: {error}"))?
                .ok_or(
                    "PostgreSQL does not run as root, and there is no user postgres to run it as",
                )?;
            return Ok(Self {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
                name: user.name,
            });
        }
        Ok(Self::with_ids(getuid(), getgid()))
    }

    fn with_ids(uid: Uid, gid: Gid) -> Self {
        let name = match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            Ok(None) | Err(_) => uid.to_string(),
        };
        Self {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            name,
        }
    }

    /// Whether that is the user this process runs as already.
    pub fn is_caller(&self) -> bool {
        getuid().as_raw() == self.uid
    }

    /// Gives a file or directory to this user and group. Only root can give to another.
    pub fn take(&self, path: &Path) -> Result<(), String> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|error| format!("cannot give {} to {}: {error}", path.display(), self.name))
    }

    /// Makes `command` run as this user, with no supplementary groups.
    pub(crate) fn runs<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if self.is_caller() {
            command
        } else {
            command.uid(self.uid).gid(self.gid)
        }
    }
}

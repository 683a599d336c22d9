//! The operating system's user that a cluster runs as.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
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

    /// Whether this user can get to what is in a directory: into it and into every one above it. A
    /// directory that does not exist yet is no obstacle.
    pub fn may_enter(&self, directory: &Path) -> bool {
        self.is_caller()
            || directory
                .ancestors()
                .filter_map(|it| fs::metadata(it).ok())
                .all(|it| it.permissions().mode() & self.search_bit(&it) != 0)
    }

    /// Which of the three bits counts for this user, who has no supplementary groups.
    fn search_bit(&self, directory: &Metadata) -> u32 {
        if directory.uid() == self.uid {
            0o100
        } else if directory.gid() == self.gid {
            0o010
        } else {
            0o001
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody on this machine.
    const STRANGER: u32 = 0x7fff_fff0;

    #[test]
    fn one_closed_directory_on_the_way_keeps_another_user_out() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let stranger = |gid| Owner {
            uid: STRANGER,
            gid,
            name: "stranger".to_owned(),
        };
        let here = fs::metadata(&inner).unwrap();
        for (mode, by_anybody, by_the_group) in [
            (0o755, true, true),
            (0o711, true, true),
            (0o710, false, true),
            (0o701, true, false),
            (0o700, false, false),
        ] {
            set(top.path(), mode);
            set(&inner, mode);
            for target in [inner.clone(), inner.join("not/yet/there")] {
                assert_eq!(
                    stranger(STRANGER).may_enter(&target),
                    by_anybody,
                    "{mode:o}"
                );
                assert_eq!(
                    stranger(here.gid()).may_enter(&target),
                    by_the_group,
                    "{mode:o}"
                );
            }
            assert!(Owner::with_ids(getuid(), getgid()).may_enter(&inner));
        }
        set(&inner, 0o755);
        assert!(
            !stranger(STRANGER).may_enter(&inner),
            "the one above is closed"
        );
    }
}

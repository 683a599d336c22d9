//! One PostgreSQL server of every major version that pgpki is for.

use std::env;
use std::iter;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::owner::Owner;
use crate::programs::ServerPrograms;

/// The folder's name in cargo's target directory, so that it lasts as long as what else is built.
const IN_TARGET: &str = "postgresql";

/// For a root whose target directory nobody else can enter, not even the server's user: what can be
/// had again belongs below `/var/cache` (Filesystem Hierarchy Standard 3.0, section 5.5).
const FOR_ROOT: &str = "/var/cache/pgpki-xtask/postgresql";

/// Cargo puts one into the directory that everything is built in.
const TAG_OF_TARGET: &str = "CACHEDIR.TAG";

impl ServerPrograms {
    /// The environment variable that names the folder in which every major version has one, with
    /// programs such as `17/bin/postgres`.
    pub const VERSIONS_VARIABLE: &str = "PGPKI_TEST_PG_VERSIONS";

    /// The major versions that pgpki is tested on.
    pub const MAJORS: RangeInclusive<u32> = 13..=18;

    /// The programs of one major version, from [`ServerPrograms::folder_of_versions`]. The error
    /// says how to get them.
    ///
    /// This is for a test about that version. One for "17 and later" filters
    /// [`ServerPrograms::every`], which keeps to the one server that a run has been asked for.
    pub fn of_major(major: u32) -> Result<Self, String> {
        Self::kept_in(&Self::folder_of_versions(), major)
    }

    fn kept_in(versions: &Path, major: u32) -> Result<Self, String> {
        let folder = versions.join(major.to_string()).join("bin");
        let to_do = "`cargo xtask fetch` fetches every version that the tests use";
        match Self::in_folder(&folder) {
            Some(programs) if programs.major() == major => Ok(programs),
            Some(programs) => Err(format!(
                "{} holds PostgreSQL {}, not {major}: remove that folder; {to_do}",
                folder.display(),
                programs.major()
            )),
            None => Err(format!(
                "no PostgreSQL {major} in {} (initdb and a postgres that runs): {to_do}",
                folder.display()
            )),
        }
    }

    /// Every server that a test of all versions runs on: the machine's own
    /// ([`ServerPrograms::find`]), then one of each major version. Where a run has been asked for one
    /// server, with `cargo xtask test --pg 17` or `PGPKI_TEST_PG_BINDIR`, that one alone. Panics
    /// when any is missing.
    #[track_caller]
    pub fn every() -> Vec<Self> {
        let every: Result<_, String> = if Self::is_asked_for() {
            Self::find().map(|it| vec![it])
        } else {
            let versions = Self::folder_of_versions();
            iter::once(Self::find())
                .chain(Self::MAJORS.map(|major| Self::kept_in(&versions, major)))
                .collect()
        };
        every.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Where the versions are kept: `$PGPKI_TEST_PG_VERSIONS`, or `postgresql` in cargo's target
    /// directory, or a place outside when the user that servers run as could not get there.
    pub fn folder_of_versions() -> PathBuf {
        if let Some(folder) = env::var_os(Self::VERSIONS_VARIABLE) {
            return PathBuf::from(folder);
        }
        let usual = target_directory().join(IN_TARGET);
        match Owner::of_new_clusters() {
            Ok(owner) if !owner.may_enter(&usual) => PathBuf::from(FOR_ROOT),
            // Whoever starts a server is told what is wrong with its user.
            Ok(_) | Err(_) => usual,
        }
    }
}

/// The one that this program was built in; the workspace's, for a program that runs elsewhere, as
/// documentation tests do.
pub(crate) fn target_directory() -> PathBuf {
    let here = env::current_exe().unwrap_or_default();
    here.ancestors()
        .find(|folder| folder.join(TAG_OF_TARGET).is_file())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            Path::to_owned,
        )
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keep(versions: &Path, major: u32, answer: &str) {
        let bin = versions.join(major.to_string()).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for program in ["initdb", "postgres"] {
            fs::write(bin.join(program), format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
            fs::set_permissions(bin.join(program), Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn a_version_is_found_by_its_number() {
        let versions = tempfile::tempdir().unwrap();
        keep(versions.path(), 17, "postgres (PostgreSQL) 17.10");
        let programs = ServerPrograms::kept_in(versions.path(), 17).unwrap();
        assert_eq!(programs.major(), 17);
        assert_eq!(programs.folder(), versions.path().join("17/bin"));
    }

    #[test]
    fn a_missing_version_comes_with_the_command_that_fetches_it() {
        let versions = tempfile::tempdir().unwrap();
        let failure = ServerPrograms::kept_in(versions.path(), 16).unwrap_err();
        assert!(failure.contains("no PostgreSQL 16 in"), "{failure}");
        assert!(failure.contains("`cargo xtask fetch`"), "{failure}");
    }

    #[test]
    fn another_version_in_its_place_is_refused() {
        let versions = tempfile::tempdir().unwrap();
        keep(versions.path(), 17, "postgres (PostgreSQL) 16.14");
        let failure = ServerPrograms::kept_in(versions.path(), 17).unwrap_err();
        assert!(failure.contains("PostgreSQL 16, not 17"), "{failure}");
    }

    #[test]
    fn the_target_directory_is_the_one_this_test_was_built_in() {
        let target = target_directory();
        assert!(
            env::current_exe().unwrap().starts_with(&target),
            "{}",
            target.display()
        );
    }
}

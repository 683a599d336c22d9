//! Where the programs of a PostgreSQL server are.

use std::env;
use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian and its derivatives keep the programs, one folder per major version, off `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one PostgreSQL server version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPrograms {
    folder: PathBuf,
    major: u32,
}

impl ServerPrograms {
    /// The environment variable that names a folder with the server's programs, ahead of every other
    /// place. A run with it is about that server alone.
    pub const BINDIR_VARIABLE: &str = "PGPKI_TEST_PG_BINDIR";

    /// Looks in `$PGPKI_TEST_PG_BINDIR`, in Debian's folders (the newest version first), where
    /// `pg_config` says, and in `PATH`. The error says what to install.
    pub fn find() -> Result<Self, String> {
        if let Some(folder) = env::var_os(Self::BINDIR_VARIABLE) {
            return Self::in_folder(Path::new(&folder)).ok_or_else(|| {
                format!(
                    "{} is {}, which holds no initdb and postgres",
                    Self::BINDIR_VARIABLE,
                    folder.display()
                )
            });
        }
        newest_of_debian(Path::new(DEBIAN))
            .into_iter()
            .chain(named_by_pg_config())
            .chain(env::var_os("PATH").iter().flat_map(env::split_paths))
            .find_map(|folder| Self::in_folder(&folder))
            .ok_or_else(|| {
                format!(
                    "no PostgreSQL server is installed: `sudo apt-get install postgresql` on Debian and Ubuntu, \
                     `sudo dnf install postgresql-server` on Fedora and RHEL, \
                     or set {} to the folder that holds initdb and postgres",
                    Self::BINDIR_VARIABLE
                )
            })
    }

    /// Whether somebody has named the one server that everything is to run on.
    pub(crate) fn is_asked_for() -> bool {
        env::var_os(Self::BINDIR_VARIABLE).is_some()
    }

    pub(crate) fn in_folder(folder: &Path) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let version = Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let major = major_version(&String::from_utf8_lossy(&version.stdout))?;
        Some(Self {
            folder: folder.to_owned(),
            major,
        })
    }

    /// The folder that holds them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The path of a program by its name. One that is not beside the server (distributions may pack
    /// the client apart, and some builds have none) is the newest of Debian's, ahead of the wrapper
    /// that Debian puts into `PATH` and that chooses a version by itself; elsewhere it is left to
    /// `PATH`.
    pub fn program(&self, name: impl AsRef<OsStr>) -> PathBuf {
        iter::once(self.folder.clone())
            .chain(newest_of_debian(Path::new(DEBIAN)))
            .map(|folder| folder.join(name.as_ref()))
            .find(|path| path.is_file())
            .unwrap_or_else(|| PathBuf::from(name.as_ref()))
    }
}

impl Display for ServerPrograms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} in {}", self.major, self.folder.display())
    }
}

fn newest_of_debian(parent: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .iter()
        .map(|version| parent.join(version.to_string()).join("bin"))
        .collect()
}

fn named_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(folder.trim_end()))
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `postgres (PostgreSQL)
/// 18beta1`.
fn major_version(answer: &str) -> Option<u32> {
    let number = answer.split_once("(PostgreSQL) ")?.1;
    let digits = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions_are_read() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let parent = tempfile::tempdir().unwrap();
        for version in ["9", "16", "17", "common"] {
            fs::create_dir(parent.path().join(version)).unwrap();
        }
        let expected: Vec<PathBuf> = ["17", "16", "9"]
            .iter()
            .map(|v| parent.path().join(v).join("bin"))
            .collect();
        assert_eq!(newest_of_debian(parent.path()), expected);
    }

    #[test]
    fn a_program_that_the_server_lacks_is_another_versions() {
        let bare = tempfile::tempdir().unwrap();
        let programs = ServerPrograms {
            folder: bare.path().to_owned(),
            major: 18,
        };
        let expected = newest_of_debian(Path::new(DEBIAN))
            .into_iter()
            .map(|folder| folder.join("psql"))
            .find(|psql| psql.is_file());
        assert_eq!(
            programs.program("psql"),
            expected.unwrap_or_else(|| "psql".into())
        );
        assert_eq!(
            programs.program("no-such-program"),
            Path::new("no-such-program")
        );
        fs::write(bare.path().join("psql"), "").unwrap();
        assert_eq!(programs.program("psql"), bare.path().join("psql"));
    }

    #[test]
    fn a_server_is_found() {
        let programs = ServerPrograms::find().unwrap();
        assert!(programs.major() >= 12, "{programs:?}");
        assert!(
            programs.program("psql").is_file() || programs.program("psql") == Path::new("psql")
        );
    }
}

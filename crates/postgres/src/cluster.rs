//! Finds a cluster: its files, its version, its process, its settings.

mod disk;
mod found;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pgpki_fs::{Owner, ReadError, read_bounded};

use crate::conf::effective::{Effective, Sourced};
use crate::conf::{Conf, is_true};
use crate::postmaster::{Postmaster, PostmasterError};

pub use disk::{Disk, MAX_CONFIG};

/// Written by `initdb`: the major version.
const VERSION_FILE: &str = "PG_VERSION";

/// The first version in which all that pgpki sets exists, and the oldest that it is tested with.
pub const OLDEST: u32 = 13;

/// One PostgreSQL instance on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its data directory, absolute and without symbolic links.
    pub data_directory: PathBuf,
    /// Its `postgresql.conf`.
    pub config_file: PathBuf,
    /// Its `pg_hba.conf`.
    pub hba_file: PathBuf,
    /// Its major version.
    pub major: u32,
    /// The owner of its data directory, as whom it runs.
    pub owner: Owner,
    /// What Debian's tools call it, such as `15/main`.
    pub debian: Option<String>,
}

/// Why a cluster was not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The directory is no data directory.
    #[error("{} is not the data directory of a cluster: there is no {VERSION_FILE} in it", path.display())]
    NotADataDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// There is no such directory.
    #[error("{} does not exist", path.display())]
    NoSuchDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The version is none that can be understood.
    #[error("{} does not hold the number of a version", path.display())]
    BadVersion {
        /// The file.
        path: PathBuf,
    },
    /// The version is too old.
    #[error("the cluster in {} is PostgreSQL {major}, and {OLDEST} is the oldest that pgpki knows", path.display())]
    TooOld {
        /// Its data directory.
        path: PathBuf,
        /// Its version.
        major: u32,
    },
    /// Its `postgresql.conf` is nowhere to be found.
    #[error("the postgresql.conf of the cluster in {} was not found", path.display())]
    NoConfigFile {
        /// Its data directory.
        path: PathBuf,
    },
    /// Debian's tools know no cluster of that name.
    #[error("there is no cluster {name:?}: {} does not exist", path.display())]
    NoSuchCluster {
        /// The name as given.
        name: String,
        /// Where its configuration would be.
        path: PathBuf,
    },
    /// The name of a cluster is not of the form `15/main`.
    #[error("{0:?} does not name a cluster: it is VERSION/NAME, such as 15/main")]
    BadName(String),
    /// There is none on this machine.
    #[error("there is no PostgreSQL cluster on this machine")]
    None,
    /// There are several.
    #[error("there are several clusters on this machine: {}", names(.0))]
    Several(Vec<Cluster>),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A directory cannot be looked at.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its process cannot be told.
    #[error(transparent)]
    Postmaster(#[from] PostmasterError),
}

fn names(clusters: &[Cluster]) -> String {
    let names: Vec<_> = clusters.iter().map(Cluster::name).collect();
    names.join(", ")
}

impl ClusterError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotADataDirectory { .. } | Self::NoSuchDirectory { .. } => {
                "SHOW data_directory says where it is; --cluster 15/main names one of Debian's"
            }
            Self::NoConfigFile { .. } => {
                "Start the server, so that it can be asked, or name Debian's cluster with --cluster"
            }
            Self::NoSuchCluster { .. } | Self::BadName(_) => "pg_lsclusters lists them",
            Self::None => "Name its data directory with --pgdata",
            Self::Several(_) => "Name one with --pgdata DIR or --cluster VERSION/NAME",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "Run it as root, or as the cluster's own user"
            }
            Self::Read(error) => return error.hint(),
            Self::Postmaster(error) => return error.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Where a parameter got its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// By an argument of the server's.
    Argument {
        /// The value.
        value: String,
    },
    /// By a line of a file.
    Line(Sourced),
}

impl Given {
    /// The value as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Argument { value } => Cow::Borrowed(value),
            Self::Line(line) => line.setting.text(),
        }
    }

    /// The value as a path, byte for byte.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Argument { value } => Path::new(value),
            Self::Line(line) => Path::new(OsStr::from_bytes(&line.setting.value)),
        }
    }
}

impl Cluster {
    /// The cluster with this data directory.
    ///
    /// # Errors
    /// It is none, or its `postgresql.conf` cannot be found.
    pub fn at(data_directory: &Path) -> Result<Self, ClusterError> {
        let path = canonical(data_directory)?;
        let postmaster = Postmaster::of(&path).ok().flatten();
        let Some(config_file) = found::config_file(&path, postmaster.as_ref()) else {
            // Whoever has named something else, or may not look, is told that.
            major(&path)?;
            return Err(ClusterError::NoConfigFile { path });
        };
        Self::with(path, config_file)
    }

    /// The cluster that Debian's tools call `15/main`.
    ///
    /// # Errors
    /// There is no such cluster, or its files cannot be read.
    pub fn debian(name: &str) -> Result<Self, ClusterError> {
        let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.');
        let config_file = match name.split_once('/') {
            Some((version, cluster))
                if is_plain(version) && is_plain(cluster) && !cluster.contains('/') =>
            {
                found::debian_config_file(version, cluster)
            }
            _ => return Err(ClusterError::BadName(name.to_owned())),
        };
        if !config_file.exists() {
            return Err(ClusterError::NoSuchCluster {
                name: name.to_owned(),
                path: config_file,
            });
        }
        let data_directory = found::data_directory_of(&config_file)?;
        Self::with(canonical(&data_directory)?, config_file)
    }

    /// The only cluster on this machine.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn only() -> Result<Self, ClusterError> {
        let mut all = Self::all();
        match (all.pop(), all.is_empty()) {
            (None, _) => Err(ClusterError::None),
            (Some(cluster), true) => Ok(cluster),
            (Some(last), false) => {
                all.push(last);
                Err(ClusterError::Several(all))
            }
        }
    }

    /// Every cluster on this machine that can be found: those that run, Debian's, `$PGDATA`, and
    /// where other systems keep theirs. What cannot be read is left out.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut clusters: Vec<Self> = found::data_directories()
            .iter()
            .filter_map(|directory| Self::at(directory).ok())
            .collect();
        clusters.sort_by(|a, b| a.data_directory.cmp(&b.data_directory));
        clusters.dedup_by(|a, b| a.data_directory == b.data_directory);
        clusters
    }

    fn with(data_directory: PathBuf, config_file: PathBuf) -> Result<Self, ClusterError> {
        let major = major(&data_directory)?;
        if major < OLDEST {
            let path = data_directory;
            return Err(ClusterError::TooOld { path, major });
        }
        let metadata = fs::metadata(&data_directory).map_err(|source| ClusterError::Io {
            path: data_directory.clone(),
            source,
        })?;
        let mut cluster = Self {
            debian: found::debian_name(&config_file),
            hba_file: config_file.with_file_name("pg_hba.conf"),
            config_file,
            major,
            owner: Owner {
                uid: metadata.uid(),
                gid: metadata.gid(),
            },
            data_directory,
        };
        if let Some(given) = cluster.given("hba_file") {
            cluster.hba_file = cluster.resolve(given.path());
        }
        Ok(cluster)
    }

    /// What to call it: `15/main`, or its data directory.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.debian {
            Some(name) => name.clone(),
            None => self.data_directory.display().to_string(),
        }
    }

    /// Its process, if it runs.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn postmaster(&self) -> Result<Option<Postmaster>, ClusterError> {
        Ok(Postmaster::of(&self.data_directory)?)
    }

    /// The file that `ALTER SYSTEM` writes, which wins over every other.
    #[must_use]
    pub fn auto_file(&self) -> PathBuf {
        self.data_directory.join("postgresql.auto.conf")
    }

    /// What its configuration files say, in the server's order. A server that runs may have read
    /// an older version of them.
    #[must_use]
    pub fn effective(&self) -> Effective {
        let source = |path: PathBuf| {
            let text = read_bounded(&path, MAX_CONFIG).unwrap_or_default();
            (path, Conf::parse(&text))
        };
        let sources = [source(self.config_file.clone()), source(self.auto_file())];
        Effective::of(&sources, &mut Disk)
    }

    /// Where a parameter gets its value from, if not by default: an argument of the running
    /// server's wins over every file.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<Given> {
        let postmaster = self.postmaster().ok().flatten();
        let argument = postmaster.and_then(|process| found::argument(&process.arguments(), name));
        match argument {
            Some(value) => Some(Given::Argument { value }),
            None => self.effective().winner(name).cloned().map(Given::Line),
        }
    }

    /// How to take away what gives a parameter its value, if that wins over every file of settings.
    #[must_use]
    pub fn in_the_way(&self, name: &str, given: &Given) -> Option<String> {
        match given {
            Given::Argument { .. } => Some("Start the server without that argument".to_owned()),
            Given::Line(line) if line.file == self.auto_file() => Some(format!(
                "ALTER SYSTEM has set it; take that back with  ALTER SYSTEM RESET {name};"
            )),
            Given::Line(_) => None,
        }
    }

    /// The port that its configuration names, where it names one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.given("port")?.text().parse().ok()
    }

    /// Whether its configuration turns TLS on, with a certificate of the installation at this
    /// canonical path.
    #[must_use]
    pub fn uses(&self, installation: &Path) -> bool {
        let is_on = self
            .given("ssl")
            .is_some_and(|given| is_true(&given.text()));
        let leads_there = |given: Given| {
            let file = self.resolve(given.path()).canonicalize();
            file.is_ok_and(|file| file.starts_with(installation))
        };
        is_on && self.given("ssl_cert_file").is_some_and(leads_there)
    }

    /// Whether a canonical path lies where a cluster's configuration does: in its data directory, or
    /// where Debian's tools keep it.
    pub(crate) fn keeps(&self, path: &Path) -> bool {
        path.starts_with(&self.data_directory) || path.starts_with(found::DEBIAN)
    }

    /// A path as the server understands it: relative to its data directory.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.data_directory.join(path)
    }
}

fn canonical(path: &Path) -> Result<PathBuf, ClusterError> {
    let path = path.to_owned();
    path.canonicalize().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ClusterError::NoSuchDirectory { path },
        _ => ClusterError::Io { path, source },
    })
}

fn major(data_directory: &Path) -> Result<u32, ClusterError> {
    /// A number and a line feed.
    const MAX: u64 = 64;
    let path = data_directory.join(VERSION_FILE);
    let bytes = match read_bounded(&path, MAX) {
        Ok(bytes) => bytes,
        Err(ReadError::NotFound { .. }) => {
            let path = data_directory.to_owned();
            return Err(ClusterError::NotADataDirectory { path });
        }
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    // Before version 10 it was 9.6 and the like.
    let number = text.trim().split('.').next().unwrap_or_default();
    number
        .parse()
        .map_err(|_| ClusterError::BadVersion { path })
}

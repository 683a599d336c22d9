//! The process of a running cluster: where it listens, how it is told to reload, where it logs.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use pgpki_fs::{ReadError, read_bounded};

use crate::sql::Socket;

/// The file in which a running server says who it is; see "File Locations" and
/// `AddToDataDirLockFile` in PostgreSQL.
const PID_FILE: &str = "postmaster.pid";

/// More than that file ever takes, in bytes.
const MAX_PID_FILE: u64 = 16 << 10;

/// The most of a log that is read back, in bytes: what a reload adds is a few lines.
const MAX_LOG: u64 = 1 << 20;

/// A server that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postmaster {
    /// Its process.
    pub pid: i32,
    /// Its data directory.
    pub data_directory: PathBuf,
    /// The TCP port, which names the socket as well.
    pub port: u16,
    /// The first of its socket directories, if it has one.
    pub socket_directory: Option<PathBuf>,
    /// The first address that it listens on: a name or address, `*` for all, nothing for none.
    pub listen_address: Option<String>,
    /// Whether it has come up: a server that is still recovering answers nobody.
    pub is_ready: bool,
    /// The user it runs as.
    pub uid: Uid,
}

/// Why it could not be told whether a cluster runs, or why it could not be told to reload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostmasterError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// `postmaster.pid` is not as PostgreSQL writes it.
    #[error("{} is not as PostgreSQL writes it: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// It could not be signalled.
    #[error("cannot tell the server (process {pid}) to reload: {}", source.desc())]
    Signal {
        /// The process.
        pid: i32,
        /// Why not.
        source: Errno,
    },
}

impl PostmasterError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Signal {
                source: Errno::EPERM,
                ..
            } => Some("Run it as root, or as the cluster's own user".to_owned()),
            Self::Signal {
                source: Errno::ESRCH,
                ..
            } => Some("It has just ended: start it, or run again".to_owned()),
            Self::Read(_) => Some("Run it as root, or as the cluster's own user".to_owned()),
            _ => None,
        }
    }
}

impl Postmaster {
    /// The server that runs on a data directory, if there is one. A file that a crash left behind
    /// names a process that has gone, or is somebody else's by now.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is not PostgreSQL's.
    pub fn of(data_directory: &Path) -> Result<Option<Self>, PostmasterError> {
        let path = data_directory.join(PID_FILE);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let malformed = |what| PostmasterError::Malformed {
            path: path.clone(),
            what,
        };
        let mut lines = text.lines();
        let mut line = || lines.next().map(str::trim).unwrap_or_default();
        let pid: i32 = line()
            .parse()
            .map_err(|_| malformed("the first line is no number"))?;
        if !works_in(pid, data_directory) {
            return Ok(None);
        }
        let (_directory, _started) = (line(), line());
        // While it is starting up, the file ends here or sooner.
        let port = line().parse().unwrap_or(0);
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let socket_directory = some(line()).map(PathBuf::from);
        let listen_address = some(line());
        let _shared_memory = line();
        let status = line();
        let Ok(owner) = fs::metadata(data_directory) else {
            return Ok(None);
        };
        Ok(Some(Self {
            pid,
            data_directory: data_directory.to_owned(),
            port,
            socket_directory,
            listen_address,
            is_ready: matches!(status, "ready" | "standby"),
            uid: Uid::from_raw(owner.uid()),
        }))
    }

    /// Where it answers queries on this machine.
    #[must_use]
    pub fn socket(&self) -> Option<Socket> {
        self.socket_directory.as_ref().map(|directory| Socket {
            directory: directory.clone(),
            port: self.port,
            uid: self.uid,
        })
    }

    /// Tells it to read its configuration and its certificate again. That it was told is all that
    /// can be known from here: a reload that fails is silent.
    ///
    /// # Errors
    /// The process has gone, or is not ours to signal.
    pub fn reload(&self) -> Result<(), PostmasterError> {
        let failed = |source| PostmasterError::Signal {
            pid: self.pid,
            source,
        };
        // The number may be another process's by now.
        if !works_in(self.pid, &self.data_directory) {
            return Err(failed(Errno::ESRCH));
        }
        kill(Pid::from_raw(self.pid), Signal::SIGHUP).map_err(failed)
    }

    /// The arguments that it was started with.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        bytes
            .split(|&byte| byte == 0)
            .filter(|argument| !argument.is_empty())
            .map(|argument| OsString::from_vec(argument.to_vec()))
            .collect()
    }

    /// The end of its log, if that is a file that can be read.
    #[must_use]
    pub fn log(&self) -> Option<Log> {
        let path = collected_log(&self.data_directory).or_else(|| self.standard_error())?;
        let length = fs::metadata(&path).ok()?.len();
        Some(Log { path, from: length })
    }

    /// What the server's standard error is redirected to, as `pg_ctl -l` and Debian's
    /// `pg_ctlcluster` do.
    fn standard_error(&self) -> Option<PathBuf> {
        let link = PathBuf::from(format!("/proc/{}/fd/2", self.pid));
        let is_a_log = fs::metadata(&link).ok()?.is_file();
        let path = fs::read_link(&link).ok()?;
        (is_a_log && path.is_absolute()).then_some(path)
    }
}

/// The file that `logging_collector` writes to; see `pg_current_logfile` in PostgreSQL's
/// documentation.
fn collected_log(data_directory: &Path) -> Option<PathBuf> {
    let text = read(&data_directory.join("current_logfiles")).ok()??;
    let path = text.lines().find_map(|line| line.strip_prefix("stderr "))?;
    Some(data_directory.join(path))
}

/// Whether a process is there, has the data directory for its working directory, as a postmaster
/// has, and is of the directory's owner: he could write any other's number into the file.
fn works_in(pid: i32, data_directory: &Path) -> bool {
    let process = fs::metadata(format!("/proc/{pid}"));
    let cwd = fs::metadata(format!("/proc/{pid}/cwd"));
    match (process, cwd, fs::metadata(data_directory)) {
        (Ok(process), Ok(cwd), Ok(directory)) => {
            (cwd.dev(), cwd.ino()) == (directory.dev(), directory.ino())
                && process.uid() == directory.uid()
        }
        _ => false,
    }
}

/// Every server that runs on this machine, as far as the caller can see.
#[must_use]
pub fn running() -> Vec<Postmaster> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<Postmaster> = Vec::new();
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(directory) = fs::read_link(process.path().join("cwd")) else {
            continue;
        };
        // Its workers stand in the same directory: only the postmaster is named by the file.
        if let Ok(Some(postmaster)) = Postmaster::of(&directory)
            && postmaster.pid == pid
        {
            found.push(postmaster);
        }
    }
    found.sort_by(|a, b| a.data_directory.cmp(&b.data_directory));
    found
}

/// A server's log, from a moment on.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lines that have been added since that moment, as far as they can be read.
    #[must_use]
    pub fn since(&self) -> Vec<String> {
        let read = || -> io::Result<Vec<u8>> {
            // The server's user may have put a FIFO there meanwhile, which must not keep us.
            let mut file = fs::File::options()
                .read(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(&self.path)?;
            file.seek(io::SeekFrom::Start(self.from))?;
            let mut bytes = Vec::new();
            file.take(MAX_LOG).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::to_owned).collect()
    }
}

/// Reads a file that the server's user owns, who may have put anything there.
fn read(path: &Path) -> Result<Option<String>, ReadError> {
    match read_bounded(path, MAX_PID_FILE) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(ReadError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

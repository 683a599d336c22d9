//! The configuration files of a cluster.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use super::Cluster;
use super::builder::has_ipv6;

/// Keeps [`Cluster::sql`] working whatever rules a test sets.
const SUPERUSER_BY_SOCKET: &str = "local all postgres trust\n";

/// Replaces a configuration file as a whole, with its owner and mode: a server that is reading it
/// for an earlier reload sees the old text or the new one, never an empty file.
pub fn replace(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref().canonicalize().unwrap();
    let before = path.metadata().unwrap();
    let mut beside = OsString::from(&path);
    beside.push(".new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, before.permissions()).unwrap();
    chown(&beside, Some(before.uid()), Some(before.gid())).unwrap();
    fs::rename(beside, path).unwrap();
}

/// [`replace`] with more at the end.
pub fn append(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let before = fs::read(&path).unwrap();
    replace(path, [&before, text.as_ref()].concat());
}

impl Cluster {
    /// Replaces the lines that were added at the end of `postgresql.conf`. They count after a
    /// [`Cluster::reload`] or a [`Cluster::restart`].
    pub fn set_conf(&mut self, text: impl Into<String>) {
        self.extra_conf = text.into();
        self.write_conf();
    }

    /// Replaces `pg_hba.conf`, all but a first line that lets the superuser in by the socket. The
    /// rules count after a [`Cluster::reload`] or a [`Cluster::restart`].
    pub fn set_hba(&mut self, text: &str) {
        replace(
            self.data_dir().join("pg_hba.conf"),
            format!("{SUPERUSER_BY_SOCKET}{text}\n"),
        );
    }

    /// Writes over the file that initdb made, which keeps its owner and mode.
    pub(super) fn write_conf(&self) {
        let text = format!(
            "{}\n{}\n{}\n",
            self.pristine_conf,
            self.own_conf(),
            self.extra_conf
        );
        replace(self.data_dir().join("postgresql.conf"), text);
    }

    fn own_conf(&self) -> String {
        let addresses = if has_ipv6() {
            "127.0.0.1, ::1"
        } else {
            "127.0.0.1"
        };
        let socket_dir = self.socket_dir();
        // A list of directories: one with a comma or a space in its name is quoted for the list,
        // too.
        let socket_dirs = format!("\"{}\"", socket_dir.display()).replace('\'', "''");
        format!(
            "listen_addresses = '{addresses}'\n\
             port = {port}\n\
             unix_socket_directories = '{socket_dirs}'\n\
             # Nothing here has to survive the machine, and many of these run side by side.\n\
             fsync = off\n\
             synchronous_commit = off\n\
             full_page_writes = off\n\
             shared_buffers = 16MB\n\
             max_wal_size = 64MB\n\
             min_wal_size = 32MB\n",
            port = self.port,
        )
    }
}

//! Configuration files as they are on disk.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use pgpki_fs::{ReadError, read_bounded};

use crate::conf::files::ConfigFiles;

/// More than any configuration file takes, in bytes.
pub const MAX_CONFIG: u64 = 16 << 20;

/// Reads what a configuration includes. The server's user owns these files, so that only regular
/// ones are read, and no more than [`MAX_CONFIG`] of each.
#[derive(Debug)]
pub struct Disk;

impl ConfigFiles for Disk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        read_bounded(path, MAX_CONFIG).map_err(|error| match error {
            ReadError::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
            other => io::Error::other(other),
        })
    }

    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // Follows links, as the server does.
            if !fs::metadata(entry.path()).is_ok_and(|it| it.is_dir()) {
                names.push(entry.file_name());
            }
        }
        Ok(names)
    }
}

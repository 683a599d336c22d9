//! The files that the TLS settings name, and the way to each.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use pgpki_core::document::Document;
use pgpki_core::key_file::FileKind;
use pgpki_fs::read_bounded;
use time::OffsetDateTime;

use super::super::facts::{Absent, Configuration, FileSeen, NotRead, Status, TlsFiles, Unseen};
use crate::cluster::Cluster;

/// More than a certificate, a key or a CRL of a million entries takes, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A directory of CRLs has one for each CA.
const MAX_CRLS: usize = 1000;

pub(super) fn tls_files(cluster: &Cluster, configuration: &Configuration) -> TlsFiles {
    let path = |parameter| match configuration.given.get(parameter) {
        Some(given) => cluster.resolve(given.path()),
        None => cluster.resolve(Path::new(&configuration.value(parameter))),
    };
    let look = |parameter| look(parameter, path(parameter));
    let set = |parameter| !configuration.value(parameter).is_empty();
    TlsFiles {
        certificate: look("ssl_cert_file"),
        key: look("ssl_key_file"),
        ca: set("ssl_ca_file").then(|| look("ssl_ca_file")),
        crl: set("ssl_crl_file").then(|| look("ssl_crl_file")),
        crl_dir: set("ssl_crl_dir").then(|| crl_dir(&path("ssl_crl_dir"))),
    }
}

fn crl_dir(directory: &Path) -> Result<Vec<FileSeen>, Unseen> {
    let unseen = |error: std::io::Error| Unseen {
        why: format!("cannot list {}: {error}", directory.display()),
        hint: "Make the directory, or correct ssl_crl_dir: without it every client that presents \
               a certificate is refused."
            .to_owned(),
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unseen)?.take(MAX_CRLS) {
        paths.push(entry.map_err(unseen)?.path());
    }
    paths.sort();
    // OpenSSL looks for HASH.r0, HASH.r1 and so on.
    let is_hashed = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ending.starts_with('r'))
    };
    paths.retain(is_hashed);
    let seen = paths.into_iter().map(|path| look("ssl_crl_dir", path));
    Ok(seen.collect())
}

fn look(parameter: &'static str, path: PathBuf) -> FileSeen {
    let status = match fs::metadata(&path) {
        Ok(metadata) => Ok(Status::of(&metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Absent::Missing),
        Err(error) => Err(Absent::Unknown(error.to_string())),
    };
    let content = match read_bounded(&path, MAX_FILE) {
        Err(error) => Err(NotRead::Closed(error.to_string())),
        Ok(bytes) => Document::read(&bytes).map_err(|error| NotRead::Bad(error.to_string())),
    };
    FileSeen {
        way: way(&path),
        parameter,
        path,
        status,
        content,
    }
}

/// The directories that have to be entered: those that the path names, and those that its links
/// lead through.
fn way(path: &Path) -> Vec<(PathBuf, Status)> {
    let resolved = path.canonicalize().ok();
    let named = path.ancestors().skip(1);
    let through = resolved.iter().flat_map(|path| path.ancestors().skip(1));
    let mut directories: Vec<&Path> = named.chain(through).collect();
    directories.sort_by_key(|path| path.components().count());
    let mut seen: Vec<(PathBuf, Status)> = Vec::new();
    for directory in directories {
        let Ok(metadata) = fs::metadata(directory) else {
            continue;
        };
        if !seen.iter().any(|(path, _)| path == directory) {
            seen.push((directory.to_owned(), Status::of(&metadata)));
        }
    }
    seen
}

impl Status {
    fn of(metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        let kind = match () {
            () if kind.is_file() => FileKind::Regular,
            () if kind.is_dir() => FileKind::Directory,
            () if kind.is_fifo() => FileKind::Fifo,
            () => FileKind::Other,
        };
        Self {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified: metadata
                .modified()
                .map_or(OffsetDateTime::UNIX_EPOCH, OffsetDateTime::from),
        }
    }
}

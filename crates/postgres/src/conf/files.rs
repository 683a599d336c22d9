//! Other files that a configuration file names, as PostgreSQL looks for them (`conffiles.c`).
//! `pg_hba.conf` includes in the same way from version 16 on.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// How deep includes may be nested; the first file is at depth 0 (`CONF_FILE_MAX_DEPTH`).
pub const MAX_DEPTH: u32 = 10;

/// PostgreSQL has no such limit, and files that include each other can keep it busy for days.
pub const MAX_FILES: usize = 10_000;

/// Reads what is included. Whoever implements it bounds what it reads.
pub trait ConfigFiles {
    /// The bytes of a file; an error of kind `NotFound` where none is.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of everything in a directory but directories, in any order.
    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>>;
}

/// Where a name that stands in `calling_file` leads: it is relative to the directory of that file
/// (`AbsoluteConfigLocation`).
pub fn location(name: &[u8], calling_file: &Path) -> PathBuf {
    let name = Path::new(OsStr::from_bytes(name));
    let joined = match calling_file.parent() {
        Some(directory) => directory.join(name),
        None => name.to_owned(),
    };
    // Leaves out `.` and doubled slashes, as the server does; `..` may lead through a link and
    // stays.
    joined.components().collect()
}

/// The files of a directory that `include_dir` reads, in its order (`GetConfFilesInDir`).
pub fn files_in(directory: &Path, names: Vec<OsString>) -> Vec<PathBuf> {
    let mut names: Vec<Vec<u8>> = names
        .into_iter()
        .map(OsString::into_vec)
        .filter(|name| name.len() > 5 && !name.starts_with(b".") && name.ends_with(b".conf"))
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| directory.join(OsString::from_vec(name)))
        .collect()
}

/// Whether the server refuses this as the name of a file or directory, because it says nothing.
pub(crate) fn is_blank(name: &[u8]) -> bool {
    name.iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_file_that_they_stand_in() {
        let main = Path::new("/etc/postgresql/15/main/postgresql.conf");
        for (name, expected) in [
            ("conf.d", "/etc/postgresql/15/main/conf.d"),
            ("./conf.d/", "/etc/postgresql/15/main/conf.d"),
            ("/x//y", "/x/y"),
            ("../z", "/etc/postgresql/15/main/../z"),
        ] {
            assert_eq!(location(name.as_bytes(), main), Path::new(expected));
        }
    }

    #[test]
    fn a_directory_gives_its_conf_files_in_byte_order() {
        let names = [
            "b.conf", "B.conf", ".conf", ".a.conf", "a.conf~", "10.conf", "9.conf",
        ];
        let files = files_in(Path::new("/d"), names.map(OsString::from).to_vec());
        let expected = ["/d/10.conf", "/d/9.conf", "/d/B.conf", "/d/b.conf"];
        assert_eq!(files, expected.map(PathBuf::from));
    }
}

//! Everything below a directory, to be compared with itself later.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Larger files are compared by size and time alone.
const READ_UP_TO: u64 = 1 << 22;

/// Whether the times of directories count: making and removing something in one changes them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectoryTimes {
    Count,
    Ignored,
}

/// One line for each name below a directory: kind and mode, owner, size, time, content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    pub(crate) fn of(dir: &Path, times: DirectoryTimes) -> Self {
        let mut entries = BTreeMap::new();
        add(dir, dir, times, &mut entries);
        Self(entries)
    }

    /// What differs, one a line; empty where nothing does.
    pub(crate) fn changes_since(&self, before: &Self) -> String {
        let mut changes = String::new();
        for (name, was) in &before.0 {
            match self.0.get(name) {
                None => writeln!(changes, "removed {name}").unwrap(),
                Some(is) if is != was => {
                    writeln!(changes, "changed {name}\n  {was}\n  {is}").unwrap();
                }
                Some(_) => {}
            }
        }
        for name in self.0.keys().filter(|name| !before.0.contains_key(*name)) {
            writeln!(changes, "made {name}").unwrap();
        }
        changes
    }
}

fn add(root: &Path, path: &Path, times: DirectoryTimes, entries: &mut BTreeMap<String, String>) {
    let metadata = path.symlink_metadata().unwrap();
    let mut line = format!(
        "{:o} {}:{} links {}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        // A directory's depend on what is in it, which is compared by itself.
        if metadata.is_dir() {
            0
        } else {
            metadata.nlink()
        }
    );
    if !metadata.is_dir() || times == DirectoryTimes::Count {
        write!(
            line,
            " at {}.{:09}",
            metadata.mtime(),
            metadata.mtime_nsec()
        )
        .unwrap();
    }
    if metadata.is_symlink() {
        write!(line, " -> {}", fs::read_link(path).unwrap().display()).unwrap();
    } else if metadata.is_file() {
        write!(line, " {} bytes", metadata.len()).unwrap();
        if metadata.len() <= READ_UP_TO {
            write!(line, " {}", hash(&fs::read(path).unwrap())).unwrap();
        }
    }
    let name = path.strip_prefix(root).unwrap().display().to_string();
    entries.insert(name, line);
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            add(root, &entry.unwrap().path(), times, entries);
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

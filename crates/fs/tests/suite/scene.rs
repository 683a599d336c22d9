//! What the tests stand on: a directory that everybody may enter, other users, and what is seen of
//! a tree from outside.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use pgpki_fs::{NewFile, Owner};
use tempfile::TempDir;

/// The hostile owner: nobody, on every Linux.
pub(crate) const HOSTILE: Owner = Owner {
    uid: 65534,
    gid: 65534,
};

pub(crate) struct Scene {
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        chmod(directory.path(), 0o755);
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    /// A directory with this mode and owner.
    pub(crate) fn dir(&self, name: &str, mode: u32, owner: Owner) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        chmod(&path, mode);
        chown(&path, owner);
        path
    }
}

/// Whether the test can go on as root. In CI it must.
pub(crate) fn is_root() -> bool {
    let is_root = Owner::caller().uid == 0;
    if !is_root {
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs root, and CI must not skip it"
        );
        eprintln!("skipped: needs root");
    }
    is_root
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn chown(path: &Path, owner: Owner) {
    std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid)).unwrap();
}

pub(crate) fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// Mode and owner of what stands under a name, not followed.
pub(crate) fn seen(path: &Path) -> (u32, Owner) {
    let seen = fs::symlink_metadata(path).unwrap();
    (
        seen.mode() & 0o7777,
        Owner {
            uid: seen.uid(),
            gid: seen.gid(),
        },
    )
}

/// The names in a directory, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A set of files that tells which set it is.
pub(crate) fn set(mark: &str) -> [NewFile<'_>; 2] {
    [
        NewFile {
            name: "server.key",
            mode: 0o600,
            bytes: mark.as_bytes(),
        },
        NewFile {
            name: "server.crt",
            mode: 0o644,
            bytes: mark.as_bytes(),
        },
    ]
}

/// Everything about a tree that somebody could have changed: for a place that must stay untouched.
pub(crate) fn snapshot(path: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    visit(path, &mut lines);
    lines.sort();
    lines
}

fn visit(path: &Path, lines: &mut Vec<String>) {
    let seen = fs::symlink_metadata(path).unwrap();
    let content = if seen.is_file() {
        fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    lines.push(format!(
        "{} {:o} {}:{} {} {} {content:?}",
        path.display(),
        seen.mode(),
        seen.uid(),
        seen.gid(),
        seen.ino(),
        seen.ctime_nsec(),
    ));
    if seen.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            visit(&entry.unwrap().path(), lines);
        }
    }
}

/// A process of the hostile owner's, ended with the test however it ends.
pub(crate) struct Attacker(Child);

impl Attacker {
    pub(crate) fn start(script: &str, arguments: &[&OsStr]) -> Self {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("python3");
        command
            .arg("-c")
            .arg(script)
            .args(arguments)
            .current_dir("/");
        command.uid(HOSTILE.uid).gid(HOSTILE.gid);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

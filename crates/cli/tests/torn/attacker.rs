//! A hostile owner of a directory that pgpki writes to: what he puts there, and what must not
//! happen to things that are root's, outside.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pgpki_testing::await_that;

use crate::fixture::Fixture;
use crate::tree::{Tree, contains, remove};

/// Tells a process that was made from this test program to be the attacker, and where.
const PLACE: &str = "PGPKI_TORN_ATTACKED_PLACE";
/// Tells it what is worth attacking with.
const TARGET: &str = "PGPKI_TORN_ATTACKERS_TARGET";

const SECRET: &str = "a secret of root's that has no business anywhere else\n";

/// What is put under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plant {
    LinkToFile,
    LinkToDir,
    LinkToNowhere,
    HardLink,
    Fifo,
    EmptyDir,
    FullDir,
    File,
}

pub(crate) const PLANTS: [Plant; 8] = [
    Plant::LinkToFile,
    Plant::LinkToDir,
    Plant::LinkToNowhere,
    Plant::HardLink,
    Plant::Fifo,
    Plant::EmptyDir,
    Plant::FullDir,
    Plant::File,
];

/// Things of root's outside every directory that pgpki is told of.
pub(crate) struct Canaries {
    dir: PathBuf,
    before: Vec<Seen>,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    links: u64,
    changed: (i64, i64),
    content: Vec<u8>,
}

impl Canaries {
    pub(crate) fn new(fixture: &Fixture) -> Self {
        let dir = fixture.path("canaries");
        fs::create_dir(&dir).unwrap();
        for name in [
            "file",
            "dir/server.key",
            "dir/server.crt",
            "dir/postgresql.key",
        ] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, SECRET).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        Self {
            dir,
            before: Vec::new(),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("file")
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.join("dir")
    }

    /// To be called when everything is planted: hard links are names of root's files.
    pub(crate) fn watch(&mut self) {
        self.before = self.look();
    }

    fn look(&self) -> Vec<Seen> {
        let mut paths = vec![self.dir.clone()];
        paths.extend(
            Tree::read(&self.dir)
                .0
                .keys()
                .map(|path| self.dir.join(path)),
        );
        let see = |path: PathBuf| {
            let seen = path.symlink_metadata().unwrap();
            Seen {
                mode: seen.mode(),
                owner: (seen.uid(), seen.gid()),
                inode: seen.ino(),
                links: seen.nlink(),
                changed: (seen.mtime(), seen.mtime_nsec()),
                content: fs::read(&path).unwrap_or_default(),
                path,
            }
        };
        paths.into_iter().map(see).collect()
    }

    /// Nothing has been done to them, and nothing in them has come into the places given. A name
    /// that the attacker had made for one of them may be gone: it stood in his own directory.
    #[track_caller]
    pub(crate) fn check(&self, places: &[PathBuf], context: &str) {
        let now = self.look();
        assert_eq!(now.len(), self.before.len(), "{context}: {now:#?}");
        for (now, before) in now.iter().zip(&self.before) {
            let same = Seen {
                links: now.links,
                path: before.path.clone(),
                content: before.content.clone(),
                ..*before
            };
            assert_eq!(*now, same, "{context}");
            assert!(
                now.links <= before.links,
                "{context}: another name for {now:?}"
            );
        }
        let inodes: Vec<u64> = now.iter().map(|seen| seen.inode).collect();
        for place in places {
            self.check_place(place, &inodes, context);
        }
    }

    fn check_place(&self, dir: &Path, inodes: &[u64], context: &str) {
        // The attacker may be at work: what is gone is gone.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(seen) = path.symlink_metadata() else {
                continue;
            };
            if seen.is_dir() {
                self.check_place(&path, inodes, context);
            } else if let Some(bytes) = read_unless(&path, inodes) {
                assert!(
                    !contains(&bytes, SECRET.as_bytes()),
                    "{context}: a canary was read into {}",
                    path.display()
                );
            }
        }
    }
}

/// What is in a file, unless it is one of these. The attacker may exchange what is on the way there between a look and a
/// reading, so that only the opened file tells which one it is.
fn read_unless(path: &Path, inodes: &[u64]) -> Option<Vec<u8>> {
    let mut file = File::options()
        .read(true)
        // A pipe would be waited for.
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
        .ok()?;
    let seen = file.metadata().unwrap();
    if !seen.is_file() || inodes.contains(&seen.ino()) {
        return None;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// Puts something under a name, in place of what is there, as the user.
pub(crate) fn plant(what: Plant, path: &Path, canaries: &Canaries, uid: u32) {
    remove(path);
    match what {
        Plant::LinkToFile => symlink(canaries.file(), path).unwrap(),
        Plant::LinkToDir => symlink(canaries.dir(), path).unwrap(),
        Plant::LinkToNowhere => symlink(canaries.dir.join("not-there"), path).unwrap(),
        // With /proc/sys/fs/protected_hardlinks only root can: so much the worse for us.
        Plant::HardLink => return fs::hard_link(canaries.file(), path).unwrap(),
        Plant::Fifo => mkfifo(path, Mode::S_IRWXU).unwrap(),
        Plant::EmptyDir => fs::create_dir(path).unwrap(),
        Plant::FullDir => {
            fs::create_dir(path).unwrap();
            for name in ["server.key", "postgresql.key"] {
                symlink(canaries.file(), path.join(name)).unwrap();
                lchown(path.join(name), Some(uid), Some(uid)).unwrap();
            }
            for name in ["server.crt", "postgresql.crt"] {
                fs::hard_link(canaries.file(), path.join(name)).unwrap();
            }
            symlink(canaries.dir(), path.join("g0001")).unwrap();
            mkfifo(&path.join("root.crt"), Mode::S_IRWXU).unwrap();
        }
        Plant::File => fs::write(path, "mine\n").unwrap(),
    }
    lchown(path, Some(uid), Some(uid)).unwrap();
}

/// A process of the user that changes a directory of his as fast as it can, until it is dropped.
pub(crate) struct Attacker {
    process: Child,
    _program: tempfile::TempDir,
}

impl Attacker {
    /// This test program once more, in a place where the user can run it, with one test to do.
    pub(crate) fn start(place: &Path, canaries: &Canaries, uid: u32) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let program = dir.path().join("attacker");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(&program);
        command
            .args(["--exact", "attacker::attack", "--nocapture"])
            .env(PLACE, place)
            .env(TARGET, canaries.file())
            .current_dir("/")
            .uid(uid)
            .gid(uid)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A child that another test has just forked holds the copy open for writing, until it
        // becomes another program.
        let mut process = None;
        await_that("the copy can be run", Duration::from_secs(10), || {
            match command.spawn() {
                Ok(started) => process = Some(started),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ExecutableFileBusy),
            }
            process.is_some()
        });
        Self {
            process: process.unwrap(),
            _program: dir,
        }
    }

    /// Whether it is still at work, and not stopped by an error of its own.
    pub(crate) fn is_at_work(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Not a test: what [`Attacker::start`] runs as another user. For everybody else it does nothing.
#[test]
fn attack() {
    let (Some(place), Some(target)) = (std::env::var_os(PLACE), std::env::var_os(TARGET)) else {
        return;
    };
    let (place, target) = (PathBuf::from(place), PathBuf::from(target));
    let parent = nix::unistd::getppid();
    for round in 0_u64.. {
        // Nobody may be left to end us.
        if nix::unistd::getppid() != parent {
            return;
        }
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("aside") {
                strike(&place, &name, &target, round);
            }
        }
        // Names that do not exist yet.
        let next = format!("g{:04}", 1 + round % 60);
        let _ = symlink(&target, place.join(&next));
        let _ = symlink(target.with_file_name("dir"), place.join(".pgpki"));
        if round.is_multiple_of(4) {
            let _ = fs::remove_file(place.join(&next));
            let _ = fs::remove_file(place.join(".pgpki"));
        }
    }
}

/// Swaps what stands under a name for something else, and back. Whatever fails, fails.
fn strike(place: &Path, name: &str, target: &Path, round: u64) {
    let (path, aside) = (place.join(name), place.join(format!("aside-{round}")));
    let targets_dir = target.with_file_name("dir");
    // Whatever is not his own can only be moved, and what is in it not even that.
    for file in ["server.key", "postgresql.key", "server.crt", "g0001"] {
        if round.is_multiple_of(3) && path.is_dir() {
            let _ = fs::remove_file(path.join(file));
            let _ = symlink(target, path.join(file));
        }
        // A key of another's that he can read is his.
        let is_anothers = |seen: fs::Metadata| seen.uid() != nix::unistd::geteuid().as_raw();
        if path.join(file).symlink_metadata().is_ok_and(is_anothers)
            && fs::read(path.join(file)).is_ok_and(|bytes| crate::tree::holds_key(&bytes))
        {
            let _ = fs::write(place.join("aside-stolen"), "a key");
        }
    }
    if fs::rename(&path, &aside).is_err() {
        return;
    }
    let _ = match round % 6 {
        0 => symlink(target, &path),
        1 => symlink(&targets_dir, &path),
        2 => mkfifo(&path, Mode::S_IRWXU).map_err(Into::into),
        3 => fs::create_dir(&path),
        4 => fs::write(&path, "mine"),
        _ => fs::hard_link(target, &path),
    };
    // For as long as pgpki takes from one step to the next, or several.
    sleep(Duration::from_micros(40 * (round % 8)));
    let _ = fs::remove_file(&path);
    let _ = fs::remove_dir(&path);
    let _ = fs::rename(&aside, &path);
}

/// Makes a directory the user's.
pub(crate) fn give(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
}

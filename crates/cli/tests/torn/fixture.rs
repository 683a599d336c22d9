//! An authority with an installation and client folders, at a path that stays the same: the ledger
//! keeps absolute paths, so a copy elsewhere would be another thing.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use pgpki_testing::{Owner, holds_within, run};
use tempfile::TempDir;

use crate::tree::Tree;

/// Nothing that is tested takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own for one test, and the program in it.
pub(crate) struct Fixture {
    dir: TempDir,
    owner: Owner,
}

impl Fixture {
    /// In memory where that is possible: a thousand runs that sync dozens of files each would take
    /// minutes on a disk, and what is failed or killed here is the same on both.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = match TempDir::with_prefix_in("pgpki-", memory) {
            Ok(dir) => dir,
            Err(_) => TempDir::with_prefix("pgpki-").unwrap(),
        };
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let owner = Owner::of_new_clusters().unwrap();
        Self { dir, owner }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Who owns the installation.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::read(self.root())
    }

    /// The program, in an environment that is the same for every run.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpki"));
        command.args(args);
        self.set_up(&mut command);
        command
    }

    /// Gives any command the environment of [`Fixture::command`].
    pub(crate) fn set_up(&self, command: &mut Command) {
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PGPKI_HOME", self.path("home"))
            .stdin(Stdio::null());
    }

    /// Runs a command line, split at spaces, that must succeed; returns its standard output.
    #[track_caller]
    pub(crate) fn pgpki(&self, line: &str) -> String {
        String::from_utf8(run(&mut self.command(line.split(' '))).stdout).unwrap()
    }

    /// The arguments of an init that installs to `tls`.
    pub(crate) fn init_line(&self) -> String {
        let Owner { uid, gid, .. } = &self.owner;
        format!("init localhost 127.0.0.1 --no-root-passphrase --install tls --owner {uid}:{gid}")
    }

    pub(crate) fn init(&self) {
        self.pgpki(&self.init_line());
    }
}

/// Runs a command to its end. Panics when it hangs: then it is killed.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    // Reports are far smaller than a pipe, so nobody waits for us to read.
    if !holds_within(PATIENCE, || child.try_wait().unwrap().is_some()) {
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        panic!("process {pid} hung: {command:?}\n{}", said(&output));
    }
    child.wait_with_output().unwrap()
}

/// Both streams, for a message.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Does every job on as many threads as there are processors, each thread with a workshop of its
/// own, and panics with all the failures together.
pub(crate) fn on_every_core<W, J: Sync>(
    jobs: &[J],
    workshop: impl Fn(usize) -> W + Sync,
    act: impl Fn(&W, &J) -> Result<(), String> + Sync,
) {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|worker| {
                let (workshop, act) = (&workshop, &act);
                scope.spawn(move || {
                    let workshop = workshop(worker);
                    jobs.iter()
                        .skip(worker)
                        .step_by(workers)
                        .filter_map(|job| act(&workshop, job).err())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        jobs.len(),
        failures.join("\n")
    );
}

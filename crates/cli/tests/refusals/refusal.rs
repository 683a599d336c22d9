//! One refusal, and how it is checked.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use pgpki_testing::{Scene, run};

use crate::snapshot::{DirectoryTimes, Snapshot};

/// Far above what any command needs, and below a file of a gigabyte.
const MEMORY: &str = "--as=400000000";

/// Longer than any command takes, so that one that hangs ends as a failure.
const SECONDS: &str = "30";

/// A command line that must be refused.
pub(crate) struct Refusal<'a> {
    pub(crate) args: &'a [&'a str],
    pub(crate) status: i32,
    /// What the message must contain.
    pub(crate) says: &'a [&'a str],
}

pub(crate) fn empty_scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

pub(crate) fn scene_with_authority() -> Scene {
    let scene = empty_scene();
    scene.init("");
    scene
}

/// Runs a command line with limits on memory and time.
pub(crate) fn limited(scene: &Scene, args: &[&str]) -> Command {
    let inner = scene.command(args);
    let mut command = Command::new("timeout");
    command
        .args([SECONDS, "prlimit", MEMORY])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(scene.path(""))
        .env_clear()
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    command
}

/// Checks a refusal: its status, its message, and that nothing in the scene has changed.
#[track_caller]
pub(crate) fn refuses(scene: &Scene, refusal: &Refusal<'_>) {
    none(refusal.problem(scene, Stdio::null()));
}

/// Fails with everything that is wrong with a number of refusals.
#[track_caller]
pub(crate) fn none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<String> = problems.into_iter().collect();
    let number = problems.len();
    assert!(
        problems.is_empty(),
        "{number} problems\n{}",
        problems.join("\n")
    );
}

impl Refusal<'_> {
    /// What is wrong with how the program refuses this.
    pub(crate) fn problem(&self, scene: &Scene, input: Stdio) -> Option<String> {
        let Self { args, status, says } = self;
        let before = Snapshot::of(&scene.path(""), DirectoryTimes::Ignored);
        let output = limited(scene, args).stdin(input).output().unwrap();
        let after = Snapshot::of(&scene.path(""), DirectoryTimes::Ignored);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let mut wrong = Vec::new();
        if output.status.code() != Some(*status) {
            wrong.push(format!("{} instead of {status}", output.status));
        }
        let unsaid = says.iter().filter(|part| !stderr.contains(**part));
        wrong.extend(unsaid.map(|part| format!("{part:?} is not said")));
        // One message, with its hint indented below it.
        let is_message = |line: &&str| line.starts_with("pgpki:") || line.starts_with("error:");
        match stderr.lines().filter(is_message).count() {
            1 => {}
            number => wrong.push(format!("{number} messages")),
        }
        if stderr.contains("panicked") {
            wrong.push("a panic".to_owned());
        }
        if !stdout.is_empty() {
            wrong.push(format!("a report: {stdout}"));
        }
        let changes = after.changes_since(&before);
        if !changes.is_empty() {
            wrong.push(format!("changes:\n{changes}"));
        }
        let wrong = (!wrong.is_empty()).then(|| wrong.join("; "))?;
        Some(format!("{args:?}: {wrong}\n{stderr}"))
    }
}

/// Makes a file that is large in name only.
pub(crate) fn enormous(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(1 << 30).unwrap();
    file.set_permissions(PermissionsExt::from_mode(0o600))
        .unwrap();
}

pub(crate) fn fifo(path: &Path) {
    run(Command::new("mkfifo").args(["-m", "0600"]).arg(path));
}

/// Writes a file that is nobody else's business.
pub(crate) fn secret(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Whether what only root can arrange can be arranged.
pub(crate) fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}

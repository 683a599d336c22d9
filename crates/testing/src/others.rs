//! The program under test, started by other users.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run;

/// A copy of a program in `dir` that every user can start, wherever it was built: as root that may be below `/root`.
pub fn startable_copy(program: impl AsRef<Path>, dir: &Path) -> PathBuf {
    let copy = dir.join("pgpki");
    if !copy.exists() {
        // By another process: one that this test forks meanwhile would hold the copy open for
        // writing, and then it cannot be started.
        let mut install = Command::new("install");
        run(install
            .args(["-m", "0755"])
            .arg(program.as_ref())
            .arg(&copy));
    }
    copy
}

/// The same command by this user, with a copy of the program in `dir`: no input, and of the environment what the command
/// names.
pub fn as_user(command: &Command, uid: u32, gid: u32, dir: &Path) -> Command {
    let mut other = Command::new(startable_copy(command.get_program(), dir));
    other.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            other.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        other.current_dir(dir);
    }
    other.stdin(Stdio::null()).uid(uid).gid(gid);
    other
}

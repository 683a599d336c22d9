//! A directory of its own for one test, and the program under test in it.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::{Owner, run};

/// A directory in which an authority, an installation and everything else of one test live, and
/// which vanishes with it. Anybody may enter it, so that a server can.
pub struct Scene {
    program: PathBuf,
    dir: TempDir,
}

impl Scene {
    /// A scene for the program at `program`, which a test knows as `env!("CARGO_BIN_EXE_pgpki")`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let dir = TempDir::with_prefix("pgpki-").unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self {
            program: program.into(),
            dir,
        }
    }

    /// The path of something in the scene.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the authority is: every command is told through `PGPKI_HOME`.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Where [`Scene::init`] installs the server's credential.
    pub fn tls(&self) -> PathBuf {
        self.path("tls")
    }

    /// The program, about to be run in the scene: no input, no terminal, nothing of the caller's
    /// environment but `PATH`, in UTC.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args);
        self.surround(command)
    }

    /// [`Scene::command`] by a clock that says `when`, in the words of faketime(1): `-10d`, or
    /// `@2049-12-31 23:59:00` (UTC).
    pub fn command_at<S: AsRef<OsStr>>(
        &self,
        when: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new("faketime");
        command.args(["-f", when]).arg(&self.program).args(args);
        self.surround(command)
    }

    fn surround(&self, mut command: Command) -> Command {
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .env("PGPKI_HOME", self.home())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command line, split at spaces, that must succeed. Returns its standard output.
    pub fn pgpki(&self, line: &str) -> String {
        let output = run(&mut self.command(line.split(' ')));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command line, split at spaces, that must end with `status` and say why in one
    /// message, without a panic. Returns its standard error.
    pub fn fails(&self, status: i32, line: &str) -> String {
        self.fails_with(status, &mut self.command(line.split(' ')))
    }

    /// [`Scene::fails`] for a command of any form.
    pub fn fails_with(&self, status: i32, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{command:?}\n{output:?}"
        );
        assert!(!stderr.contains("panicked"), "{command:?}\n{stderr}");
        assert!(!stderr.trim().is_empty(), "no message from {command:?}");
        stderr
    }

    /// An authority with an unencrypted root, and an installation for `localhost` and `127.0.0.1`
    /// owned by whoever runs servers in tests.
    pub fn init(&self, more: &str) -> String {
        let owner = Owner::of_new_clusters().unwrap();
        let tls = self.tls();
        let mut line: Vec<String> = [
            "init",
            "localhost",
            "127.0.0.1",
            "--no-root-passphrase",
            "--install",
        ]
        .map(str::to_owned)
        .into();
        line.push(tls.display().to_string());
        if !owner.is_caller() {
            line.extend(["--owner".to_owned(), format!("{}:{}", owner.uid, owner.gid)]);
        }
        line.extend(more.split_whitespace().map(str::to_owned));
        let output: Output = run(&mut self.command(line));
        String::from_utf8(output.stdout).unwrap()
    }
}

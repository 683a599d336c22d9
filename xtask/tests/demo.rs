//! The demo hands on what goes wrong and cleans up after itself, also when it is interrupted. The
//! program it runs is a script here, so that these tests say nothing about pgpki and need no build
//! of it.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use pgpki_testing::{await_that, holds_within};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

struct Demo {
    process: Child,
    folder: TempDir,
}

impl Demo {
    /// Starts the demo with a script for a pgpki. `$FOLDER` in it is a folder of the test's.
    fn with(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let pgpki = folder.path().join("pgpki");
        let text = format!(
            "#!/bin/sh\nFOLDER='{}'\n{script}\n",
            folder.path().display()
        );
        fs::write(&pgpki, text).expect("the script is written");
        fs::set_permissions(&pgpki, Permissions::from_mode(0o755)).expect("the script can be run");
        let output = fs::File::create(folder.path().join("output")).expect("a file for the output");
        let process = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["demo", "--pgpki"])
            .arg(&pgpki)
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("a second handle"))
            .stdout(output)
            .process_group(0)
            .spawn()
            .expect("the demo starts");
        Self { process, folder }
    }

    fn output(&self) -> String {
        let mut text = String::new();
        let output = fs::File::open(self.folder.path().join("output"));
        output
            .and_then(|mut file| file.read_to_string(&mut text))
            .expect("the output is text");
        text
    }

    /// The directory that it said it works in.
    fn directory(&self) -> PathBuf {
        let output = self.output();
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix("$ export DEMO="));
        PathBuf::from(line.unwrap_or_else(|| panic!("no directory in {output}")))
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = holds_within(LIMIT, || {
            status = self.process.try_wait().expect("the demo can be waited for");
            status.is_some()
        });
        assert!(ended, "the demo does not end:\n{}", self.output());
        status.expect("it has ended")
    }
}

fn assert_nothing_is_left(directory: &Path) {
    assert!(
        !directory.exists(),
        "{} is still there",
        directory.display()
    );
    let still_running: Vec<PathBuf> = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|process| {
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
        })
        .collect();
    assert!(still_running.is_empty(), "{still_running:?}");
}

fn is_interrupted_cleanly_by(send: impl FnOnce(Pid) -> nix::Result<()>) {
    let mut demo =
        Demo::with("echo $$ >$FOLDER/pid.new && mv $FOLDER/pid.new $FOLDER/pid\nexec sleep 600");
    let pid_file = demo.folder.path().join("pid");
    await_that("the demo runs its first command", LIMIT, || {
        pid_file.exists()
    });
    let pid = fs::read_to_string(pid_file)
        .expect("a pid")
        .trim_end()
        .to_owned();
    let directory = demo.directory();
    assert!(
        directory.join("data/postmaster.pid").exists(),
        "PostgreSQL runs in {}",
        directory.display()
    );

    send(Pid::from_raw(demo.process.id().cast_signed())).expect("the signal is sent");
    assert_eq!(demo.end().code(), Some(130), "{}", demo.output());
    assert_nothing_is_left(&directory);
    assert!(
        !Path::new("/proc").join(pid).exists(),
        "the command is still running"
    );
}

#[test]
fn ctrl_c_leaves_nothing() {
    // A terminal sends it to the whole group, so that the command in hand gets it, too.
    is_interrupted_cleanly_by(|demo| killpg(demo, Signal::SIGINT));
}

#[test]
fn sigterm_leaves_nothing() {
    is_interrupted_cleanly_by(|demo| kill(demo, Signal::SIGTERM));
}

#[test]
fn a_command_that_fails_fails_the_demo_with_its_status_and_leaves_nothing() {
    let mut demo = Demo::with("echo 'that will not do' >&2\nexit 5");
    assert_eq!(demo.end().code(), Some(5), "{}", demo.output());
    assert!(
        demo.output().contains("that will not do"),
        "{}",
        demo.output()
    );
    assert_nothing_is_left(&demo.directory());
}

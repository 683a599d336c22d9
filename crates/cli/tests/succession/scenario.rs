//! A server with its authority that can be put back, so that one command can meet with every accident there is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pgpki_testing::run;

use crate::stage::{DONE, FAILED, FINDINGS, Stage, files};

/// How often each command is killed.
const KILLS: u32 = 40;

/// What takes much longer than the rest, only some of the states see: a restart, and inspect.
const EACH_LOOK: u32 = 4;

/// The calls after which other files are on disk than before, and those that settle them.
const CALLS: [&str; 7] = [
    "renameat",
    "renameat2",
    "symlinkat",
    "unlink",
    "unlinkat",
    "fsync",
    "fdatasync",
];

/// What a command meets with.
#[derive(Clone, Copy)]
pub(crate) enum Accident {
    /// SIGKILL at some moment.
    Killed,
    /// A fault, in strace's words, at every one of the calls that change something on disk.
    AtEveryCall(&'static str),
}

/// A server with its authority, to which everything can be put back.
pub(crate) struct Scenario {
    pub(crate) stage: Stage,
    /// Home, installation and folders as they are before each kill.
    saved: PathBuf,
}

const PARTS: [&str; 3] = ["home", "tls", "clients"];

/// EIO, in the words of the C library and of SQLite.
const FAILURE: &str = "I/O error";

impl Scenario {
    pub(crate) fn of(stage: Stage) -> Self {
        let saved = stage.scene.path("saved");
        fs::create_dir(&saved).unwrap();
        for part in PARTS {
            copy(&stage.scene.path(part), &saved);
        }
        Self { stage, saved }
    }

    /// Everything is as it was, and the server knows.
    fn put_back(&mut self) {
        for part in PARTS {
            fs::remove_dir_all(self.stage.scene.path(part)).unwrap();
            copy(&self.saved.join(part), &self.stage.scene.path(""));
        }
        self.stage.cluster.reload().unwrap();
    }

    /// How long the command takes if it is let.
    fn duration(&mut self, args: &[&str]) -> Duration {
        self.put_back();
        let begin = Instant::now();
        self.stage.scene.command(args).output().unwrap();
        begin.elapsed()
    }

    /// Has the command meet with accidents of this kind, and its subject look after each.
    pub(crate) fn survives(&mut self, accident: Accident, args: &[&str], subject: &impl Subject) {
        match accident {
            Accident::Killed => self.kill(args, subject),
            Accident::AtEveryCall(fault) => self.fail(fault, args, subject),
        }
    }

    /// Kills the command again and again, at moments that are spread over all of its time.
    fn kill(&mut self, args: &[&str], subject: &impl Subject) {
        let longest = self.duration(args);
        let mut killed = 0;
        for number in 0..KILLS {
            self.put_back();
            subject.before(&self.stage);
            let mut command = self.stage.scene.command(args);
            let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            thread::sleep(longest * number / KILLS);
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            killed += u32::from(output.status.code().is_none());
            self.is_survived(number % EACH_LOOK == 0, &output, subject);
        }
        assert!(killed > KILLS / 4, "only {killed} were killed on the way");
    }

    /// Has the command meet with a fault at each of its calls that change something on disk, one after the other.
    fn fail(&mut self, fault: &str, args: &[&str], subject: &impl Subject) {
        let mut faults = 0;
        for call in CALLS {
            for number in 1.. {
                self.put_back();
                subject.before(&self.stage);
                let before = self.handed_out();
                let injected = format!("{fault}:when={number}");
                let Some((line, output)) = self.meets(call, &injected, args) else {
                    break;
                };
                faults += 1;
                if fault.starts_with("error=") {
                    self.owns_up(&line, &output, &before, subject);
                }
                self.is_survived(false, &output, subject);
                assert!(number < 100, "{call} never ends");
            }
        }
        assert!(faults > 10, "only {faults} calls were found");
    }

    /// Runs the command under strace, which tampers with one call: what strace says of that call, and how the command
    /// ended, if it came so far.
    fn meets(&self, call: &str, fault: &str, args: &[&str]) -> Option<(String, Output)> {
        let seen = self.stage.scene.path("strace");
        let program = self.stage.scene.command(args);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-o"]).arg(&seen);
        strace.args(["-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:{fault}")]);
        strace.arg(program.get_program()).args(args);
        strace.current_dir(program.get_current_dir().unwrap());
        strace.env_clear();
        for (name, value) in program.get_envs() {
            strace.env(name, value.unwrap());
        }
        let output = strace.stdin(Stdio::null()).output().unwrap();
        let said = said(&output);
        assert!(!said.contains("panicked"), "{call} {fault}: {said}");
        let seen = fs::read_to_string(seen).unwrap();
        let is_met =
            |line: &&str| line.contains("(INJECTED)") || line.contains("killed by SIGKILL");
        let line = seen.lines().find(is_met)?;
        Some((line.to_owned(), output))
    }

    /// A call that failed is told, and the exit status is the truth.
    fn owns_up(
        &self,
        line: &str,
        output: &Output,
        before: &[(PathBuf, Vec<u8>)],
        subject: &impl Subject,
    ) {
        let said = said(output);
        let is_told = said.contains(FAILURE);
        assert!(is_told || is_passed_over(line), "{line}: {output:?}");
        let what_is_left = said.lines().filter(|line| line.starts_with("left  "));
        let is_mere_tidying = what_is_left.clone().count() == said.matches(FAILURE).count();
        match output.status.code() {
            Some(DONE) => assert!(is_mere_tidying, "{line}: {output:?}"),
            Some(FINDINGS) => {}
            Some(FAILED) => assert_eq!(self.handed_out(), before, "{line}: {output:?}"),
            _ => panic!("{line}: {output:?}"),
        }
        if is_mere_tidying && what_is_left.count() == 0 {
            subject.is_done(&self.stage);
        }
    }

    /// Every file of servers and clients, with what is in it.
    fn handed_out(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let parts = PARTS[1..].iter().map(|part| self.stage.scene.path(part));
        parts.flat_map(|part| files(&part)).collect()
    }

    fn is_survived(&mut self, thoroughly: bool, output: &Output, subject: &impl Subject) {
        no_key_is_readable(&self.stage);
        subject.check(&self.stage);
        if thoroughly {
            self.stage.cluster.restart().unwrap();
            subject.check(&self.stage);
        }
        let next = self.goes_on(subject);
        subject.check(&self.stage);
        let told = [output, &next].map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        subject.after(&self.stage, &told);
        if thoroughly {
            subject.is_settled(&self.stage);
        }
    }

    /// The next run brings everything in order, and the one after that finds nothing to do.
    fn goes_on(&self, subject: &impl Subject) -> Output {
        let output = self.stage.scene.command(["rotate"]).output().unwrap();
        let status = output.status.code();
        assert!(matches!(status, Some(DONE | FINDINGS)), "{output:?}");
        subject.is_done(&self.stage);
        no_key_is_readable(&self.stage);
        nothing_is_left(&self.stage);
        output
    }
}

/// Whoever is there when a command meets with an accident.
pub(crate) trait Subject {
    /// Before each.
    fn before(&self, _stage: &Stage) {}

    /// After the accident, after a restart of the server, and after the run that went on.
    fn check(&self, stage: &Stage);

    /// After the run that went on; `told` is what the command and that run have printed.
    fn after(&self, _stage: &Stage, _told: &[String; 2]) {}

    /// One more run finds nothing to do.
    fn is_done(&self, stage: &Stage) {
        assert_eq!(stage.says(DONE, &["rotate"]), "");
    }

    /// And nor does anybody else.
    fn is_settled(&self, stage: &Stage) {
        stage.is_settled();
    }
}

impl<F: Fn(&Stage)> Subject for F {
    fn check(&self, stage: &Stage) {
        self(stage);
    }
}

/// Whether a call that strace has had fail is one of those that nobody makes anything of: SQLite does not look whether the
/// directory of a new journal was synced, and an empty directory of former folders may stay.
fn is_passed_over(line: &str) -> bool {
    let is_of_journal = line.contains("fdatasync(") && line.contains("/home>)");
    let is_of_formers = line.contains(".pgpki") && line.contains("AT_REMOVEDIR");
    is_of_journal || is_of_formers
}

fn said(output: &Output) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn copy(from: &Path, into: &Path) {
    run(Command::new("cp").arg("-a").args([from, into]));
}

/// Every private key is closed to others, whatever name it has.
#[track_caller]
fn no_key_is_readable(stage: &Stage) {
    let marker = b"PRIVATE KEY";
    for part in PARTS {
        for (path, bytes) in files(&stage.scene.path(part)) {
            if bytes.windows(marker.len()).any(|it| it == marker) {
                let mode = path.symlink_metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
            }
        }
    }
}

/// How many CAs the ledger has of which this is true.
pub(crate) fn cas(stage: &Stage, condition: &str) -> usize {
    let script = "import sqlite3, sys\n\
                  print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    let mut sqlite = Command::new("python3");
    sqlite
        .args(["-c", script])
        .arg(stage.scene.home().join("ledger.db"));
    let output = run(sqlite.arg(format!("SELECT count(*) FROM cas WHERE {condition}")));
    let number = String::from_utf8(output.stdout).unwrap();
    number.trim().parse().unwrap()
}

/// In the home are the CAs that the ledger counts, each with its key, and nothing of those that came to nothing.
#[track_caller]
fn nothing_is_left(stage: &Stage) {
    let home = stage.scene.home();
    for (directory, profile) in [("root", "root"), ("issuing", "issuing")] {
        let kept = files(&home.join(directory));
        let keys = kept.iter().filter(|(path, _)| path.ends_with("ca.key"));
        let known = cas(
            stage,
            &format!("profile = '{profile}' AND state <> 'pending'"),
        );
        assert_eq!(keys.count(), known, "{kept:?}");
        // Of each CA a certificate and a key, and the link.
        assert_eq!(kept.len(), 2 * known + 1, "{kept:?}");
    }
}

//! Commands that need no authority hold no lock of its home: another one that sweeps the same shelf leaves alone what
//! they are making there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgpki_testing::{await_that, run};

use crate::stage::{Stage, names, said};

/// Not what a test is about: far beyond what anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A command that stands still, before anything of what it has made is safe on disk.
struct Halted {
    strace: Child,
    pid: String,
}

impl Halted {
    fn begin(stage: &Stage, args: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace");
        strace.arg("-o").arg(log.path()).args(["-e", "trace=fsync"]);
        strace.args(["-e", "inject=fsync:signal=SIGSTOP:when=1"]);
        strace.arg(env!("CARGO_BIN_EXE_pgpki")).args(args);
        strace.current_dir(stage.path(""));
        strace.env("PGPKI_HOME", stage.scene.home());
        strace.stdin(Stdio::null()).stdout(Stdio::piped());
        let strace = strace.stderr(Stdio::piped()).spawn().unwrap();
        let of = strace.id();
        let children = format!("/proc/{of}/task/{of}/children");
        await_that("the command stands still", LONG, || {
            let log = fs::read_to_string(log.path()).unwrap();
            log.contains("--- stopped by SIGSTOP ---")
        });
        let pid = fs::read_to_string(children).unwrap().trim().to_owned();
        Self { strace, pid }
    }

    fn go_on(self) -> std::process::Output {
        run(Command::new("kill").args(["-CONT", &self.pid]));
        self.strace.wait_with_output().unwrap()
    }
}

fn staged(shelf: &Path) -> usize {
    let is_staged = |name: &String| name.starts_with(".pgpki.new-");
    let own = shelf.join(".pgpki");
    let reserved = match own.is_dir() {
        true => names(&own),
        false => Vec::new(),
    };
    let all = names(shelf).into_iter().chain(reserved);
    all.filter(is_staged).count()
}

/// On a shelf of one's own, and on one where others may write as well.
#[test]
fn what_is_being_made_is_not_swept() {
    let stage = Stage::new();
    let bob = stage.request(&["bob"]);
    stage.scene.pgpki("issue-client carol --out carols");
    for (out, mode) in [("own", 0o755), ("open", 0o777)] {
        let shelf = stage.path(out);
        fs::create_dir(&shelf).unwrap();
        fs::set_permissions(&shelf, PermissionsExt::from_mode(mode)).unwrap();
        stage.scene.pgpki(&format!("issue-client dave --out {out}"));
        for args in [
            ["request", "alice", "--out", out].as_slice(),
            &[
                "export",
                "carols/carol",
                "--format",
                "pem",
                "--out",
                &format!("{out}/carol"),
            ],
        ] {
            let halted = Halted::begin(&stage, args);
            assert_eq!(staged(&shelf), 1, "{args:?}");
            run(stage
                .scene
                .command(["sign", "--role", "bob", "--out", out])
                .arg(&bob));
            stage.scene.pgpki("rotate --force");
            let output = halted.go_on();
            assert!(output.status.success(), "{}", said(&output));
            fs::remove_dir_all(shelf.join("bob")).unwrap();
        }
        let alice = ["postgresql.csr", "postgresql.key"];
        assert_eq!(names(&shelf.join("alice")), alice);
        let carol = ["postgresql.crt", "postgresql.pem", "root.crt"];
        assert_eq!(names(&shelf.join("carol")), carol);
        assert_eq!(staged(&shelf), 0);
        // What nobody is making any more is swept.
        let left = shelf.join(".pgpki/.pgpki.new-0123456789abcdef");
        fs::create_dir_all(&left).unwrap();
        let said = stage.scene.pgpki("rotate --force");
        assert!(said.contains("removed 1 leftover"), "{said}");
        assert!(!left.exists());
    }
}

//! Killed at every step: no certificate that the ledger does not know, no half folder, and the next run is as if
//! nothing had been.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};

use pgpki_testing::{openssl, run};

use crate::makers::openssl_verifies;
use crate::stage::{Stage, names, said, text};

/// Everything that changes a file system, and what makes it last.
const CALLS: [&str; 12] = [
    "mkdirat",
    "renameat",
    "renameat2",
    "fsync",
    "fdatasync",
    "syncfs",
    "pwrite64",
    "write",
    "fchmod",
    "fchown",
    "unlinkat",
    "unlink",
];

/// No run makes more calls of one name than this: then something else is wrong.
const ENOUGH: usize = 400;

/// Runs a command that is killed at its `number`-th call of this name. Returns whether it came to that.
fn killed(stage: &Stage, command: &Command, call: &str, number: usize) -> bool {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-o"]).arg(log.path());
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={number}")]);
    strace.arg(command.get_program()).args(command.get_args());
    strace
        .current_dir(stage.path(""))
        .env("PGPKI_HOME", stage.scene.home());
    let output = strace.stdin(Stdio::null()).output().unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    let is_killed = log.contains("+++ killed by SIGKILL +++");
    assert!(is_killed || output.status.success(), "{}", said(&output));
    is_killed
}

fn serial(certificate: &Path) -> String {
    let args = ["x509", "-noout", "-serial", "-in", text(certificate)];
    let serial = String::from_utf8(openssl(args).stdout)
        .unwrap()
        .to_lowercase();
    format!(
        "{:0>32}",
        serial.trim_end().strip_prefix("serial=").unwrap()
    )
}

#[test]
fn sign_at_every_step() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let mut kills = 0;
    for call in CALLS {
        for number in 1..ENOUGH {
            let out = format!("signed-{call}-{number}");
            let mut sign = stage
                .scene
                .command(["sign", "--role", "alice", "--out", &out]);
            sign.arg(&request);
            let is_killed = killed(&stage, &sign, call, number);
            let folder = stage.path(&out).join("alice");
            if folder.exists() {
                assert_eq!(names(&folder), ["postgresql.crt", "root.crt"], "{out}");
                let recorded: HashSet<String> = stage
                    .issued_to("alice")
                    .iter()
                    .map(|it| it["serial"].as_str().unwrap().to_owned())
                    .collect();
                let serial = serial(&folder.join("postgresql.crt"));
                assert!(
                    recorded.contains(&serial),
                    "{out}: {serial} is not recorded"
                );
                std::fs::rename(&folder, stage.path("before")).unwrap();
                std::fs::remove_dir_all(stage.path("before")).unwrap();
            }
            let mut again = stage
                .scene
                .command(["sign", "--role", "alice", "--out", &out]);
            run(again.arg(&request));
            assert_eq!(
                names(&stage.path(&out)),
                ["alice"],
                "left behind by {call} {number}"
            );
            if !is_killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 20, "{kills}");
}

/// A key is whole or not there, and open to nobody even half made.
#[test]
fn request_at_every_step() {
    use std::os::unix::fs::MetadataExt;
    let stage = Stage::new();
    let mut kills = 0;
    for call in CALLS {
        for number in 1..ENOUGH {
            let out = format!("made-{call}-{number}");
            let request = stage.scene.command(["request", "alice", "--out", &out]);
            let is_killed = killed(&stage, &request, call, number);
            let folder = stage.path(&out).join("alice");
            if folder.exists() {
                assert_eq!(
                    names(&folder),
                    ["postgresql.csr", "postgresql.key"],
                    "{out}"
                );
            } else {
                run(&mut stage.scene.command(["request", "alice", "--out", &out]));
            }
            assert!(openssl_verifies(&folder.join("postgresql.csr")), "{out}");
            if let Ok(reserved) = stage.path(&out).join(".pgpki").metadata() {
                assert_eq!(reserved.mode() & 0o7777, 0o700, "{out}");
            }
            if !is_killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 5, "{kills}");
}

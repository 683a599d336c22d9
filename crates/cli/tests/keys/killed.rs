//! Killed at every step: each key opens with the old passphrase or the new one, nothing else is left in its directory, and
//! the same can be run again.

use std::fs;
use std::process::{Command, Stdio};

use crate::stage::{DONE, REFUSED, Stage, ends_with, said};

/// Everything that changes a file system here, and what makes it last.
const CALLS: [&str; 4] = ["write", "fsync", "renameat", "unlinkat"];

/// No run makes more calls of one name than this: then something else is wrong.
const ENOUGH: usize = 200;

/// Runs a command that is killed at its `number`-th call of this name. Returns whether it came to that.
fn killed(stage: &Stage, command: &Command, call: &str, number: usize) -> bool {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-o"]).arg(log.path());
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={number}")]);
    strace.arg(command.get_program()).args(command.get_args());
    strace.current_dir(stage.scene.path(""));
    strace.env("PGPKI_HOME", stage.scene.home());
    let output = strace.stdin(Stdio::null()).output().unwrap();
    let log = fs::read_to_string(log.path()).unwrap();
    let is_killed = log.contains("+++ killed by SIGKILL +++");
    assert!(is_killed || output.status.success(), "{}", said(&output));
    is_killed
}

/// What a `key decrypt` that was killed leaves is an open key beside an encrypted one. The next `pgpki key` removes it, also
/// where it has nothing else to do.
#[test]
fn no_open_key_stays_beside_an_encrypted_one() {
    let stage = Stage::encrypted();
    let decrypt = ["key", "decrypt", "issuing", "--passphrase-file", "right"];
    assert!(killed(&stage, &stage.command(&decrypt), "renameat", 1));
    assert_eq!(stage.names("issuing", 1).len(), 3);
    assert!(stage.is_encrypted("issuing", 1));
    let encrypt = ["key", "encrypt", "issuing"];
    let said = stage.ends(REFUSED, &encrypt);
    assert!(said.contains("removed 1 leftover"), "{said}");
    assert_eq!(stage.names("issuing", 1), ["ca.crt", "ca.key"]);
    stage.unchanged(REFUSED, &encrypt);
}

#[test]
fn at_every_step() {
    let stage = Stage::encrypted();
    let rotate = ["rotate", "--issuing", "--issuing-passphrase-file", "right"];
    stage.ends(DONE, &rotate);
    let both = [1, 2].map(|generation| fs::read(stage.key("issuing", generation)).unwrap());
    let mut kills = 0;
    let mut halves = 0;
    let change = |file: &str, new: &str| {
        let change = ["key", "change-passphrase", "issuing", "--passphrase-file"];
        stage.command(&[&change[..], &[file, "--new-passphrase-file", new]].concat())
    };
    for call in CALLS {
        for number in 1..ENOUGH {
            for (generation, key) in (1..).zip(&both) {
                fs::write(stage.key("issuing", generation), key).unwrap();
            }
            let is_killed = killed(&stage, &change("right", "other"), call, number);
            let opens =
                |passphrase| [1, 2].map(|it| stage.openssl_opens("issuing", it, passphrase));
            let (old, new) = (opens("right"), opens("other"));
            for generation in 0..2 {
                assert!(
                    old[generation] != new[generation],
                    "{call} {number}: {old:?} {new:?}"
                );
            }
            halves += usize::from(new[0] != new[1]);
            ends_with(DONE, &mut change("right", "other"));
            assert_eq!(opens("other"), [true; 2], "{call} {number}");
            for generation in 1..=2 {
                let names = stage.names("issuing", generation);
                assert_eq!(
                    names,
                    ["ca.crt", "ca.key"],
                    "left behind by {call} {number}"
                );
            }
            if !is_killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(
        kills > 10 && halves > 0,
        "{kills}, {halves} of them half way"
    );
}

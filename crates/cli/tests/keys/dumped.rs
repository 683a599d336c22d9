//! What is left of a process that a signal ends, such as a `^\` at the prompt for a passphrase.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::stage::Stage;

#[test]
fn no_core_dump_has_a_key_in_it() {
    let stage = Stage::encrypted();
    let leaves_one = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -c unlimited; {line}")]);
        shell.current_dir(stage.scene.path(""));
        shell.env("PGPKI_HOME", stage.scene.home());
        let status = shell.output().unwrap().status;
        assert_eq!(status.signal(), Some(Signal::SIGQUIT as i32), "{status}");
        status.core_dumped()
    };
    assert!(leaves_one("kill -QUIT $$"), "this machine writes none");
    let program = env!("CARGO_BIN_EXE_pgpki");
    let ends_it = "--issuing-passphrase-command 'kill -QUIT $PPID; cat right'";
    let line = format!("exec '{program}' issue-client alice --out clients {ends_it}");
    assert!(!leaves_one(&line));
}

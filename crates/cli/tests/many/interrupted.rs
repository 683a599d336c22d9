//! Ctrl-C in the middle of a long list.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgpki_testing::await_that;

use crate::authority::{self, assert_no_leftovers, certificates};

/// Far beyond what anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// So many that some are being written while others wait.
const ROLES: usize = 2000;

fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Ends the run as a terminal does; whether that came before its own end, which on a busy machine it need not.
#[track_caller]
fn interrupted(mut child: Child, signal: Signal) -> bool {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.success() || status.signal() == Some(signal as i32),
        "{status}"
    );
    !status.success()
}

#[test]
fn what_the_ledger_has_is_on_disk() {
    let mut were_interrupted = 0;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let scene = authority::new();
        let list: Vec<String> = (0..ROLES).map(|n| format!("role{n}\n")).collect();
        fs::write(scene.path("list"), list.concat()).unwrap();
        let clients = scene.path("clients");
        let child = scene
            .command(["issue-client", "--from", "list", "--out", "clients"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The ledger has them all by then.
        await_that("folders are staged", LONG, || {
            !names_in(&clients).is_empty()
        });
        were_interrupted += usize::from(interrupted(child, signal));

        let mut recorded: Vec<String> = certificates(&scene)
            .iter()
            .filter(|it| it["profile"] == "client")
            .map(|it| it["subject"].as_str().unwrap().to_owned())
            .collect();
        let mut there = names_in(&clients);
        recorded.sort();
        there.sort();
        assert_eq!(recorded.len(), ROLES);
        assert_eq!(recorded, there, "{signal}");
        assert_no_leftovers(&clients);
        let said = scene.pgpki("rotate");
        assert_eq!(said, "", "{signal}");
    }
    assert!(were_interrupted > 0);
}

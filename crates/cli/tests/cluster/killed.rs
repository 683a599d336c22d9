//! Runs that are killed, and runs at once: the server still starts, and the next run ends in the
//! state that was promised.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgpki_testing::Shutdown;

use crate::fixture::{EVERYTHING, Files, Stage};

/// The calls after which other files are on disk than before, and those that settle them.
const CALLS: [&str; 4] = ["renameat", "unlinkat", "fsync", "fchown"];

/// Runs configure under strace, which tampers with one kind of call.
fn under_strace(stage: &Stage, call: &str, fault: &str, more: &[&str]) -> Output {
    let configure = stage.command(more);
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:{fault}"))
        .arg(configure.get_program())
        .args(configure.get_args());
    strace.output().unwrap()
}

/// Runs configure, and kills it at the `number`-th call of this name. Whether it came so far.
fn killed_at(stage: &Stage, call: &str, number: usize, more: &[&str]) -> bool {
    let output = under_strace(stage, call, &format!("signal=SIGKILL:when={number}"), more);
    match (output.status.signal(), output.status.code()) {
        (Some(9), _) | (_, Some(137)) => true,
        (None, Some(0)) => false,
        _ => panic!("{call} {number}: {output:?}"),
    }
}

/// Every call of a run, from the first on.
fn every_kill(more: &[&str], mut check: impl FnMut(&str, usize) -> bool) {
    for call in CALLS {
        let mut number = 1;
        while check(call, number) {
            number += 1;
            assert!(number < 50, "{call} of {more:?} never ends");
        }
    }
}

#[test]
fn a_run_that_is_killed_leaves_files_that_the_server_starts_with() {
    let mut stage = Stage::new();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let plain = Files::of(&stage.cluster);
    stage.configure(&EVERYTHING);
    let configured = Files::of(&stage.cluster);
    let mut kills = 0;
    every_kill(&EVERYTHING, |call, number| {
        stage.configure(&["--remove"]);
        plain.assert_unchanged(&stage.cluster);
        let was_killed = killed_at(&stage, call, number, &EVERYTHING);
        starts(&mut stage, &format!("configure killed at {call} {number}"));
        stage.configure(&EVERYTHING);
        configured.assert_unchanged(&stage.cluster);
        kills += u32::from(was_killed);
        was_killed
    });
    every_kill(&["--remove"], |call, number| {
        stage.configure(&EVERYTHING);
        let was_killed = killed_at(&stage, call, number, &["--remove"]);
        starts(&mut stage, &format!("--remove killed at {call} {number}"));
        stage.configure(&["--remove"]);
        plain.assert_unchanged(&stage.cluster);
        kills += u32::from(was_killed);
        was_killed
    });
    assert!(kills > 12, "only {kills} calls were found to kill at");
}

#[track_caller]
fn starts(stage: &mut Stage, what: &str) {
    if let Err(failure) = stage.cluster.start() {
        panic!("{what}\n{failure}");
    }
    stage.cluster.stop(Shutdown::Immediate).unwrap();
}

/// Every call that changes something fails once: what was done before it is taken back, or the call
/// did not matter.
#[test]
fn a_call_that_fails_leaves_everything_as_it_was() {
    let mut stage = Stage::new();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let plain = Files::of(&stage.cluster);
    stage.configure(&EVERYTHING);
    let configured = Files::of(&stage.cluster);
    for (from, to, back, more) in [
        (&plain, &configured, &["--remove"][..], &EVERYTHING[..]),
        (&configured, &plain, &EVERYTHING, &["--remove"]),
    ] {
        let mut failures = 0;
        for call in CALLS {
            for number in 1.. {
                stage.configure(back);
                let fault = format!("error=EIO:when={number}");
                let output = under_strace(&stage, call, &fault, more);
                if output.status.success() {
                    to.assert_unchanged(&stage.cluster);
                    break;
                }
                assert_eq!(output.status.code(), Some(5), "{call} {number}: {output:?}");
                println!("{call} {number}");
                from.assert_unchanged(&stage.cluster);
                failures += 1;
            }
        }
        assert!(failures > 6, "only {failures} calls were found to fail");
    }
}

/// With the server running and judging: whatever it has loaded by then, it can be put right.
#[test]
fn a_run_that_is_killed_at_any_moment_is_made_up_for_by_the_next() {
    let stage = Stage::new();
    let plain = Files::of(&stage.cluster);
    let began = Instant::now();
    stage.configure(&EVERYTHING);
    let whole = began.elapsed();
    for round in 0..24_u32 {
        for more in [&["--remove"][..], &EVERYTHING] {
            let mut run = stage.command(more);
            let mut child = run
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(whole * round / 24);
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            child.wait().unwrap();
        }
        stage.configure(&EVERYTHING);
        stage.serves_what_is_installed();
        let plaintext = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable",
            stage.cluster.port()
        );
        assert!(stage.keeps_out(&plaintext).contains("rejects"));
    }
    stage.configure(&["--remove"]);
    plain.assert_unchanged(&stage.cluster);
}

/// Each of them is done or says that it is not, and what is there afterwards is whole.
#[test]
fn runs_at_once_do_not_tear_the_files() {
    let mut stage = Stage::new();
    let plain = Files::of(&stage.cluster);
    stage.configure(&EVERYTHING);
    let configured = Files::of(&stage.cluster);
    for round in 0..12 {
        stage.configure(&["--remove"]);
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let mut run = stage.command(&EVERYTHING);
                run.stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let outputs: Vec<_> = runs
            .into_iter()
            .map(|run| run.wait_with_output().unwrap())
            .collect();
        let done = outputs.iter().filter(|it| it.status.success()).count();
        for output in &outputs {
            assert!(
                matches!(output.status.code(), Some(0 | 5)),
                "{round}: {output:?}"
            );
        }
        match done {
            0 => plain.assert_unchanged(&stage.cluster),
            _ => configured.assert_unchanged(&stage.cluster),
        }
        stage.configure(&EVERYTHING);
    }
    configured.assert_unchanged(&stage.cluster);
    stage.cluster.restart().unwrap();
    stage.configure(&["--remove"]);
    plain.assert_unchanged(&stage.cluster);
}

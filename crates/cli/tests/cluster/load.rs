//! Rotation under load.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use pgpki_testing::{Cluster, holds_within, run};

use crate::fixture::{EVERYTHING, Stage};

const ROTATIONS: u32 = 20;

/// Connections of one run of pgbench's.
const EACH: u32 = 20;

/// Every transaction of pgbench's makes a new connection, with a client certificate; one that fails
/// ends the run with an error. Its own files are a copy, which stands still.
#[test]
fn not_one_connection_fails_during_twenty_rotations() {
    let mut stage = Stage::with(Cluster::builder().conf("log_connections = on\n"));
    stage.configure(&EVERYTHING);
    let folder = stage.client("alice");
    let copied = stage.scene.path("copied");
    run(std::process::Command::new("cp")
        .arg("-r")
        .args([&folder, &copied]));
    let script = stage.scene.path("script.sql");
    std::fs::write(&script, "select 1;\n").unwrap();
    let connection = stage.conninfo(&copied, "alice", &[]);
    let pgbench = stage.cluster.programs().program("pgbench");
    let is_over = AtomicBool::new(false);

    let connections = AtomicU32::new(0);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let mut pgbench = std::process::Command::new(&pgbench);
                pgbench.args(["-C", "-n", "-c", "2", "-j", "2", "-t", "10", "-f"]);
                let output = run(pgbench.arg(&script).arg(&connection).env("LC_ALL", "C"));
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(said.contains("processed: 20/20"), "{said}");
                connections.fetch_add(EACH, Ordering::Relaxed);
            }
        });
        for rotation in 1..=ROTATIONS {
            // Some have come and gone since the last one, and others are about to.
            let is_due = || connections.load(Ordering::Relaxed) >= rotation * EACH;
            holds_within(Duration::from_secs(30), || is_due() || load.is_finished());
            if load.is_finished() {
                break;
            }
            stage.rotate(0, &["--force"]);
        }
        is_over.store(true, Ordering::Relaxed);
        load.join().unwrap();
    });

    assert_eq!(stage.current(), format!("g{:04}", ROTATIONS + 1));
    let log = stage.cluster.log();
    for failure in [
        "FATAL",
        "could not accept SSL connection",
        "was not reloaded",
    ] {
        assert!(!log.contains(failure), "{failure}: {log}");
    }
    stage.is_sound_with(&stage.current());
    stage.cluster.restart().unwrap();
}

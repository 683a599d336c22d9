//! A change of roots under load: four kinds of client, and not one connection that fails.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use pgpki_testing::{await_that, run};

use crate::stage::{DONE, Stage};

/// Rotations of every leaf between two steps.
const ROTATIONS: usize = 5;

/// Connections of one run of pgbench's.
const EACH: u32 = 10;

/// One kind of client, which connects and connects. Every transaction of pgbench's makes a new connection with a client
/// certificate; one that fails ends the run with an error. The files that it uses stand still.
struct Client<'a> {
    name: &'static str,
    connection: String,
    pgbench: PathBuf,
    script: PathBuf,
    /// Taken for writing while the server is restarted.
    server_is_up: &'a RwLock<()>,
    is_over: AtomicBool,
    connections: AtomicU32,
}

impl<'a> Client<'a> {
    fn new(
        name: &'static str,
        connection: String,
        stage: &Stage,
        server_is_up: &'a RwLock<()>,
    ) -> Self {
        let script = stage.scene.path("script.sql");
        fs::write(&script, "select 1;\n").unwrap();
        Self {
            name,
            connection,
            pgbench: stage.cluster.programs().program("pgbench"),
            script,
            server_is_up,
            is_over: AtomicBool::new(false),
            connections: AtomicU32::new(0),
        }
    }

    fn run(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let _up = self.server_is_up.read().unwrap();
            let mut pgbench = Command::new(&self.pgbench);
            pgbench.args(["-C", "-n", "-c", "2", "-j", "2", "-t", "5", "-f"]);
            pgbench.arg(&self.script).arg(&self.connection);
            let output = run(pgbench.env("LC_ALL", "C").env("HOME", "/nonexistent"));
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("processed: 10/10"), "{}: {said}", self.name);
            self.connections.fetch_add(EACH, Ordering::Relaxed);
        }
    }

    fn start<'s>(&'s self, scope: &'s thread::Scope<'s, '_>) -> ScopedJoinHandle<'s, ()> {
        scope.spawn(|| self.run())
    }

    fn so_far(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Whatever becomes of the test, its clients come to an end.
struct UntilTheEnd<'a, 'b>(&'b [&'b Client<'a>]);

impl Drop for UntilTheEnd<'_, '_> {
    fn drop(&mut self) {
        for client in self.0 {
            client.is_over.store(true, Ordering::Relaxed);
        }
    }
}

/// Some connections of each have come and gone, and others are about to.
fn some_more(clients: &[(&Client<'_>, &ScopedJoinHandle<'_, ()>)]) {
    let before: Vec<u32> = clients.iter().map(|(it, _)| it.so_far()).collect();
    let has_more = |((it, _), before): (&(&Client<'_>, _), &u32)| it.so_far() >= before + 2 * EACH;
    let failed = || clients.iter().any(|(_, thread)| thread.is_finished());
    await_that("every client connects", Duration::from_secs(60), || {
        failed() || clients.iter().zip(&before).all(has_more)
    });
    assert!(
        !failed(),
        "a connection failed; the client's panic says which"
    );
}

#[test]
fn not_one_connection_fails_from_the_new_root_to_the_end_of_the_old_one() {
    let stage = Stage::new();
    let old = stage.copied(&stage.client("alice"), "old");
    let old_root = stage.trust("old-root.crt", &stage.roots()[0]);
    let server_is_up = RwLock::new(());
    let client = |name, connection: String| Client::new(name, connection, &stage, &server_is_up);
    let old_old = client("old both", stage.conninfo("alice", &old, &old_root));

    thread::scope(|scope| {
        let first = old_old.start(scope);
        let _end = UntilTheEnd(&[&old_old]);
        some_more(&[(&old_old, &first)]);
        let begun = stage.rotate(DONE, &["--root"]);
        assert_eq!(begun["root"], "renewed", "{begun}");
        some_more(&[(&old_old, &first)]);
    });

    let new = stage.copied(&stage.client("newcomer"), "new");
    let roots = stage.roots();
    assert_eq!(roots.len(), 2);
    let new_root = stage.trust("new-root.crt", &roots[0]);
    let client = |name, connection: String| Client::new(name, connection, &stage, &server_is_up);
    let old_old = client("old both", stage.conninfo("alice", &old, &old_root));
    let old_new = client(
        "old trust, new certificate",
        stage.conninfo("newcomer", &new, &old_root),
    );
    let new_old = client(
        "new trust, old certificate",
        stage.conninfo("alice", &old, &new_root),
    );
    let new_new = client("new both", stage.conninfo("newcomer", &new, &new_root));
    thread::scope(|scope| {
        let clients = [&old_old, &old_new, &new_old, &new_new];
        let _end = UntilTheEnd(&clients);
        let threads = clients.map(|client| client.start(scope));
        let all: Vec<_> = clients.iter().copied().zip(&threads).collect();
        for _ in 0..ROTATIONS {
            some_more(&all);
            stage.rotate(DONE, &["--force"]);
        }
        {
            let _down = server_is_up.write().unwrap();
            stage.restart();
        }
        for _ in 0..ROTATIONS {
            some_more(&all);
            stage.rotate(DONE, &["--force"]);
        }
        some_more(&all);
        for client in &clients[..3] {
            client.is_over.store(true, Ordering::Relaxed);
        }
        let [old @ .., last] = &threads;
        let stopped = || old.iter().all(|thread| thread.is_finished());
        await_that("the old ones stop", Duration::from_secs(60), stopped);
        stage.supersede_what_is_left(&[]);
        let finished = stage.rotate(DONE, &["--root", "--finish"]);
        assert_eq!(finished["root"], "finished", "{finished}");
        some_more(&[(&new_new, last)]);
        stage.rotate(DONE, &["--force"]);
        some_more(&[(&new_new, last)]);
    });

    let log = stage.cluster.log();
    for failure in ["could not accept SSL connection", "was not reloaded"] {
        assert!(!log.contains(failure), "{failure}: {log}");
    }
    assert_eq!(stage.roots(), roots[..1]);
    let said = stage.keeps_out(&old_old.connection);
    assert!(said.contains("certificate verify failed"), "{said}");
    let said = stage.keeps_out(&new_old.connection);
    assert!(said.contains("unknown ca"), "{said}");
    stage.is_settled();
    stage.restart();
    stage.connects(&new_new.connection);
}

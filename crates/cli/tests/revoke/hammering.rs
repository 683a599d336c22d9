//! Alice is revoked while she hammers at the server, and Bob as well.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use pgpki_testing::{Cluster, await_that, run};

use crate::fixture::{EVERYTHING, Stage, on_every_version};
use crate::stage::{
    LONG, LongSession, copied, installed_crls, installed_revocations, is_refused, revoke,
    serial_of, the_place,
};

/// Bob's connections before and after the revocation, at the least.
const SOME: u32 = 20;

/// Every transaction of pgbench's makes a new connection, and one that fails ends the run with an error.
struct Pgbench<'a> {
    stage: &'a Stage,
    connection: String,
    connections: AtomicU32,
    is_over: AtomicBool,
}

impl<'a> Pgbench<'a> {
    fn new(stage: &'a Stage, connection: String) -> Self {
        Self {
            stage,
            connection,
            connections: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn once(&self) -> Command {
        let script = self.stage.scene.path("script.sql");
        let mut pgbench = Command::new(self.stage.cluster.programs().program("pgbench"));
        pgbench.args(["-C", "-n", "-c", "2", "-j", "2", "-t", "5", "-f"]);
        pgbench.arg(script).arg(&self.connection).env("LC_ALL", "C");
        pgbench
    }

    fn never_fails(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let output = run(&mut self.once());
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("processed: 10/10"), "{said}");
            self.connections.fetch_add(10, Ordering::Relaxed);
        }
    }

    /// Goes on until it is refused.
    fn until_it_fails(&self) -> String {
        loop {
            let output = self.once().output().unwrap();
            if !output.status.success() {
                return String::from_utf8_lossy(&output.stderr).into_owned();
            }
            self.connections.fetch_add(10, Ordering::Relaxed);
            assert!(
                !self.is_over.load(Ordering::Relaxed),
                "she was never refused"
            );
        }
    }

    fn made(&self, more_than: u32) {
        await_that("connections have been made", LONG, || {
            self.connections.load(Ordering::Relaxed) > more_than
        });
    }
}

#[test]
fn alice_is_out_and_bob_notices_nothing() {
    on_every_version(|programs| {
        let stage = Stage::with(Cluster::builder().programs(programs));
        stage.configure(&EVERYTHING);
        std::fs::write(stage.scene.path("script.sql"), "select 1;\n").unwrap();
        let [alice, bob] = ["alice", "bob"].map(|role| {
            let folder = stage.client(role);
            stage.conninfo(&copied(&stage, &folder), role, &[])
        });
        let numbers = installed_crls(&stage);

        let hers = LongSession::begin(&stage, &alice, "hers");
        let mut his = LongSession::begin(&stage, &bob, "his");
        let (alices, bobs) = (
            Pgbench::new(&stage, alice.clone()),
            Pgbench::new(&stage, bob.clone()),
        );
        let report = thread::scope(|scope| {
            let refused = scope.spawn(|| alices.until_it_fails());
            let unmoved = scope.spawn(|| bobs.never_fails());
            alices.made(SOME);
            bobs.made(SOME);
            let report = revoke(&stage, 0, &["alice", "--reason", "key-compromise"]);
            // From here on she does not get in once.
            is_refused(&stage, &alice);
            refused.join().unwrap();
            bobs.made(bobs.connections.load(Ordering::Relaxed) + SOME);
            bobs.is_over.store(true, Ordering::Relaxed);
            unmoved.join().unwrap();
            report
        });
        hers.was_ended();
        assert!(!his.is_over(), "{programs}");
        stage.connects(&bob);
        tells_what_it_did(&stage, &report, &numbers);

        where_her_key_is_elsewhere(&stage);
        stage.ledger_agrees();
    });
}

fn tells_what_it_did(stage: &Stage, report: &serde_json::Value, before: &[crate::stage::Crl]) {
    let serial = serial_of(&stage.scene.path("clients/alice/postgresql.crt"));
    assert_eq!(report["version"], 1);
    assert_eq!(report["revoked"][0]["serial"], *serial, "{report}");
    assert_eq!(report["revoked"][0]["name"], "alice");
    assert_eq!(report["already"], serde_json::json!([]));
    assert_eq!(report["problems"], serde_json::json!([]), "{report}");
    let server = format!(
        "{} at 127.0.0.1:{}",
        stage.cluster.data_dir().display(),
        stage.cluster.port()
    );
    let place = the_place(report);
    assert_eq!(place["outcome"], "enforced", "{report}");
    assert_eq!(place["proven"], serde_json::json!([server]));
    assert_eq!(report["refused"], serde_json::json!([server]));
    let ended = report["ended"].as_array().unwrap();
    assert!(ended.iter().all(|it| it["role"] == "alice"), "{report}");
    let decimal = u128::from_str_radix(&serial, 16).unwrap().to_string();
    assert!(
        ended.iter().any(|it| it["serial_decimal"] == *decimal),
        "{report}"
    );

    assert_eq!(installed_revocations(stage), [&*serial]);
    let after = installed_crls(stage);
    for (before, after) in before.iter().zip(&after) {
        match after.revoked.is_empty() {
            true => assert_eq!(before.number, after.number, "the root's did not change"),
            false => {
                assert!(after.number > before.number, "{before:?}\n{after:?}");
                assert_eq!(report["crls"][0]["number"], after.number as u64);
            }
        }
    }
}

/// Carol's folder has been carried away.
fn where_her_key_is_elsewhere(stage: &Stage) {
    let folder = stage.client("carol");
    let carol = stage.conninfo(&copied(stage, &folder), "carol", &[]);
    stage.connects(&carol);
    std::fs::remove_dir_all(&folder).unwrap();
    let report = revoke(stage, 0, &["carol"]);
    assert_eq!(the_place(&report)["outcome"], "enforced", "{report}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 1, "{report}");
    is_refused(stage, &carol);
}

//! Runs that are killed, or fail, at any moment: clients go on connecting, the server starts again from what is there,
//! and the next run goes on.

use crate::scenario::{Accident, Scenario, cas};
use crate::stage::{DONE, Stage};

/// The disk fails.
const FAILS: Accident = Accident::AtEveryCall("error=EIO");
const KILLED_AT_A_CALL: Accident = Accident::AtEveryCall("signal=SIGKILL");

/// One test for each command and each accident.
macro_rules! accidents {
    ($($command:ident: $killed:ident, $at_a_call:ident, $fails:ident;)*) => {$(
        #[test]
        fn $killed() {
            $command(Accident::Killed);
        }

        #[test]
        fn $at_a_call() {
            $command(KILLED_AT_A_CALL);
        }

        #[test]
        fn $fails() {
            $command(FAILS);
        }
    )*};
}

accidents! {
    a_new_root: root_killed, root_killed_at_every_call, root_with_a_disk_that_fails;
    the_end_of_the_old_one: finish_killed, finish_killed_at_every_call, finish_with_a_disk_that_fails;
    going_back: undo_killed, undo_killed_at_every_call, undo_with_a_disk_that_fails;
    a_compromised_issuing_ca: compromised_killed, compromised_killed_at_every_call, compromised_with_a_disk_that_fails;
}

/// Alice has had a certificate since before anything happened, and took it with her.
fn with_alice() -> (Stage, String) {
    let stage = Stage::new();
    let old = stage.copied(&stage.client("alice"), "old");
    let alice = stage.own("alice", &old);
    (stage, alice)
}

/// In the middle of a change of roots there is also a newcomer, who trusts the new one alone.
fn in_the_middle() -> (Stage, [String; 4]) {
    let (stage, alice) = with_alice();
    let old_root = stage.trust("old-root.crt", &stage.roots()[0]);
    stage.rotate(DONE, &["--root"]);
    let new_root = stage.trust("new-root.crt", &stage.roots()[0]);
    let new = stage.copied(&stage.client("newcomer"), "new");
    let old = stage.scene.path("old");
    let newcomer = [&old_root, &new_root].map(|root| stage.conninfo("newcomer", &new, root));
    let clients = [
        alice,
        stage.conninfo("alice", &old, &new_root),
        newcomer[0].clone(),
        newcomer[1].clone(),
    ];
    (stage, clients)
}

fn a_new_root(accident: Accident) {
    let (stage, alice) = with_alice();
    let folder = stage.scene.path("clients/alice");
    Scenario::of(stage).survives(
        accident,
        &["rotate", "--root"],
        |stage| {
            stage.connects(&alice);
            stage.connects(&stage.own("alice", &folder));
        },
        |_| {},
    );
}

fn the_end_of_the_old_one(accident: Accident) {
    let (stage, [.., newcomer]) = in_the_middle();
    stage.supersede_what_is_left(&[]);
    let folder = stage.scene.path("clients/newcomer");
    let finish = ["rotate", "--root", "--finish"];
    Scenario::of(stage).survives(
        accident,
        &finish,
        |stage| {
            stage.connects(&newcomer);
            stage.connects(&stage.own("newcomer", &folder));
        },
        |_| {},
    );
}

fn going_back(accident: Accident) {
    let (stage, [alice, _, newcomer, _]) = in_the_middle();
    let folders = ["alice", "newcomer"].map(|role| (role, stage.scene.path("clients").join(role)));
    Scenario::of(stage).survives(
        accident,
        &["rotate", "--root", "--undo"],
        |stage| {
            stage.connects(&alice);
            stage.connects(&newcomer);
            for (role, folder) in &folders {
                stage.connects(&stage.own(role, folder));
            }
        },
        |_| {},
    );
}

/// Whoever holds a certificate of the old CA is refused sooner or later. The folders that are here are good at every
/// moment, but for the one between the server's reload and the folder; and but for a server whose new files could not
/// be written: it does not know the new CA before the next run.
fn a_compromised_issuing_ca(accident: Accident) {
    let (stage, alice) = with_alice();
    let folder = stage.scene.path("clients/alice");
    let gets_in = |stage: &Stage, conninfo: &str, refusals: &[&str]| {
        let output = stage.cluster.psql(conninfo, "select 1");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_in = output.status.success();
        let is_refused = refusals.iter().any(|refusal| said.contains(refusal));
        assert!(is_in || is_refused, "{said}");
        is_in
    };
    let revoked = "certificate revoked";
    let not_known_yet = match accident {
        Accident::AtEveryCall("error=EIO") => "unknown ca",
        _ => revoked,
    };
    let compromised = ["rotate", "--issuing", "--compromised"];
    Scenario::of(stage).survives(
        accident,
        &compromised,
        |stage| {
            gets_in(stage, &alice, &[revoked]);
            gets_in(
                stage,
                &stage.own("alice", &folder),
                &[revoked, not_known_yet],
            );
        },
        |stage| {
            stage.connects(&stage.own("alice", &folder));
            let is_revoked = cas(stage, "state = 'revoked'") > 0;
            assert_eq!(gets_in(stage, &alice, &[revoked]), !is_revoked);
        },
    );
}

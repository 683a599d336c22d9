//! Runs that are killed, or fail, at any moment: clients go on connecting, the server starts again from what is there,
//! and the next run goes on.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use crate::scenario::{Accident, Scenario, Subject, cas};
use crate::stage::{DONE, FINDINGS, OpenSession, Stage};

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
    Scenario::of(stage).survives(accident, &["rotate", "--root"], &|stage: &Stage| {
        stage.connects(&alice);
        stage.connects(&stage.own("alice", &folder));
    });
}

fn the_end_of_the_old_one(accident: Accident) {
    let (stage, [.., newcomer]) = in_the_middle();
    stage.supersede_what_is_left(&[]);
    let folder = stage.scene.path("clients/newcomer");
    let finish = ["rotate", "--root", "--finish"];
    Scenario::of(stage).survives(accident, &finish, &|stage: &Stage| {
        stage.connects(&newcomer);
        stage.connects(&stage.own("newcomer", &folder));
    });
}

fn going_back(accident: Accident) {
    let (stage, [alice, _, newcomer, _]) = in_the_middle();
    let folders = ["alice", "newcomer"].map(|role| (role, stage.scene.path("clients").join(role)));
    Scenario::of(stage).survives(
        accident,
        &["rotate", "--root", "--undo"],
        &|stage: &Stage| {
            stage.connects(&alice);
            stage.connects(&newcomer);
            for (role, folder) in &folders {
                stage.connects(&stage.own(role, folder));
            }
        },
    );
}

fn a_compromised_issuing_ca(accident: Accident) {
    let (stage, alice) = with_alice();
    // Bob's folder is where nobody finds it.
    let away = stage.scene.path("away");
    fs::rename(stage.client("bob"), away).unwrap();
    let holders = Holders {
        accident,
        old: alice,
        folder: stage.scene.path("clients/alice"),
        session: RefCell::new(None),
    };
    let compromised = ["rotate", "--issuing", "--compromised"];
    Scenario::of(stage).survives(accident, &compromised, &holders);
}

/// Who has something of the CA that was lost: alice a copy elsewhere, with a session that came in with it, and a folder
/// that is here; bob a folder somewhere.
struct Holders {
    accident: Accident,
    /// The connection string with the copy.
    old: String,
    folder: PathBuf,
    session: RefCell<Option<OpenSession>>,
}

const REVOKED: &str = "certificate revoked";

impl Holders {
    /// Whether somebody gets in; if not, then for one of these reasons.
    fn gets_in(&self, stage: &Stage, conninfo: &str, refusals: &[&str]) -> bool {
        let output = stage.cluster.psql(conninfo, "select 1");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_in = output.status.success();
        let is_refused = refusals.iter().any(|refusal| said.contains(refusal));
        assert!(is_in || is_refused, "{said}");
        is_in
    }

    fn is_revoked(&self, stage: &Stage) -> bool {
        cas(stage, "state IN ('revoking', 'revoked')") > 0
    }
}

/// Whoever holds a certificate of the old CA is refused sooner or later. The folders that are here are good at every
/// moment, but for the one between the server's reload and the folder; and but for a server whose new files could not
/// be written: it does not know the new CA before the next run.
impl Subject for Holders {
    fn before(&self, stage: &Stage) {
        *self.session.borrow_mut() = Some(stage.session(&self.old));
    }

    fn check(&self, stage: &Stage) {
        let not_known_yet = match self.accident {
            Accident::AtEveryCall("error=EIO") => "unknown ca",
            _ => REVOKED,
        };
        self.gets_in(stage, &self.old, &[REVOKED]);
        let own = stage.own("alice", &self.folder);
        self.gets_in(stage, &own, &[REVOKED, not_known_yet]);
    }

    /// The one or the other has named both, and the session is over: as it is where nothing has come between.
    fn after(&self, stage: &Stage, told: &[String; 2]) {
        stage.connects(&stage.own("alice", &self.folder));
        let is_revoked = self.is_revoked(stage);
        assert_eq!(self.gets_in(stage, &self.old, &[REVOKED]), !is_revoked);
        let mut session = self.session.borrow_mut();
        assert!(!is_revoked || session.as_mut().unwrap().has_ended());
        let ready = format!("  client alice  {}", self.folder.display());
        let lost = "  client bob  where the old one went is not known";
        let is_told = |it: &String| it.contains(&ready) && it.contains(lost);
        assert_eq!(told.iter().any(is_told), is_revoked, "{told:?}");
    }

    /// Bob has to be told until somebody has given him another one.
    fn is_done(&self, stage: &Stage) {
        if !self.is_revoked(stage) {
            assert_eq!(stage.says(DONE, &["rotate"]), "");
            return;
        }
        let said = stage.says(FINDINGS, &["rotate"]);
        assert!(said.contains("  client bob  where"), "{said}");
        assert!(!said.contains("alice") && !said.contains("ended"), "{said}");
    }

    fn is_settled(&self, stage: &Stage) {
        if self.is_revoked(stage) {
            stage.says(DONE, &["issue-client", "--out", "clients", "bob"]);
            fs::remove_dir_all(stage.scene.path("clients/bob")).unwrap();
        }
        stage.is_settled();
    }
}

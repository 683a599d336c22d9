//! `rotate --issuing --compromised`: the issuing key is lost or stolen, and all that it has signed with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Scene, openssl, run};
use serde_json::Value;

use crate::stage::{DONE, FINDINGS, Stage, blocks};

const COMPROMISED: [&str; 2] = ["--issuing", "--compromised"];

/// Whoever must be handed a new certificate, with the number of folders that are ready.
fn lost(report: &Value) -> Vec<(&str, &str, usize)> {
    let lost = report["lost"].as_array().unwrap();
    let lost = lost.iter().map(|it| {
        let ready = it["renewed"].as_array().unwrap().len();
        (
            it["profile"].as_str().unwrap(),
            it["name"].as_str().unwrap(),
            ready,
        )
    });
    lost.collect()
}

#[test]
fn everything_that_it_has_signed_is_refused_and_what_is_here_is_replaced() {
    let stage = Stage::new();
    let alice = stage.client("alice");
    let stolen = stage.copied(&alice, "stolen");
    let away = stage.scene.path("away");
    fs::rename(stage.client("bob"), &away).unwrap();
    let mut session = stage.session(&stage.own("bob", &away));

    let before = stage.home();
    let dry = stage.rotate(DONE, &[&COMPROMISED[..], &["--dry-run"]].concat());
    assert_eq!(lost(&dry), [("client", "alice", 0), ("client", "bob", 0)]);
    assert_eq!(stage.home(), before);

    let report = stage.rotate(FINDINGS, &COMPROMISED);
    assert_eq!(report["issuing_ca"], "replaced", "{report}");
    assert_eq!(
        lost(&report),
        [("client", "alice", 1), ("client", "bob", 0)]
    );
    assert_eq!(report["ended"][0]["pid"], session.pid, "{report}");
    assert!(session.has_ended());
    for (role, folder) in [("alice", &stolen), ("bob", &away)] {
        let said = stage.keeps_out(&stage.own(role, folder));
        assert!(said.contains("certificate revoked"), "{said}");
    }
    stage.connects(&stage.own("alice", &alice));
    assert_eq!(revoked_by(&stage), 1);
    stage.restart();
    stage.connects(&stage.own("alice", &alice));
    let said = stage.keeps_out(&stage.own("alice", &stolen));
    assert!(said.contains("certificate revoked"), "{said}");
    stage.is_settled_but_for_bob();
}

impl Stage {
    /// What was moved away is told again, and does not count.
    #[track_caller]
    fn is_settled_but_for_bob(&self) {
        let report = self.rotate(DONE, &[]);
        let places = report["places"].as_array().unwrap();
        assert_eq!(places.len(), 1, "{report}");
        assert_eq!(places[0]["outcome"], "moved-away");
        assert!(report["lost"].is_null(), "{report}");
    }
}

/// How many certificates the CRLs of the server have all in all.
fn revoked_by(stage: &Stage) -> usize {
    let crls = blocks(&stage.scene.tls().join("current/root.crl"));
    let revoked = crls.iter().map(|crl| {
        let file = stage.scene.path("one.crl");
        fs::write(&file, crl).unwrap();
        let args = ["crl", "-noout", "-text", "-in", file.to_str().unwrap()];
        let text = String::from_utf8(openssl(args).stdout).unwrap();
        text.matches("Serial Number:").count()
    });
    revoked.sum()
}

/// The thief has made certificates of his own, which the ledger does not know, one with the number of a good one.
#[test]
fn sessions_of_an_impostor_end() {
    let stage = Stage::new();
    stage.cluster.create_role("mallory", None, true);
    let good = stage.client("alice");
    let serial = String::from_utf8(
        openssl(
            ["x509", "-noout", "-serial", "-in"]
                .map(String::from)
                .into_iter()
                .chain([good.join("postgresql.crt").display().to_string()]),
        )
        .stdout,
    )
    .unwrap();
    let known = format!("0x{}", serial.trim().split('=').nth(1).unwrap());
    let mut sessions = Vec::new();
    for serial in ["0x1234567890abcdef", &known] {
        let forged = forge(&stage, "mallory", serial);
        sessions.push(stage.session(&stage.conninfo("mallory", &forged, &good.join("root.crt"))));
    }
    let report = stage.rotate(FINDINGS, &[&COMPROMISED[..], &["--keep-sessions"]].concat());
    assert!(report["ended"].is_null(), "{report}");
    for session in &mut sessions {
        assert_eq!(session.ask("select 'alive'"), "alive");
    }
    // The next one ends them, and leaves alone who has come in with a new certificate.
    stage.rotate(FINDINGS, &COMPROMISED);
    for session in &mut sessions {
        assert!(session.has_ended());
    }
}

/// A certificate that was made with the stolen key.
fn forge(stage: &Stage, role: &str, serial: &str) -> PathBuf {
    let dir = stage.scene.path(format!("forged-{serial}"));
    fs::create_dir(&dir).unwrap();
    let ca = stage.scene.home().join("issuing/g0001");
    let script = format!(
        "umask 077; cd {dir}; \
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={role} \
             -keyout postgresql.key -out request.csr; \
         openssl x509 -req -in request.csr -CA {ca}/ca.crt -CAkey {ca}/ca.key -set_serial {serial} \
             -days 30 -out leaf.crt; \
         cat leaf.crt {ca}/ca.crt > postgresql.crt",
        dir = dir.display(),
        ca = ca.display()
    );
    run(Command::new("sh").args(["-ec", &script]));
    dir
}

/// A way to lose a key, which the home may know by.
type Loss = fn(&Path);

const LOSSES: [(&str, Loss); 5] = [
    ("the key is gone", |issuing| {
        fs::remove_file(issuing.join("g0001/ca.key")).unwrap();
    }),
    ("the key is garbage", |issuing| {
        fs::write(issuing.join("g0001/ca.key"), [0x80; 300]).unwrap();
    }),
    ("the key is empty", |issuing| {
        fs::write(issuing.join("g0001/ca.key"), "").unwrap();
    }),
    ("the generation is gone", |issuing| {
        fs::remove_dir_all(issuing.join("g0001")).unwrap();
    }),
    ("all of it is gone", |issuing| {
        fs::remove_dir_all(issuing).unwrap();
        fs::create_dir(issuing).unwrap();
        fs::set_permissions(issuing, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }),
];

#[test]
fn the_key_itself_is_not_needed() {
    for (what, lose) in LOSSES {
        let stage = Stage::new();
        let alice = stage.client("alice");
        let stolen = stage.copied(&alice, "stolen");
        lose(&stage.scene.home().join("issuing"));
        // Whoever does not know yet is told the way.
        let said = stage.scene.fails(4, "rotate --force");
        assert!(
            said.contains("rotate --issuing --compromised"),
            "{what}: {said}"
        );
        let report = stage.rotate(FINDINGS, &COMPROMISED);
        assert_eq!(lost(&report), [("client", "alice", 1)], "{what}");
        stage.connects(&stage.own("alice", &alice));
        let said = stage.keeps_out(&stage.own("alice", &stolen));
        assert!(said.contains("certificate revoked"), "{what}: {said}");
        stage.is_settled();
    }
}

/// Without the directory there is no place for another key: that is said, and how to make it.
#[test]
fn without_its_directory_the_way_is_told() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let issuing = scene.home().join("issuing");
    fs::remove_dir_all(&issuing).unwrap();
    for line in ["rotate", "rotate --issuing --compromised", "inspect"] {
        let said = scene.fails(4, line);
        let make = format!("mkdir -m 0700 {}", issuing.display());
        assert!(said.contains(&make), "{line}: {said}");
    }
    run(Command::new("mkdir").args(["-m", "0700"]).arg(&issuing));
    scene.pgpki("rotate --issuing --compromised");
    assert_eq!(scene.pgpki("rotate"), "");
}

#[test]
fn during_a_change_of_roots_both_revoke_theirs() {
    let stage = Stage::new();
    let old = stage.copied(&stage.client("alice"), "old");
    let old_root = stage.trust("old-root.crt", &stage.roots()[0]);
    stage.rotate(DONE, &["--root"]);
    let newcomer = stage.client("newcomer");
    let new = stage.copied(&newcomer, "new");
    let new_root = stage.trust("new-root.crt", &stage.roots()[0]);

    let report = stage.rotate(FINDINGS, &COMPROMISED);
    assert_eq!(
        lost(&report),
        [("client", "alice", 1), ("client", "newcomer", 1)]
    );
    assert_eq!(revoked_by(&stage), 2);
    let alice = stage.scene.path("clients/alice");
    for root in [&old_root, &new_root] {
        for (role, folder) in [("alice", &old), ("newcomer", &new)] {
            let said = stage.keeps_out(&stage.conninfo(role, folder, root));
            assert!(said.contains("certificate revoked"), "{said}");
        }
        stage.connects(&stage.conninfo("alice", &alice, root));
        stage.connects(&stage.conninfo("newcomer", &newcomer, root));
    }
    // What is revoked depends on nobody any more.
    stage.left(DONE);
    stage.rotate(DONE, &["--root", "--finish"]);
    stage.connects(&stage.own("alice", &alice));
    stage.is_settled();
}

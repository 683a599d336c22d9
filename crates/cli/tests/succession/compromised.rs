//! `rotate --issuing --compromised`: the issuing key is lost or stolen, and all that it has signed with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Scene, openssl, revoked, run};
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
    /// Who has no other one is told again and again.
    #[track_caller]
    fn is_settled_but_for_bob(&self) {
        for _ in 0..2 {
            let report = self.rotate(FINDINGS, &[]);
            let places = report["places"].as_array().unwrap();
            assert_eq!(places.len(), 1, "{report}");
            assert_eq!(places[0]["outcome"], "moved-away");
            assert_eq!(lost(&report), [("client", "bob", 0)]);
            assert!(report["ended"].is_null(), "{report}");
        }
    }

    /// What the ledger says of each certificate of a role, in the order of their ends.
    #[track_caller]
    fn statuses(&self, status: i32, role: &str) -> Vec<String> {
        let listed = self.json(status, &["inspect", "--all", "--json"]);
        let certificates = listed["certificates"].as_array().unwrap().iter();
        let his = certificates.filter(|it| it["subject"] == role);
        his.map(|it| it["status"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The roles and servers that `inspect` says have nothing that anybody accepts.
    #[track_caller]
    fn found(&self) -> Vec<String> {
        let output = self.scene.command(["inspect", "--json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap().iter();
        let found = findings.filter(|it| it["code"] == "issuer-revoked");
        let found: Vec<String> = found
            .map(|it| it["message"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(output.status.code(), Some(i32::from(!found.is_empty())));
        found
    }
}

/// Bob and carol have moved their folders away, and a standby has been given one. Each is named, by `rotate` and by
/// `inspect`, until there is an end to it.
#[test]
fn whoever_has_no_other_one_is_named_until_that_is_settled() {
    let stage = Stage::new();
    for role in ["bob", "carol", "dave"] {
        let away = stage.scene.path(format!("away-{role}"));
        fs::rename(stage.client(role), away).unwrap();
    }
    let short = ["--days", "1"];
    fs::rename(
        stage.client_with("erin", &short),
        stage.scene.path("away-erin"),
    )
    .unwrap();
    stage.says(DONE, &["issue-server", "--out", "standby", "standby"]);
    fs::rename(stage.scene.path("standby"), stage.scene.path("away")).unwrap();
    stage.client("alice");
    assert_eq!(stage.statuses(DONE, "bob"), ["valid"]);
    stage.rotate(FINDINGS, &COMPROMISED);
    assert_eq!(stage.statuses(FINDINGS, "bob"), ["revoked"]);
    assert_eq!(stage.statuses(FINDINGS, "alice"), ["revoked", "valid"]);
    let listed = stage.json(FINDINGS, &["inspect", "--json"]);
    let clients = &listed["counts"].as_array().unwrap()[0];
    assert_eq!(
        (&clients["profile"], &clients["revoked"], &clients["valid"]),
        (&"client".into(), &5.into(), &1.into())
    );

    let named = |stage: &Stage| {
        let report = stage.rotate(FINDINGS, &[]);
        let lost = lost(&report).into_iter();
        let names: Vec<String> = lost.map(|(_, name, _)| name.to_owned()).collect();
        names
    };
    assert_eq!(named(&stage), ["standby", "bob", "carol", "dave", "erin"]);
    assert_eq!(stage.found().len(), 2);
    // He is given another one, which is not where the first was.
    stage.says(DONE, &["issue-client", "--out", "elsewhere", "bob"]);
    assert_eq!(named(&stage), ["standby", "carol", "dave", "erin"]);
    // She has left.
    let revoked = stage.json(FINDINGS, &["revoke", "--json", "carol"]);
    assert_eq!(revoked["places"][1]["outcome"], "unreached", "{revoked}");
    assert_eq!(named(&stage), ["standby", "dave", "erin"]);
    // What he has is not the end: that CA is lost as well.
    stage.says(DONE, &["issue-client", "--out", "elsewhere", "dave"]);
    fs::rename(
        stage.scene.path("elsewhere/dave"),
        stage.scene.path("away-again"),
    )
    .unwrap();
    assert_eq!(named(&stage), ["standby", "erin"]);
    stage.rotate(FINDINGS, &COMPROMISED);
    assert_eq!(named(&stage), ["standby", "dave", "erin"]);
    stage.says(DONE, &["issue-client", "--out", "elsewhere/again", "dave"]);
    // The name's own standby has another one, and erin's is over.
    stage.says(DONE, &["issue-server", "--out", "standby", "standby"]);
    assert_eq!(named(&stage), ["erin"]);
    assert!(
        stage.found()[0].contains("1 role: erin"),
        "{:?}",
        stage.found()
    );
    let output = stage
        .scene
        .command_at("+2d", ["rotate", "--json", "--no-reload"])
        .output();
    let report: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert!(report["lost"].is_null(), "{report}");
}

/// How many certificates the CRLs of the server have all in all.
fn revoked_by(stage: &Stage) -> usize {
    let crls = blocks(&stage.scene.tls().join("current/root.crl"));
    let numbers = crls.iter().map(|crl| {
        let file = stage.scene.path("one.crl");
        fs::write(&file, crl).unwrap();
        let args = ["crl", "-noout", "-text", "-in", file.to_str().unwrap()];
        let text = String::from_utf8(openssl(args).stdout).unwrap();
        revoked(&text).len()
    });
    numbers.sum()
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
            said.contains("rotate --issuing") && said.contains("--compromised"),
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

/// What mounts a directory read-only over itself, as long as it is there.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(directory: &Path) -> Self {
        run(Command::new("mount").args(["--bind"]).args([directory; 2]));
        let mounted = Self(directory.to_owned());
        let remount = ["-o", "remount,bind,ro"];
        run(Command::new("mount").args(remount).arg(directory));
        mounted
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// It cannot be kept from accepting what it does not know to be revoked; that is said, and how to end it.
#[test]
fn a_server_whose_files_cannot_be_written_is_open_to_the_thief_until_they_can() {
    let stage = Stage::new();
    let alice = stage.client("alice");
    let stolen = stage.copied(&alice, "stolen");
    let (own, stolen) = (stage.own("alice", &alice), stage.own("alice", &stolen));
    let mut first = stage.session(&stolen);
    let tls = ReadOnly::mount(&stage.scene.tls());
    let said = stage.says(FINDINGS, &["rotate", "--issuing", "--compromised"]);
    assert!(said.contains("failed  server localhost"), "{said}");
    for part in [
        "Until that is put right and pgpki rotate has run again",
        "lets in whoever has a certificate of the revoked CA",
        "refuses those with a new one. Stop it",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(first.has_ended());
    stage.connects(&stolen);
    stage.keeps_out(&own);
    let mut second = stage.session(&stolen);
    // It is said each time, to everybody.
    let report = stage.rotate(FINDINGS, &[]);
    let server = &report["places"][0];
    assert!(
        server["hint"].as_str().unwrap().contains("lets in"),
        "{report}"
    );
    assert_eq!(lost(&report).last(), Some(&("client", "alice", 1)));
    assert!(second.has_ended());
    let mut third = stage.session(&stolen);
    drop(tls);
    let report = stage.rotate(FINDINGS, &[]);
    assert_eq!(report["ended"][0]["pid"], third.pid, "{report}");
    assert!(third.has_ended());
    stage.keeps_out(&stolen);
    stage.connects(&own);
    stage.is_settled();
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

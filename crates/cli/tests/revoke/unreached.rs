//! Servers that no reload reaches: a revocation that nobody enforces is not done, and what is to be
//! done is said.

use std::fs;
use std::path::PathBuf;

use pgpki_testing::{Cluster, Scene, Shutdown, append, run};
use serde_json::Value;

use crate::fixture::{EVERYTHING, Stage};
use crate::stage::{
    LongSession, crls_of, installed_revocations, is_refused, revoke, says, serial_of, the_place,
};

fn reason(place: &Value) -> &str {
    place["not_proven"][0].as_str().unwrap()
}

#[test]
fn as_asked() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.conninfo(&stage.client("alice"), "alice", &[]);
    let mut hers = LongSession::begin(&stage, &alice, "hers");
    let report = revoke(&stage, 1, &["alice", "--no-reload"]);
    assert_eq!(the_place(&report)["outcome"], "not-enforced");
    assert_eq!(reason(the_place(&report)), "not reloaded, as asked");
    assert_eq!(installed_revocations(&stage).len(), 1);
    // She would be back at once.
    assert!(!hers.is_over());
    stage.connects(&alice);
    let said = says(&stage, 1, &["alice", "--no-reload"]);
    assert!(
        said.contains("not reloaded, as asked") && said.contains("reload or start it"),
        "{said}"
    );
    revoke(&stage, 0, &["alice"]);
    hers.was_ended();
    is_refused(&stage, &alice);
}

#[test]
fn a_server_that_is_down() {
    let mut stage = Stage::configured(&EVERYTHING);
    let alice = stage.conninfo(&stage.client("alice"), "alice", &[]);
    stage.scene.pgpki("rotate");
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let report = revoke(&stage, 1, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "not-enforced", "{report}");
    assert!(
        reason(the_place(&report)).contains("is not running"),
        "{report}"
    );
    stage.cluster.start().unwrap();
    is_refused(&stage, &alice);
    revoke(&stage, 0, &["alice"]);
}

#[test]
fn a_server_that_listens_on_no_address() {
    let stage = Stage::configured(&EVERYTHING);
    stage.client("alice");
    append(stage.conf(), "listen_addresses = ''\n");
    run(&mut stage.pg_ctl(&["restart", "-w"]));
    let report = revoke(&stage, 1, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "not-enforced", "{report}");
    assert!(
        reason(the_place(&report)).contains("listens on no TCP address"),
        "{report}"
    );
}

/// PgBouncer, which is told and not asked.
#[test]
fn what_stands_beside_and_is_not_asked() {
    let stage = Stage::configured(&EVERYTHING);
    stage.client("alice");
    let settings = stage.scene.home().join("pgpki.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(
        &settings,
        format!("{text}\n[[reload]]\ncommand = [\"true\"]\n"),
    )
    .unwrap();
    let report = revoke(&stage, 1, &["alice"]);
    let place = the_place(&report);
    assert_eq!(place["outcome"], "not-enforced", "{report}");
    assert_eq!(reason(place), "true was told");
    assert_eq!(place["proven"].as_array().unwrap().len(), 1, "{report}");
    let said = says(&stage, 1, &["alice"]);
    assert!(
        said.contains("which was seen to refuse what its CRL lists"),
        "{said}"
    );
    assert!(said.contains("not enforced"), "{said}");
    // Where it can be asked, it is tried.
    let at = format!("127.0.0.1:{}", stage.cluster.port());
    let prove = format!("\n[[reload]]\ncommand = [\"true\"]\nprove = \"{at}\"\n");
    fs::write(&settings, text + &prove).unwrap();
    let report = revoke(&stage, 0, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "enforced", "{report}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 2, "{report}");
}

#[test]
fn an_authority_without_an_installation() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    fs::remove_dir_all(scene.tls()).unwrap();
    scene.pgpki("issue-client --out clients alice");
    let server = serial_of_the_server(&scene);
    let output = scene.command(["revoke", "alice"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let way = format!("pgpki revoke {server}");
    assert!(
        said.contains("the installation is gone") && said.contains(&way),
        "{said}"
    );
    // That server is no more.
    let output = scene.command(["revoke", &*server]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("knows no installation"), "{said}");
    // One that was signed has nobody here who could bring it anything.
    scene.pgpki("request --host db2.example.com --out keys");
    scene.pgpki("sign keys/db2.example.com/server.csr --host db2.example.com --out signed");
    let output = scene.command(["revoke", "alice"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not there yet  db2.example.com"), "{said}");
    assert!(said.contains("A folder of pgpki sign"), "{said}");
    assert!(!said.contains("knows no installation"), "{said}");
}

fn serial_of_the_server(scene: &Scene) -> String {
    let listed: Value = serde_json::from_str(&scene.pgpki("inspect --all --json")).unwrap();
    let mut certificates = listed["certificates"].as_array().unwrap().iter();
    let server = certificates.find(|it| it["profile"] == "server").unwrap();
    server["serial"].as_str().unwrap().to_owned()
}

fn outcome_at<'a>(report: &'a Value, path: &std::path::Path) -> &'a str {
    let mut places = report["places"].as_array().unwrap().iter();
    let place = places.find(|it| it["path"] == path.to_str().unwrap());
    place.unwrap_or_else(|| panic!("{report}"))["outcome"]
        .as_str()
        .unwrap()
}

/// A server on another machine, a second installation whose cluster is down, and one that is gone.
#[test]
fn every_other_installation_is_named() {
    let stage = Stage::configured(&EVERYTHING);
    let path = |name: &str| stage.scene.path(name);
    let alice = stage.conninfo(&stage.client("alice"), "alice", &[]);
    stage.scene.pgpki("issue-server db2.example.com --out db2");
    let owner = stage.cluster.owner();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let install = |name: &str| {
        let install = path(name);
        let args = [
            "issue-server",
            "localhost",
            "127.0.0.1",
            "--owner",
            &*owner,
            "--install",
        ];
        run(stage.scene.command(args).arg(&install));
        install
    };
    let (second, gone) = (install("second"), install("gone"));
    let mut down = Cluster::running();
    let mut configure = stage.scene.command(["configure", "--pgdata"]);
    configure.arg(down.data_dir()).arg("--install").arg(&second);
    run(&mut configure);
    // So that it is known once it is down.
    stage.scene.pgpki("rotate --force");
    down.stop(Shutdown::Fast).unwrap();
    let gones = serial_of(&gone.join("current/server.crt"));
    fs::remove_dir_all(&gone).unwrap();

    let report = revoke(&stage, 1, &["alice"]);
    let db2 = path("db2");
    for (place, outcome) in [
        (&stage.scene.tls(), "enforced"),
        (&db2, "elsewhere"),
        (&second, "not-enforced"),
        (&gone, "unreached"),
    ] {
        assert_eq!(outcome_at(&report, place), outcome, "{report}");
    }
    is_refused(&stage, &alice);
    let said = says(&stage, 1, &["alice"]);
    for part in [
        "not there yet  db2.example.com",
        "root.crl to that server, and reload it there",
        "is not running",
        "the installation is gone",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let listed = report["revoked"].as_array().unwrap().iter();
    let mut alices: Vec<&str> = listed.map(|it| it["serial"].as_str().unwrap()).collect();
    alices.sort_unstable();
    for folder in [db2, second.join("current")] {
        let crls = crls_of(&stage, &folder).into_iter();
        let revoked: Vec<String> = crls.flat_map(|crl| crl.revoked).collect();
        assert_eq!(revoked, alices);
    }
    down.start().unwrap();
    let report = revoke(&stage, 1, &["alice", &gones]);
    assert_eq!(outcome_at(&report, &second), "enforced", "{report}");
    // There is no such server any more, as was said.
    let paths: Vec<PathBuf> = report["places"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap().into())
        .collect();
    assert!(!paths.contains(&gone), "{report}");
}

/// Their certificates were signed for keys that are elsewhere: no place of the ledger's.
#[test]
fn servers_that_were_signed_are_named() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.conninfo(&stage.client("alice"), "alice", &[]);
    let sign = |name: &str, out: &str| {
        stage
            .scene
            .pgpki(&format!("request --host {name} --out keys-{out}"));
        stage.scene.pgpki(&format!(
            "sign keys-{out}/{name}/server.csr --host {name} --host 10.0.0.7 --out {out}"
        ));
        serial_of(&stage.scene.path(format!("{out}/{name}/server.crt")))
    };
    let db2 = sign("db2.example.com", "one");
    let gone = sign("db3.example.com", "two");
    // A role's certificate that was signed is of no server.
    stage.scene.pgpki("request bob --out keys");
    stage
        .scene
        .pgpki("sign keys/bob/postgresql.csr --role bob --out clients");

    let report = revoke(&stage, 1, &["alice", &gone]);
    is_refused(&stage, &alice);
    assert_eq!(the_place(&report)["outcome"], "enforced", "{report}");
    let elsewhere = report["elsewhere"].as_array().unwrap();
    assert_eq!(elsewhere.len(), 1, "{report}");
    assert_eq!(elsewhere[0]["serial"], *db2);
    assert_eq!(elsewhere[0]["name"], "db2.example.com");
    let hosts = serde_json::json!(["db2.example.com", "10.0.0.7"]);
    assert_eq!(elsewhere[0]["hosts"], hosts);
    let said = says(&stage, 1, &["alice"]);
    let crls = stage.scene.tls().join("current/root.crl");
    for part in [
        "not there yet  db2.example.com, 10.0.0.7",
        &db2,
        &format!("Take {} to that server", crls.display()),
        &format!("pgpki revoke {db2}"),
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains("db3") && !said.contains("bob"), "{said}");
    // Once it is no more, nobody is left who does not know.
    let report = revoke(&stage, 0, &[&db2]);
    assert_eq!(report["elsewhere"], Value::Null, "{report}");
}

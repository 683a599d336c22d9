//! What can be named, and what cannot.

use std::fs;
use std::path::Path;

use pgpki_testing::{Cluster, Scene, openssl, run};
use serde_json::Value;

use crate::fixture::{EVERYTHING, Stage};
use crate::stage::{
    copied, installed_crls, installed_revocations, is_refused, revoke, says, serial_of, the_place,
};

/// The serial number of a role's certificate in its folder.
fn serial(stage: &Stage, role: &str) -> String {
    serial_of(&stage.scene.path(format!("clients/{role}/postgresql.crt")))
}

fn serials(report: &Value, list: &str) -> Vec<String> {
    let list = report[list].as_array().unwrap().iter();
    list.map(|it| it["serial"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_serial_number_in_every_form_in_which_it_is_printed() {
    let stage = Stage::configured(&EVERYTHING);
    let with_colons = |serial: &str| -> String {
        let pairs = serial.as_bytes().chunks(2);
        let pairs: Vec<&str> = pairs.map(|it| std::str::from_utf8(it).unwrap()).collect();
        pairs.join(":")
    };
    let decimal = |serial: &str| u128::from_str_radix(serial, 16).unwrap().to_string();
    let roles = ["plain", "upper", "colons", "decimal", "short"];
    for role in roles {
        stage.client(role);
        let serial = serial(&stage, role);
        let form = match role {
            "upper" => serial.to_uppercase(),
            "colons" => with_colons(&serial),
            "decimal" => decimal(&serial),
            "short" => serial.trim_start_matches('0').to_owned(),
            _ => serial.clone(),
        };
        let report = revoke(&stage, 0, &[&form]);
        assert_eq!(serials(&report, "revoked"), [serial], "{role}");
        // Somebody else's certificate is still good.
        stage.client(&format!("not-{role}"));
    }
    assert_eq!(installed_revocations(&stage).len(), roles.len());
    let said = stage
        .scene
        .fails(4, "revoke 0123456789abcdef0123456789abcdef");
    assert!(
        said.contains("no certificate with the serial number"),
        "{said}"
    );
    let said = stage
        .scene
        .fails(4, "revoke 123456789012345678901234567890123456");
    assert!(
        said.contains("no certificate with the serial number"),
        "{said}"
    );
    let said = stage.scene.fails(4, "revoke nobody");
    assert!(
        said.contains("the role nobody has no certificate"),
        "{said}"
    );
}

#[test]
fn a_file_in_every_form() {
    let stage = Stage::configured(&EVERYTHING);
    let path = |name: &str| stage.scene.path(name);
    let revokes = |role: &str, target: &Path| {
        let serial = serial(&stage, role);
        let report = revoke(&stage, 0, &[target.to_str().unwrap()]);
        assert_eq!(serials(&report, "revoked"), [serial], "{role}");
        // Its folder is still there, and with it the key.
        assert_eq!(report["refused"].as_array().unwrap().len(), 1, "{report}");
    };
    for role in ["pem", "der", "folder", "copy"] {
        stage.client(role);
    }
    revokes("pem", &path("clients/pem/postgresql.crt"));
    let (crt, der) = (path("clients/der/postgresql.crt"), path("leaf.der"));
    let (crt, der) = (crt.to_str().unwrap(), der.to_str().unwrap());
    openssl(["x509", "-in", crt, "-outform", "DER", "-out", der]);
    revokes("der", Path::new(der));
    revokes("folder", &path("clients/folder"));
    revokes("copy", &copied(&stage, &path("clients/copy")));

    // What is no certificate of this authority's for a server or role.
    let other = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    other.init("");
    run(&mut other.command(["issue-client", "--out", "clients", "alice"]));
    fs::write(path("garbage"), "garbage").unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::create_dir(path("bare")).unwrap();
    let two = ["der", "pem"].map(|role| fs::read(path(&format!("clients/{role}/postgresql.crt"))));
    fs::write(path("two.crt"), two.map(Result::unwrap).concat()).unwrap();
    let before = installed_crls(&stage);
    for (target, expected) in [
        (
            other.path("clients/alice/postgresql.crt"),
            "has not issued that certificate",
        ),
        (
            other.path("clients/alice"),
            "has not issued that certificate",
        ),
        (
            other.path("clients/alice/root.crt"),
            "no certificate of a server or role",
        ),
        (
            path("clients/pem/postgresql.key"),
            "no certificate of a server or role",
        ),
        (
            stage.scene.tls().join("current/root.crl"),
            "no certificate of a server or role",
        ),
        (path("two.crt"), "several certificates"),
        (path("garbage"), "garbage"),
        (path("empty"), "empty"),
        (path("bare"), "no postgresql.crt or server.crt"),
        (path("nothing"), "no file of that name"),
    ] {
        let said = stage
            .scene
            .fails_with(4, &mut stage.scene.command([Path::new("revoke"), &target]));
        assert!(said.contains(expected), "{}: {said}", target.display());
    }
    assert_eq!(installed_crls(&stage), before);
}

/// As after a restore: the certificate was issued after the backup.
#[test]
fn a_certificate_that_the_ledger_has_forgotten() {
    let stage = Stage::configured(&EVERYTHING);
    let backup = stage.scene.path("backup");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        run(std::process::Command::new("cp").arg("-a").arg(from).arg(to));
    };
    copy(&stage.scene.home(), &backup);
    let folder = copied(&stage, &stage.client("alice"));
    let alice = stage.conninfo(&folder, "alice", &[]);
    copy(&backup, &stage.scene.home());
    stage.connects(&alice);
    let said = stage
        .scene
        .fails(4, &format!("revoke {}", serial(&stage, "alice")));
    assert!(said.contains("name a file"), "{said}");
    let said = stage.scene.fails(4, "revoke alice");
    assert!(said.contains("no certificate that counts"), "{said}");

    let report = revoke(&stage, 0, &[folder.to_str().unwrap()]);
    assert_eq!(serials(&report, "revoked"), [serial(&stage, "alice")]);
    // Its key lies beside it.
    assert_eq!(report["refused"].as_array().unwrap().len(), 1, "{report}");
    is_refused(&stage, &alice);
    let crls = installed_crls(&stage);
    let again = revoke(&stage, 0, &[folder.to_str().unwrap()]);
    assert_eq!(serials(&again, "already"), [serial(&stage, "alice")]);
    assert_eq!(installed_crls(&stage), crls);
}

#[test]
fn a_role_with_many_certificates_and_many_targets_at_once() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.client("alice");
    let mut hers = vec![serial_of(&alice.join("postgresql.crt"))];
    let mut conninfos = vec![stage.conninfo(&copied(&stage, &alice), "alice", &[])];
    // Renewed in its folder, and issued to another one.
    stage.rotate(0, &["--force"]);
    hers.push(serial_of(&alice.join("postgresql.crt")));
    stage.scene.pgpki("issue-client --out laptop alice");
    let laptop = stage.scene.path("laptop/alice");
    hers.push(serial_of(&laptop.join("postgresql.crt")));
    conninfos.extend([&alice, &laptop].map(|folder| stage.conninfo(folder, "alice", &[])));
    let (bob, carol) = (stage.client("bob"), stage.client("carol"));
    let bobs = serial_of(&bob.join("postgresql.crt"));
    for conninfo in &conninfos {
        stage.connects(conninfo);
    }
    hers.push(bobs.clone());
    hers.sort();

    let report = revoke(&stage, 0, &["alice", &bobs, bob.to_str().unwrap()]);
    let mut revoked = serials(&report, "revoked");
    revoked.sort();
    assert_eq!(revoked, hers);
    assert_eq!(installed_revocations(&stage), hers);
    conninfos.push(stage.conninfo(&bob, "bob", &[]));
    for conninfo in &conninfos {
        is_refused(&stage, conninfo);
    }
    stage.connects(&stage.conninfo(&carol, "carol", &[]));
    // One of several that cannot be: none is.
    let before = installed_crls(&stage);
    stage.scene.fails(4, "revoke carol nobody");
    assert_eq!(installed_crls(&stage), before);
    stage.connects(&stage.conninfo(&carol, "carol", &[]));
}

#[test]
fn twice_is_no_error() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.client("alice");
    let first = revoke(&stage, 0, &["alice", "--reason", "superseded"]);
    let crls = installed_crls(&stage);
    let generation = stage.current();
    let second = revoke(&stage, 0, &["alice", "--reason", "cessation-of-operation"]);
    assert_eq!(second["already"][0]["reason"], "superseded");
    assert_eq!(serials(&second, "already"), serials(&first, "revoked"));
    assert_eq!(second["revoked"], serde_json::json!([]));
    assert_eq!(the_place(&second)["outcome"], "enforced");
    assert_eq!(second["refused"], first["refused"]);
    assert_eq!(
        (installed_crls(&stage), stage.current()),
        (crls, generation)
    );
    let said = says(&stage, 0, &["alice"]);
    assert!(said.contains("revoked before  client alice"), "{said}");
    assert!(
        said.contains("which was seen to refuse what its CRL lists"),
        "{said}"
    );
    is_refused(&stage, &stage.conninfo(&alice, "alice", &[]));
    stage.ledger_agrees();
}

/// Somebody else may have the key after all, which whoever reads the CRL has to know. No other reason replaces one.
#[test]
fn a_reason_becomes_a_compromise_and_nothing_else() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.client("alice");
    let reason = || {
        let crls = installed_crls(&stage).into_iter();
        let crl = crls.max_by_key(|crl| crl.revoked.len()).unwrap();
        let mut lines = crl
            .text
            .lines()
            .skip_while(|it| !it.contains("Reason Code"));
        (crl.number, lines.nth(1).map(|it| it.trim().to_owned()))
    };
    let since = || {
        let crls = installed_crls(&stage).into_iter();
        let lines = crls.flat_map(|crl| crl.text.lines().map(str::to_owned).collect::<Vec<_>>());
        let mut dates = lines.filter(|it| it.contains("Revocation Date"));
        dates.next().unwrap()
    };
    revoke(&stage, 0, &["alice"]);
    let (first, none) = reason();
    let revoked = since();
    assert_eq!(none, None);
    let said = says(&stage, 0, &["alice", "--reason", "superseded"]);
    assert!(said.contains("for unspecified, and so it stays"), "{said}");
    assert_eq!(reason(), (first, None));

    let said = says(&stage, 0, &["alice", "--reason", "ca-compromise"]);
    assert!(
        said.contains("for ca-compromise, which was unspecified before"),
        "{said}"
    );
    let report = revoke(&stage, 0, &["alice", "--reason", "key-compromise"]);
    assert_eq!(report["revoked"], serde_json::json!([]));
    assert_eq!(report["already"][0]["reason"], "key-compromise");
    assert_eq!(report["already"][0]["reason_before"], "ca-compromise");
    assert_eq!(the_place(&report)["outcome"], "enforced");
    let (second, now) = reason();
    assert_eq!(now.as_deref(), Some("Key Compromise"));
    assert!(second > first);
    assert_eq!(since(), revoked, "it was revoked when it was");

    let report = revoke(&stage, 0, &["alice", "--reason", "superseded"]);
    assert_eq!(report["already"][0]["reason"], "key-compromise");
    let again = revoke(&stage, 0, &["alice", "--reason", "key-compromise"]);
    assert_eq!(again["already"][0]["reason_before"], Value::Null);
    assert_eq!(reason(), (second, now));
    is_refused(&stage, &stage.conninfo(&alice, "alice", &[]));
    stage.ledger_agrees();
}

#[test]
fn what_is_over_is_not_revoked() {
    let stage = Stage::configured(&EVERYTHING);
    let issue = ["issue-client", "--out", "clients", "--days", "1", "alice"];
    run(&mut stage.scene.command(issue));
    let later = |target: &str| {
        let mut revoke = stage.scene.command_at("+3d", ["revoke", target]);
        stage.scene.fails_with(4, &mut revoke)
    };
    let said = later(&serial(&stage, "alice"));
    assert!(said.contains("ended on"), "{said}");
    let said = later("alice");
    assert!(said.contains("no certificate that counts"), "{said}");
}

#[test]
fn a_ca_is_refused_with_the_way() {
    let stage = Stage::configured(&EVERYTHING);
    stage.scene.pgpki("rotate --root");
    let before = installed_crls(&stage);
    let listed = stage.scene.pgpki("inspect --all --json");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mut seen = Vec::new();
    for certificate in listed["certificates"].as_array().unwrap() {
        let profile = certificate["profile"].as_str().unwrap();
        let way = match profile {
            "root" | "cross" => "rotate --root",
            "issuing" => "rotate --issuing --compromised",
            _ => continue,
        };
        let serial = certificate["serial"].as_str().unwrap();
        let said = stage.scene.fails(3, &format!("revoke {serial}"));
        assert!(said.contains(way), "{profile}: {said}");
        seen.push(profile.to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["cross", "issuing", "root"]);
    let root = stage.scene.tls().join("current/root.crt");
    let said = stage
        .scene
        .fails_with(3, &mut stage.scene.command([Path::new("revoke"), &root]));
    assert!(said.contains("rotate --root"), "{said}");
    assert_eq!(installed_crls(&stage), before);
}

/// Clients check no CRL, so that only another certificate and key help.
#[test]
fn a_servers_certificate_is_replaced_at_once() {
    let stage = Stage::configured(&EVERYTHING);
    let serial = serial_of(&stage.scene.tls().join("current/server.crt"));
    let key = || fs::read(stage.scene.tls().join("current/server.key")).unwrap();
    let before = key();
    let tls = stage.scene.tls();
    let report = revoke(
        &stage,
        0,
        &[tls.to_str().unwrap(), "--reason", "key-compromise"],
    );
    assert_eq!(serials(&report, "revoked"), [&*serial]);
    let place = the_place(&report);
    assert_eq!(place["replaced"], true, "{report}");
    assert_eq!(place["outcome"], "enforced");
    assert_ne!(key(), before);
    assert_ne!(serial_of(&tls.join("current/server.crt")), serial);
    assert_eq!(installed_revocations(&stage), [&*serial]);
    stage.is_sound_with("g0002");
    let again = revoke(&stage, 0, &[&serial]);
    assert_eq!(the_place(&again)["replaced"], Value::Null, "{again}");
    stage.is_sound_with("g0002");
}

/// Without a server nothing is enforced, and the command says so.
#[test]
fn an_authority_without_a_cluster() {
    let stage = Stage::of(Cluster::builder().create().unwrap());
    stage.scene.pgpki("issue-client --out clients alice");
    let report = revoke(&stage, 1, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "not-enforced", "{report}");
    let said = says(&stage, 1, &["alice"]);
    assert!(
        said.contains("no PostgreSQL on this machine uses"),
        "{said}"
    );
}

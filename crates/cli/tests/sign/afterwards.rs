//! What the other commands make of a certificate whose key is elsewhere.

use std::fs;
use std::path::Path;

use pgpki_testing::{openssl, run};

use crate::elsewhere::{connect, connects, served};
use crate::stage::{Stage, names, said, text};

fn serial(certificate: &Path) -> String {
    let args = ["x509", "-noout", "-serial", "-in", text(certificate)];
    let serial = String::from_utf8(openssl(args).stdout)
        .unwrap()
        .to_lowercase();
    format!(
        "{:0>32}",
        serial.trim_end().strip_prefix("serial=").unwrap()
    )
}

#[test]
fn revoked_by_role_serial_and_file() {
    let stage = Stage::new();
    let cluster = served(&stage);
    for (number, role) in ["alice", "bob", "carol", "dave"].into_iter().enumerate() {
        cluster.create_role(role, None, true);
        let request = stage.request(&[role]);
        let folder = request.parent().unwrap();
        stage.sign(&request, &["--role", role]);
        let signed = stage.path("signed").join(role);
        for name in names(&signed) {
            fs::copy(signed.join(&name), folder.join(&name)).unwrap();
        }
        assert_eq!(
            connects(&cluster, folder, role, "select current_user"),
            role
        );
        let target = match number {
            0 => role.to_owned(),
            1 => serial(&signed.join("postgresql.crt")),
            2 => text(&signed.join("postgresql.crt")).to_owned(),
            _ => text(&signed).to_owned(),
        };
        let output = stage.scene.command(["revoke", &target]).output().unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{}",
            said(&output)
        );
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains(role), "{report}");
        let listed = stage.issued_to(role);
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["status"], "revoked", "{listed:?}");
        cluster.sql("select pg_reload_conf()");
        pgpki_testing::await_that(
            "the server knows",
            std::time::Duration::from_secs(20),
            || !connect(&cluster, folder, role, "select 1").status.success(),
        );
    }
}

#[test]
fn inspect_lists_it() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    stage.sign(&request, &["--role", "alice"]);
    let request = stage.request(&["--host", "db.example.com"]);
    stage.sign(
        &request,
        &["--host", "db.example.com", "--host", "10.0.0.5"],
    );
    for (name, profile) in [("alice", "client"), ("db.example.com", "server")] {
        let listed = stage.issued_to(name);
        assert_eq!(listed.len(), 1, "{name}");
        assert_eq!(listed[0]["profile"], profile);
        assert_eq!(listed[0]["status"], "valid");
    }
    let text = stage.scene.pgpki("inspect --all");
    assert!(
        text.contains("alice") && text.contains("db.example.com"),
        "{text}"
    );
    // Whoever has the key is who can have it renewed.
    let output = stage.scene.command_at("+300d", ["inspect"]).output();
    let due = String::from_utf8(output.unwrap().stdout).unwrap();
    let ways = [
        "server certificates in the last third",
        "client certificate in the last third",
    ];
    for way in ways {
        let (_, after) = due.split_once(way).expect(&due);
        let hint = after.lines().nth(1).unwrap();
        assert!(hint.contains("pgpki sign"), "{due}");
    }
    // The folder, and the folder with its key.
    let output = stage
        .scene
        .command(["inspect", "signed/alice"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("alice"),
        "{}",
        said(&output)
    );
    let folder = stage.path("requests/alice");
    for name in names(&stage.path("signed/alice")) {
        fs::copy(stage.path("signed/alice").join(&name), folder.join(&name)).unwrap();
    }
    let output = stage
        .scene
        .command(["inspect", "requests/alice"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// It is not the ledger's place: nothing is renewed there, missed there, or said to have been moved away.
#[test]
fn rotate_leaves_it_alone() {
    let stage = Stage::new();
    for (role, out) in [("alice", "signed"), ("bob", "elsewhere")] {
        let request = stage.request(&[role]);
        let mut sign = stage.scene.command(["sign", "--role", role, "--out", out]);
        run(sign.arg(request));
    }
    let before = fs::read(stage.path("signed/alice/postgresql.crt")).unwrap();
    fs::remove_dir_all(stage.path("elsewhere")).unwrap();
    assert_eq!(stage.scene.pgpki("rotate"), "");
    stage.scene.pgpki("rotate --force");
    for when in ["+200d", "+300d", "+364d", "+400d"] {
        let output = stage.scene.command_at(when, ["rotate"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{when}: {}", said(&output));
        for what in ["moved", "gone", "missing"] {
            assert!(!said(&output).contains(what), "{when}: {}", said(&output));
        }
        let now = fs::read(stage.path("signed/alice/postgresql.crt")).unwrap();
        assert_eq!(now, before);
        assert_eq!(
            names(&stage.path("signed/alice")),
            ["postgresql.crt", "root.crt"]
        );
    }
}

/// Whoever has had the same request signed again is not asked for another one; with another key it is another matter.
#[test]
fn a_second_certificate_for_one_key_takes_the_place_of_the_first() {
    let stage = Stage::new();
    let (alice, bob) = (stage.request(&["alice"]), stage.request(&["bob"]));
    let sign = |out: &str, role: &str, request: &Path| {
        let mut sign = stage.scene.command(["sign", "--out", out, "--role", role]);
        run(sign.arg(request));
        serial(&stage.path(out).join(role).join("postgresql.crt"))
    };
    let status = |role: &str, serial: &str| -> String {
        let listed = stage.issued_to(role);
        let found = listed.iter().find(|it| it["serial"] == *serial);
        found.unwrap()["status"].as_str().unwrap().to_owned()
    };
    let first = sign("one", "alice", &alice);
    let others = [sign("one", "bob", &alice), sign("two", "bob", &bob)];
    stage.scene.pgpki("issue-client alice --out clients");
    let issued = serial(&stage.path("clients/alice/postgresql.crt"));
    let second = sign("three", "alice", &alice);
    assert_eq!(status("alice", &first), "replaced");
    assert_eq!(status("alice", &second), "valid");
    assert_eq!(status("alice", &issued), "valid");
    for other in others {
        assert_eq!(status("bob", &other), "valid");
    }
}

/// A server with such a certificate counts among those that may be in use: an issuing CA that it does not know signs
/// no client before it has another one.
#[test]
fn a_signed_server_is_waited_for() {
    let stage = Stage::new();
    let request = stage.request(&["--host", "db.example.com"]);
    stage.sign(&request, &["--host", "db.example.com"]);
    stage.scene.pgpki("rotate --issuing");
    let issuer = |file: &Path| {
        let args = ["x509", "-noout", "-issuer", "-in", text(file)];
        String::from_utf8(openssl(args).stdout).unwrap()
    };
    let first = issuer(&stage.path("signed/db.example.com/server.crt"));
    let client = stage.request(&["alice"]);
    stage.sign(&client, &["--role", "alice"]);
    assert_eq!(issuer(&stage.path("signed/alice/postgresql.crt")), first);
    let second = issuer(&stage.scene.tls().join("current/server.crt"));
    assert_ne!(first, second);
}

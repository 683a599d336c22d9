//! The issuing CA is renewed: first without what it takes, then with it. The clock of pgpki is set
//! back for what happened in the past; the server's and the clients' clocks are right.

use std::fs;

use pgpki_testing::{Scene, run};
use serde_json::Value;

use crate::served::{Printed, Served, copy, scene};

/// Four of the issuing CA's five years are over.
const FOUR_YEARS_AGO: &str = "-1460d";

const ISSUER: &str = "select issuer_dn from pg_stat_ssl where pid = pg_backend_pid()";

#[test]
fn clients_of_the_old_and_the_new_issuing_ca_get_in() {
    let (scene, printed) = authority_of_four_years_ago();
    // One certificate of ten months ago, which is due, and one of last week, which is not.
    for (when, role) in [("-300d", "stale"), ("-7d", "fresh")] {
        run(&mut scene.command_at(when, ["issue-client", role, "--out", "clients"]));
    }
    let folder = |role: &str| scene.path("clients").join(role);
    let stale_key = fs::read(folder("stale/postgresql.key")).unwrap();
    let fresh_key = fs::read(folder("fresh/postgresql.key")).unwrap();

    // Without the passphrase everything else is done.
    let output = scene.command(["rotate"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "issuing CA",
        "--root-passphrase-file",
        &issuing_ca_end(&scene)[..10],
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_ne!(
        fs::read(folder("stale/postgresql.key")).unwrap(),
        stale_key,
        "{said}"
    );
    let link = |scene: &Scene| fs::read_link(scene.tls().join("current")).unwrap();
    assert_eq!(link(&scene).to_str(), Some("g0002"), "{said}");
    assert_eq!(
        scene
            .home()
            .join("issuing/g0002")
            .symlink_metadata()
            .ok()
            .map(|_| ()),
        None
    );

    // As JSON, and with nothing else left to do.
    let output = scene.command(["rotate", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(report["issuing_ca"], "passphrase-needed", "{report}");
    assert_eq!(link(&scene).to_str(), Some("g0002"), "{report}");

    let mut served = Served::start(scene, &printed);
    let scene = &served.scene;
    for role in ["stale", "fresh", "new", "copied"] {
        served.cluster.create_role(role, None, true);
    }
    let copied = scene.path("old copy");
    copy(&folder_of(scene, "stale"), &copied);
    let issuer = |served: &Served, folder: &str, user: &str| {
        let folder = served.scene.path(folder);
        served.connects(&served.conninfo(&folder, user, &[]), ISSUER)
    };
    let (first, second) = ("/CN=localhost issuing CA 1", "/CN=localhost issuing CA 2");
    assert_eq!(issuer(&served, "clients/stale", "stale"), first);
    assert_eq!(issuer(&served, "clients/fresh", "fresh"), first);

    // With the passphrase it is renewed, and the server with it, whose own time is not over.
    let said = scene.pgpki("rotate --root-passphrase-file passphrase");
    assert!(said.contains("issuing CA"), "{said}");
    assert_eq!(link(scene).to_str(), Some("g0003"), "{said}");
    assert_eq!(
        fs::read(folder_of(scene, "fresh").join("postgresql.key")).unwrap(),
        fresh_key,
        "{said}"
    );
    run(&mut scene.command(["issue-client", "new", "--out", "clients"]));
    served.cluster.reload().unwrap();
    for _ in 0..2 {
        assert_eq!(issuer(&served, "clients/new", "new"), second);
        assert_eq!(issuer(&served, "clients/fresh", "fresh"), first);
        assert_eq!(issuer(&served, "old copy", "stale"), first);
        // The same after a restart.
        served.cluster.restart().unwrap();
    }
    let quiet = served.scene.pgpki("rotate");
    assert_eq!(quiet, "", "a second run found something to do");
}

fn folder_of(scene: &Scene, role: &str) -> std::path::PathBuf {
    scene.path("clients").join(role)
}

/// An authority whose root key is encrypted, with the lines that its init printed.
fn authority_of_four_years_ago() -> (Scene, Printed) {
    let scene = scene();
    fs::write(scene.path("passphrase"), "correct horse\n").unwrap();
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let args = "init localhost 127.0.0.1 --root-passphrase-file passphrase --install tls --owner";
    let args = args.split(' ').chain([owner.as_str()]);
    let output = run(&mut scene.command_at(FOUR_YEARS_AGO, args));
    let printed = Printed::by_init(&String::from_utf8(output.stdout).unwrap());
    (scene, printed)
}

/// When the current issuing CA ends, RFC 3339.
fn issuing_ca_end(scene: &Scene) -> String {
    let output = scene
        .command(["inspect", "--all", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let certificates = report["certificates"].as_array().unwrap();
    let issuing = certificates
        .iter()
        .find(|it| it["profile"] == "issuing")
        .unwrap();
    issuing["not_after"].as_str().unwrap().to_owned()
}

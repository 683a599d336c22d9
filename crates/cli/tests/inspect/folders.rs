//! `pgpki inspect FOLDER`: how the files fit together.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use pgpki_testing::Scene;
use serde_json::json;

use crate::files::json as report_json;
use crate::need_root;
use crate::report::{codes, inspect, list, scene_with_authority, secret, set_mode};

/// Neither root's nor the database's.
const STRANGER: u32 = 65534;

fn scene() -> Scene {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice bob --out clients");
    scene
}

/// A copy of a server's files, with owners and modes, under the name `copy`.
fn copy(scene: &Scene) {
    let from = scene.tls().join("g0001");
    let mut command = std::process::Command::new("cp");
    pgpki_testing::run(command.arg("-a").arg(from).arg(scene.path("copy")));
}

#[test]
fn what_is_right() {
    let scene = scene();
    for (folder, certificate, key, leaf) in [
        ("tls", "server.crt", "server.key", "localhost"),
        ("tls/current", "server.crt", "server.key", "localhost"),
        ("tls/g0001", "server.crt", "server.key", "localhost"),
        ("clients/alice", "postgresql.crt", "postgresql.key", "alice"),
        (
            "clients/alice/",
            "postgresql.crt",
            "postgresql.key",
            "alice",
        ),
    ] {
        let report = report_json(&scene, &[folder], 0);
        assert_eq!(codes(&report), [""; 0], "{folder}");
        let keys = list(&report, "keys");
        assert_eq!(
            (&keys[0]["file"], &keys[0]["matches"]),
            (&json!(key), &json!([certificate]))
        );
        let chains = list(&report, "chains");
        assert_eq!(chains.len(), 1, "{folder}");
        let names = json!([leaf, "localhost issuing CA 1", "localhost root CA 1"]);
        assert_eq!(
            (&chains[0]["file"], &chains[0]["names"]),
            (&json!(certificate), &names)
        );
        let text = inspect(&scene, &[folder]).text_with(0);
        for part in [
            format!("{key} belongs to {certificate}"),
            format!("{certificate} closes: {leaf} < localhost issuing CA 1 < localhost root CA 1"),
        ] {
            assert!(text.contains(&part), "{part} is not in {text}");
        }
    }
}

#[test]
fn what_is_wrong() {
    type Spoil = fn(&Scene, &Path);
    let cases: [(&str, &str, Spoil); 12] = [
        ("key-mismatch", "server.key", |scene, copy| {
            let key = copy.join("server.key");
            fs::write(
                key,
                fs::read(scene.path("clients/bob/postgresql.key")).unwrap(),
            )
            .unwrap();
        }),
        ("chain-broken", "server.crt", |_, copy| {
            let path = copy.join("server.crt");
            let chain = fs::read_to_string(&path).unwrap();
            let end = chain.find("-----END CERTIFICATE-----\n").unwrap() + 26;
            fs::write(path, &chain[..end]).unwrap();
        }),
        ("key-mode", "server.key", |scene, _| {
            set_mode(scene, "copy/server.key", 0o644)
        }),
        ("key-missing", "server.crt", |_, copy| {
            fs::remove_file(copy.join("server.key")).unwrap()
        }),
        ("certificate-missing", "server.key", |_, copy| {
            fs::remove_file(copy.join("server.crt")).unwrap();
        }),
        ("key-with-certificate", "server.crt", |_, copy| {
            let files = ["server.crt", "server.key"].map(|name| fs::read(copy.join(name)).unwrap());
            fs::write(copy.join("server.crt"), files.concat()).unwrap();
        }),
        ("wrong-content", "server.crt", |_, copy| {
            fs::copy(copy.join("root.crl"), copy.join("server.crt")).unwrap();
        }),
        ("unreadable", "root.crl", |_, copy| {
            fs::write(copy.join("root.crl"), "").unwrap()
        }),
        ("unreadable", "root.crt", |_, copy| {
            let bytes = fs::read(copy.join("root.crt")).unwrap();
            fs::write(copy.join("root.crt"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("unreadable", "server.key", |_, copy| {
            fs::remove_file(copy.join("server.key")).unwrap();
            std::os::unix::fs::symlink("nowhere", copy.join("server.key")).unwrap();
        }),
        ("unreadable", "server.key", |_, copy| {
            fs::remove_file(copy.join("server.key")).unwrap();
            let mut command = std::process::Command::new("mkfifo");
            pgpki_testing::run(command.arg(copy.join("server.key")));
        }),
        ("chain-broken", "server.crt", |scene, copy| {
            let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
            let line = "init localhost --no-root-passphrase --home h2 --install t2 --owner";
            scene.pgpki(&format!("{line} {}:{}", owner.uid, owner.gid));
            let path = copy.join("server.crt");
            let ours = fs::read_to_string(&path).unwrap();
            let theirs = fs::read_to_string(scene.path("t2/current/server.crt")).unwrap();
            let end = ours.find("-----END CERTIFICATE-----\n").unwrap() + 26;
            let begin = theirs.find("-----END CERTIFICATE-----\n").unwrap() + 26;
            fs::write(path, format!("{}{}", &ours[..end], &theirs[begin..])).unwrap();
        }),
    ];
    for (code, file, spoil) in cases {
        let scene = scene();
        copy(&scene);
        spoil(&scene, &scene.path("copy"));
        let report = report_json(&scene, &["copy"], 1);
        let found = list(&report, "findings").iter().find(|f| f["code"] == code);
        let found = found.unwrap_or_else(|| panic!("no {code}: {report:#}"));
        assert_eq!(found["file"], file, "{code}");
        let text = inspect(&scene, &["copy"]).text_with(1);
        assert!(text.contains(&format!("[{code}]")), "{text}");
        assert!(text.contains(&format!("{file}: ")), "{text}");
    }
}

#[test]
fn a_key_of_another_user() {
    need_root();
    let scene = scene();
    copy(&scene);
    chown(
        scene.path("copy/server.key"),
        Some(STRANGER),
        Some(STRANGER),
    )
    .unwrap();
    let report = report_json(&scene, &["copy"], 1);
    assert_eq!(codes(&report), ["key-owner"]);
    // libpq does not ask whose a client's key is.
    chown(
        scene.path("clients/alice/postgresql.key"),
        Some(STRANGER),
        Some(STRANGER),
    )
    .unwrap();
    report_json(&scene, &["clients/alice"], 0);
}

#[test]
fn what_is_about_to_end() {
    let scene = scene();
    for (when, code) in [
        ("+300d", "due"),
        ("+400d", "expired"),
        ("-2d", "not-yet-valid"),
    ] {
        let report = crate::report::inspect_at(&scene, when, &["tls", "--json"]).json_with(1);
        assert!(codes(&report).contains(&code), "{when}: {report:#}");
    }
}

#[test]
fn folders_without_anything() {
    let scene = scene();
    fs::create_dir(scene.path("empty")).unwrap();
    fs::create_dir(scene.path("text")).unwrap();
    secret(&scene, "text/notes.txt", "mine");
    let home = scene.home();
    for (folder, says) in [
        ("empty", "endings"),
        ("text", "endings"),
        (home.to_str().unwrap(), "--home"),
        ("clients", "clients/"),
    ] {
        for args in [&[folder][..], &[folder, "--json"]] {
            let report = inspect(&scene, args);
            assert_eq!(
                (report.status, report.text().as_str()),
                (Some(4), ""),
                "{folder}"
            );
            assert!(report.stderr.starts_with("pgpki: "), "{}", report.stderr);
            assert_eq!(
                report.stderr.matches("pgpki: ").count(),
                1,
                "{}",
                report.stderr
            );
            assert!(report.stderr.contains(says), "{folder}: {}", report.stderr);
        }
    }
    // The hint holds good.
    let hint = inspect(&scene, &["clients"]).stderr;
    let folder = hint.trim_end().rsplit(' ').next().unwrap().to_owned();
    inspect(&scene, &[&folder]).text_with(0);
}

/// Servers' folders lie beside each other as clients' do.
#[test]
fn a_folder_of_servers() {
    let scene = scene();
    scene.pgpki("issue-server db2 --out nodes/db2");
    let report = inspect(&scene, &["nodes"]);
    assert_eq!((report.status, report.text().as_str()), (Some(4), ""));
    assert!(report.stderr.contains("nodes/db2"), "{}", report.stderr);
}

/// PostgreSQL finds nothing there, and that is what there is to say.
#[test]
fn an_installation_whose_current_leads_nowhere() {
    let scene = scene();
    let current = scene.tls().join("current");
    fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink("g0009", &current).unwrap();
    let report = inspect(&scene, &["tls"]);
    assert!(matches!(report.status, Some(1 | 4)), "{:?}", report.status);
    let said = report.text() + &report.stderr;
    assert!(said.contains("current"), "{said}");
}

/// The home's own folders hold what their names say.
#[test]
fn the_folders_of_a_home() {
    let scene = scene();
    for tier in ["root", "issuing"] {
        let folder = format!("home/{tier}");
        let report = inspect(&scene, &[&folder, "--json"]);
        let report = report.json_with(report.status.unwrap());
        let profiles: Vec<_> = list(&report, "certificates")
            .iter()
            .map(|c| &c["profile"])
            .collect();
        assert!(
            profiles.iter().any(|profile| **profile == tier),
            "{report:#}"
        );
    }
}

/// A folder of more files than anybody would look at.
#[test]
fn a_folder_of_too_many() {
    let scene = scene();
    fs::create_dir(scene.path("many")).unwrap();
    for n in 0..1001 {
        fs::write(scene.path(format!("many/{n}.crt")), "").unwrap();
    }
    let report = inspect(&scene, &["many"]);
    assert_eq!((report.status, report.text().as_str()), (Some(4), ""));
    assert!(report.stderr.contains("1000"), "{}", report.stderr);
}

/// What pgpki writes itself is nothing to be warned of: a request that waits, and every form of a credential.
#[test]
fn what_pgpki_makes_is_not_wrong() {
    let scene = scene();
    scene.pgpki("request carol --out requests");
    let report = inspect(&scene, &["requests/carol"]);
    assert_eq!(report.status, Some(0), "{}", report.text());
    assert!(report.text().contains("[certificate-requested]"));
    // Somebody else's request does not explain why there is no certificate.
    scene.pgpki("request dave --out requests");
    let csr = |role: &str| scene.path(format!("requests/{role}/postgresql.csr"));
    fs::copy(csr("dave"), csr("carol")).unwrap();
    let report = inspect(&scene, &["requests/carol"]);
    assert_eq!(report.status, Some(1));
    assert!(report.text().contains("[certificate-missing]"));

    for (of, to) in [("clients/alice", "laptop"), ("tls/current", "balancer")] {
        scene.pgpki(&format!(
            "export {of} --format libpq,jdbc,pem,k8s-secret,docker --out {to}"
        ));
        let report = inspect(&scene, &[to]);
        assert_eq!(report.status, Some(0), "{}", report.text());
        assert!(report.text().contains("[key-with-certificate]"));
    }
}

//! Faults of the files that the TLS settings name. A server that runs does not notice them, and
//! does not come up again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use pgpki_testing::{Scene, openssl};

use super::fixture::Doctored;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Whether the server refuses its files: what doctor calls an error.
#[track_caller]
fn keeps_the_server_from_reloading(doctored: &mut Doctored, words: &str) {
    let refused = doctored.cluster.reload().unwrap_err();
    assert!(refused.contains(words), "{refused}");
}

#[test]
fn the_owner_and_mode_of_the_key() {
    let mut doctored = Doctored::new();
    let owner = (doctored.cluster.owner().uid, doctored.cluster.owner().gid);
    let key = doctored.current().join("server.key");
    let named = doctored.scene.tls().join("current/server.key");

    set_mode(&key, 0o640);
    doctored
        .doctor()
        .is_wrong_with(&["key-mode"])
        .has("error", "key-mode", &named);
    keeps_the_server_from_reloading(&mut doctored, "has group or world access");
    set_mode(&key, 0o600);
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();

    if !doctored.cluster.owner().is_caller() {
        chown(&key, Some(0), Some(owner.1)).unwrap();
        set_mode(&key, 0o640);
        doctored.cluster.reload().unwrap();
        doctored.doctor().is_healthy();
        chown(&key, Some(4242), Some(owner.1)).unwrap();
        doctored.doctor().is_wrong_with(&["key-owner"]);
        keeps_the_server_from_reloading(&mut doctored, "must be owned by the database user");
        for group in [0, 4242] {
            chown(&key, Some(0), Some(group)).unwrap();
            set_mode(&key, 0o640);
            doctored
                .doctor()
                .is_wrong_with(&["key-unreadable", "reload-failed"]);
            keeps_the_server_from_reloading(&mut doctored, "Permission denied");
        }
    }
}

#[test]
fn directories_that_the_server_cannot_enter_and_files_that_it_cannot_read() {
    let mut doctored = Doctored::new();
    if doctored.cluster.owner().is_caller() {
        return;
    }
    let owner = (doctored.cluster.owner().uid, doctored.cluster.owner().gid);
    let tls = doctored.scene.tls();
    chown(&tls, Some(0), Some(0)).unwrap();
    doctored
        .doctor()
        .is_wrong_with(&["directory-closed", "installation-refused"])
        .has("error", "directory-closed", &tls);
    keeps_the_server_from_reloading(&mut doctored, "Permission denied");
    chown(&tls, Some(owner.0), Some(owner.1)).unwrap();
    // A directory above it.
    let above = doctored.scene.path("");
    set_mode(&above, 0o700);
    let seen = doctored.doctor();
    seen.is_wrong_with(&["directory-closed", "reload-failed"]);
    set_mode(&above, 0o755);
    let crl = doctored.current().join("root.crl");
    chown(&crl, Some(0), Some(0)).unwrap();
    set_mode(&crl, 0o600);
    doctored.cluster.reload().unwrap_err();
    let seen = doctored.doctor();
    seen.is_wrong_with(&["file-closed", "reload-failed"]).has(
        "error",
        "file-closed",
        &crl_named(&doctored),
    );
}

/// The CRL as the parameter names it.
fn crl_named(doctored: &Doctored) -> std::path::PathBuf {
    doctored.scene.tls().join("current/root.crl")
}

#[test]
fn files_that_are_missing_or_hold_something_else() {
    let mut doctored = Doctored::new();
    let named = |name: &str| doctored.scene.tls().join("current").join(name);
    let (key, crt, crl) = (named("server.key"), named("server.crt"), named("root.crl"));
    for file in [&key, &crt, &crl] {
        let content = fs::read(file).unwrap();
        let (mode, owner) = (fs::metadata(file).unwrap(), doctored.cluster.owner());
        fs::remove_file(file).unwrap();
        let seen = doctored.doctor();
        seen.has("error", "file-missing", file);
        fs::write(file, b"").unwrap();
        fs::set_permissions(file, mode.permissions()).unwrap();
        chown(file, Some(owner.uid), Some(owner.gid)).unwrap();
        doctored.doctor().has("error", "unreadable", file);
        fs::write(file, content).unwrap();
    }
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
}

/// An authority beside the one of the cluster, with a server's folder in it.
fn other_authority() -> (Scene, std::path::PathBuf) {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    scene.pgpki("issue-server localhost --out other");
    let folder = scene.path("other");
    (scene, folder)
}

#[test]
fn the_pair_the_order_and_the_completeness_of_the_chain() {
    let mut doctored = Doctored::new();
    let named = doctored.scene.tls().join("current");
    let (crt, key) = (named.join("server.crt"), named.join("server.key"));
    let (chain, own_key) = (doctored.read("server.crt"), doctored.read("server.key"));
    let (_scene, other) = other_authority();

    doctored.write("server.key", fs::read(other.join("server.key")).unwrap());
    doctored
        .doctor()
        .is_wrong_with(&["key-mismatch"])
        .has("error", "key-mismatch", &key);
    keeps_the_server_from_reloading(&mut doctored, "key values mismatch");
    doctored.write("server.key", own_key);

    let text = String::from_utf8(chain).unwrap();
    let blocks: Vec<&str> = text
        .split_inclusive("-----END CERTIFICATE-----\n")
        .collect();
    assert_eq!(blocks.len(), 2);
    doctored.write("server.crt", format!("{}{}", blocks[1], blocks[0]));
    let seen = doctored.doctor();
    assert!(seen.wrong().contains(&"chain-order"), "{:?}", seen.wrong());
    keeps_the_server_from_reloading(&mut doctored, "key values mismatch");

    // The CA is known to the server from ssl_ca_file alone, or not at all.
    doctored.write("server.crt", blocks[0]);
    let ca_file = doctored.read("root.crt");
    doctored.write("root.crt", [&ca_file, blocks[1].as_bytes()].concat());
    doctored.cluster.reload().unwrap();
    doctored
        .doctor()
        .is_wrong_with(&["chain-incomplete", "installation-behind"]);
    doctored.write("root.crt", fs::read(other.join("root.crt")).unwrap());
    doctored.cluster.reload().unwrap();
    let seen = doctored.doctor();
    seen.has("error", "chain-broken", &crt);
}

#[test]
fn what_has_ended_or_is_about_to() {
    let mut doctored = Doctored::new();
    let at = |when: &str| {
        let args = ["doctor", "--json", "--pgdata"]
            .map(str::to_owned)
            .into_iter();
        let pgdata = doctored.cluster.data_dir().display().to_string();
        super::fixture::Seen::of(&mut doctored.scene.command_at(when, args.chain([pgdata])))
    };
    at("+300d").is_wrong_with(&["due"]);
    at("+366d").is_wrong_with(&["expired"]);
    // The issuing CA and its CRL end together.
    let seen = at("+1900d");
    let wrong = seen.wrong();
    assert!(
        wrong.contains(&"crl-expired") && wrong.contains(&"expired"),
        "{wrong:?}"
    );
    let seen = at("+1500d");
    assert!(seen.wrong().contains(&"crl-due"), "{:?}", seen.wrong());
    doctored.cluster.reload().unwrap();
}

#[test]
fn a_crl_for_every_ca() {
    let mut doctored = Doctored::new();
    let lists = String::from_utf8(doctored.read("root.crl")).unwrap();
    let blocks: Vec<&str> = lists.split_inclusive("-----END X509 CRL-----\n").collect();
    assert_eq!(blocks.len(), 2);
    let named = doctored.scene.tls().join("current/root.crl");
    doctored.write("root.crl", blocks[0]);
    doctored.cluster.reload().unwrap();
    doctored
        .doctor()
        .is_wrong_with(&["crl-missing", "installation-behind"])
        .has("error", "crl-missing", &named);

    // Another authority's, in addition, is worth knowing; instead, it is of no use.
    let (_scene, other) = other_authority();
    let foreign = fs::read(other.join("root.crl")).unwrap();
    doctored.write("root.crl", [lists.as_bytes(), &foreign].concat());
    doctored.cluster.reload().unwrap();
    let seen = doctored.doctor();
    seen.is_wrong_with(&["installation-behind"]);
    seen.has("info", "crl-foreign", &named);
    doctored.write("root.crl", foreign);
    doctored.cluster.reload().unwrap();
    doctored
        .doctor()
        .is_wrong_with(&["crl-missing", "installation-behind"]);
    doctored.write("root.crl", &lists);

    let without = doctored.conf().replace("ssl_crl_file", "#ssl_crl_file");
    doctored.reload_with(&without);
    let seen = doctored.doctor();
    seen.is_healthy();
    seen.finding("crl-unset");
    if doctored.cluster.major() >= 14 {
        let empty = doctored.scene.path("crls");
        fs::create_dir(&empty).unwrap();
        doctored.reload_with(&format!("{without}ssl_crl_dir = '{}'\n", empty.display()));
        doctored.doctor().is_wrong_with(&["crl-missing"]);
        for (file, list) in ["a.pem", "b.pem"].iter().zip(&blocks) {
            fs::write(empty.join(file), list).unwrap();
        }
        openssl(["rehash", empty.to_str().unwrap()]);
        doctored.doctor().is_healthy();
        fs::remove_dir_all(&empty).unwrap();
        let seen = doctored.doctor();
        seen.is_wrong_with(&["crl-missing"]);
        assert!(seen.messages("not-looked-at")[0].contains("ssl_crl_dir"));
    }
}

#[test]
fn names_that_are_in_use() {
    let mut doctored = Doctored::new();
    doctored
        .scene
        .pgpki("issue-server db.example.com --out other");
    let other = doctored.scene.path("other");
    for name in ["server.crt", "server.key"] {
        doctored.write(name, fs::read(other.join(name)).unwrap());
    }
    doctored.cluster.reload().unwrap();
    let named = doctored.scene.tls().join("current/server.crt");
    let seen = doctored.doctor();
    seen.is_wrong_with(&["ledger-differs", "listen-address-unnamed"]);
    seen.has("warning", "ledger-differs", &named);
    let message = seen.messages("ledger-differs")[0];
    assert!(message.contains("localhost, 127.0.0.1"), "{message}");
}

/// Clients check no CRL, so that only the authority knows.
#[test]
fn a_certificate_of_the_servers_own_that_was_revoked() {
    let mut doctored = Doctored::new();
    let tls = doctored.scene.tls();
    let first = doctored.current();
    let args = [Path::new("revoke"), Path::new("--no-reload"), &tls];
    let output = doctored.scene.command(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let second = doctored.current();
    assert_ne!(first, second);

    // It was told nothing yet.
    let seen = doctored.doctor();
    let served = seen.finding("revoked");
    assert_eq!(served["severity"], "error");
    assert_eq!(served["file"], serde_json::Value::Null, "{served}");

    // As a run leaves it that was killed once the ledger had it.
    let put_back = |generation: &Path| {
        let current = tls.join("current");
        fs::remove_file(&current).unwrap();
        std::os::unix::fs::symlink(generation.file_name().unwrap(), current).unwrap();
    };
    put_back(&first);
    doctored.cluster.reload().unwrap();
    let named = tls.join("current/server.crt");
    let seen = doctored.doctor();
    seen.has("error", "revoked", &named);
    // With the CRL that lists it, it is said once.
    doctored.write("root.crl", fs::read(second.join("root.crl")).unwrap());
    doctored.cluster.reload().unwrap();
    let seen = doctored.doctor();
    seen.has("error", "revoked", &named);
    assert_eq!(
        seen.wrong().iter().filter(|it| **it == "revoked").count(),
        1
    );

    put_back(&second);
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
}

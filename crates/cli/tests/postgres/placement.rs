//! Where a server's credential goes: owners and modes, and other nodes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pgpki_testing::{Cluster, Owner, run};

use crate::served::{Served, connects, conninfo, copy, issue_client, scene};

/// The settings of a server whose files are in `folder`.
fn settings(folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    format!(
        "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'\nssl_crl_file = '{}'\n",
        file("server.crt"),
        file("server.key"),
        file("root.crt"),
        file("root.crl")
    )
}

#[test]
fn the_installed_files_are_the_servers_and_nobody_elses() {
    let served = Served::new("");
    let owner = served.cluster.owner();
    let expected = [
        ("", 0o700),
        ("g0001", 0o700),
        ("g0001/server.crt", 0o644),
        ("g0001/server.key", 0o600),
        ("g0001/root.crt", 0o644),
        ("g0001/root.crl", 0o644),
    ];
    for (name, mode) in expected {
        let seen = served.scene.tls().join(name).symlink_metadata().unwrap();
        assert_eq!((seen.uid(), seen.gid()), (owner.uid, owner.gid), "{name}");
        assert_eq!(seen.permissions().mode() & 0o7777, mode, "{name}");
    }
    assert_eq!(
        fs::read_link(served.scene.tls().join("current")).unwrap(),
        PathBuf::from("g0001")
    );
}

#[test]
fn a_second_node_is_served_from_its_own_installation() {
    let served = Served::new("");
    let alice = served.client("alice", &[]);
    let other = served.scene.path("other");
    let owner = served.cluster.owner();
    let mut args = vec![
        "issue-server",
        "node2.example.com",
        "localhost",
        "--install",
    ];
    args.push(other.to_str().unwrap());
    let ids = format!("{}:{}", owner.uid, owner.gid);
    if !owner.is_caller() {
        args.extend(["--owner", &ids]);
    }
    run(&mut served.scene.command(args));
    node_accepts(&settings(&other.join("current")), &alice);

    // And it is renewed with the first.
    let key = other.join("current/server.key");
    let before = fs::read(&key).unwrap();
    let said = served.scene.pgpki("rotate --force");
    assert_ne!(fs::read(&key).unwrap(), before, "{said}");
    node_accepts(&settings(&other.join("current")), &alice);
}

#[test]
fn a_second_node_is_served_from_a_folder_carried_over() {
    let scene = scene();
    scene.init("");
    let alice = issue_client(&scene, "alice", &[]);
    scene.pgpki("issue-server node2.example.com localhost --out node2");
    let carried = scene.path("carried");
    copy(&scene.path("node2"), &carried);
    let owner = Owner::of_new_clusters().unwrap();
    owner.take(&carried).unwrap();
    for entry in fs::read_dir(&carried).unwrap() {
        owner.take(&entry.unwrap().path()).unwrap();
    }
    node_accepts(&settings(&carried), &alice);
}

/// Whether a server with these settings lets alice in, who verifies it under two of its names.
#[track_caller]
fn node_accepts(settings: &str, alice: &Path) {
    let cluster = Cluster::builder()
        .conf(settings)
        .hba("hostssl all all all cert")
        .start()
        .unwrap();
    cluster.create_role("alice", None, true);
    let named = [("host", "node2.example.com"), ("hostaddr", "127.0.0.1")];
    for more in [&[][..], &named] {
        let connection = conninfo(&cluster, alice, "alice", more);
        assert_eq!(connects(&cluster, &connection, "select 1"), "1");
    }
}

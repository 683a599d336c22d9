//! The scripts in `examples/`, run as they stand.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use pgpki_testing::{Cluster, Scene, run};

/// A script of the folder, with the program under test first in the `PATH`.
fn example(scene: &Scene, name: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_pgpki"));
    let path = std::env::var("PATH").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    let mut command = Command::new(script.canonicalize().unwrap());
    command
        .current_dir(scene.path(""))
        .env(
            "PATH",
            format!("{}:{path}", program.parent().unwrap().display()),
        )
        .env("PGPKI_HOME", scene.home());
    command
}

#[test]
fn without_root() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let output = run(&mut example(&scene, "without-root.sh"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("postgresql.key belongs to postgresql.crt"),
        "{text}"
    );
}

#[test]
fn every_role() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let cluster = Cluster::running();
    cluster.create_role("alice", None, true);
    cluster.create_role("Data Team", None, true);
    cluster.create_role("no_login", None, false);
    let out = scene.path("out");
    run(example(&scene, "every-role.sh")
        .arg(&out)
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", "postgres"));
    let mut folders: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, ["Data Team", "alice"]);
}

#[test]
fn secure_cluster() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let cluster = Cluster::running();
    let output = run(example(&scene, "secure-cluster.sh")
        .arg(scene.tls())
        .args(["localhost", "127.0.0.1"])
        .env("PGDATA", cluster.data_dir()));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("serves what is installed"), "{text}");
    let port = cluster.port();
    let conninfo =
        format!("host=localhost port={port} user=postgres dbname=postgres sslmode=disable");
    let plain = cluster.psql(&conninfo, "SELECT 1");
    let refusal = String::from_utf8_lossy(&plain.stderr);
    assert!(refusal.contains("pg_hba.conf rejects"), "{refusal}");
}

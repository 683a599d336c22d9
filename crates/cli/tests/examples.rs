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
fn rotate_and_reload() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    // In the place of PostgreSQL's own: whether it is asked to reload is the question.
    let bin = scene.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("pg_ctl"), "#!/bin/sh\necho reloaded \"$@\"\n").unwrap();
    run(Command::new("chmod").arg("+x").arg(bin.join("pg_ctl")));
    let rotate = |name: &str| {
        let mut command = example(&scene, "rotate-and-reload.sh");
        let path = command
            .get_envs()
            .find(|(key, _)| *key == "PATH")
            .unwrap()
            .1
            .unwrap();
        let path = format!("{}:{}", bin.display(), path.to_str().unwrap());
        let output = run(command.env("PATH", path).env("PGDATA", name));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(rotate("/nowhere"), "", "nothing is due");
    std::fs::remove_file(scene.tls().join("current")).unwrap();
    let text = rotate("/nowhere");
    assert!(
        text.contains("renewed") && text.contains("reloaded reload"),
        "{text}"
    );
}

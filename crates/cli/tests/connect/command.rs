//! What the command takes from the authority, what it needs to be told, and what it says.

use std::fs;
use std::process::Command;

use pgpki_testing::{Scene, as_user, run};

fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

/// Standard output of a command line that must succeed.
fn printed(scene: &Scene, line: &str) -> String {
    scene.pgpki(line)
}

#[test]
fn the_folder_and_the_host_are_the_authoritys_newest() {
    let scene = scene();
    scene.init("");
    scene.pgpki("issue-client alice --out z");
    run(&mut scene.command_at("+2d", ["issue-client", "alice", "bob", "--out", "a"]));
    let folder = scene.path("a/alice").canonicalize().unwrap();
    let text = printed(&scene, "connect alice");
    let file = |name: &str| folder.join(name).display().to_string();
    let expected = format!(
        "psql 'host=localhost port=5432 dbname=postgres user=alice sslmode=verify-full sslrootcert={} sslcert={} sslkey={}'\n",
        file("root.crt"),
        file("postgresql.crt"),
        file("postgresql.key")
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.contains("\n\npostgresql://alice@localhost:5432/postgres?sslmode=verify-full&"),
        "{text}"
    );
    for driver in ["django", "pgjdbc", "primary-conninfo"] {
        assert!(text.contains(&format!("\n  {driver} ")), "{text}");
    }
}

/// A person who was handed a folder has no authority, and `HOME` alone.
#[test]
fn without_an_authority_the_host_is_named_and_the_folder_is_where_libpq_looks() {
    let scene = scene();
    // Not as root, whose authority would be in a place of its own.
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpki"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(args).env("PATH", path);
        command.env("HOME", scene.path("laptop")).current_dir("/");
        as_user(&command, 65534, 65534, &scene.path(""))
    };
    let refusal = scene.fails_with(2, &mut as_nobody(&["connect", "alice"]));
    assert!(refusal.contains("--host"), "{refusal}");
    let output = as_nobody(&[
        "connect",
        "alice",
        "--host",
        "db.example.com",
        "--for",
        "uri",
    ])
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let key = scene
        .path("laptop/.postgresql/postgresql.key")
        .display()
        .to_string();
    assert!(
        text.trim_end().ends_with(&format!("&sslkey={key}")),
        "{text}"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("postgresql.key is missing: made by pgpki issue-client alice --out DIR"),
        "{said}"
    );
}

/// One that is named has to be there, unless nothing of it is needed.
#[test]
fn an_authority_that_is_named_is_missed() {
    let scene = scene();
    let refusal = scene.fails(4, "connect alice --host db.example.com --home nowhere");
    assert!(refusal.contains("there is no authority here"), "{refusal}");
    printed(
        &scene,
        "connect alice --host db.example.com --home nowhere --folder .",
    );
}

#[test]
fn of_several_servers_one_is_named() {
    let scene = scene();
    scene.init("");
    scene.pgpki("issue-server db2.example.com --out db2");
    // That one is elsewhere; there is one on this machine.
    assert!(printed(&scene, "connect alice --folder . --for uri").contains("@localhost:"));
    let hosts = ["*.example.com", "db3.example.com"];
    let mut other = scene.command(["issue-server", "--no-reload", "--install"]);
    run(other.arg(scene.path("tls3")).args(hosts));
    let refusal = scene.fails(2, "connect alice --folder .");
    assert!(refusal.contains("db3.example.com, localhost"), "{refusal}");
    assert!(refusal.contains("--host"), "{refusal}");
    let refusal = scene.fails(4, "connect alice --host *.example.com");
    assert!(refusal.contains("is a pattern"), "{refusal}");
}

/// The snippet is complete all the same: the file may be on another machine.
#[test]
fn a_form_of_the_key_that_is_not_there_is_said() {
    let scene = scene();
    scene.init("");
    run(&mut scene.command(["issue-client", "o'x", "--out", "out"]));
    let output = run(&mut scene.command(["connect", "o'x", "--for", "pgjdbc"]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("/out/o%27x/postgresql.pk8\");"), "{text}");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].ends_with(r"postgresql.pk8 is missing: made by pgpki issue-client --format libpq,jdbc 'o'\''x' --out DIR"), "{said}");
    fs::write(scene.path("out/o'x/postgresql.pk8"), "").unwrap();
    assert!(
        run(&mut scene.command(["connect", "o'x", "--for", "pgjdbc"]))
            .stderr
            .is_empty()
    );
}

#[test]
fn what_cannot_be_written_is_refused_and_among_all_said() {
    let scene = scene();
    let connect = |drivers: &[&str]| {
        let mut command = scene.command([
            "connect",
            "a\nb",
            "--host",
            "db.example.com",
            "--folder",
            ".",
        ]);
        for driver in drivers {
            command.args(["--for", driver]);
        }
        command
    };
    for drivers in [&["service"][..], &["psycopg", "service"]] {
        let mut command = connect(drivers);
        let refusal = scene.fails_with(4, &mut command);
        assert!(
            refusal.contains("for service: \"a\\nb\" cannot be written in pg_service.conf"),
            "{refusal}"
        );
    }
    assert!(connect(&["service"]).output().unwrap().stdout.is_empty());
    let text = String::from_utf8(run(&mut connect(&["all"])).stdout).unwrap();
    assert!(text.contains("=== service "), "{text}");
    assert!(
        text.contains("cannot be written in pg_service.conf"),
        "{text}"
    );
    assert!(text.contains("user=\"a\\u000ab\""), "{text}");
}

#[test]
fn a_driver_goes_by_several_names_and_an_unknown_one_gets_the_list() {
    let scene = scene();
    let line = "connect alice --host db.example.com --folder . --for";
    assert_eq!(
        printed(&scene, &format!("{line} jdbc")),
        printed(&scene, &format!("{line} pgjdbc"))
    );
    let refusal = scene.fails(2, &format!("{line} oracle"));
    for name in ["psql", "sqlalchemy-asyncpg", "postgres.js", "all"] {
        assert!(refusal.contains(name), "{refusal}");
    }
    let two = printed(&scene, &format!("{line} pq --for psql"));
    let headings: Vec<&str> = two
        .lines()
        .filter(|line| line.starts_with("=== "))
        .collect();
    assert_eq!(headings.len(), 2, "{two}");
    assert!(headings[0].starts_with("=== psql "), "{two}");
}

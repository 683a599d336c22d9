//! Servers that cannot be asked, or that do not run.

use std::fs;

use pgpki_testing::{Cluster, Shutdown, replace};

use crate::fixture::{EVERYTHING, Files, Stage};

#[test]
fn a_server_that_asks_for_a_password_is_not_configured_behind_its_back() {
    let mut stage = Stage::new();
    let text = fs::read_to_string(stage.hba()).unwrap();
    for (first, part) in [
        ("local all all scram-sha-256\n", "password"),
        ("local all all reject\n", "pg_hba.conf rejects"),
    ] {
        replace(stage.hba(), format!("{first}{text}"));
        stage.cluster.restart().unwrap();
        let said = stage.refuses(5, &EVERYTHING);
        assert!(said.contains(part), "{said}");
        assert!(said.contains("peer"), "no way out in {said}");
    }
}

#[test]
fn a_server_that_is_down_is_configured_for_its_next_start() {
    let mut stage = Stage::new();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let before = Files::of(&stage.cluster);
    let said = stage.configure(&EVERYTHING);
    assert!(said.contains("not proven not running"), "{said}");
    stage.cluster.start().unwrap();
    stage.is_sound_with("g0001");
    let again = stage.configure(&EVERYTHING);
    assert!(again.contains("already"), "{again}");
    stage.cluster.stop(Shutdown::Immediate).unwrap();
    stage.configure(&["--remove"]);
    before.assert_unchanged(&stage.cluster);
    stage.cluster.start().unwrap();
}

/// A crash leaves `postmaster.pid` behind.
#[test]
fn the_traces_of_a_crash_are_not_taken_for_a_server() {
    let mut stage = Stage::new();
    let pid_file = stage.cluster.data_dir().join("postmaster.pid");
    let left = fs::read_to_string(&pid_file).unwrap();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let rest = left.split_once('\n').unwrap().1;
    for pid in ["1", &std::process::id().to_string(), "999999999"] {
        stage.write(&pid_file, format!("{pid}\n{rest}"));
        let said = stage.configure(&EVERYTHING);
        assert!(said.contains("not running"), "{pid}: {said}");
        stage.configure(&["--remove"]);
    }
}

#[test]
fn nobody_listens_on_tcp() {
    let mut stage = Stage::with(Cluster::builder().conf("listen_addresses = ''"));
    let said = stage.configure(&EVERYTHING);
    assert!(
        said.contains("not proven the server listens on no TCP address"),
        "{said}"
    );
    assert_eq!(stage.cluster.sql("show ssl"), "on");
    let report = stage.rotate(0, &["--force"]);
    let why = report["places"][0]["not_proven"].as_str().unwrap();
    assert!(why.contains("listens on no TCP address"), "{why}");
    assert_eq!(stage.current(), "g0002");
    stage.ledger_agrees();
    // It has read the new files all the same, and would start with them.
    stage.cluster.restart().unwrap();
}

#[test]
fn a_dry_run_asks_nobody() {
    let mut stage = Stage::new();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let before = Files::of(&stage.cluster);
    let diff = stage.configure(&["--dry-run", "--require-tls"]);
    let added = |text: &str| diff.lines().any(|line| line == text);
    assert!(added("+ssl = 'on'") || added("+ssl = on"), "{diff}");
    assert!(diff.contains("--- /dev/null"), "{diff}");
    before.assert_unchanged(&stage.cluster);
}

/// `patch` makes of the files what configure makes of them.
#[test]
fn the_diff_is_one() {
    let stage = Stage::new();
    let text = fs::read_to_string(stage.conf()).unwrap();
    replace(stage.conf(), text.trim_end());
    let diff = stage.configure(&[&EVERYTHING[..], &["--dry-run"]].concat());
    stage.write(&stage.scene.path("diff"), diff);
    let patched = stage.scene.path("patched");
    fs::create_dir(&patched).unwrap();
    for path in [stage.conf(), stage.hba()] {
        fs::copy(&path, patched.join(path.file_name().unwrap())).unwrap();
    }
    let strip = stage.cluster.data_dir().components().count();
    pgpki_testing::run(
        std::process::Command::new("patch")
            .args(["-p", &strip.to_string(), "-i"])
            .arg(stage.scene.path("diff"))
            .current_dir(&patched),
    );
    stage.configure(&EVERYTHING);
    for name in ["postgresql.conf", "pg_hba.conf", "pgpki.conf"] {
        let ours = fs::read_to_string(stage.cluster.data_dir().join(name)).unwrap();
        assert_eq!(
            fs::read_to_string(patched.join(name)).unwrap(),
            ours,
            "{name}"
        );
    }
}

/// It runs, but on no socket; to say that it does not run would be a lie.
#[test]
fn a_server_without_a_socket_cannot_be_asked() {
    let mut stage = Stage::new();
    let text = fs::read_to_string(stage.conf()).unwrap();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    replace(
        stage.conf(),
        format!("{text}unix_socket_directories = ''\n"),
    );
    pgpki_testing::run(&mut stage.pg_ctl(&["-w", "start"]));
    let said = stage.refuses(5, &EVERYTHING);
    assert!(said.contains("unix_socket_directories"), "{said}");
    // The way out that it names.
    pgpki_testing::run(&mut stage.pg_ctl(&["-w", "-m", "fast", "stop"]));
    stage.configure(&EVERYTHING);
    pgpki_testing::run(&mut stage.pg_ctl(&["-w", "start"]));
    stage.is_sound_with("g0001");
    stage.rotate(0, &["--force"]);
    stage.is_sound_with("g0002");
}

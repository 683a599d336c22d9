//! What is installed is served, or what was before is live again: reload and proof on servers that
//! refuse, and runs that never came to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use pgpki_testing::{Cluster, Scene, append, await_that, replace, run};

use crate::fixture::{EVERYTHING, Files, POISON, Stage, served_leaf, the_server};

/// Not what a test is about: far beyond what a run takes.
const LONG: Duration = Duration::from_secs(30);

/// The server's user replaces a file of the new generation before the server has looked at it:
/// while that happens, the postmaster is stopped.
#[test]
fn files_that_are_spoilt_before_the_server_reads_them() {
    let stage = Stage::configured(&EVERYTHING);
    let before = stage.installed_leaf();
    let foreign = Stage::of(Cluster::builder().create().unwrap());
    let foreign_key = fs::read(foreign.scene.tls().join("current/server.key")).unwrap();
    for (file, text) in [
        ("server.key", &b"garbage"[..]),
        ("server.key", b""),
        ("server.key", &foreign_key),
        ("root.crt", b"garbage"),
        ("root.crl", b""),
    ] {
        let generations: u32 = next_generation(&stage);
        let new = stage.scene.tls().join(format!("g{generations:04}"));
        let postmaster = stage.postmaster();
        kill(postmaster, Signal::SIGSTOP).unwrap();
        let mut rotate = stage.scene.command(["rotate", "--force", "--json"]);
        let rotate = rotate
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        await_that("the new generation is live", LONG, || {
            fs::read_link(stage.scene.tls().join("current")).unwrap() == new.file_name().unwrap()
        });
        fs::write(new.join(file), text).unwrap();
        kill(postmaster, Signal::SIGCONT).unwrap();
        let output = rotate.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{file}: {output:?}");
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(
            report.contains("could not load the new files"),
            "{file}: {report}"
        );
        assert!(
            report.contains("g0001 was put back, and is served"),
            "{file}: {report}"
        );
        assert_eq!(stage.installed_leaf(), before);
        stage.is_sound_with("g0001");
    }
    stage.rotate(0, &["--force"]);
    assert_ne!(stage.installed_leaf(), before);
    stage.serves_what_is_installed();
}

fn next_generation(stage: &Stage) -> u32 {
    let names = fs::read_dir(stage.scene.tls()).unwrap();
    let numbers = names.filter_map(|it| {
        it.unwrap()
            .file_name()
            .to_str()?
            .strip_prefix('g')?
            .parse()
            .ok()
    });
    numbers.max().unwrap_or(0) + 1
}

#[test]
fn issue_server_proves_or_puts_back_as_rotate_does() {
    let stage = Stage::configured(&EVERYTHING);
    let issue = || {
        let mut command =
            stage
                .scene
                .command(["issue-server", "localhost", "127.0.0.1", "--install"]);
        command.arg(stage.scene.tls());
        command
    };
    let said = String::from_utf8(run(&mut issue()).stdout).unwrap();
    assert!(said.contains("served     "), "{said}");
    stage.is_sound_with("g0002");
    let sound = fs::read(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    let said = stage.scene.fails_with(6, &mut issue());
    assert!(said.contains("g0002 was put back, and is served"), "{said}");
    assert_eq!(stage.current(), "g0002");
    stage.serves_what_is_installed();
    // A restart would fail, and somebody has to hear of it before that.
    stage.rotate(5, &[]);
    stage.serves_what_is_installed();
    replace(stage.conf(), sound);
    stage.rotate(0, &[]);
    stage.is_sound_with("g0002");
    run(&mut issue());
    stage.is_sound_with(&stage.current());
}

#[test]
fn configure_is_undone_when_the_server_refuses_the_files() {
    let stage = Stage::new();
    append(stage.conf(), POISON);
    let said = stage.refuses(6, &EVERYTHING);
    for part in [
        "could not load the new files",
        "nonsense",
        "files are as before",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(stage.cluster.sql("show ssl"), "off");
    let plaintext = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable",
        stage.cluster.port()
    );
    stage.connects(&plaintext);
}

#[test]
fn what_was_not_reloaded_is_taken_up_by_the_next_run() {
    let stage = Stage::configured(&EVERYTHING);
    let report = stage.rotate(0, &["--force", "--no-reload"]);
    assert_eq!(the_server(&report)["not_proven"], "not reloaded, as asked");
    assert!(!stage.is_served());
    // Nobody is told as long as nobody wants it.
    stage.scene.pgpki("rotate --no-reload");
    assert!(!stage.is_served());
    let quiet = stage.rotate(0, &["--dry-run", "--no-reload"]);
    assert_eq!(quiet["places"], serde_json::json!([]));
    let planned = stage.rotate(0, &["--dry-run"]);
    assert_eq!(
        the_server(&planned)["outcome"],
        "would-take-up",
        "{planned}"
    );
    let said = stage.scene.pgpki("rotate --dry-run");
    assert!(said.contains("would reload  server localhost"), "{said}");
    assert!(!stage.is_served());
    let report = stage.rotate(0, &[]);
    let server = the_server(&report);
    assert_eq!(server["outcome"], "taken-up", "{report}");
    assert_eq!(server["proven"].as_array().unwrap().len(), 1, "{report}");
    stage.is_sound_with("g0002");
}

/// strace kills the run as it is about to tell the server.
#[test]
fn a_run_that_was_killed_before_the_reload_is_made_up_for() {
    let stage = Stage::configured(&EVERYTHING);
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=kill",
            "-e",
            "inject=kill:signal=SIGKILL:when=1",
        ])
        .arg(env!("CARGO_BIN_EXE_pgpki"))
        .args(["rotate", "--force"])
        .env("PGPKI_HOME", stage.scene.home());
    let output = strace.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(stage.current(), "g0002");
    assert!(!stage.is_served());
    let report = stage.rotate(0, &[]);
    assert_eq!(the_server(&report)["outcome"], "taken-up", "{report}");
    stage.is_sound_with("g0002");
}

/// Two clusters use one installation.
#[test]
fn both_take_it_up_or_neither_does() {
    let stage = Stage::configured(&EVERYTHING);
    let second = Cluster::running();
    let mut configure = stage.scene.command(["configure", "--pgdata"]);
    configure
        .arg(second.data_dir())
        .arg("--install")
        .arg(stage.scene.tls());
    run(&mut configure);
    let both_serve_what_is_installed = || {
        let installed = stage.installed_leaf();
        for cluster in [&stage.cluster, &second] {
            let served = served_leaf(&format!("127.0.0.1:{}", cluster.port())).unwrap();
            assert_eq!(served.trim(), installed);
        }
    };
    let report = stage.rotate(0, &["--force"]);
    assert_eq!(
        the_server(&report)["proven"].as_array().unwrap().len(),
        2,
        "{report}"
    );
    both_serve_what_is_installed();
    for cluster in [&stage.cluster, &second] {
        let conf = cluster.data_dir().join("postgresql.conf");
        let sound = fs::read(&conf).unwrap();
        append(&conf, POISON);
        let report = stage.rotate(6, &["--force"]);
        let reason = the_server(&report)["reason"].as_str().unwrap();
        assert!(
            reason.contains(cluster.data_dir().to_str().unwrap()),
            "{reason}"
        );
        assert!(
            reason.contains("g0002 was put back, and is served"),
            "{reason}"
        );
        assert_eq!(stage.current(), "g0002");
        both_serve_what_is_installed();
        replace(conf, sound);
        stage.rotate(0, &[]);
        stage.ledger_agrees();
    }
    stage.rotate(0, &["--force"]);
    both_serve_what_is_installed();
}

/// On another address the same port is somebody else's.
#[test]
fn the_server_is_asked_where_it_listens() {
    let mut stage = Stage::new();
    for (listens, stranger) in [("::1", "127.0.0.1"), ("127.0.0.1", "::1")] {
        stage
            .cluster
            .set_conf(format!("listen_addresses = '{listens}'"));
        stage.cluster.restart().unwrap();
        let _stranger = std::net::TcpListener::bind((stranger, stage.cluster.port())).unwrap();
        let said = stage.configure(&EVERYTHING);
        assert!(said.contains("proven     "), "{said}");
        let report = stage.rotate(0, &["--force"]);
        let at = the_server(&report)["proven"][0].as_str().unwrap();
        assert!(at.contains(listens), "{report}");
        stage.configure(&["--remove"]);
    }
}

/// `init` with a cluster: proven, or nothing of it is left.
#[test]
fn init_ends_in_proof_or_leaves_nothing() {
    let cluster = Cluster::running();
    let data = cluster.data_dir();
    let conf = data.join("postgresql.conf");
    let before = Files::of(&cluster);
    let sound = fs::read(&conf).unwrap();
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let init = || {
        let mut command = scene.command(["init", "localhost", "127.0.0.1", "--no-root-passphrase"]);
        command
            .arg("--pgdata")
            .arg(&data)
            .arg("--install")
            .arg(scene.tls());
        command.args(EVERYTHING);
        command
    };
    append(&conf, POISON);
    let said = scene.fails_with(6, &mut init());
    assert!(said.contains("could not load the new files"), "{said}");
    assert!(!scene.home().exists() && !scene.tls().exists(), "{said}");
    replace(&conf, sound);
    before.assert_unchanged(&cluster);
    let output = run(&mut init());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("proven"), "{said}");
    let stage = Stage { cluster, scene };
    stage.is_sound_with("g0001");
}

/// A server that takes nothing must not have every run go one generation further back, to CRLs from before a revocation.
#[test]
fn what_was_put_back_stays() {
    let mut stage = Stage::configured(&EVERYTHING);
    let bob = stage.client("bob");
    let bob = stage.conninfo(&bob, "bob", &[]);
    stage.rotate(0, &["--force"]);
    stage.scene.pgpki("revoke bob");
    stage.keeps_out(&bob);
    let (live, leaf) = (stage.current(), stage.installed_leaf());
    let conf = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), "garbage here = = =\n");
    stage.rotate(6, &["--force"]);
    assert_eq!(stage.current(), live);
    for _ in 0..2 {
        let report = stage.rotate(5, &[]);
        let reason = the_server(&report)["reason"].as_str().unwrap();
        assert!(reason.contains("syntax error"), "{reason}");
        assert_eq!(
            (stage.current(), stage.installed_leaf()),
            (live.clone(), leaf.clone())
        );
    }
    stage.write(&stage.conf(), conf);
    stage.cluster.restart().unwrap();
    stage.keeps_out(&bob);
    assert_eq!(stage.rotate(0, &[])["places"], serde_json::json!([]));
}

/// One more key each day would be a heap by the time at which somebody looks.
#[test]
fn what_was_put_back_does_not_pile_up() {
    let stage = Stage::configured(&EVERYTHING);
    append(stage.conf(), POISON);
    for _ in 0..4 {
        let report = stage.rotate(6, &["--force"]);
        assert_eq!(the_server(&report)["outcome"], "put-back", "{report}");
    }
    assert_eq!(stage.current(), "g0001");
    let names = fs::read_dir(stage.scene.tls()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut generations: Vec<String> = names.filter(|name| name.starts_with('g')).collect();
    generations.sort();
    assert_eq!(generations, ["g0001", "g0004", "g0005"]);
}

/// What a dry run does not see, cron is the first to meet.
#[test]
fn an_installation_that_is_open_to_others_is_told_before_it_is_due() {
    let stage = Stage::configured(&EVERYTHING);
    let open = |mode| fs::set_permissions(stage.scene.tls(), fs::Permissions::from_mode(mode));
    open(0o755).unwrap();
    for more in [&["--dry-run"][..], &[]] {
        let report = stage.rotate(5, more);
        let server = the_server(&report);
        assert_eq!(server["outcome"], "failed", "{report}");
        assert!(server["hint"].as_str().unwrap().contains("chmod"));
    }
    let mut doctor = stage.scene.command(["doctor", "--json", "--pgdata"]);
    let output = doctor.arg(stage.cluster.data_dir()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["findings"].as_array().unwrap();
    let found = found.iter().find(|it| it["code"] == "installation-refused");
    assert!(found.unwrap()["hint"].as_str().unwrap().contains("chmod"));
    assert_eq!(output.status.code(), Some(1));
    open(0o700).unwrap();
    stage.ledger_agrees();
}

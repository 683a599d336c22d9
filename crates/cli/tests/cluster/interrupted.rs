//! What a run leaves behind that ended half-way, or went back.

use std::fs;
use std::process::Command;
use std::time::Duration;

use pgpki_testing::{Cluster, Scene, Shutdown, append, await_that, replace, run};

use crate::fixture::{EVERYTHING, POISON, Stage, the_server};

/// Runs pgpki, and kills it when it is about to signal the server.
fn killed_before_reload(command: &Command) {
    let mut strace = Command::new("strace");
    let set = command.get_envs();
    strace
        .envs(set.filter_map(|(name, value)| Some((name, value?))))
        .args(["-f", "-o", "/dev/null", "-e", "trace=kill", "-e"])
        .arg("inject=kill:signal=SIGKILL:when=1")
        .arg(command.get_program())
        .args(command.get_args());
    let output = strace.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn the_next_configure_reloads_what_a_killed_one_has_written() {
    let stage = Stage::new();
    killed_before_reload(&stage.command(&EVERYTHING));
    stage.configure(&EVERYTHING);
    stage.serves_what_is_installed();
}

#[test]
fn the_next_remove_reloads_what_a_killed_one_has_taken_out() {
    let stage = Stage::configured(&EVERYTHING);
    killed_before_reload(&stage.command(&["--remove"]));
    stage.configure(&["--remove"]);
    await_that("TLS is off", Duration::from_secs(10), || {
        stage.cluster.sql("show ssl") == "off"
    });
}

/// The leaf is served already; what the server does not load is the rest.
#[test]
fn a_leaf_that_was_served_before_proves_nothing() {
    let stage = Stage::new();
    let tls = stage.scene.tls().join("current");
    let (certificate, key) = (tls.join("server.crt"), tls.join("server.key"));
    append(
        stage.conf(),
        format!(
            "\nssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            certificate.display(),
            key.display()
        ),
    );
    stage.cluster.sql("select pg_reload_conf()");
    await_that("it is served", Duration::from_secs(10), || {
        stage.is_served()
    });
    append(stage.conf(), POISON);
    let output = stage.command(&EVERYTHING).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("did not load all of it"), "{text}");
}

/// A server that does not take up the new issuing CA's CRL would refuse its clients: the old one goes on signing them.
#[test]
fn the_old_issuing_ca_signs_clients_while_their_server_is_behind() {
    let stage = Stage {
        cluster: Cluster::running(),
        scene: Scene::new(env!("CARGO_BIN_EXE_pgpki")),
    };
    let init = ["init", "localhost", "127.0.0.1", "--no-root-passphrase"];
    let mut init = stage.scene.command_at("-10d", init);
    let owner = stage.cluster.owner();
    init.arg("--owner")
        .arg(format!("{}:{}", owner.uid, owner.gid));
    run(init.arg("--install").arg(stage.scene.tls()));
    stage.configure(&EVERYTHING);
    let alice = stage.client("alice");
    let conninfo = stage.conninfo(&alice, "alice", &[]);
    stage.connects(&conninfo);

    let healthy = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    let mut rotate = stage.scene.command(["rotate", "--within", "1900d"]);
    let output = rotate.output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("renewed  the issuing CA"), "{report}");
    assert!(report.contains("renewed  client alice"), "{report}");
    stage.connects(&conninfo);

    replace(stage.conf(), healthy);
    let report = stage.scene.pgpki("rotate --within 340d");
    assert!(report.contains("served by"), "{report}");
    stage.connects(&conninfo);
}

#[test]
fn a_first_generation_that_is_not_taken_up_is_taken_out() {
    let stage = Stage::configured(&EVERYTHING);
    let tls = stage.scene.tls();
    // Another authority, at the place that the server reads from.
    fs::rename(&tls, stage.scene.path("away")).unwrap();
    fs::rename(stage.scene.home(), stage.scene.path("home.away")).unwrap();
    stage
        .scene
        .pgpki("init db --no-root-passphrase --install elsewhere");
    let healthy = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    let issue = || {
        let mut issue = stage
            .scene
            .command(["issue-server", "localhost", "--install"]);
        issue.arg(&tls).output().unwrap()
    };
    let output = issue();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(!tls.join("current").is_symlink());
    assert!(!stage.scene.pgpki("inspect").contains(tls.to_str().unwrap()));
    replace(stage.conf(), healthy);
    let output = issue();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    stage.serves_what_is_installed();
}

/// Whoever gives a configured server another certificate is not told once more how to configure it.
#[test]
fn issue_server_says_of_a_stopped_server_that_it_does_not_run() {
    let mut stage = Stage::configured(&EVERYTHING);
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let line = format!(
        "issue-server localhost 127.0.0.1 --install {}",
        stage.scene.tls().display()
    );
    let said = stage.scene.pgpki(&line);
    assert!(said.contains("is not running"), "{said}");
    assert!(said.contains("next start or reload on"), "{said}");
    assert!(!said.contains("ssl_cert_file"), "{said}");
    stage.cluster.start().unwrap();
    stage.serves_what_is_installed();
    let said = stage.scene.pgpki(&format!("{line} --no-reload"));
    assert!(said.contains("not reloaded, as asked"), "{said}");
    assert!(!said.contains("ssl_cert_file"), "{said}");
}

/// Nothing of a stopped server tells where it is but what was seen of it before.
#[test]
fn a_cluster_that_was_seen_is_known_while_it_does_not_run() {
    let mut stage = Stage::configured(&EVERYTHING);
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let report = stage.rotate(0, &["--force"]);
    let why = the_server(&report)["not_proven"].as_str().unwrap();
    assert!(why.ends_with("is not running"), "{report}");
    // Its files are checked in the server's stead.
    let tls = stage.scene.tls().join("current");
    fs::write(tls.join("server.key"), "garbage").unwrap();
    stage.rotate(6, &[]);
    assert_eq!(stage.current(), "g0001");
    stage.rotate(0, &[]);
    stage.cluster.start().unwrap();
    stage.serves_what_is_installed();
}

#[test]
fn a_rule_that_goes_is_named() {
    let stage = Stage::configured(&["--require-tls"]);
    let said = stage.configure(&["--client-certs", "alice"]);
    assert!(
        said.contains("dropped    hostnossl  all          all  all  reject"),
        "{said}"
    );
}

/// Whoever has put it there may have meant it.
#[test]
fn a_rule_before_ours_is_named() {
    let stage = Stage::configured(&["--require-tls"]);
    let ours = fs::read_to_string(stage.hba()).unwrap();
    let theirs = "hostssl all all 10.0.0.0/8 scram-sha-256\n\
                  host all all all trust\n\
                  host all all 127.0.0.1/32 trust\n\
                  host all all 10.0.0.0/8 reject\n";
    replace(stage.hba(), format!("{theirs}{ours}"));
    let named = |rules: &[&str]| {
        let said = stage.configure(rules);
        let is_named = |line: &u32| said.contains(&format!("pg_hba.conf:{line}: "));
        (1..=9).filter(is_named).collect::<Vec<u32>>()
    };
    assert_eq!(named(&["--require-tls"]), [2]);
    assert_eq!(named(&EVERYTHING), [1, 2]);
    assert_eq!(named(&["--client-certs", "alice"]), [1, 2]);
    replace(stage.hba(), ours);
    assert!(named(&EVERYTHING).is_empty());
}

/// Its next start would fail.
#[test]
fn a_generation_that_was_never_loaded_and_cannot_be_is_left_for_the_one_before() {
    let mut stage = Stage::configured(&EVERYTHING);
    killed_before_reload(&stage.scene.command(["rotate", "--force"]));
    assert_eq!(stage.current(), "g0002");
    fs::write(stage.scene.tls().join("g0002/server.key"), "garbage").unwrap();

    let output = stage.scene.command(["rotate"]).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert_eq!(stage.current(), "g0001");
    stage.cluster.restart().unwrap();
    let report = stage.scene.pgpki("rotate");
    assert!(report.contains("served by"), "{report}");
    assert_eq!(stage.current(), "g0003");
}

/// The server's user says which file it is, and must not have root change one of root's.
#[test]
fn a_rule_file_of_roots_outside_is_left_alone() {
    let stage = Stage::new();
    let roots = stage.scene.path("crontab");
    fs::write(&roots, "# root's\n").unwrap();
    append(
        stage.conf(),
        format!("\nhba_file = '{}'\n", roots.display()),
    );
    let output = stage.command(&EVERYTHING).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(fs::read_to_string(&roots).unwrap(), "# root's\n");
}

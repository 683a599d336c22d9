//! Nothing is wrong where nothing is.

use pgpki_testing::{ServerPrograms, Shutdown, run};

use super::fixture::{Doctored, RULES, Seen};

#[test]
fn a_cluster_as_pgpki_sets_it_up_is_healthy_in_every_version() {
    for programs in ServerPrograms::every() {
        let major = programs.major();
        let doctored = Doctored::of_version(&programs);
        doctored.cluster.create_role("alice", None, true);
        doctored.scene.pgpki("issue-client alice --out clients");
        let seen = doctored.doctor();
        assert_eq!(seen.wrong(), [""; 0], "PostgreSQL {major}");
        // Every question was answered, and every place looked at.
        seen.lacks("not-looked-at").lacks("not-running");
    }
}

#[test]
fn a_cluster_that_configure_has_set_up_is_healthy() {
    // Its own rules stay below those of pgpki: plaintext for everybody, replication included.
    let rules = "host all all all scram-sha-256\nhostnossl all bob 10.0.0.0/8 md5\n\
                 host replication all 127.0.0.1/32 scram-sha-256\n";
    for access in [
        &["--require-tls", "--client-certs", "all"][..],
        &["--require-tls", "--client-certs", "alice"],
        &["--require-tls"],
    ] {
        let doctored = Doctored::before_configure(rules);
        doctored
            .cluster
            .sql("CREATE ROLE standby LOGIN REPLICATION");
        let mut configure = doctored.scene.command(["configure", "--pgdata"]);
        configure.arg(doctored.cluster.data_dir());
        configure.arg("--install").arg(doctored.scene.tls());
        run(configure.args(access));
        let seen = doctored.doctor();
        assert_eq!(seen.wrong(), [""; 0], "{access:?}");
        seen.lacks("not-looked-at");
    }
}

#[test]
fn a_cluster_stays_healthy_through_a_rotation_and_without_a_server() {
    let mut doctored = Doctored::new();
    doctored.scene.pgpki("rotate --force");
    doctored.doctor().is_healthy();
    doctored.cluster.stop(Shutdown::Fast).unwrap();
    let seen = doctored.doctor();
    seen.is_healthy();
    assert_eq!(seen.finding("not-running")["severity"], "info");
    // Nobody is told that what does not run is healthy.
    let output = doctored.command(&[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("nothing wrong was found in what was looked at"),
        "{text}"
    );
    assert!(!text.contains("healthy"), "{text}");
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let doctored = Doctored::new();
    // No authority.
    let mut command = doctored.command(&["--json"]);
    command.env("PGPKI_HOME", doctored.scene.path("nowhere"));
    let seen = Seen::of(&mut command);
    seen.is_healthy();
    let message = seen.finding("not-looked-at")["message"].as_str().unwrap();
    assert!(message.contains("authority"), "{message}");
}

#[test]
fn what_the_server_does_not_answer_is_said() {
    let mut doctored = Doctored::new();
    doctored.reload_with_rules(&format!("local all boss trust\n{RULES}"));
    let cluster = &doctored.cluster;
    cluster.sql("CREATE ROLE boss SUPERUSER LOGIN");
    let boss = format!(
        "host={} port={} user=boss dbname=postgres",
        cluster.socket_dir().display(),
        cluster.port()
    );
    let as_boss = |sql: &str| {
        let output = cluster.psql(&boss, sql);
        assert!(output.status.success(), "{output:?}");
    };
    // The role that is called like the server's user may log in, and that is all.
    as_boss("ALTER ROLE postgres RENAME TO first; CREATE ROLE postgres LOGIN");
    let seen = doctored.doctor();
    seen.is_healthy();
    let unseen = seen.messages("not-looked-at").join("\n");
    for what in ["pg_authid", "pg_file_settings", "pg_hba_file_rules"] {
        assert!(unseen.contains(what), "{unseen}");
    }
    as_boss("ALTER ROLE postgres NOLOGIN");
    let seen = doctored.doctor();
    seen.is_healthy();
    let unseen = seen.messages("not-looked-at").join("\n");
    assert!(unseen.contains("not permitted to log in"), "{unseen}");
}

#[test]
fn without_fix_nothing_is_changed() {
    let doctored = Doctored::new();
    let tree = |path| {
        let mut list = std::process::Command::new("find");
        list.arg(path)
            .args(["-printf", "%p %i %m %U %G %s %T@ %C@\n"]);
        String::from_utf8(run(&mut list).stdout).unwrap()
    };
    let key = doctored.current().join("server.key");
    run(std::process::Command::new("chmod").arg("0644").arg(&key));
    let before = (tree(doctored.scene.tls()), tree(doctored.scene.home()));
    doctored.doctor().is_wrong_with(&["key-mode"]);
    assert_eq!(
        before,
        (tree(doctored.scene.tls()), tree(doctored.scene.home()))
    );
}

#[test]
fn people_are_told_the_place_the_cause_and_the_cure() {
    let doctored = Doctored::new();
    let output = doctored.command(&[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("healthy  nothing wrong was found"), "{text}");
    let key = doctored.current().join("server.key");
    run(std::process::Command::new("chmod").arg("0644").arg(&key));
    let output = doctored.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "error",
        "server.key",
        "has group or world access",
        "chmod 0600",
        "[key-mode]",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

//! The rules, as the server enforces them.

use std::fs;
use std::process::Command;

use pgpki_testing::{Cluster, ServerPrograms, run};

use crate::fixture::{EVERYTHING, Files, Stage};

/// Names with everything that `pg_hba.conf` gives a meaning to.
const ODD: [&str; 8] = [
    "Robert",
    "o'brien",
    "b\"o,b",
    "two words",
    "+group",
    "@file",
    "sameuser",
    "# no comment",
];

#[test]
fn requiring_tls_alone_asks_for_no_certificate() {
    let stage = Stage::configured(&["--require-tls"]);
    let alice = stage.client("alice");
    let bare = [("sslcert", "/nonexistent")];
    stage.connects(&stage.conninfo(&alice, "alice", &bare));
    let plain = stage.conninfo(&alice, "alice", &[("sslmode", "disable")]);
    assert!(stage.keeps_out(&plain).contains("rejects"));
}

#[test]
fn roles_of_any_name_need_their_own_certificate_and_nobody_else_does() {
    let stage = Stage::new();
    let rules = [&["--client-certs"][..], &ODD].concat();
    let said = stage.configure(&rules);
    assert!(said.contains("proven     "), "{said}");
    let carol = stage.client("carol");
    let plain = ("sslmode", "disable");
    let bare = ("sslcert", "/nonexistent");
    for role in ODD {
        let folder = stage.client(role);
        stage.connects(&stage.conninfo(&folder, role, &[]));
        let without = stage.keeps_out(&stage.conninfo(&folder, role, &[bare]));
        assert!(
            without.contains("valid client certificate"),
            "{role}: {without}"
        );
        let in_the_clear = stage.keeps_out(&stage.conninfo(&folder, role, &[plain]));
        assert!(in_the_clear.contains("rejects"), "{role}: {in_the_clear}");
        let with_anothers = stage.keeps_out(&stage.conninfo(&carol, role, &[]));
        assert!(
            with_anothers.contains("authentication failed"),
            "{role}: {with_anothers}"
        );
    }
    for more in [plain, bare] {
        stage.connects(&stage.conninfo(&carol, "carol", &[more]));
    }
    for role in ["robert", "o", "b", "group"] {
        stage.cluster.create_role(role, None, true);
        stage.connects(&stage.conninfo(&carol, role, &[plain]));
    }
}

#[test]
fn names_that_no_rule_could_hold_are_refused() {
    let stage = Stage::new();
    let long = "x".repeat(64);
    for (status, name) in [(4, ""), (3, "new\nline"), (3, "\r"), (4, &long)] {
        stage.refuses(status, &["--client-certs", name]);
    }
}

/// Version 13 reads lines of 8 KiB at the most.
#[test]
fn a_thousand_roles_are_taken_or_refused_as_a_whole() {
    let names: Vec<String> = (0..1000)
        .map(|n| format!("a role with a long name {n}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let servers = ServerPrograms::every();
    for programs in servers.iter().filter(|it| matches!(it.major(), 13 | 18)) {
        let stage = Stage::with(Cluster::builder().programs(programs));
        let before = Files::of(&stage.cluster);
        let rules = [&["--client-certs"][..], &names].concat();
        let output = stage.command(&rules).output().unwrap();
        let last = names[999];
        let plain = format!(
            "host=127.0.0.1 port={} dbname=postgres sslmode=disable",
            stage.cluster.port()
        );
        stage.cluster.create_role(last, None, true);
        let connection = format!("{plain} user='{last}'");
        if output.status.success() {
            assert!(
                stage.keeps_out(&connection).contains("rejects"),
                "{programs}"
            );
        } else {
            assert!(
                matches!(output.status.code(), Some(3 | 4)),
                "{programs}: {output:?}"
            );
            before.assert_unchanged(&stage.cluster);
            stage.connects(&connection);
        }
    }
}

#[test]
fn a_password_beside_the_certificate_takes_both() {
    let stage = Stage::configured(&["--require-tls", "--client-certs", "all", "--with-password"]);
    let alice = stage.client("alice");
    stage
        .cluster
        .sql("set password_encryption = 'scram-sha-256'; alter role alice password 'secret'");
    let with = |more: &[(&str, &str)]| stage.conninfo(&alice, "alice", more);
    let password = ("password", "secret");
    stage.connects(&with(&[password]));
    let bare = ("sslcert", "/nonexistent");
    for (more, expected) in [
        (&[][..], "no password supplied"),
        (&[("password", "wrong")], "password authentication failed"),
        (&[password, bare], "valid client certificate"),
        (&[password, ("sslmode", "disable")], "rejects"),
    ] {
        let said = stage.keeps_out(&with(more));
        assert!(said.contains(expected), "{more:?}: {said}");
    }
    stage.cluster.create_role("bob", Some("secret"), true);
    let as_bob = stage.keeps_out(&with(&[("user", "bob"), password]));
    assert!(as_bob.contains("authentication failed"), "{as_bob}");
}

#[test]
fn a_base_backup_takes_the_certificate_of_its_role() {
    let stage = Stage::configured(&EVERYTHING);
    let standby = stage.client("standby");
    stage.cluster.sql("alter role standby replication");
    let backup = |name: &str, more: &[(&str, &str)]| {
        let mut command = Command::new(stage.cluster.programs().program("pg_basebackup"));
        let connection = stage
            .conninfo(&standby, "standby", more)
            .replace("dbname='postgres'", "");
        command
            .env("LC_ALL", "C")
            .args(["-X", "stream", "-c", "fast", "-d", &connection, "-D"]);
        command.arg(stage.scene.path(name));
        command
    };
    run(&mut backup("copy", &[]));
    for (more, expected) in [
        (("sslcert", "/nonexistent"), "valid client certificate"),
        (("sslmode", "disable"), "rejects"),
    ] {
        let output = backup("refused", &[more]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(expected),
            "{more:?}: {said}"
        );
    }
    // The key stands outside of the data directory, and does not travel.
    let mut find = Command::new("grep");
    find.args(["-rl", "PRIVATE KEY"])
        .arg(stage.scene.path("copy"));
    let found = find.output().unwrap();
    assert_eq!(found.status.code(), Some(1), "{found:?}");
}

/// The rules of a former run are replaced, not joined by others.
#[test]
fn another_run_with_other_rules_leaves_one_block() {
    let stage = Stage::new();
    let before = Files::of(&stage.cluster);
    for rules in [
        &["--require-tls"][..],
        &["--client-certs", "alice"],
        &EVERYTHING,
        &EVERYTHING[..1],
    ] {
        stage.configure(rules);
        let text = fs::read_to_string(stage.hba()).unwrap();
        assert_eq!(text.matches("# BEGIN pgpki").count(), 1, "{text}");
    }
    stage.configure(&["--remove"]);
    before.assert_unchanged(&stage.cluster);
}

/// What version 13 stores by default, and an upgrade keeps.
#[test]
fn roles_whose_password_is_md5_are_not_locked_out() {
    let stage = Stage::new();
    let sql = "set password_encryption = 'md5'; create role old login password 'x'; \
               create role idle password 'x'";
    stage.cluster.sql(sql);
    let before = fs::read(stage.hba()).unwrap();
    let all = ["--client-certs", "all", "--with-password"];
    let said = stage.refuses(3, &all);
    assert!(said.contains("lock them out: old\n"), "{said}");
    assert_eq!(fs::read(stage.hba()).unwrap(), before);
    // It concerns neither other roles nor the certificate alone.
    stage.configure(&["--client-certs", "alice", "--with-password"]);
    stage.configure(&["--client-certs", "all"]);
    stage.refuses(3, &all);
    let sql = "set password_encryption = 'scram-sha-256'; alter role old password 'x'";
    stage.cluster.sql(sql);
    stage.configure(&all);
}

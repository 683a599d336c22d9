//! A role that another rule lets in, whatever became of its certificate.

use std::fs;

use crate::fixture::Stage;
use crate::stage::{LONG, copied, is_refused, revoke, says, serial_of};

use pgpki_testing::{Shutdown, await_that};

/// Adds rules below what is there, and has the server load them.
fn with_rules(stage: &Stage, rules: &str) {
    let hba = stage.hba();
    let text = fs::read_to_string(&hba).unwrap() + rules;
    stage.write(&hba, text);
    stage.cluster.sql("select pg_reload_conf()");
}

#[test]
fn the_rule_is_named_and_the_certificate_is_revoked_all_the_same() {
    let stage = Stage::configured(&["--require-tls", "--client-certs", "closed"]);
    // Tests come from this machine, whose own addresses do not count: a network around it does.
    with_rules(
        &stage,
        "hostssl replication replica 0.0.0.0/1 trust\n\
         hostssl all password,open,closed,gone,old 0.0.0.0/1 scram-sha-256\n\
         hostssl all +staff 0.0.0.0/1 trust\n",
    );
    for role in [
        "password", "open", "closed", "member", "gone", "replica", "old",
    ] {
        stage.client(role);
    }
    stage.cluster.sql(
        "set password_encryption = 'scram-sha-256';
         alter role password password 'hunter2'; alter role closed password 'hunter2';
         alter role gone password 'hunter2' nologin; create role staff; grant staff to member;
         alter role replica replication;
         set password_encryption = 'md5'; alter role old password 'hunter2'",
    );
    let rules = fs::read_to_string(stage.hba()).unwrap().lines().count();
    let found = |role: &str| {
        let report = revoke(&stage, 0, &[role]);
        report["without_certificate"].clone()
    };
    let hba = stage.hba();
    let way_in = |line: usize, rule: &str, role: &str| {
        serde_json::json!([{
            "role": role,
            "server": stage.cluster.data_dir(),
            "file": hba,
            "line": line,
            "rule": rule,
            "certain": true,
        }])
    };
    let password = copied(&stage, &stage.scene.path("clients/password"));
    let serial = serial_of(&password.join("postgresql.crt"));
    assert_eq!(
        found("password"),
        way_in(rules - 1, "hostssl … scram-sha-256", "password")
    );
    assert_eq!(found("member"), way_in(rules, "hostssl … trust", "member"));
    let replica = found("replica");
    assert_eq!(replica, way_in(rules - 2, "hostssl … trust", "replica"));
    // No password, a rule of pgpki's before it, no login at all, and a password that is of no use for SCRAM.
    for role in ["open", "closed", "gone", "old"] {
        assert_eq!(found(role), serde_json::Value::Null, "{role}");
    }

    let with_certificate = stage.conninfo(&password, "password", &[]);
    is_refused(&stage, &with_certificate);
    let more = [("sslcert", ""), ("sslkey", ""), ("password", "hunter2")];
    let without = stage.conninfo(&password, "password", &more);
    await_that("the rules are loaded", LONG, || {
        stage.cluster.psql(&without, "select 1").status.success()
    });

    let said = says(&stage, 0, &[&serial]);
    let lines: Vec<&str> = said.lines().collect();
    let (data, hba) = (stage.cluster.data_dir(), hba.display());
    let data = data.display();
    assert_eq!(
        lines[lines.len() - 2..],
        [
            format!(
                "still let in  password by {data}, without a certificate of its own: {hba}, line {} (hostssl … scram-sha-256)",
                rules - 1
            ),
            "  ALTER ROLE \"password\" NOLOGIN;  keeps that role out, whatever it comes with; sessions that are left go on"
                .to_owned(),
        ],
        "{said}"
    );
}

#[test]
fn of_many_some_are_named_and_the_rest_is_counted() {
    let stage = Stage::configured(&["--require-tls"]);
    with_rules(&stage, "hostssl all all 0.0.0.0/1 trust\n");
    let roles: Vec<String> = (0..7).map(|n| format!("role{n}")).collect();
    for role in &roles {
        stage.client(role);
    }
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let said = says(&stage, 0, &roles);
    assert_eq!(said.matches("still let in").count(), 5, "{said}");
    assert!(said.contains("… and 2 more; --json names all"), "{said}");
}

#[test]
fn where_nobody_is_asked_it_is_told_as_far_as_the_files_go() {
    let mut stage = Stage::configured(&["--require-tls"]);
    with_rules(&stage, "hostssl all +staff 0.0.0.0/1 trust\n");
    for role in ["alice", "bob", "carol"] {
        stage.client(role);
    }
    stage.cluster.sql("create role staff; grant staff to alice");
    let certain = |report: &serde_json::Value| report["without_certificate"][0]["certain"].clone();
    let report = revoke(&stage, 1, &["alice", "--no-reload"]);
    assert_eq!(certain(&report), true, "{report}");

    // The server keeps what it had, and what is on disk says nothing of it.
    let (hba, text) = (stage.hba(), fs::read_to_string(stage.hba()).unwrap());
    stage.write(&hba, text.clone() + "host all all nonsense\n");
    let report = revoke(&stage, 1, &["carol", "--no-reload"]);
    let problem = report["problems"][0].as_str().unwrap();
    let line = format!("line {}", text.lines().count() + 1);
    assert!(
        problem.contains(&line) && problem.contains("is not known"),
        "{problem}"
    );

    stage.write(&hba, text);
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let report = revoke(&stage, 1, &["bob"]);
    assert_eq!(certain(&report), false, "{report}");
}

/// Each of the two that asks about the sessions fails for the same reason.
#[test]
fn a_server_that_does_not_let_pgpki_ask_is_told_once() {
    let mut stage = Stage::configured(&["--require-tls"]);
    stage.client("alice");
    let (hba, text) = (stage.hba(), fs::read_to_string(stage.hba()).unwrap());
    let without_local = text.lines().filter(|line| !line.starts_with("local"));
    let rules: Vec<_> = without_local.collect();
    stage.write(&hba, rules.join("\n") + "\n");
    stage.cluster.restart().unwrap();
    let report = revoke(&stage, 1, &["alice"]);
    let problems: Vec<_> = report["problems"].as_array().unwrap().iter().collect();
    let [problem] = problems[..] else {
        panic!("{report}")
    };
    let problem = problem.as_str().unwrap();
    assert!(problem.contains("its sessions are not known"), "{problem}");
    assert!(problem.contains("local all all peer"), "{problem}");
}

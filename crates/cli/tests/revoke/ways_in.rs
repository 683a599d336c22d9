//! A role that another rule lets in, whatever became of its certificate.

use std::fs;

use crate::fixture::Stage;
use crate::stage::{LONG, copied, is_refused, revoke, says, serial_of};

use pgpki_testing::await_that;

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
        "hostssl all password,open,closed,gone 0.0.0.0/1 scram-sha-256\nhostssl all +staff 0.0.0.0/1 trust\n",
    );
    for role in ["password", "open", "closed", "member", "gone"] {
        stage.client(role);
    }
    stage.cluster.sql(
        "set password_encryption = 'scram-sha-256';
         alter role password password 'hunter2'; alter role closed password 'hunter2';
         alter role gone password 'hunter2' nologin; create role staff; grant staff to member",
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
        }])
    };
    let password = copied(&stage, &stage.scene.path("clients/password"));
    let serial = serial_of(&password.join("postgresql.crt"));
    assert_eq!(
        found("password"),
        way_in(rules - 1, "hostssl … scram-sha-256", "password")
    );
    assert_eq!(found("member"), way_in(rules, "hostssl … trust", "member"));
    // No password, a rule of pgpki's before it, and no login at all.
    for role in ["open", "closed", "gone"] {
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
                "still let in  password by {data}, without a certificate: {hba}, line {} (hostssl … scram-sha-256)",
                rules - 1
            ),
            "  ALTER ROLE \"password\" NOLOGIN;  keeps that role out, whatever it comes with"
                .to_owned(),
        ],
        "{said}"
    );
}

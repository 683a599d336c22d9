//! Faults of `pg_hba.conf`.

use pgpki_testing::ServerPrograms;

use super::fixture::{Doctored, RULES};

/// Rules, and the findings that they give: severity, code and the line among these rules.
type Case = (&'static str, &'static [(&'static str, &'static str, u32)]);

const CASES: &[Case] = &[
    // Hidden by a broader line above it.
    (
        "hostssl all all all scram-sha-256\nhostssl all all 10.0.0.0/8 cert",
        &[("warning", "hba-hidden", 2)],
    ),
    (
        "hostssl all all all cert\nhostssl all alice 10.0.0.0/8 cert",
        &[("info", "hba-hidden", 2)],
    ),
    // Without TLS.
    (
        "hostssl all all all cert\nhost all all 10.0.0.0/8 scram-sha-256",
        &[("warning", "hba-downgrade", 2)],
    ),
    (
        "hostssl all all all scram-sha-256 clientcert=verify-full\nhostnossl all bob all md5",
        &[("warning", "hba-downgrade", 2)],
    ),
    (
        "hostssl all all all cert\nhost all all 127.0.0.1/32 scram-sha-256",
        &[("info", "hba-downgrade", 2)],
    ),
    (
        "host all all 10.0.0.0/8 scram-sha-256",
        &[("warning", "hba-plaintext", 1)],
    ),
    (
        "hostnogssenc all all 10.0.0.0/8 scram-sha-256",
        &[("warning", "hba-plaintext", 1)],
    ),
    (
        "host all all 127.0.0.0/8 scram-sha-256\nhost all all ::1/128 scram-sha-256",
        &[],
    ),
    (
        "hostnossl all all 0.0.0.0/0 reject\nhost all all all scram-sha-256",
        &[("warning", "hba-plaintext", 2)],
    ),
    (
        "hostnossl all all 0.0.0.0/0 reject\nhostnossl all all ::/0 reject\nhost all all all scram-sha-256",
        &[],
    ),
    // Certificates that say nothing about who it is.
    (
        "hostssl all all all trust clientcert=verify-ca",
        &[("warning", "certificate-for-any-role", 1)],
    ),
    (
        "hostssl all all all scram-sha-256 clientcert=verify-ca",
        &[("warning", "certificate-not-bound", 1)],
    ),
    ("hostssl all all all trust", &[("warning", "hba-trust", 1)]),
    ("hostssl all all all trust clientcert=verify-full", &[]),
    (
        "hostssl all all all cert map=people",
        &[("info", "certificate-mapped", 1)],
    ),
];

/// The line of the fixture that lets the superuser in comes first.
const ABOVE: u32 = 1;

#[test]
fn rules_that_let_in_whom_they_should_not() {
    let mut doctored = Doctored::new();
    let hba = doctored.cluster.data_dir().join("pg_hba.conf");
    for (rules, expected) in CASES {
        doctored.reload_with_rules(rules);
        let seen = doctored.doctor();
        let mut wrong: Vec<&str> = expected
            .iter()
            .filter(|(severity, ..)| *severity != "info")
            .map(|(_, code, _)| *code)
            .collect();
        wrong.sort_unstable();
        assert_eq!(seen.wrong(), wrong, "{rules}");
        for (severity, code, line) in *expected {
            seen.has_at(severity, code, &hba, line + ABOVE);
        }
    }
}

#[test]
fn the_fallback_of_prefer_is_real() {
    let mut doctored = Doctored::new();
    doctored.cluster.create_role("alice", Some("secret"), true);
    doctored.reload_with_rules("hostssl all all all cert\nhost all all all scram-sha-256");
    doctored.doctor().is_wrong_with(&["hba-downgrade"]);
    let (port, sql) = (
        doctored.cluster.port(),
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    let client = format!("host=127.0.0.1 port={port} dbname=postgres user=alice password=secret");
    let answer = doctored.cluster.psql(&client, sql);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "f\n", "{answer:?}");
    // With the line that the hint names, there is no way around.
    doctored.reload_with_rules(
        "hostnossl all all all reject\nhostssl all all all cert\nhost all all all scram-sha-256",
    );
    doctored.doctor().lacks("hba-downgrade");
    assert!(!doctored.cluster.psql(&client, sql).status.success());
}

#[test]
fn a_rule_wants_certificates_and_nobody_can_check_them() {
    let mut doctored = Doctored::new();
    let conf = doctored.conf();
    let without: String = conf
        .lines()
        .filter(|line| !line.starts_with("ssl_ca_file") && !line.starts_with("ssl_crl_file"))
        .map(|line| format!("{line}\n"))
        .collect();
    doctored.reload_with(&without);
    let hba = doctored.cluster.data_dir().join("pg_hba.conf");
    doctored
        .doctor()
        .is_wrong_with(&["ca-file-unset"])
        .has_at("error", "ca-file-unset", &hba, 4);
}

#[test]
fn roles_that_replicate_need_a_rule_of_their_own() {
    let mut doctored = Doctored::new();
    doctored
        .cluster
        .sql("CREATE ROLE standby LOGIN REPLICATION");
    doctored.doctor().is_healthy();
    doctored.reload_with_rules("hostssl all all all cert");
    let seen = doctored.doctor();
    seen.is_wrong_with(&["replication-rule-missing"]);
    seen.has_role("warning", "replication-rule-missing", "standby");
    let hint = seen.finding("replication-rule-missing")["hint"]
        .as_str()
        .unwrap();
    let (_, rule) = hint.split_once(":  ").unwrap();
    doctored.reload_with_rules(&format!("{rule}\nhostssl all all all cert"));
    doctored.doctor().is_healthy();
}

#[test]
fn lines_that_each_version_rejects() {
    for programs in ServerPrograms::every() {
        let major = programs.major();
        let mut doctored = Doctored::of_version(&programs);
        let hba = doctored.cluster.data_dir().join("pg_hba.conf");
        for (line, rejected) in [
            ("hostssl all all all cert clientcert=1", major >= 14),
            ("hostssl all all all cert clientname=DN", major < 14),
            ("include_if_exists more_rules.conf", major < 16),
            ("hostssl all all 10.0.0.1 cert", true),
            ("host all all all cert", true),
            ("hostssl all all all scram-sha-256 map=people", true),
        ] {
            doctored.cluster.set_hba(&format!("{RULES}{line}"));
            let seen = doctored.doctor();
            let code = "hba-refused";
            match rejected {
                true => seen.has_at("error", code, &hba, 6),
                false => seen.lacks(code),
            };
            assert_eq!(
                doctored.cluster.reload().is_err(),
                rejected,
                "{major}: {line}"
            );
        }
    }
}

#[test]
fn what_only_the_server_finds_wrong_is_told_in_its_words() {
    let mut doctored = Doctored::new();
    // Whether there is a network interface of that name is known on the machine alone.
    let rules = format!("{RULES}host all all fe80::1%nothere/128 reject");
    doctored.cluster.set_hba(&rules);
    doctored.cluster.reload().unwrap_err();
    let seen = doctored.doctor();
    let hba = doctored.cluster.data_dir().join("pg_hba.conf");
    seen.has_at("error", "hba-refused", &hba, 6);
    let message = seen.messages("hba-refused")[0];
    assert!(
        message.contains("host name and CIDR mask is invalid"),
        "{message}"
    );
}

/// A server that runs keeps what it has, and tells nobody.
#[test]
fn a_file_without_rules() {
    let mut doctored = Doctored::new();
    let hba = doctored.cluster.data_dir().join("pg_hba.conf");
    for empty in ["", "# nothing\n"] {
        std::fs::write(&hba, empty).unwrap();
        doctored.cluster.reload().unwrap_err();
        doctored.doctor().has("error", "hba-refused", &hba);
    }
}

//! That a server refuses it is seen, or known from its log after a reload; otherwise it is not said.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use pgpki_testing::{Cluster, append, await_that, openssl, replace, run};

use crate::fixture::{EVERYTHING, POISON, Stage, on_every_version, the_server};
use crate::stage::{
    LONG, LongSession, copied, installed_crls, installed_revocations, is_refused, revoke, says,
    the_place,
};

/// A role whose certificate only the test has.
fn far_away(stage: &Stage, role: &str) -> String {
    let folder = stage.client(role);
    let copy = copied(stage, &folder);
    fs::remove_dir_all(folder).unwrap();
    stage.conninfo(&copy, role, &[])
}

/// What doctor finds under a code.
fn found(stage: &Stage, code: &str) -> Option<serde_json::Value> {
    let mut doctor = stage.scene.command(["doctor", "--json", "--pgdata"]);
    let output = doctor.arg(stage.cluster.data_dir()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = report["findings"].as_array().unwrap().iter();
    found.find(|it| it["code"] == code).cloned()
}

/// Where doctor has seen that the server lets in who was revoked: what it says to do.
fn not_refused(stage: &Stage) -> Option<String> {
    let finding = found(stage, "revoked-accepted")?;
    assert_eq!(finding["severity"], "error");
    finding["hint"].as_str().map(str::to_owned)
}

/// Its certificate stays the same, so that no handshake tells whether it has loaded the CRL.
#[test]
fn a_server_that_keeps_its_old_crl_is_found_out() {
    on_every_version(|programs| {
        let stage = Stage::with(Cluster::builder().programs(programs));
        stage.configure(&EVERYTHING);
        let alice = far_away(&stage, "alice");
        let sound = fs::read(stage.conf()).unwrap();
        let before = installed_crls(&stage);
        append(stage.conf(), POISON);
        for key_is_at_hand in [false, true] {
            if key_is_at_hand {
                stage.scene.pgpki("issue-client --out clients alice");
            }
            let report = revoke(&stage, 6, &["alice"]);
            let place = the_place(&report);
            assert_eq!(place["outcome"], "put-back", "{programs}: {report}");
            let reason = place["reason"].as_str().unwrap();
            for part in ["SSL configuration was not reloaded", "was put back"] {
                assert!(reason.contains(part), "{programs}: {reason}");
            }
            assert_eq!(report["refused"], serde_json::json!([]));
            assert_eq!(installed_crls(&stage), before, "{programs}");
            stage.connects(&alice);
        }
        let said = says(&stage, 6, &["alice"]);
        assert!(said.contains("put back"), "{said}");
        assert!(said.contains("the certificate is accepted there"), "{said}");
        let meanwhile = "alter role alice nologin";
        assert!(
            said.to_lowercase().replace('"', "").contains(meanwhile),
            "{said}"
        );
        stage.cluster.sql(meanwhile);
        stage.keeps_out(&alice);
        stage.cluster.sql("alter role alice login");
        assert!(!said.contains("enforced  "), "{said}");

        replace(stage.conf(), sound);
        match programs.major() % 2 {
            0 => {
                let report = stage.rotate(0, &[]);
                assert_eq!(the_server(&report)["outcome"], "refreshed", "{report}");
            }
            _ => assert_eq!(
                the_place(&revoke(&stage, 0, &["alice"]))["outcome"],
                "enforced"
            ),
        }
        is_refused(&stage, &alice);
        assert_eq!(installed_revocations(&stage).len(), 2);
        stage.ledger_agrees();
    });
}

/// Its log goes where it cannot be read, or tells less than by default; and nobody has the key.
#[test]
fn what_the_log_does_not_tell_is_seen() {
    for conf in [
        "logging_collector = on\nlog_destination = 'csvlog'\n",
        "log_min_messages = panic\n",
    ] {
        let mut stage = Stage::configured(&EVERYTHING);
        append(stage.conf(), conf);
        stage.cluster.restart().unwrap();
        for role in ["alice", "bob"] {
            let conninfo = far_away(&stage, role);
            let report = revoke(&stage, 0, &[role]);
            let place = the_place(&report);
            assert_eq!(place["outcome"], "enforced", "{conf}: {report}");
            assert_eq!(report["refused"], place["proven"], "{conf}: {report}");
            is_refused(&stage, &conninfo);
        }
        stage.ledger_agrees();
        // Each list has a witness of its own.
        let carol = far_away(&stage, "carol");
        append(stage.conf(), POISON);
        let report = revoke(&stage, 1, &["carol"]);
        let place = the_place(&report);
        assert_eq!(place["outcome"], "not-enforced", "{conf}: {report}");
        let why = place["not_proven"][0].as_str().unwrap();
        assert!(why.contains("it still accepts"), "{conf}: {why}");
        stage.connects(&carol);
    }
}

/// A complaint in another language is not taken for none, also where it is that of this very reload.
#[test]
fn a_log_in_another_language_does_not_tell() {
    // LANGUAGE counts with every locale but plain C.
    let (german, english) = ("lc_messages = 'C.UTF-8'\n", "lc_messages = 'C'\n");
    for (before, now) in [(german, german), (english, german), (german, english)] {
        let stage = Stage::configured(&EVERYTHING);
        append(stage.conf(), before);
        let mut restart = stage.pg_ctl(&["restart", "-w"]);
        run(restart.env_remove("LC_ALL").env("LANGUAGE", "de"));
        let is_german = |expected: bool| {
            let said = stage
                .cluster
                .sql("select short_desc from pg_settings where name = 'ssl'");
            assert_eq!(said.contains("Verbindungen"), expected, "{said}");
        };
        is_german(before == german);
        let alice = far_away(&stage, "alice");
        append(stage.conf(), format!("{now}{POISON}"));
        if now == english {
            let report = revoke(&stage, 6, &["alice"]);
            assert_eq!(the_place(&report)["outcome"], "put-back", "{report}");
        } else {
            let report = revoke(&stage, 1, &["alice"]);
            let place = the_place(&report);
            assert_eq!(place["outcome"], "not-enforced", "{report}");
            let why = place["not_proven"][0].as_str().unwrap();
            assert!(why.contains("it still accepts"), "{why}");
        }
        is_german(now == german);
        // Nor does doctor find that all is well there.
        let mut doctor = stage.scene.command(["doctor", "--pgdata"]);
        let output = doctor.arg(stage.cluster.data_dir()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let unseen =
            "the server's log was not looked at: its messages are not known to be in English";
        assert_eq!(said.contains(unseen), now == german, "{said}");
        // In truth it has not.
        stage.connects(&alice);
    }
}

/// The collector writes the log a moment later.
#[test]
fn a_log_that_is_collected_is_waited_for() {
    let stage = Stage::with(Cluster::builder().conf("logging_collector = on\n"));
    stage.configure(&EVERYTHING);
    let alice = far_away(&stage, "alice");
    let report = revoke(&stage, 0, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "enforced", "{report}");
    is_refused(&stage, &alice);
    far_away(&stage, "bob");
    append(stage.conf(), POISON);
    let report = revoke(&stage, 6, &["bob"]);
    assert_eq!(the_place(&report)["outcome"], "put-back", "{report}");
}

/// What it sees of others' sessions is nothing, which is not the same as that there are none.
#[test]
fn a_role_that_may_not_see_sessions_does_not_pass_for_none() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.conninfo(&stage.client("alice"), "alice", &[]);
    let mut hers = LongSession::begin(&stage, &alice, "hers");
    stage.cluster.sql("create role boss superuser login");
    let boss = format!(
        "host={} port={} user=boss dbname=postgres",
        stage.cluster.socket_dir().display(),
        stage.cluster.port()
    );
    let as_boss = |sql: &str| {
        let output = stage.cluster.psql(&boss, sql);
        assert!(output.status.success(), "{output:?}");
    };
    as_boss("alter role postgres rename to former");
    as_boss("create role postgres login");
    let report = revoke(&stage, 1, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "enforced", "{report}");
    let problem = report["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("may not see") && problem.contains("GRANT"),
        "{problem}"
    );
    assert!(!hers.is_over());
    as_boss("grant pg_monitor, pg_signal_backend to postgres");
    revoke(&stage, 0, &["alice"]);
    hers.was_ended();
}

/// Somebody has pasted the settings, and left this one out.
#[test]
fn a_server_that_reads_no_crl_enforces_nothing() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = far_away(&stage, "alice");
    let doctor = || found(&stage, "crl-unset").unwrap();
    append(stage.conf(), "ssl_crl_file = ''\n");
    run(&mut stage.pg_ctl(&["reload"]));
    assert_eq!(doctor()["severity"], "info");
    let report = revoke(&stage, 1, &["alice"]);
    let place = the_place(&report);
    assert_eq!(place["outcome"], "not-enforced", "{report}");
    let why = place["not_proven"][0].as_str().unwrap();
    assert!(why.contains("ssl_crl_file"), "{why}");
    assert!(why.ends_with("pgpki configure puts that right"), "{why}");
    assert_eq!(doctor()["severity"], "error");
    stage.connects(&alice);
    // Nor is that forgotten by the next morning.
    let report = stage.rotate(1, &[]);
    assert_eq!(the_server(&report)["outcome"], "not-enforced", "{report}");
    // What configure would not overrule.
    stage.cluster.sql("alter system set ssl_crl_file = ''");
    run(&mut stage.pg_ctl(&["reload"]));
    let report = revoke(&stage, 1, &["alice"]);
    let why = the_place(&report)["not_proven"][0].as_str().unwrap();
    assert!(why.contains("ALTER SYSTEM RESET ssl_crl_file;"), "{why}");
    let hint = doctor()["hint"].clone();
    assert!(
        hint.as_str()
            .unwrap()
            .contains("ALTER SYSTEM RESET ssl_crl_file;"),
        "{hint}"
    );
}

/// A copy that somebody keeps up to date by hand, for one, refuses what it refuses.
#[test]
fn what_a_server_refuses_counts_wherever_its_list_is() {
    let stage = Stage::configured(&EVERYTHING);
    let live = stage.scene.tls().join("current/root.crl");
    let copy = stage.scene.path("copy.crl");
    fs::copy(&live, &copy).unwrap();
    append(
        stage.conf(),
        format!("ssl_crl_file = '{}'\n", copy.display()),
    );
    run(&mut stage.pg_ctl(&["reload"]));
    let alice = far_away(&stage, "alice");
    let report = revoke(&stage, 1, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "not-enforced", "{report}");
    stage.connects(&alice);
    let hint = not_refused(&stage).unwrap();
    assert!(hint.contains(copy.to_str().unwrap()), "{hint}");
    fs::copy(&live, &copy).unwrap();
    let report = revoke(&stage, 0, &["alice"]);
    assert_eq!(the_place(&report)["outcome"], "enforced", "{report}");
    assert_eq!(not_refused(&stage), None);
    is_refused(&stage, &alice);
    assert_eq!(stage.rotate(0, &[])["places"], serde_json::json!([]));
}

/// To PostgreSQL a reload that it refused is one as well, and only its log says otherwise.
#[test]
fn a_reload_by_hand_that_was_refused_is_none() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = far_away(&stage, "alice");
    let sound = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    revoke(&stage, 1, &["alice", "--no-reload"]);
    run(&mut stage.pg_ctl(&["reload"]));
    await_that("the refusal", LONG, || {
        stage.cluster.log().contains("was not reloaded")
    });
    for _ in 0..2 {
        let report = stage.rotate(5, &[]);
        assert_eq!(the_server(&report)["outcome"], "failed", "{report}");
    }
    stage.connects(&alice);
    replace(stage.conf(), sound);
    let report = stage.rotate(0, &[]);
    assert_eq!(the_server(&report)["outcome"], "taken-up", "{report}");
    stage.keeps_out(&alice);
    stage.ledger_agrees();
}

/// A log that tells nothing: the server is told again every day, until it is seen to refuse what is revoked.
#[test]
fn what_no_log_tells_is_not_forgotten() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = far_away(&stage, "alice");
    append(stage.conf(), "log_min_messages = panic\n");
    run(&mut stage.pg_ctl(&["reload"]));
    await_that("the log tells nothing", LONG, || {
        stage.cluster.sql("show log_min_messages") == "panic"
    });
    let sound = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    revoke(&stage, 1, &["alice", "--no-reload"]);
    let loaded = || stage.cluster.sql("select pg_conf_load_time()");
    let before = loaded();
    run(&mut stage.pg_ctl(&["reload"]));
    await_that("a reload that nobody hears of", LONG, || loaded() != before);
    for _ in 0..2 {
        let plan = stage.rotate(0, &["--dry-run"]);
        assert_eq!(the_server(&plan)["outcome"], "would-take-up", "{plan}");
        let report = stage.rotate(1, &[]);
        let server = the_server(&report);
        assert_eq!(server["outcome"], "not-enforced", "{report}");
        let why = server["reason"].as_str().unwrap();
        assert!(why.contains("it still accepts"), "{why}");
    }
    stage.connects(&alice);
    assert!(not_refused(&stage).is_some());
    replace(stage.conf(), sound);
    let report = stage.rotate(0, &[]);
    assert_eq!(the_server(&report)["outcome"], "taken-up", "{report}");
    is_refused(&stage, &alice);
    assert_eq!(not_refused(&stage), None);
    assert_eq!(stage.rotate(0, &[])["places"], serde_json::json!([]));
    stage.ledger_agrees();
}

/// Without the issuing key there is nothing to try a server with, and its log is believed.
#[test]
fn a_key_that_is_closed_makes_no_witness() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = far_away(&stage, "alice");
    let passphrase = stage.scene.path("passphrase");
    fs::write(&passphrase, "correct horse\n").unwrap();
    fs::set_permissions(&passphrase, Permissions::from_mode(0o600)).unwrap();
    let passphrase = passphrase.to_str().unwrap();
    let given = ["--issuing-passphrase-file", passphrase];
    let key = stage.scene.home().join("issuing/g0001/ca.key");
    let (open, pass) = (key.to_str().unwrap(), format!("file:{passphrase}"));
    let closed = openssl(["pkcs8", "-topk8", "-in", open, "-passout", &pass]).stdout;
    fs::write(&key, closed).unwrap();

    append(stage.conf(), "log_min_messages = panic\n");
    run(&mut stage.pg_ctl(&["reload"]));
    await_that("the log tells nothing", LONG, || {
        stage.cluster.sql("show log_min_messages") == "panic"
    });
    let sound = fs::read_to_string(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    let report = revoke(&stage, 1, &[&given[..], &["alice"]].concat());
    assert_eq!(the_place(&report)["outcome"], "not-enforced", "{report}");
    let doubted = |more: &[&str], because: &str| {
        let report = stage.rotate(1, more);
        let server = the_server(&report);
        assert_eq!(server["outcome"], "not-enforced", "{report}");
        let why = server["reason"].as_str().unwrap();
        assert!(why.contains(because), "{why}");
    };
    doubted(&[], "its log does not say");
    doubted(&given, "it still accepts");
    stage.connects(&alice);
    let unseen = found(&stage, "not-looked-at").unwrap();
    let message = unseen["message"].as_str().unwrap();
    assert!(
        message.starts_with("whether revoked clients are refused"),
        "{message}"
    );
    replace(stage.conf(), sound);
    doubted(&[], "its log does not say");
    let report = stage.rotate(0, &given);
    assert_eq!(the_server(&report)["outcome"], "taken-up", "{report}");
    is_refused(&stage, &alice);
    assert_eq!(stage.rotate(0, &[])["places"], serde_json::json!([]));
}

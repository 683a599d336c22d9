//! `pg_stat_ssl` keeps 63 octets of the issuer's name, cut in the middle of a character too, and in
//! the encoding of the session's own database.

use pgpki_testing::{Cluster, Scene, run};

use crate::fixture::{EVERYTHING, Stage, on_every_version};
use crate::stage::{LongSession, copied, is_refused, revoke};

/// A cluster whose authority has these subject attributes.
fn with_subject(cluster: Cluster, subject: &[&str]) -> Stage {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let owner = format!("{}:{}", cluster.owner().uid, cluster.owner().gid);
    let args = [
        "init",
        "localhost",
        "127.0.0.1",
        "--no-root-passphrase",
        "--owner",
        &*owner,
    ];
    let mut init = scene.command(args.iter().chain(subject));
    run(init.arg("--install").arg(scene.tls()));
    let stage = Stage { cluster, scene };
    stage.configure(&EVERYTHING);
    stage
}

/// Alice's session in a database ends, and Bob's does not.
fn ends_alices(stage: &Stage, database: &str) {
    let session = |role: &str| {
        let folder = copied(stage, &stage.client(role));
        let conninfo = stage.conninfo(&folder, role, &[("dbname", database)]);
        (LongSession::begin(stage, &conninfo, role), conninfo)
    };
    let alices = format!("alice in {database}");
    let ((hers, alice), (mut his, bob)) =
        (session(&alices), session(&format!("bob in {database}")));
    let report = revoke(stage, 0, &[&alices]);
    let issuer = stage
        .cluster
        .sql("select max(issuer_dn) from pg_stat_ssl where client_dn is not null");
    assert_eq!(
        report["ended"].as_array().unwrap().len(),
        1,
        "{issuer}: {report}"
    );
    hers.was_ended();
    is_refused(stage, &alice);
    assert!(!his.is_over());
    stage.connects(&bob);
}

#[test]
fn a_long_name_in_umlauts_is_cut_anywhere() {
    on_every_version(|programs| {
        // Two octets each, so that one of two versions cuts in the middle.
        let pad = if programs.major() % 2 == 0 { "x" } else { "" };
        let organization = format!("{pad}{}", "ä".repeat(40));
        let subject = [
            "--country",
            "DE",
            "--state",
            "Bayern",
            "--locality",
            "München",
            "--organization",
            &organization,
            "--organizational-unit",
            "Bücherstube, Süd + \"West\"",
        ];
        let cluster = Cluster::builder().programs(programs).start().unwrap();
        let stage = with_subject(cluster, &subject);
        ends_alices(&stage, "postgres");
    });
}

#[test]
fn wherever_a_character_of_four_octets_is_cut() {
    for pad in 0..4 {
        let organization = format!("{}{}", "x".repeat(pad), "😀".repeat(25));
        let stage = with_subject(Cluster::running(), &["--organization", &organization]);
        ends_alices(&stage, "postgres");
    }
}

#[test]
fn what_pg_stat_ssl_escapes() {
    for organization in ["A, B + \"C\" <d>; \\", "#1 ", " x ", "/CN=alice", "a=b"] {
        let arg = format!("--organization={organization}");
        let stage = with_subject(Cluster::running(), &[&arg]);
        ends_alices(&stage, "postgres");
    }
}

#[test]
fn a_database_in_another_encoding() {
    let subject = [
        "--organization",
        "Müller & Söhne, eine sehr lange Gesellschaft mit Umläuten",
    ];
    let stage = with_subject(Cluster::running(), &subject);
    for encoding in ["LATIN1", "SQL_ASCII", "WIN1252"] {
        let database = format!("d_{}", encoding.to_lowercase());
        stage.cluster.sql(&format!(
            "create database {database} encoding '{encoding}' locale 'C' template template0"
        ));
        ends_alices(&stage, &database);
    }
}

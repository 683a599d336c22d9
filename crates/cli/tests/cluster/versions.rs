//! The whole way on every version: configured, proven, used, rotated, refused, given back.

use std::fs;

use pgpki_testing::{Cluster, ServerPrograms, append, replace};

use crate::fixture::{EVERYTHING, Files, POISON, Stage, on_every_version, the_server};

#[test]
fn from_a_plain_cluster_to_tls_and_back() {
    on_every_version(|programs| {
        let mut stage = Stage::with(Cluster::builder().programs(programs));
        let before = Files::of(&stage.cluster);

        let diff = stage.configure(&[&EVERYTHING[..], &["--dry-run"]].concat());
        for line in ["+++ ", "+ssl = 'on'", "+hostssl "] {
            assert!(diff.contains(line), "{programs}: {line} is not in {diff}");
        }
        before.assert_unchanged(&stage.cluster);

        is_configured(&stage, programs);
        lets_in_whom_it_should(&stage);
        is_rotated(&mut stage);
        goes_back_when_the_server_refuses(&mut stage);
        stage.cluster.restart().unwrap();
        stage.serves_what_is_installed();

        stage.configure(&["--remove"]);
        before.assert_unchanged(&stage.cluster);
        let plaintext = format!(
            "host=localhost port={} user=postgres dbname=postgres sslmode=disable",
            stage.cluster.port()
        );
        stage.connects(&plaintext);
        assert_eq!(stage.cluster.sql("show ssl"), "off");
        stage.cluster.restart().unwrap();
    });
}

fn is_configured(stage: &Stage, programs: &ServerPrograms) {
    let said = stage.configure(&EVERYTHING);
    assert!(said.contains("proven     "), "{programs}: {said}");
    let is_direct = said.contains("sslnegotiation=direct");
    assert_eq!(is_direct, programs.major() >= 17, "{programs}: {said}");
    stage.is_sound_with("g0001");
    let after = Files::of(&stage.cluster);
    let again = stage.configure(&EVERYTHING);
    assert!(again.contains("already"), "{programs}: {again}");
    after.assert_unchanged(&stage.cluster);
}

fn lets_in_whom_it_should(stage: &Stage) {
    let alice = stage.client("alice");
    stage.cluster.sql("alter role alice replication");
    let as_alice = |more: &[(&str, &str)]| stage.conninfo(&alice, "alice", more);
    stage.connects(&as_alice(&[]));
    let (bare, plain) = (("sslcert", "/nonexistent"), ("sslmode", "disable"));
    let replication = ("replication", "true");
    for (more, expected) in [
        (&[plain][..], "rejects"),
        (&[plain, replication], "rejects"),
        (&[bare], "valid client certificate"),
        (&[bare, replication], "valid client certificate"),
        // Falls back to plaintext.
        (&[bare, ("sslmode", "prefer")], "rejects"),
        (&[("user", "postgres")], "certificate authentication failed"),
    ] {
        let said = stage.keeps_out(&as_alice(more));
        assert!(said.contains(expected), "{more:?}: {said}");
    }
    let wal = stage
        .cluster
        .psql(&as_alice(&[replication]), "IDENTIFY_SYSTEM");
    assert!(wal.status.success(), "{wal:?}");
    // By the socket, as before.
    assert_eq!(stage.cluster.sql("select 1"), "1");
}

fn is_rotated(stage: &mut Stage) {
    let before = stage.installed_leaf();
    let report = stage.rotate(0, &["--force"]);
    let proven = &the_server(&report)["proven"];
    let port = stage.cluster.port().to_string();
    assert!(
        proven[0].as_str().is_some_and(|it| it.ends_with(&port)),
        "{report}"
    );
    assert_ne!(stage.installed_leaf(), before);
    stage.is_sound_with("g0002");
    stage.connects(&stage.conninfo(&stage.scene.path("clients/alice"), "alice", &[]));
}

fn goes_back_when_the_server_refuses(stage: &mut Stage) {
    let sound = fs::read(stage.conf()).unwrap();
    append(stage.conf(), POISON);
    let before = stage.installed_leaf();
    let report = stage.rotate(6, &["--force"]);
    let put_back = the_server(&report);
    assert_eq!(put_back["outcome"], "put-back", "{report}");
    let reason = put_back["reason"].as_str().unwrap();
    for part in [
        "could not load the new files",
        "it logged: ",
        "g0002 was put back, and is served",
    ] {
        assert!(reason.contains(part), "{part:?} is not in {reason}");
    }
    assert_eq!(stage.installed_leaf(), before);
    stage.serves_what_is_installed();
    // As long as a restart would fail.
    let report = stage.rotate(5, &[]);
    let reason = the_server(&report)["reason"].as_str().unwrap();
    assert!(reason.contains("it logged: "), "{reason}");

    replace(stage.conf(), sound);
    stage.rotate(0, &[]);
    stage.is_sound_with("g0002");
    stage.rotate(0, &["--force"]);
    assert_ne!(stage.installed_leaf(), before);
    stage.serves_what_is_installed();
    stage.ledger_agrees();
}

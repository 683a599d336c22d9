//! Who does not get in, and which server is not talked to.

use crate::served::{Served, issue_client, refused, scene};

#[test]
fn nobody_else_gets_in() {
    let served = Served::new("");
    let alice = served.client("alice", &[]);
    served.cluster.create_role("bob", None, true);
    served.cluster.sql("alter role alice replication");

    let stranger = scene();
    stranger.init("");
    let foreign = issue_client(&stranger, "alice", &[]);
    let foreign_file = |name: &str| foreign.join(name).to_str().unwrap().to_owned();
    let foreign_root = foreign_file("root.crt");
    let (foreign_certificate, foreign_key) = (
        foreign_file("postgresql.crt"),
        foreign_file("postgresql.key"),
    );
    let server_certificate = served.scene.tls().join("current/server.crt");
    let server_certificate = server_certificate.to_str().unwrap();
    let server_key = served.scene.tls().join("current/server.key");
    // libpq looks at the key's mode, not at its owner; we are root or the owner.
    let server_key = server_key.to_str().unwrap();

    let no_certificate = ("sslcert", "/nonexistent");
    let elsewhere = ("hostaddr", "127.0.0.1");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 13] = [
        (
            "alice",
            &[no_certificate],
            "connection requires a valid client certificate",
        ),
        (
            "alice",
            &[("sslmode", "disable")],
            "pg_hba.conf rejects connection",
        ),
        // What libpq does by default falls back to plaintext.
        (
            "alice",
            &[no_certificate, ("sslmode", "prefer")],
            "pg_hba.conf rejects connection",
        ),
        (
            "bob",
            &[],
            "certificate authentication failed for user \"bob\"",
        ),
        (
            "postgres",
            &[],
            "certificate authentication failed for user \"postgres\"",
        ),
        (
            "alice",
            &[("host", "db.example.org"), elsewhere],
            "does not match host name \"db.example.org\"",
        ),
        (
            "alice",
            &[("host", "127.0.0.2"), elsewhere],
            "does not match host name \"127.0.0.2\"",
        ),
        (
            "alice",
            &[("host", "localhost.example.org"), elsewhere],
            "does not match host name",
        ),
        (
            "alice",
            &[("sslcert", &foreign_certificate), ("sslkey", &foreign_key)],
            "unknown ca",
        ),
        (
            "alice",
            &[("sslrootcert", &foreign_root)],
            "certificate verify failed",
        ),
        (
            "alice",
            &[("sslcert", server_certificate), ("sslkey", server_key)],
            "unsupported certificate",
        ),
        (
            "alice",
            &[no_certificate, ("replication", "database")],
            "connection requires a valid client certificate",
        ),
        (
            "alice",
            &[no_certificate, ("replication", "true")],
            "connection requires a valid client certificate",
        ),
    ];
    for (user, more, expected) in cases {
        let answer = refused(&served.cluster, &served.conninfo(&alice, user, more));
        assert!(
            answer.contains(expected),
            "{user} {more:?}\n{answer}\n{}",
            served.cluster.log()
        );
    }

    // The same connections without what is wrong with them.
    for more in [
        &[][..],
        &[("host", "127.0.0.1")],
        &[("host", "localhost"), elsewhere],
    ] {
        let connection = served.conninfo(&alice, "alice", more);
        assert_eq!(served.connects(&connection, "select 6 * 7"), "42");
    }
    for replication in ["database", "true"] {
        let connection = served.conninfo(&alice, "alice", &[("replication", replication)]);
        let system = served.connects(&connection, "IDENTIFY_SYSTEM");
        let known = served
            .cluster
            .sql("select system_identifier from pg_control_system()");
        assert_eq!(system.split('|').next(), Some(known.as_str()), "{system}");
    }
    for (mode, replication) in [("disable", "database"), ("disable", "true")] {
        let more = [("sslmode", mode), ("replication", replication)];
        let answer = refused(&served.cluster, &served.conninfo(&alice, "alice", &more));
        assert!(answer.contains("rejects"), "{answer}");
    }
}

//! Every version that pgpki is for runs here, and speaks TLS.
#![allow(clippy::unwrap_used)]

mod certificate;

use std::env;

use certificate::Certificate;
use pgpki_testing::{Cluster, ServerPrograms};

/// `server_version_num` has the minor version in its last four digits.
fn major_of(server_version_num: &[u8]) -> u32 {
    let number = String::from_utf8_lossy(server_version_num);
    match number.trim_end().parse::<u32>() {
        Ok(number) => number / 10_000,
        Err(error) => panic!("{error}: {number:?}"),
    }
}

#[test]
fn every_version_starts_and_speaks_tls() {
    for programs in ServerPrograms::every() {
        let mut cluster = Cluster::builder().programs(&programs).create().unwrap();
        let certificate = Certificate::make(&cluster);
        cluster.set_conf(certificate.conf());
        cluster.set_hba("hostssl all postgres all trust");
        if let Err(failure) = cluster.start() {
            panic!("{programs}: {failure}");
        }

        let over_tls = certificate.conninfo(&cluster);
        let version = cluster.psql(&over_tls, "show server_version_num");
        assert!(version.status.success(), "{programs}: {version:?}");
        assert_eq!(major_of(&version.stdout), programs.major(), "{programs}");
        assert_eq!(cluster.major(), programs.major(), "{programs}");

        let session = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()";
        let session = cluster.psql(&over_tls, session);
        assert_eq!(
            String::from_utf8_lossy(&session.stdout),
            "t|TLSv1.3\n",
            "{programs}: {session:?}"
        );
    }
}

#[test]
fn no_version_is_left_out_unless_one_server_is_asked_for() {
    let every = ServerPrograms::every();
    let found = ServerPrograms::find().unwrap();
    let majors: Vec<u32> = every.iter().map(ServerPrograms::major).collect();
    let all: Vec<u32> = (13..=18).collect();
    match env::var_os("PGPKI_TEST_PG_BINDIR") {
        Some(_) => assert_eq!(every, [found]),
        None => assert_eq!((&every[0], &majors[1..]), (&found, &*all)),
    }
}

#[test]
fn a_cluster_of_a_major_version_can_be_had() {
    let major = *ServerPrograms::MAJORS.end();
    let cluster = Cluster::builder().major(major).start().unwrap();
    let version = cluster.sql("show server_version_num");
    assert_eq!(major_of(version.as_bytes()), major);
}

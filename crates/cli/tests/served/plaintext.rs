//! Whether a server talks in the clear.

use pgpki_testing::Cluster;

use crate::fixture::{at, codes, finding, inspect, one, scene, scene_with_authority, serving};

#[test]
fn accepted_by_the_default_rules() {
    let scene = scene_with_authority();
    let mut cluster = serving(&scene);
    let target = at(&cluster, "localhost");
    cluster.set_hba("host all all all scram-sha-256");
    cluster.reload().unwrap();
    let server = one(&scene, &[&target], 1);
    assert_eq!(codes(&server), ["plaintext-accepted"]);
    assert_eq!(
        finding(&server, "plaintext-accepted")["severity"],
        "warning"
    );
    assert_eq!(server["plaintext"]["answer"], "accepted");
    assert_eq!(server["plaintext"]["method"], "scram-sha-256");
}

/// For the role and the database that were asked for, and no other.
#[test]
fn as_the_url_has_it() {
    let scene = scene_with_authority();
    let mut cluster = serving(&scene);
    cluster.create_role("app", Some("hunter2"), true);
    cluster.set_hba("host orders app all scram-sha-256\nhostnossl all all all reject");
    cluster.reload().unwrap();
    let target = at(&cluster, "localhost");
    assert_eq!(one(&scene, &[&target], 0)["plaintext"]["answer"], "refused");
    let url = format!("postgresql://app:hunter2@{target}/orders");
    let server = one(&scene, &[&url], 1);
    assert_eq!(codes(&server), ["plaintext-accepted"]);
    assert_eq!(server["plaintext"]["user"], "app");
    assert_eq!(server["plaintext"]["database"], "orders");
    for args in [&[url.as_str()][..], &[&url, "--json"], &[&url, &url]] {
        let report = inspect(&scene, args);
        assert!(!report.stdout.contains("hunter2"), "{}", report.stdout);
        assert!(!report.stderr.contains("hunter2"), "{}", report.stderr);
    }
    assert!(!cluster.log().contains("hunter2"));
}

#[test]
fn a_server_without_tls() {
    let cluster = Cluster::running();
    let server = one(&scene(), &[&at(&cluster, "localhost")], 1);
    assert_eq!(codes(&server), ["no-tls"]);
    assert!(server["tls"].is_null());
    assert_eq!(server["plaintext"]["answer"], "accepted");
    assert_eq!(server["plaintext"]["method"], "trust");
}

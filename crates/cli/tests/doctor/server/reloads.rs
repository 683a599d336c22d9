//! A server that does not use what its files say.

use std::fs;

use super::fixture::{Doctored, RULES};

#[test]
fn a_reload_that_is_still_to_come() {
    let mut doctored = Doctored::new();
    // Another value.
    let conf = doctored.conf().replace("'TLSv1.2'", "'TLSv1.3'");
    doctored.cluster.set_conf(conf);
    let seen = doctored.doctor();
    seen.is_wrong_with(&["reload-pending"]);
    let message = seen.messages("reload-pending")[0];
    assert!(
        message.contains("'TLSv1.3'") && message.contains("'TLSv1.2'"),
        "{message}"
    );
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
    // Other rules, and another CRL.
    doctored.cluster.set_hba(&format!("{RULES}# one more line"));
    let hba = doctored.cluster.data_dir().join("pg_hba.conf");
    doctored
        .doctor()
        .is_wrong_with(&["reload-pending"])
        .has("warning", "reload-pending", &hba);
    doctored.cluster.reload().unwrap();
    doctored.write("root.crl", doctored.read("root.crl"));
    let crl = doctored.scene.tls().join("current/root.crl");
    doctored
        .doctor()
        .is_wrong_with(&["reload-pending"])
        .has("warning", "reload-pending", &crl);
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
}

#[test]
fn what_is_served_is_not_what_is_installed() {
    let mut doctored = Doctored::new();
    doctored.scene.pgpki("rotate --force --no-reload");
    let seen = doctored.doctor();
    let crt = doctored.scene.tls().join("current/server.crt");
    seen.has("warning", "served-differs", &crt);
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
}

#[test]
fn a_reload_that_failed() {
    let mut doctored = Doctored::new();
    let key = doctored.read("server.key");
    doctored.write("server.key", "garbage");
    doctored.cluster.reload().unwrap_err();
    // The file is right again; what the server uses is still what it had.
    doctored.write("server.key", key);
    let seen = doctored.doctor();
    seen.is_wrong_with(&["reload-failed"]);
    let message = seen.messages("reload-failed")[0];
    assert!(
        message.contains("could not load private key file"),
        "{message}"
    );
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
}

#[test]
fn tls_that_nobody_gets() {
    let mut doctored = Doctored::new();
    // The server came up without TLS, and its files have had it since.
    doctored.cluster.set_conf("");
    doctored.cluster.restart().unwrap();
    doctored.doctor().is_wrong_with(&["ssl-off"]);
    doctored.cluster.set_conf(doctored.conf());
    let seen = doctored.doctor();
    let wrong = seen.wrong();
    assert!(
        wrong.contains(&"not-served") && wrong.contains(&"reload-pending"),
        "{wrong:?}"
    );
    // A server without TCP has nobody to talk TLS to.
    doctored
        .cluster
        .set_conf(format!("{}listen_addresses = ''\n", doctored.conf()));
    let _ = doctored.cluster.restart();
    fs::metadata(doctored.cluster.data_dir().join("postmaster.pid")).unwrap();
    let seen = doctored.doctor();
    seen.is_healthy();
    assert!(seen.messages("not-looked-at")[0].contains("listens on no TCP address"));
}

//! Faults of the configuration.

use std::fs;
use std::path::Path;

use pgpki_testing::{Cluster, Scene, Shutdown};

use super::fixture::{Doctored, RULES, Seen};

#[test]
fn tls_that_is_off_or_old() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let cluster = Cluster::builder().hba(RULES).start().unwrap();
    let mut command = scene.command(["doctor", "--json", "--pgdata"]);
    Seen::of(command.arg(cluster.data_dir())).is_wrong_with(&["ssl-off"]);
    drop(cluster);

    let mut doctored = Doctored::new();
    let file = doctored.cluster.data_dir().join("postgresql.conf");
    for old in ["TLSv1.1", "TLSv1"] {
        let conf = doctored.conf().replace("'TLSv1.2'", &format!("'{old}'"));
        doctored.reload_with(&conf);
        let line = line_of(&file, &format!("ssl_min_protocol_version = '{old}'"));
        doctored.doctor().is_wrong_with(&["protocol-old"]).has_at(
            "warning",
            "protocol-old",
            &file,
            line,
        );
    }
}

/// The line with this text, from 1.
fn line_of(file: &Path, text: &str) -> u32 {
    let content = fs::read_to_string(file).unwrap();
    let position = content.lines().position(|line| line == text);
    1 + u32::try_from(position.unwrap()).unwrap()
}

#[test]
fn settings_that_another_line_overrules() {
    let mut doctored = Doctored::new();
    let data = doctored.cluster.data_dir();
    let conf = data.join("postgresql.conf");
    // Within one file the last line wins, as everybody knows.
    doctored.reload_with(&format!(
        "ssl_min_protocol_version = 'TLSv1.3'\n{}",
        doctored.conf()
    ));
    let seen = doctored.doctor();
    seen.is_healthy();
    seen.has("info", "setting-shadowed", &conf);
    // ALTER SYSTEM wins over all files.
    doctored.reload_with(&doctored.conf());
    doctored
        .cluster
        .sql("ALTER SYSTEM SET ssl_min_protocol_version = 'TLSv1.3'");
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_wrong_with(&["setting-shadowed"]).has(
        "warning",
        "setting-shadowed",
        &conf,
    );
    doctored
        .cluster
        .sql("ALTER SYSTEM RESET ssl_min_protocol_version");
    // So does a file that is included later over one that is included before it.
    let included = data.join("conf.d");
    fs::create_dir(&included).unwrap();
    fs::write(
        included.join("a.conf"),
        "ssl_min_protocol_version = 'TLSv1.2'\n",
    )
    .unwrap();
    fs::write(
        included.join("z.conf"),
        "ssl_min_protocol_version = 'TLSv1.3'\n",
    )
    .unwrap();
    for file in ["", "a.conf", "z.conf"] {
        doctored.cluster.owner().take(&included.join(file)).unwrap();
    }
    doctored.reload_with(&format!("{}include_dir 'conf.d'\n", doctored.conf()));
    let seen = doctored.doctor();
    seen.is_wrong_with(&["setting-shadowed"]);
    seen.has_at("warning", "setting-shadowed", &included.join("a.conf"), 1);
    seen.has("info", "setting-shadowed", &conf);
}

#[test]
fn lines_that_the_server_refuses() {
    let mut doctored = Doctored::new();
    let conf = doctored.cluster.data_dir().join("postgresql.conf");
    for (line, severity, code) in [
        (
            "ssl_min_protocol_version = 'TLSv9'",
            "error",
            "setting-refused",
        ),
        ("no_such_parameter = 1", "error", "setting-refused"),
        ("ssl", "error", "setting-refused"),
        ("include 'nowhere.conf'", "error", "setting-refused"),
        ("max_connections = 90", "warning", "restart-pending"),
    ] {
        doctored
            .cluster
            .set_conf(format!("{}{line}\n", doctored.conf()));
        let at = line_of(&conf, line);
        doctored
            .doctor()
            .is_wrong_with(&[code])
            .has_at(severity, code, &conf, at);
    }
    // Also where no server runs to be asked.
    doctored
        .cluster
        .set_conf(format!("{}ssl\n", doctored.conf()));
    doctored.cluster.stop(Shutdown::Fast).unwrap();
    doctored.doctor().is_wrong_with(&["setting-refused"]);
}

//! `pgpki doctor --explain`: every message here was made by a real server or client on which the
//! fault was made.

mod arguments;
mod client_refused;
mod login;
mod reach;
mod server_files;
mod server_refused;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pgpki_testing::{Cluster, Scene, await_that};
use serde_json::Value;

/// What doctor calls the errors in a text.
#[track_caller]
fn names(text: &str) -> Vec<String> {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let output = scene
        .command(["doctor", "--json", "--explain", text])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {output:?}\n{text}"));
    let explanations = report["explanations"].as_array().unwrap();
    let expected = if explanations.is_empty() { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
    explanations.iter().map(name).collect()
}

/// Asserts that a text is explained by these and nothing else, in this order.
#[track_caller]
fn explained(text: &str, expected: &[&str]) {
    assert_eq!(names(text), expected, "of {text}");
}

/// The libpqs that a client may have: the machine's, and the server's own, which comes with another
/// OpenSSL. psql 15 cannot be run with the libpq of version 13.
fn libpqs(cluster: &Cluster) -> Vec<Option<PathBuf>> {
    let own = cluster.programs().folder().join("../lib");
    let is_usable = own.join("libpq.so.5").is_file() && cluster.major() >= 14;
    [None]
        .into_iter()
        .chain(is_usable.then_some(Some(own)))
        .collect()
}

/// What psql says to a connection that fails, with a libpq.
#[track_caller]
fn psql_says(cluster: &Cluster, libpq: Option<&PathBuf>, conninfo: &str) -> String {
    let mut psql: Command = cluster.psql_command();
    if let Some(folder) = libpq {
        psql.env("LD_LIBRARY_PATH", folder);
    }
    let port = cluster.port();
    let target = "host=localhost hostaddr=127.0.0.1 dbname=postgres";
    let output = psql
        .args(["-XAtqc", "select 1", "-d"])
        .arg(format!("{target} port={port} {conninfo}"))
        .output()
        .unwrap();
    assert!(!output.status.success(), "psql got in with {conninfo}");
    String::from_utf8(output.stderr).unwrap()
}

/// What the server logs from when `act` begins until it has logged `until`.
#[track_caller]
fn log_during(cluster: &Cluster, until: &str, act: impl FnOnce()) -> String {
    let seen = cluster.log().len();
    act();
    let logged = || cluster.log().get(seen..).unwrap_or_default().to_owned();
    await_that(until, Duration::from_secs(20), || {
        // The DETAIL is written together with its message.
        logged().contains(until) && logged().ends_with('\n')
    });
    logged()
}

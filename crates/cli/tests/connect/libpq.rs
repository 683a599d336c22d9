//! psql by its command line, by a URI and by a service file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::ServerPrograms;

use crate::cases::{Trial, WHO_AM_I};
use crate::roles::fits_a_line;

/// psql as a shell finds it.
fn path_with_psql() -> String {
    let folder = ServerPrograms::find().unwrap().program("psql");
    let folder = folder.parent().unwrap().display().to_string();
    format!("{folder}:{}", std::env::var("PATH").unwrap())
}

/// A shell that runs each file, and says of one that fails what it said.
fn shell(files: &[PathBuf]) -> Command {
    let each = "for file; do said=$(sh \"$file\" 2>&1) && echo \"$said\" || echo no $said; done";
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        &format!("PATH='{}'; set -f; {each}", path_with_psql()),
        "sh",
    ]);
    shell.args(files);
    shell
}

fn query() -> String {
    format!(" -XAtq -c \"{WHO_AM_I}\"\n")
}

#[test]
fn psql() {
    let paste = |line: &str| line.trim_end_matches('\n').to_owned() + &query();
    Trial::of("psql").run("sh", |case| paste(&case.snippet), shell);
}

#[test]
fn uri() {
    let trial = Trial::of("uri");
    let paste = |uri: &str| format!("psql '{}'{}", uri.trim_end_matches('\n'), query());
    trial.run("sh", |case| paste(&case.snippet), shell);
}

/// The line that says how it is used is run as well.
#[test]
fn service() {
    let trial = Trial::of("service").if_it(fits_a_line);
    let folder = trial.stage.workshop();
    let paste = |snippet: &str| {
        let file = tempfile::NamedTempFile::new_in(&folder).unwrap();
        fs::write(&file, snippet).unwrap();
        let (_, file) = file.keep().unwrap();
        let (_, line) = snippet
            .lines()
            .next()
            .unwrap()
            .split_once("then: ")
            .unwrap();
        format!(
            "export PGSERVICEFILE='{}'\n{line}{}",
            file.display(),
            query()
        )
    };
    trial.run("sh", |case| paste(&case.snippet), shell);
}

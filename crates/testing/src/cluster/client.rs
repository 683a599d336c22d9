//! Talking to a cluster: psql as the superuser, and psql as anybody's client.

use std::env;
use std::process::{Command, Output};

use super::Cluster;
use crate::judges::run;

impl Cluster {
    /// Runs SQL as the superuser over the socket; returns the rows without headings, columns
    /// separated by `|`, without the last newline. Panics with what psql said when it fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let output = run(&mut self.superuser_command(sql));
        String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Runs SQL as a client that knows nothing but `conninfo`, and returns whatever comes of it.
    #[track_caller]
    pub fn psql(&self, conninfo: &str, sql: &str) -> Output {
        let mut psql = self.psql_command();
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", sql]);
        psql.output()
            .unwrap_or_else(|error| panic!("cannot run {psql:?}: {error}"))
    }

    /// psql without arguments, in an environment where neither `PG*` variables nor files in the
    /// caller's home can help or hinder a connection.
    pub fn psql_command(&self) -> Command {
        let mut command = Command::new(self.programs.program("psql"));
        self.clean(&mut command);
        // Before version 15, libpq takes `~` from the password database, not from HOME.
        command
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGPASSFILE", self.home().join(".pgpass"))
            .env("PGSERVICEFILE", self.home().join(".pg_service.conf"));
        command
    }

    /// Creates a role with any name that PostgreSQL takes, and a SCRAM password if one is given: also
    /// in version 13, which would keep an MD5 hash by itself.
    #[track_caller]
    pub fn create_role(&self, name: &str, password: Option<&str>, login: bool) {
        let login = if login { "LOGIN" } else { "NOLOGIN" };
        let password = password
            .map(|it| format!(" PASSWORD {}", quote_literal(it)))
            .unwrap_or_default();
        self.sql(&format!(
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE {} {login}{password}",
            quote_identifier(name)
        ));
    }

    pub(super) fn superuser_command(&self, sql: &str) -> Command {
        let mut psql = self.psql_command();
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-h",
        ])
        .arg(self.socket_dir())
        .args(["-p", &self.port.to_string(), "-c", sql]);
        psql
    }

    /// Empties the environment of `command`, but for what finding programs takes and what makes
    /// messages English.
    pub(super) fn clean(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.home())
            .env("LC_ALL", "C");
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
    }
}

/// A name in SQL, to the letter.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string in SQL, to the letter, under `standard_conforming_strings`, which is on by default.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

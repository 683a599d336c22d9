//! How each client's program is run.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Client, Connection, Credential, Toolbox};
use crate::judges::attempt;
use crate::programs::ServerPrograms;

/// Twice what a driver takes to give up by itself, and a JVM on a machine that is busy.
const LIMIT: &str = "60";

/// How `timeout` of coreutils ends when the limit was over.
pub(super) const TIMED_OUT: i32 = 124;

const WHO_AM_I: &str = "select 'ok', current_user, coalesce(client_dn, '') \
                        from pg_stat_ssl where pid = pg_backend_pid()";

impl Client {
    /// The program with all of its arguments, in an environment where only `home` is.
    pub(super) fn command(self, connection: &Connection, home: &Path) -> Result<Command, String> {
        let mut command = Command::new("timeout");
        command.arg("--kill-after=5").arg(LIMIT);
        match self {
            Self::Psql => {
                psql(&mut command, connection)?;
            }
            Self::PgJdbc => {
                java(&mut command, home)?;
                let connection = with_java_key(connection, home)?;
                command.args(arguments(&connection));
            }
            _ => {
                let program = self.program()?;
                command.args(program).args(arguments(connection));
            }
        }
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(home)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// The program, for those that need no more than their arguments.
    fn program(self) -> Result<Vec<PathBuf>, String> {
        let go = |name: &str| Ok(vec![Toolbox::Go.made()?.join(name)]);
        let python = |name: &str| {
            let folder = Toolbox::Python.made()?;
            Ok(vec![folder.join("venv/bin/python"), folder.join(name)])
        };
        match self {
            Self::GoTls => go("std.bin"),
            Self::GoPq => go("pq.bin"),
            Self::GoPgx => go("pgx.bin"),
            Self::NodePostgres => {
                let script = Toolbox::Node.made()?.join("connect.js");
                Ok(vec!["node".into(), script])
            }
            Self::Rustls => Ok(vec![Toolbox::Rust.made()?.join(Toolbox::RUST_CLIENT)]),
            Self::Psycopg2 => python("connect_psycopg2.py"),
            Self::Psycopg3 => python("connect_psycopg3.py"),
            Self::Asyncpg => python("connect_asyncpg.py"),
            Self::Pg8000 => python("connect_pg8000.py"),
            Self::Psql | Self::PgJdbc => unreachable!("{self} takes more than arguments"),
        }
    }
}

/// What every program but psql takes, in this order; empty where there is nothing.
fn arguments(connection: &Connection) -> [OsString; 8] {
    let file = |which: fn(&Credential) -> &PathBuf| {
        let file = connection.credential.as_ref().map(which);
        file.map(Into::into).unwrap_or_default()
    };
    [
        (&connection.host).into(),
        connection.port.to_string().into(),
        (&connection.role).into(),
        (&connection.database).into(),
        connection.mode().into(),
        (&connection.root).into(),
        file(|it| &it.certificate),
        file(|it| &it.key),
    ]
}

fn psql(command: &mut Command, connection: &Connection) -> Result<(), String> {
    let words = [
        "host",
        "port",
        "user",
        "dbname",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
    ];
    let mut settings = "connect_timeout=10".to_owned();
    for (word, value) in words.into_iter().zip(arguments(connection)) {
        if !value.is_empty() {
            let value = value.to_string_lossy().replace('\\', r"\\");
            settings += &format!(" {word}='{}'", value.replace('\'', r"\'"));
        }
    }
    command.arg(ServerPrograms::find()?.program("psql"));
    command.args(["-XAtq", "-F", "\t", "-c", WHO_AM_I, "-d", &settings]);
    Ok(())
}

/// A JVM that starts fast, and looks for `~/.postgresql` in `home`: it knows its user's home from
/// the password database, not from the environment.
fn java(command: &mut Command, home: &Path) -> Result<(), String> {
    let folder = Toolbox::Java.made()?;
    let class_path = env::join_paths([folder.clone(), folder.join(Toolbox::JDBC)])
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut user_home = OsString::from("-Duser.home=");
    user_home.push(home);
    command
        .arg("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(user_home)
        .arg("-cp")
        .arg(class_path)
        .arg("Connect");
    Ok(())
}

/// With the key in the form that pgJDBC takes.
fn with_java_key(connection: &Connection, home: &Path) -> Result<Connection, String> {
    let mut connection = connection.clone();
    if let Some(credential) = &mut connection.credential
        && !credential.as_it_is
    {
        let converted = home.join("key.pk8");
        let mut openssl = Command::new("openssl");
        openssl
            .args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
            .arg(&credential.key)
            .arg("-out")
            .arg(&converted);
        attempt(&mut openssl)?;
        credential.key = converted;
    }
    Ok(connection)
}

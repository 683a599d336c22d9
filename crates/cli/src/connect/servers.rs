//! Servers that are clients of another one.

use super::libpq::keywords;
use super::literal::{double_quoted, has_hidden, rest_of_line, setting};
use super::{Driver, File, PEM, Target, Unwritable};

pub(super) const PGBOUNCER: Driver = Driver {
    name: "pgbouncer",
    aliases: &[],
    what: "PgBouncer, as a client of the server",
    files: PEM,
    is_libpq: false,
    write: pgbouncer,
};

pub(super) const PATRONI: Driver = Driver {
    name: "patroni",
    aliases: &[],
    what: "Patroni, for its role that replicates",
    files: PEM,
    is_libpq: true,
    write: patroni,
};

pub(super) const PRIMARY_CONNINFO: Driver = Driver {
    name: "primary-conninfo",
    aliases: &["primary_conninfo", "standby"],
    what: "a standby's primary_conninfo",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(primary_conninfo(target)),
};

/// What PgBouncer calls its file.
const INI: &str = "pgbouncer.ini";

fn pgbouncer(target: &Target) -> Result<String, Unwritable> {
    let file = |file| rest_of_line(&target.file(file), INI);
    let [host, port, dbname, user] = target.address();
    let name = database_name(&target.dbname);
    let mut pairs = Vec::new();
    for (keyword, value) in [host, port, dbname, user] {
        pairs.push(format!("{keyword}={}", in_connection(&value)?));
    }
    Ok(format!(
        "; The one certificate here is for all users: without user= in the line, the server refuses every other role.\n\
         ; PgBouncer reads the files again with RELOAD, not by itself.\n\
         [databases]\n{name} = {}\n\n\
         [pgbouncer]\nserver_tls_sslmode = verify-full\nserver_tls_ca_file = {}\nserver_tls_cert_file = {}\n\
         server_tls_key_file = {}\n",
        pairs.join(" "),
        file(File::Root)?,
        file(File::Certificate)?,
        file(File::Key)?
    ))
}

/// What clients of PgBouncer call the database: its own name, where PgBouncer 1.18 takes it at the
/// start of a line. Quotes, which its documentation has, it does not take there.
fn database_name(name: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match name.chars().all(is_plain) {
        true => name,
        false => "pgpki",
    }
}

/// A value of a line about a database.
fn in_connection(value: &str) -> Result<String, Unwritable> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    match value.chars().all(is_plain) {
        true => Ok(value.to_owned()),
        false => Ok(format!("'{}'", unhidden(value, INI)?.replace('\'', "''"))),
    }
}

fn unhidden<'a>(value: &'a str, place: &'static str) -> Result<&'a str, Unwritable> {
    match has_hidden(value) {
        false => Ok(value),
        true => Err(Unwritable {
            value: value.to_owned(),
            place,
            why: "it has a control character",
        }),
    }
}

/// Patroni escapes blanks alone when it writes a standby's connection string (`format_dsn` in its
/// `postgresql/config.py`): after a line feed in it, PostgreSQL would not start.
fn patroni(target: &Target) -> Result<String, Unwritable> {
    for (_, value) in target.settings() {
        unhidden(&value, "Patroni's connection strings")?;
    }
    let role = double_quoted(target.role.as_str());
    let mut text = format!(
        "# In patroni.yml on every member, with files that belong to the user of PostgreSQL; the same for superuser\n\
         # and rewind, with their roles. Members connect to each other's connect_address: the certificates of\n\
         # servers need those names. In pg_hba.conf, \"all\" does not match replication.\n\
         postgresql:\n  authentication:\n    replication:\n      username: {role}\n"
    );
    for (keyword, value) in target.tls() {
        text += &format!("      {keyword}: {}\n", double_quoted(&value));
    }
    Ok(text)
}

fn primary_conninfo(target: &Target) -> String {
    let [host, port, _, user] = target.address();
    let [mode, root, certificate, key] = target.tls();
    let settings = [host, port, user, mode, root, certificate, key];
    format!(
        "# In the standby's postgresql.conf; the files belong to the user of PostgreSQL there. The primary needs a\n\
         # rule for the database replication, such as: hostssl replication all all cert\n\
         # (\"all\" as a database does not match it). In this line, ' is '' and \\ is \\\\ once more.\n\
         primary_conninfo = {}\n",
        setting(&keywords(&settings))
    )
}

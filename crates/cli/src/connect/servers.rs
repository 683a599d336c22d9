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

pub(super) const PATRONI_REWIND: Driver = Driver {
    name: "patroni-rewind",
    aliases: &[],
    what: "Patroni, for the role that pg_rewind connects as",
    files: PEM,
    is_libpq: true,
    write: patroni_rewind,
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

/// Patroni connects to its own server as well, as the role that replicates (`local_replication_address` in its
/// `postgresql/config.py`): a member that cannot does not know its timeline, and may not be rewound or promoted.
fn patroni(target: &Target) -> Result<String, Unwritable> {
    Ok(format!(
        "# In patroni.yml on every member, within the section postgresql that is there: of two, the last one alone counts.\n\
         # The files belong to the user of PostgreSQL. Members connect to each other's connect_address, and each to itself\n\
         # as localhost, or if it does not listen there, at the first address in listen: the certificates of servers need\n\
         # all of these names.\n\
         # pg_rewind connects as a role of its own: --for patroni-rewind. With use_unix_socket: true the superuser needs no\n\
         # certificate. In pg_hba.conf, \"all\" does not match replication.\n\
         postgresql:\n  authentication:\n{}",
        patroni_role("replication", target)?
    ))
}

fn patroni_rewind(target: &Target) -> Result<String, Unwritable> {
    Ok(format!(
        "# In patroni.yml on every member, below what --for patroni prints. Patroni makes the role in a cluster that it\n\
         # makes itself; elsewhere it needs LOGIN, and EXECUTE on pg_ls_dir(text, boolean, boolean),\n\
         # pg_stat_file(text, boolean), pg_read_binary_file(text) and pg_read_binary_file(text, bigint, bigint, boolean).\n{}",
        patroni_role("rewind", target)?
    ))
}

/// Patroni escapes blanks alone when it writes a standby's connection string (`format_dsn` in its
/// `postgresql/config.py`): after a line feed in it, PostgreSQL would not start.
fn patroni_role(section: &str, target: &Target) -> Result<String, Unwritable> {
    for (_, value) in target.settings() {
        unhidden(&value, "Patroni's connection strings")?;
    }
    let role = double_quoted(target.role.as_str());
    let mut text = format!("    {section}:\n      username: {role}\n");
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

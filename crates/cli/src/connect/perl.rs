//! Perl's DBD::Pg.

use super::literal::perl as literal;
use super::{Driver, PEM, Target, Unwritable};

pub(super) const DBD_PG: Driver = Driver {
    name: "dbd-pg",
    aliases: &["perl"],
    what: "Perl: DBD::Pg",
    files: PEM,
    is_libpq: true,
    write: dbd_pg,
};

fn dbd_pg(target: &Target) -> Result<String, Unwritable> {
    let [host, port, dbname, _] = target.address();
    let [mode, root, certificate, key] = target.tls();
    let settings = [host, port, dbname, mode, root, certificate, key];
    refuse(&settings)?;
    let settings = settings.map(|(keyword, value)| format!("{keyword}={}", in_dsn(&value)));
    Ok(format!(
        "# In the DSN, DBD::Pg makes a space of every semicolon that is not in single quotes; the role is safe outside of it.\n\
         # Names beyond ASCII are written as bytes of UTF-8, which mean the same with \"use utf8\" and without.\n\
         my $connection = DBI->connect(\n    {},\n    {},\n    undef,\n    {{ RaiseError => 1 }},\n);\n",
        literal(&format!("dbi:Pg:{}", settings.join(" "))),
        literal(target.role.as_str())
    ))
}

/// What DBD::Pg takes apart before libpq sees it (`connect` in its `Pg.pm`, `pg_db_login6` in its
/// `dbdimp.c`): it counts single quotes without regard to backslashes, and writes `dbname=` for the
/// first `db=` or `database=`.
fn refuse(settings: &[(&str, String)]) -> Result<(), Unwritable> {
    let any_has = |c: char| settings.iter().any(|(_, value)| value.contains(c));
    let quotes = any_has('\'') && any_has(';');
    for (_, value) in settings {
        let why = match value {
            it if quotes && it.contains(';') => "DBD::Pg makes a space of the semicolon",
            it if it.contains('=') && (it.contains("db") || it.contains("database")) => {
                "DBD::Pg would take a part of it for the database"
            }
            _ => continue,
        };
        let (value, place) = (value.clone(), "a DSN of DBD::Pg");
        return Err(Unwritable { value, place, why });
    }
    Ok(())
}

/// Backslashes rather than quotes, because DBD::Pg makes single quotes of all double ones where the
/// database's name is quoted. Only a semicolon needs quotes.
fn in_dsn(value: &str) -> String {
    if value.contains(';') {
        return format!("'{}'", value.replace('\\', r"\\"));
    }
    let write = |c: char| match c {
        '\'' | '\\' => format!("\\{c}"),
        other if other.is_whitespace() => format!("\\{other}"),
        other => other.to_string(),
    };
    value.chars().map(write).collect()
}

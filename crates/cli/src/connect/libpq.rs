//! psql, and whatever else takes libpq's connection strings.

use super::literal::{conninfo, has_hidden, percent, percent_path, rest_of_line, shell};
use super::{Driver, File, PEM, Target, Unwritable};

pub(super) const PSQL: Driver = Driver {
    name: "psql",
    aliases: &["libpq"],
    what: "psql, pg_dump and others, on a shell's command line",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(psql(target)),
};

pub(super) const URI: Driver = Driver {
    name: "uri",
    aliases: &["url"],
    what: "a connection URI for any program that uses libpq",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(uri(target) + "\n"),
};

pub(super) const SERVICE: Driver = Driver {
    name: "service",
    aliases: &["pg_service.conf"],
    what: "a section of pg_service.conf",
    files: PEM,
    is_libpq: true,
    write: service,
};

/// What libpq calls the file.
const SERVICE_FILE: &str = "pg_service.conf";

fn psql(target: &Target) -> String {
    let keywords = keywords(&target.settings());
    // Hidden characters have no form in a shell's word, and have one in a URI.
    let connection = match has_hidden(&keywords) {
        true => uri(target),
        false => keywords,
    };
    format!("psql {}\n", shell(&connection))
}

/// The keyword/value form.
pub(super) fn keywords(settings: &[(&str, String)]) -> String {
    let pair = |(keyword, value): &(&str, String)| format!("{keyword}={}", conninfo(value));
    let pairs: Vec<String> = settings.iter().map(pair).collect();
    pairs.join(" ")
}

/// The URI form, which pgx and lib/pq take as well. It consists of printable ASCII alone, without
/// quotes, backslashes, `$` and spaces, so that it can stand in any language's literal.
pub(super) fn uri(target: &Target) -> String {
    let role = percent(target.role.as_str());
    let (host, port) = (target.host_in_url(), target.port);
    let dbname = percent(&target.dbname);
    let tls = query(&target.tls());
    format!("postgresql://{role}@{host}:{port}/{dbname}?{tls}")
}

/// The query of a URL.
pub(super) fn query(settings: &[(&str, String)]) -> String {
    let pair = |(keyword, value): &(&str, String)| format!("{keyword}={}", percent_path(value));
    let pairs: Vec<String> = settings.iter().map(pair).collect();
    pairs.join("&")
}

fn service(target: &Target) -> Result<String, Unwritable> {
    let name = service_name(target.role.as_str());
    let mut text = format!(
        "# In ~/.pg_service.conf; then: psql service={name}\n\
         # Nothing is quoted or escaped here, and ~ is not expanded.\n\
         [{name}]\n"
    );
    for (keyword, value) in target.settings() {
        let value = rest_of_line(&value, SERVICE_FILE)?;
        text += &format!("{keyword}={value}\n");
    }
    match text.lines().any(|line| line.len() > LONGEST_LINE) {
        true => Err(Unwritable {
            value: target.file(File::Certificate),
            place: SERVICE_FILE,
            why: "libpq reads no lines longer than that",
        }),
        false => Ok(text),
    }
}

/// libpq reads a line into 1024 bytes, of which two are the newline and a zero
/// (`parseServiceFileInfo` in its `fe-connect.c`, from version 13 on).
const LONGEST_LINE: usize = 1022;

/// The role, where it can stand between brackets and after `service=` without quotes.
fn service_name(role: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match role.chars().all(is_plain) {
        true => role,
        false => "pgpki",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::target;
    use super::*;

    #[test]
    fn a_plain_role_needs_few_quotes() {
        let files = "sslrootcert=/home/alice/.postgresql/root.crt \
                     sslcert=/home/alice/.postgresql/postgresql.crt \
                     sslkey=/home/alice/.postgresql/postgresql.key";
        let address = "host=db.example.com port=5432 dbname=prod user=alice";
        let expected = format!("psql '{address} sslmode=verify-full {files}'\n");
        assert_eq!(PSQL.snippet(&target("alice")).unwrap(), expected);
    }

    #[test]
    fn an_address_of_ipv6_has_brackets() {
        let mut target = target("a b");
        target.host = "::1".parse().unwrap();
        assert!(
            uri(&target).starts_with("postgresql://a%20b@[::1]:5432/prod?sslmode=verify-full&")
        );
    }

    #[test]
    fn what_a_service_file_cannot_hold_is_refused() {
        for wrong in ["alice ", "a\nb"] {
            assert!(SERVICE.snippet(&target(wrong)).is_err(), "{wrong:?}");
        }
        let mut target = target("alice");
        target.folder = format!("/{}", "x".repeat(1000));
        assert!(SERVICE.snippet(&target).is_err());
        target.folder = format!("/{}", "x".repeat(900));
        assert!(SERVICE.snippet(&target).is_ok());
    }
}

//! Drivers for Go.

use super::libpq::uri;
use super::{Driver, PEM, Target};

pub(super) const PGX: Driver = Driver {
    name: "pgx",
    aliases: &[],
    what: "Go: pgx",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(pgx(target)),
};

pub(super) const LIB_PQ: Driver = Driver {
    name: "lib-pq",
    aliases: &["pq", "lib/pq"],
    what: "Go: lib/pq",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(lib_pq(target)),
};

/// How a URL is made in Go for another name.
const ESCAPING: &str = "\
// For other names: url.URL and url.User escape rightly. url.QueryEscape makes a plus sign of a space,
// and the role then has a plus sign.
";

fn pgx(target: &Target) -> String {
    format!(
        "{ESCAPING}connection, err := pgx.Connect(context.Background(),\n\t\"{}\")\n",
        uri(target)
    )
}

fn lib_pq(target: &Target) -> String {
    format!(
        "{ESCAPING}// sql.Open does not connect: an error comes with the first query, or from Ping.\n\
         database, err := sql.Open(\"postgres\",\n\t\"{}\")\n",
        uri(target)
    )
}

//! A container's environment, which libpq reads, and drivers that have its variables.

use super::literal::yaml_in_compose as scalar;
use super::{Driver, PEM, Target};

pub(super) const COMPOSE: Driver = Driver {
    name: "compose",
    aliases: &["docker-compose", "docker"],
    what: "docker compose: the environment of a service",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(compose(target)),
};

/// libpq's variables (PostgreSQL documentation, "Environment Variables") for its keywords.
fn variable(keyword: &str) -> &'static str {
    match keyword {
        "host" => "PGHOST",
        "port" => "PGPORT",
        "dbname" => "PGDATABASE",
        "user" => "PGUSER",
        "sslmode" => "PGSSLMODE",
        "sslrootcert" => "PGSSLROOTCERT",
        "sslcert" => "PGSSLCERT",
        _ => "PGSSLKEY",
    }
}

fn compose(target: &Target) -> String {
    let mut text = "# libpq reads these, and drivers that are like it; node-postgres and pgJDBC do not read all of them.\n\
         # The user in the container must own postgresql.key (mode 0600), or root must, with 0640 and the user's\n\
         # group. compose takes $ for a variable: $$ is one.\n\
         services:\n  app:\n    environment:\n"
        .to_owned();
    for (keyword, value) in target.settings() {
        text += &format!("      {}: {}\n", variable(keyword), scalar(&value));
    }
    let folder = scalar(&target.folder);
    text + "    volumes:\n      - type: bind\n"
        + &format!("        source: {folder}\n        target: {folder}\n        read_only: true\n")
}

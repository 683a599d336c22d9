//! Rails, whose adapter is ruby-pg.

use super::literal::yaml_in_erb as scalar;
use super::{Driver, PEM, Target};

pub(super) const RAILS: Driver = Driver {
    name: "rails",
    aliases: &["ruby", "activerecord"],
    what: "Ruby: Rails' database.yml",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(rails(target)),
};

fn rails(target: &Target) -> String {
    let mut text = format!(
        "# In config/database.yml. Rails runs the whole file through ERB, comments too, before it is YAML.\n\
         production:\n  adapter: postgresql\n  host: {}\n  port: {}\n  database: {}\n  username: {}\n",
        scalar(&target.host.to_string()),
        target.port,
        scalar(&target.dbname),
        scalar(target.role.as_str())
    );
    for (keyword, value) in target.tls() {
        text += &format!("  {keyword}: {}\n", scalar(&value));
    }
    text
}

//! PHP's PDO.

use super::libpq::keywords;
use super::literal::php as literal;
use super::{Driver, PEM, Target, Unwritable};

pub(super) const PDO: Driver = Driver {
    name: "pdo",
    aliases: &["php"],
    what: "PHP: PDO",
    files: PEM,
    is_libpq: true,
    write: pdo,
};

fn pdo(target: &Target) -> Result<String, Unwritable> {
    let [host, port, dbname, _] = target.address();
    let [mode, root, certificate, key] = target.tls();
    let settings = [host, port, dbname, mode, root, certificate, key];
    for (_, value) in &settings {
        let why = match value {
            it if it.contains(';') => "PDO makes a space of every semicolon",
            it if it.contains("user=") => "PDO would not take the role from its argument",
            it if it.contains("password=") => "PDO would not take the password from its argument",
            _ => continue,
        };
        let (value, place) = (value.clone(), "a DSN of PDO");
        return Err(Unwritable { value, place, why });
    }
    Ok(format!(
        "// PDO makes a space of every semicolon in the DSN, quoted or not; the role is safe outside of it.\n\
         $connection = new PDO(\n    {},\n    {}\n);\n",
        literal(&format!("pgsql:{}", keywords(&settings))),
        literal(target.role.as_str())
    ))
}

//! pgJDBC, and Spring above it.

use super::libpq::query;
use super::literal::percent;
use super::{Driver, File, Target};

/// What pgJDBC reads: it takes no key in PEM.
const FILES: &[File] = &[File::Root, File::Certificate, File::Pk8];

pub(super) const PGJDBC: Driver = Driver {
    name: "pgjdbc",
    aliases: &["jdbc", "java"],
    what: "Java: pgJDBC",
    files: FILES,
    is_libpq: false,
    write: |target| Ok(pgjdbc(target)),
};

pub(super) const SPRING: Driver = Driver {
    name: "spring",
    aliases: &["spring-boot"],
    what: "Java: Spring Boot's application.properties",
    files: FILES,
    is_libpq: false,
    write: |target| Ok(spring(target)),
};

/// The trap, and the way around it that has one more file.
fn about_the_key(target: &Target, comment: &str) -> String {
    let made_by = target.made_by(File::Pk8);
    // In a comment of Java, a backslash and a u would be more than text, and a newline its end.
    let made_by = match made_by.contains(|c: char| c == '\\' || !(' '..='~').contains(&c)) {
        true => "pgpki issue-client --format libpq,jdbc".to_owned(),
        false => made_by,
    };
    format!(
        "{comment} pgJDBC reads no key in PEM (\"extra data at the end\"): postgresql.pk8 is the same key as PKCS#8 in\n\
         {comment} DER, made by {made_by}\n\
         {comment} PKCS#12 works as well, where the alias is \"user\": sslkey=…/postgresql.p12&sslpassword=…\n\
         {comment} Without these settings pgJDBC looks in the .postgresql of the home that the password database\n\
         {comment} names, whatever HOME says. In a URL of your own, a name's special characters are percent-encoded.\n"
    )
}

fn pgjdbc(target: &Target) -> String {
    format!(
        "{}Connection connection = java.sql.DriverManager.getConnection(\n    \"{}\");\n",
        about_the_key(target, "//"),
        url(target)
    )
}

fn spring(target: &Target) -> String {
    format!(
        "{}# With the user in the URL, leave spring.datasource.username and password out.\n\
         spring.datasource.url={}\n",
        about_the_key(target, "#"),
        url(target)
    )
}

/// Printable ASCII without quotes, backslashes and `$`, as it can stand in Java's literals, and in
/// Spring's properties without being taken for a placeholder.
fn url(target: &Target) -> String {
    let (host, port) = (target.host_in_url(), target.port);
    let dbname = percent(&target.dbname);
    let user = percent(target.role.as_str());
    let tls = target.tls().map(|(keyword, value)| match keyword {
        "sslkey" => (keyword, target.file(File::Pk8)),
        _ => (keyword, value),
    });
    let tls = query(&tls);
    format!("jdbc:postgresql://{host}:{port}/{dbname}?user={user}&{tls}")
}

//! Drivers for node, and Prisma above one of them.

use pgpki_core::name::Host;

use super::literal::double_quoted as literal;
use super::{Driver, File, PEM, Target};

pub(super) const NODE_POSTGRES: Driver = Driver {
    name: "node-postgres",
    aliases: &["pg", "node"],
    what: "JavaScript: node-postgres (pg)",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(node_postgres(target)),
};

pub(super) const POSTGRES_JS: Driver = Driver {
    name: "postgres.js",
    aliases: &["postgresjs"],
    what: "JavaScript: postgres.js (postgres)",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(postgres_js(target)),
};

pub(super) const PRISMA: Driver = Driver {
    name: "prisma",
    aliases: &[],
    what: "JavaScript: Prisma 7 with @prisma/adapter-pg",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(prisma(target)),
};

fn node_postgres(target: &Target) -> String {
    format!(
        "const {{ readFileSync }} = require('node:fs');\n\
         const {{ Client }} = require('pg');\n\n\
         // ssl takes the files' contents, not their names. An sslmode in a connectionString would replace\n\
         // the whole object: sslmode=require then asks the system's roots, and sends no certificate.\n\
         const client = new Client({{\n{}}});\n",
        options(target, "user", "database")
    )
}

fn postgres_js(target: &Target) -> String {
    format!(
        "const {{ readFileSync }} = require('node:fs');\n\
         const postgres = require('postgres');\n\n\
         // ssl takes the files' contents, not their names. ssl: 'require' would check nothing of the server.\n\
         const sql = postgres({{\n{}}});\n",
        options(target, "username", "database")
    )
}

fn prisma(target: &Target) -> String {
    format!(
        "const {{ readFileSync }} = require('node:fs');\n\
         const {{ PrismaPg }} = require('@prisma/adapter-pg');\n\n\
         // Then: new PrismaClient({{ adapter }}). An sslmode in a connectionString would replace all of ssl.\n\
         // Prisma's own engine, up to version 6 and in migrations, reads no PEM key: its URL takes\n\
         // sslmode=require&sslaccept=strict&sslcert=root.crt&sslidentity=postgresql.p12&sslpassword=…\n\
         const adapter = new PrismaPg({{\n{}}});\n",
        options(target, "user", "database")
    )
}

fn options(target: &Target, user: &str, database: &str) -> String {
    let contents = |file| format!("readFileSync({})", literal(&target.file(file)));
    let mut text = format!(
        "  host: {},\n  port: {},\n  {user}: {},\n  {database}: {},\n  ssl: {{\n",
        literal(&target.host.to_string()),
        target.port,
        literal(target.role.as_str()),
        literal(&target.dbname)
    );
    if let Host::Ip(address) = target.host {
        let address = literal(&address.to_string());
        text += "    // Without it, node compares the certificate with \"localhost\" where the host is an address.\n";
        text += &format!("    host: {address},\n");
    }
    text += &format!("    ca: {},\n", contents(File::Root));
    text += &format!("    cert: {},\n", contents(File::Certificate));
    text += &format!("    key: {},\n", contents(File::Key));
    text + "  },\n"
}

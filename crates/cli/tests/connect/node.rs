//! node's drivers.

use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::Toolbox;

use crate::cases::{Trial, WHO_AM_I};

/// Runs files, each a snippet with a function at its end that returns what the server says.
const RUNNER: &str = "\
(async () => {
  for (const file of process.argv.slice(1)) {
    try {
      console.log(await require(file)());
    } catch (refused) {
      console.log('no', (refused.message + JSON.stringify(refused.cause ?? '')).replace(/\\s+/g, ' '));
    }
  }
  process.exit(0);
})();
";

fn comes_in(driver: &'static str, then: &str) {
    let end = then.replace("WHO_AM_I", &format!("`{WHO_AM_I}`"));
    Trial::of(driver).run("js", |case| format!("{}{end}", case.snippet), node);
}

fn node(files: &[PathBuf]) -> Command {
    let modules = Toolbox::Node.made().unwrap().join("node_modules");
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules).args(["-e", RUNNER]);
    node.args(files);
    node
}

#[test]
fn node_postgres() {
    comes_in(
        "node-postgres",
        "module.exports = async () => {\n  await client.connect();\n  \
         const { rows } = await client.query({ text: WHO_AM_I, rowMode: 'array' });\n  \
         await client.end();\n  return rows[0][0];\n};\n",
    );
}

#[test]
fn postgres_js() {
    comes_in(
        "postgres.js",
        "module.exports = async () => {\n  const [row] = await sql.unsafe(WHO_AM_I).values();\n  \
         await sql.end();\n  return row[0];\n};\n",
    );
}

/// The adapter is what connects; the client above it, which is generated for each application,
/// hands its queries to it.
#[test]
fn prisma() {
    comes_in(
        "prisma",
        "module.exports = async () => {\n  const connection = await adapter.connect();\n  \
         const { rows } = await connection.queryRaw({ sql: WHO_AM_I, args: [], argTypes: [] });\n  \
         await connection.dispose();\n  return rows[0][0];\n};\n",
    );
}

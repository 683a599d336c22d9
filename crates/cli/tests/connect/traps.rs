//! What the comments in the snippets warn of happens to those who do otherwise.

use std::fs;
use std::process::Command;

use pgpki_testing::Toolbox;

use crate::cases::{WHO_AM_I, alone};
use crate::stage::{OTHER_ADDRESS, Stage};

/// What is printed for alice, without what it says about missing files.
fn printed(stage: &Stage, driver: &str, host: &str) -> String {
    let port = stage.cluster.port().to_string();
    let folder = stage.folder("alice").display().to_string();
    let args = ["--host", host, "--port", &port, "--folder", &folder];
    let output = stage.connect(driver, "alice", &args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a program says.
fn said(stage: &Stage, program: &mut Command) -> String {
    let output = alone(program, &stage.workshop()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The server's certificate is for `localhost`, and not for this address.
#[test]
fn node_compares_with_localhost_where_postgres_js_is_given_an_address() {
    let stage = Stage::shared();
    let snippet = printed(&stage, "postgres.js", OTHER_ADDRESS);
    let (before, after) = snippet.split_once("    host: \"127.0.0.2\",\n").unwrap();
    let run = |snippet: &str| {
        let ask = format!(
            "sql.unsafe(`{WHO_AM_I}`).values().then(([it]) => console.log(it[0])).finally(() => sql.end());"
        );
        let mut node = Command::new("node");
        let modules = Toolbox::Node.made().unwrap().join("node_modules");
        node.env("NODE_PATH", modules)
            .args(["-e", &format!("{snippet}{ask}")]);
        said(&stage, &mut node)
    };
    assert!(run(&format!("{before}{after}")).starts_with("ok "));
    assert!(run(&snippet).contains("does not match certificate"));
}

#[test]
fn a_connection_string_replaces_what_node_postgres_was_told() {
    let stage = Stage::shared();
    let snippet = printed(&stage, "node-postgres", "localhost");
    let uri = format!(
        "postgresql://alice@localhost:{}/postgres?sslmode=require",
        stage.cluster.port()
    );
    let with_string = snippet.replace(
        "  ssl: {",
        &format!("  connectionString: '{uri}',\n  ssl: {{"),
    );
    let mut node = Command::new("node");
    let modules = Toolbox::Node.made().unwrap().join("node_modules");
    let program = format!(
        "{with_string}client.connect().then(() => client.end(), (it) => console.log(it.message));"
    );
    let said = said(
        &stage,
        node.env("NODE_PATH", modules).args(["-e", &program]),
    );
    assert!(
        said.contains("self-signed certificate in certificate chain")
            || said.contains("unable to get"),
        "{said}"
    );
}

/// The server refuses a client without a certificate: until then, the client has sent what it had.
#[test]
fn some_words_for_tls_check_nothing_in_python() {
    let stage = Stage::shared();
    let (host, port) = (OTHER_ADDRESS, stage.cluster.port());
    let pg8000 = format!(
        "import pg8000.dbapi\npg8000.dbapi.connect('alice', host='{host}', port={port}, ssl_context=True)\n"
    );
    let asyncpg = format!(
        "import asyncio, asyncpg\nasyncio.run(asyncpg.connect(user='alice', host='{host}', port={port}, ssl='require'))\n"
    );
    let python = Toolbox::Python.made().unwrap().join("venv/bin/python");
    for program in [pg8000, asyncpg] {
        let said = said(&stage, Command::new(&python).args(["-c", &program]));
        assert!(
            said.contains("connection requires a valid client certificate"),
            "{said}"
        );
    }
}

#[test]
fn asyncpg_takes_no_sslmode_from_sqlalchemy() {
    let stage = Stage::shared();
    let snippet = printed(&stage, "sqlalchemy-asyncpg", "localhost");
    let start = "    \"postgresql+asyncpg\",\n";
    let with_mode = snippet.replace(
        start,
        &format!("{start}    query={{\"sslmode\": \"verify-full\"}},\n"),
    );
    let python = Toolbox::Python.made().unwrap().join("venv/bin/python");
    let program =
        format!("{with_mode}import asyncio\nasyncio.run(engine.connect().__aenter__())\n");
    let said = said(&stage, Command::new(python).args(["-c", &program]));
    assert!(
        said.contains("unexpected keyword argument 'sslmode'"),
        "{said}"
    );
}

/// And so `connect` refuses to print such a path for it.
#[test]
fn libpq_takes_what_is_before_a_colon_for_an_engine() {
    let stage = Stage::shared();
    let folder = stage.workshop().join("a:b");
    fs::create_dir(&folder).unwrap();
    for file in ["root.crt", "postgresql.crt", "postgresql.key"] {
        fs::copy(stage.folder("alice").join(file), folder.join(file)).unwrap();
    }
    let folder = folder.display();
    let conninfo = format!(
        "host=localhost port={} dbname=postgres user=alice sslmode=verify-full sslrootcert={folder}/root.crt \
         sslcert={folder}/postgresql.crt sslkey={folder}/postgresql.key",
        stage.cluster.port()
    );
    let output = stage.cluster.psql(&conninfo, "select 1");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("could not load SSL engine"), "{said}");
}

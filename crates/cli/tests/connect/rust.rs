//! Rust's drivers. Both are compiled in one go, into the package that `cargo xtask drivers` has
//! built their crates for.

use std::fs;
use std::path::Path;
use std::process::Command;

use pgpki_testing::{Toolbox, run};

use crate::cases::{Case, Trial, WHO_AM_I};

/// What follows each snippet of a driver.
const TOKIO_POSTGRES: &str = "\
tokio::spawn(connection);
let row = client.query_one(WHO_AM_I, &[]).await?;
Ok(row.try_get(0)?)
";

const SQLX: &str = "\
use sqlx::ConnectOptions as _;
let mut connection = options.connect().await?;
Ok(sqlx::query_scalar(WHO_AM_I).fetch_one(&mut connection).await?)
";

fn functions(name: &str, then: &str, cases: &[Case]) -> String {
    let numbered = cases.iter().enumerate();
    let function = |(number, case): (usize, &Case)| {
        format!(
            "async fn {name}{number}() -> Said {{\n{}{then}}}\n",
            case.snippet
        )
    };
    numbered.map(function).collect()
}

fn calls(name: &str, cases: &[Case]) -> String {
    let call = |number| format!("tell({name}{number}().await);\n");
    (0..cases.len()).map(call).collect()
}

/// A copy of the package with other functions in it, built with what was built for the first one.
fn built(toolbox: &Path, folder: &Path, source: &str) {
    fs::create_dir(folder.join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
        fs::copy(toolbox.join(file), folder.join(file)).unwrap();
    }
    fs::write(folder.join("src/cases.rs"), source).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--offline", "--target-dir"]);
    run(cargo.arg(toolbox.join("target")).current_dir(folder));
}

#[test]
fn tokio_postgres_and_sqlx() {
    let (tokio, sqlx) = (Trial::of("tokio-postgres"), Trial::of("sqlx"));
    let (tokios, sqlxs) = (tokio.cases(), sqlx.cases());
    let source = format!(
        "const WHO_AM_I: &str = \"{WHO_AM_I}\";\n{}{}\
         async fn for_each_case() {{\nif std::env::args().nth(1).unwrap() == \"sqlx\" {{\n{}}} else {{\n{}}}\n}}\n",
        functions("tokio", TOKIO_POSTGRES, &tokios),
        functions("sqlx", SQLX, &sqlxs),
        calls("sqlx", &sqlxs),
        calls("tokio", &tokios),
    );
    let toolbox = Toolbox::RustSnippets.made().unwrap();
    let folder = tokio.stage.workshop();
    built(&toolbox, &folder, &source);
    let program = toolbox.join("target/debug/pgpki-snippets");
    tokio.judge(&tokios, Command::new(&program).arg("tokio-postgres"));
    sqlx.judge(&sqlxs, Command::new(&program).arg("sqlx"));
}

//! Go's drivers.

use std::fs;
use std::process::Command;

use pgpki_testing::{Toolbox, run};

use crate::cases::{Trial, WHO_AM_I};

/// Where Debian keeps the sources of Go's libraries.
const GO_LIBRARIES: &str = "/usr/share/gocode";

/// Compiles one program with a function for each snippet, and runs it.
fn comes_in(driver: &'static str, imports: &str, then: &str) {
    let trial = Trial::of(driver);
    let cases = trial.cases();
    let mut functions = String::new();
    let mut calls = String::new();
    for (number, case) in cases.iter().enumerate() {
        let snippet = &case.snippet;
        functions +=
            &format!("func case{number}() (said string, err error) {{\n{snippet}{then}}}\n");
        calls += &format!("\ttell(case{number}())\n");
    }
    let source = format!(
        "package main\n\nimport (\n\"fmt\"\n\"strings\"\n{imports})\n\nconst whoAmI = `{WHO_AM_I}`\n\n{functions}\n\
         func tell(said string, err error) {{\n\tif err != nil {{\n\
         \t\tsaid = \"no \" + strings.Join(strings.Fields(err.Error()), \" \")\n\t}}\n\tfmt.Println(said)\n}}\n\n\
         func main() {{\n{calls}}}\n"
    );
    let folder = trial.stage.workshop();
    fs::write(folder.join("main.go"), source).unwrap();
    let mut go = Command::new("go");
    go.args(["build", "-o", "snippets.bin", "main.go"]);
    go.current_dir(&folder)
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "")
        .env("GOPATH", GO_LIBRARIES)
        .env("GOCACHE", Toolbox::Go.made().unwrap().join("cache"));
    run(&mut go);
    trial.judge(&cases, &mut Command::new(folder.join("snippets.bin")));
}

#[test]
fn pgx() {
    comes_in(
        "pgx",
        "\"context\"\n\"github.com/jackc/pgx/v4\"\n",
        "if err != nil {\nreturn\n}\ndefer connection.Close(context.Background())\n\
         err = connection.QueryRow(context.Background(), whoAmI).Scan(&said)\nreturn\n",
    );
}

#[test]
fn lib_pq() {
    comes_in(
        "lib-pq",
        "\"database/sql\"\n_ \"github.com/lib/pq\"\n",
        "if err != nil {\nreturn\n}\ndefer database.Close()\n\
         err = database.QueryRow(whoAmI).Scan(&said)\nreturn\n",
    );
}

//! pgJDBC, by Java code and by Spring's properties.

use std::fs;
use std::process::Command;

use pgpki_testing::Toolbox;

use crate::cases::{Case, Trial, WHO_AM_I};

/// Runs a program of one source file, as Java can without compiling it first. Its encoding is not
/// said, and the environment's is ASCII: nobody says it to the compiler of their application.
fn judge(trial: &Trial, cases: &[Case], source: &str) {
    let folder = trial.stage.workshop();
    let file = folder.join("Snippets.java");
    fs::write(&file, source).unwrap();
    let driver = Toolbox::Java.made().unwrap().join(Toolbox::JDBC);
    let mut java = Command::new("java");
    java.args([
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dfile.encoding=US-ASCII",
    ]);
    java.arg("-cp").arg(driver).arg(file).arg(folder);
    trial.judge(cases, &mut java);
}

fn program(connect: &str) -> String {
    format!(
        "import java.sql.Connection;\n\
         public final class Snippets {{\n\
         interface Connects {{ Connection connect() throws Exception; }}\n\
         static void ask(Connects how) {{\n\
         try (Connection connection = how.connect();\n\
         java.sql.ResultSet row = connection.createStatement().executeQuery(\"{WHO_AM_I}\")) {{\n\
         row.next();\nSystem.out.println(row.getString(1));\n\
         }} catch (Exception refused) {{\n\
         String causes = \"\";\n\
         for (Throwable it = refused; it != null; it = it.getCause()) {{ causes += \" \" + it.getMessage(); }}\n\
         System.out.println(\"no\" + causes.replaceAll(\"\\\\s+\", \" \"));\n}}\n}}\n{connect}}}\n"
    )
}

#[test]
fn pgjdbc() {
    let trial = Trial::of("pgjdbc");
    let cases = trial.cases();
    let mut methods = String::new();
    let mut calls = String::new();
    for (number, Case { snippet, .. }) in cases.iter().enumerate() {
        methods += &format!(
            "static Connection case{number}() throws Exception {{\n{snippet}return connection;\n}}\n"
        );
        calls += &format!("ask(Snippets::case{number});\n");
    }
    let main = format!("{methods}public static void main(String[] args) {{\n{calls}}}\n");
    judge(&trial, &cases, &program(&main));
}

/// The file is read as Spring reads it, with Java's own reader, and its URL given to the driver.
#[test]
fn spring() {
    let trial = Trial::of("spring");
    let cases = trial.cases();
    let folder = trial.stage.workshop();
    let mut calls = String::new();
    for (number, Case { snippet, .. }) in cases.iter().enumerate() {
        let file = folder.join(format!("application{number}.properties"));
        fs::write(&file, snippet).unwrap();
        calls += &format!("ask(() -> of(\"{}\"));\n", file.display());
    }
    let main = format!(
        "static Connection of(String file) throws Exception {{\n\
         java.util.Properties properties = new java.util.Properties();\n\
         try (var from = new java.io.FileInputStream(file)) {{ properties.load(from); }}\n\
         return java.sql.DriverManager.getConnection(properties.getProperty(\"spring.datasource.url\"));\n}}\n\
         public static void main(String[] args) {{\n{calls}}}\n"
    );
    judge(&trial, &cases, &program(&main));
}

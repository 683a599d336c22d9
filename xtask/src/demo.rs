//! `cargo xtask demo`: the main job, on a real PostgreSQL, as a person would type it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::Cluster;

use crate::prerequisites::{self, POSTGRESQL};
use crate::running::{self, Failure, Interrupt, Shown};
use crate::test::cargo;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run this program instead of building ours
    #[arg(long, value_name = "FILE")]
    pgpki: Option<PathBuf>,
}

/// What alice's session says of its own connection.
const WHO_AM_I: &str = "select version as tls, cipher, client_dn, client_serial, issuer_dn \
                        from pg_stat_ssl where pid = pg_backend_pid()";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    prerequisites::ensure(&[&POSTGRESQL])?;
    let interrupt = Interrupt::listen()?;
    let pgpki = match &args.pgpki {
        Some(program) => program.clone(),
        None => build(&interrupt)?,
    };
    let cluster = match Cluster::builder().hba("local all all trust").start() {
        Ok(cluster) => cluster,
        Err(failure) => {
            interrupt.check_after_failure()?;
            return Err(failure.into());
        }
    };
    Terminal {
        pgpki,
        cluster,
        interrupt,
    }
    .main_job()
}

/// Builds the program beside this one, so that it is found whatever the target directory is.
fn build(interrupt: &Interrupt) -> Result<PathBuf, Failure> {
    let mut build = cargo();
    // Together with this package, because cargo settles the features of shared dependencies for
    // both at once: alone, it would compile many of them a second time.
    build.args([
        "build",
        "--quiet",
        "--package",
        "pgpki",
        "--package",
        "xtask",
    ]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    running::run_until(interrupt, &mut build)?;
    let this = env::current_exe()
        .map_err(|error| Failure::Said(format!("cannot find this program: {error}")))?;
    Ok(this.with_file_name("pgpki"))
}

/// Somebody at a terminal, with a PostgreSQL cluster that goes away with them.
struct Terminal {
    pgpki: PathBuf,
    cluster: Cluster,
    interrupt: Interrupt,
}

impl Terminal {
    fn main_job(self) -> Result<(), Failure> {
        say("A new PostgreSQL cluster, without TLS, in a directory that is removed at the end:");
        println!("$ export DEMO={}", self.cluster.dir().display());
        println!("$ export PGPORT={}", self.cluster.port());

        say(
            "An authority, the server's certificate, and a cluster that uses it, accepts nothing without \
             TLS, and wants a certificate from everybody:",
        );
        self.succeed(&self.init())?;

        say("A role, and its certificate, in a folder that is handed over:");
        self.succeed(&[
            "psql",
            "-h",
            "$DEMO/socket",
            "-U",
            "postgres",
            "-c",
            "create role alice login",
        ])?;
        self.succeed(&[
            "pgpki",
            "issue-client",
            "alice",
            "--out",
            "$DEMO/hand-over",
            "--home",
            "$DEMO/pki",
        ])?;

        say("Alice connects; both sides prove who they are:");
        let before = self.connect_as_alice()?;

        say("From cron, daily: nothing is due today.");
        self.succeed(&["pgpki", "rotate", "--home", "$DEMO/pki"])?;

        say("A year later, or now:");
        self.succeed(&["pgpki", "rotate", "--force", "--home", "$DEMO/pki"])?;
        let after = self.connect_as_alice()?;
        if before == after {
            return Err(Failure::Said(
                "alice still presents the certificate from before the rotation".to_owned(),
            ));
        }

        say("What there is now:");
        let inspect = self.enter(&["pgpki", "inspect", "--home", "$DEMO/pki"])?;
        // 1 tells of findings, which a throwaway authority without a passphrase may well have.
        if !matches!(inspect.status.code(), Some(0 | 1)) {
            return Err(Failure::Exited {
                program: "pgpki inspect".to_owned(),
                status: inspect.status,
            });
        }
        say("Done. Stopping PostgreSQL and removing the directory.");
        Ok(())
    }

    fn init(&self) -> [&'static str; 13] {
        [
            "pgpki",
            "init",
            "localhost",
            "127.0.0.1",
            "--home",
            "$DEMO/pki",
            "--install",
            "$DEMO/tls",
            "--no-root-passphrase",
            "--pgdata",
            "$DEMO/data",
            "--require-tls",
            "--client-certs=all",
        ]
    }

    /// Returns the serial number that the server saw.
    fn connect_as_alice(&self) -> Result<String, Failure> {
        let conninfo = "host=localhost user=alice dbname=postgres sslmode=verify-full \
                        sslrootcert=$DEMO/hand-over/alice/root.crt \
                        sslcert=$DEMO/hand-over/alice/postgresql.crt \
                        sslkey=$DEMO/hand-over/alice/postgresql.key";
        let answer = self.succeed(&["psql", conninfo, "-x", "-c", WHO_AM_I])?;
        let serial = answer
            .stdout
            .lines()
            .find(|line| line.starts_with("client_serial"));
        serial
            .map(str::to_owned)
            .ok_or_else(|| Failure::Said("the server saw no certificate of alice's".to_owned()))
    }

    fn succeed(&self, words: &[&str]) -> Result<Shown, Failure> {
        let shown = self.enter(words)?;
        if shown.status.success() {
            return Ok(shown);
        }
        Err(Failure::Exited {
            program: words.join(" "),
            status: shown.status,
        })
    }

    /// Prints a command line, runs it, and prints what it prints.
    fn enter(&self, words: &[&str]) -> Result<Shown, Failure> {
        self.interrupt.check()?;
        let typed: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        println!("$ {}", typed.join(" "));
        let demo = self.cluster.dir().display().to_string();
        let mut command = match words[0] {
            "psql" => self.cluster.psql_command(),
            _ => Command::new(&self.pgpki),
        };
        command.args(words[1..].iter().map(|word| word.replace("$DEMO", &demo)));
        command.env("PGPORT", self.cluster.port().to_string());
        running::show(&self.interrupt, &mut command)
    }
}

fn say(text: &str) {
    println!("\n# {text}");
}

/// A word as it is typed: quoted when the shell would take it apart.
fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_are_quoted() {
        assert_eq!(quoted("host=a user=b"), "\"host=a user=b\"");
        assert_eq!(quoted("--out"), "--out");
    }
}

//! (d) `revoke` where a hundred thousand certificates are revoked already, and a client's connection to a server with
//! that CRL, each against the same without any.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pgpki_testing::Cluster;
use rusqlite::{Connection, params};

use super::{median, must, said};
use crate::running::Failure;

const REVOKED: u32 = 100_000;

/// Rounds of connections, which take turns on the two servers.
const ROUNDS: usize = 9;

/// Connections in a round.
const CONNECTIONS: u32 = 50;

/// A server with an authority of its own, and a client.
struct Site {
    cluster: Cluster,
    dir: PathBuf,
}

pub(super) fn run(program: &Path, dir: &Path) -> Result<(), Failure> {
    let empty = Site::new(program, &dir.join("empty"))?;
    let full = Site::new(program, &dir.join("full"))?;
    full.fill()?;
    let revoke = |site: &Site| site.time(program, &["revoke", "carol"]);
    let (without, with) = (revoke(&empty)?, revoke(&full)?);
    println!("d. {REVOKED} revoked certificates, against none:");
    println!(
        "   revoke, with the server's proof: {:.2} s, {:.1} x",
        with.as_secs_f64(),
        with.as_secs_f64() / without.as_secs_f64()
    );
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(empty.connect()?);
        with.push(full.connect()?);
    }
    let (without, with) = (median(without), median(with));
    println!(
        "   one connection with a certificate: {:.2} x ({:.1} ms more)",
        with / without,
        (with - without) * 1000.0
    );
    Ok(())
}

impl Site {
    fn new(program: &Path, dir: &Path) -> Result<Self, Failure> {
        std::fs::create_dir(dir).map_err(said)?;
        let cluster = Cluster::builder().start()?;
        let site = Self {
            cluster,
            dir: dir.to_owned(),
        };
        let data = site.cluster.data_dir();
        // The server's user must get to it, wherever the benchmark's directory is.
        let tls = site.cluster.dir().join("tls");
        let mut init = site.pgpki(program, &["init", "localhost", "--no-root-passphrase"]);
        init.args(["--require-tls", "--client-certs=all", "--pgdata"])
            .arg(data);
        must(init.arg("--install").arg(tls))?;
        for role in ["alice", "carol"] {
            site.cluster.create_role(role, None, true);
        }
        let out = site.dir.join("out");
        let mut issue = site.pgpki(program, &["issue-client", "alice", "carol", "--out"]);
        must(issue.arg(out))?;
        Ok(site)
    }

    fn pgpki(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("PGPKI_HOME", self.dir.join("home"));
        command
    }

    fn time(&self, program: &Path, args: &[&str]) -> Result<Duration, Failure> {
        let started = Instant::now();
        must(&mut self.pgpki(program, args))?;
        Ok(started.elapsed())
    }

    /// Revocations of certificates that were never issued: a CRL lists serial numbers.
    fn fill(&self) -> Result<(), Failure> {
        let ledger = Connection::open(self.dir.join("home/ledger.db")).map_err(said)?;
        let filled = ledger.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO revocations (ca, serial, revoked_at, reason, not_after)
             SELECT (SELECT id FROM cas WHERE profile = 'issuing'), randomblob(16), unixepoch(), 1,
                    unixepoch() + 31536000
             FROM n",
            params![REVOKED],
        );
        filled.map(|_| ()).map_err(said)
    }

    /// How long one connection takes, in seconds, with everything that pgbench does around it.
    fn connect(&self) -> Result<f64, Failure> {
        let script = self.dir.join("script.sql");
        std::fs::write(&script, "select 1;\n").map_err(said)?;
        let files = self.dir.join("out/alice");
        let files = files.display();
        let connection = format!(
            "host=localhost port={} dbname=postgres user=alice sslmode=verify-full \
             sslrootcert={files}/root.crt sslcert={files}/postgresql.crt sslkey={files}/postgresql.key",
            self.cluster.port()
        );
        let started = Instant::now();
        let mut pgbench = Command::new(self.cluster.programs().program("pgbench"));
        pgbench.args(["-C", "-n", "-t", &CONNECTIONS.to_string(), "-f"]);
        must(pgbench.arg(&script).arg(connection))?;
        Ok(started.elapsed().as_secs_f64() / f64::from(CONNECTIONS))
    }
}

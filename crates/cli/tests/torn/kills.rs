//! Killed at random moments, with a real server that must go on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgpki_testing::{Cluster, Owner, Shutdown, run};

use crate::state::leftovers;
use crate::tree::{Tree, belong_together};

const KILLS: u64 = 200;

/// Chosen at random once, and printed with every failure.
const SEED: u64 = 0x5eed_1e55_0bad_cafe;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn up_to(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.next() as f64 / u64::MAX as f64)
    }
}

/// pgpki in the cluster's own directory, on a real disk.
fn pgpki(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgpki"));
    command
        .args(line.split(' '))
        .current_dir(dir)
        .env("PGPKI_HOME", dir.join("pki"))
        .stdin(Stdio::null());
    command
}

fn connects(cluster: &Cluster) {
    let folder = cluster.dir().join("out/alice");
    let file = |name: &str| folder.join(name).display().to_string();
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=alice dbname=postgres sslmode=verify-full \
         sslrootcert={} sslcert={} sslkey={}",
        cluster.port(),
        file("root.crt"),
        file("postgresql.crt"),
        file("postgresql.key"),
    );
    let output = cluster.psql(&conninfo, "select current_user");
    assert!(
        output.status.success() && output.stdout == b"alice\n",
        "{output:?}\n{}",
        cluster.log()
    );
}

/// Each of the two places holds a key and its certificate.
fn check_files(dir: &Path) {
    for (place, kind) in [("tls/current", "server"), ("out/alice", "postgresql")] {
        let read =
            |end: &str| std::fs::read(dir.join(place).join(format!("{kind}.{end}"))).unwrap();
        assert!(
            belong_together(&read("key"), &read("crt")),
            "{place} is torn"
        );
    }
    for (path, node, bytes) in Tree::read(&dir.join("tls")).files() {
        let is_key = crate::tree::holds_key(bytes);
        assert!(
            !is_key || node.mode == 0o600,
            "{path:?} has mode {:04o}",
            node.mode
        );
    }
}

#[test]
fn killed_two_hundred_times_and_the_server_goes_on() {
    let mut cluster = Cluster::builder().create().unwrap();
    let dir = cluster.dir().to_owned();
    let Owner { uid, gid, .. } = *cluster.owner();
    let tls = dir.join("tls").display().to_string();
    let init = format!(
        "init localhost 127.0.0.1 --no-root-passphrase --install {tls} --owner {uid}:{gid}"
    );
    run(&mut pgpki(&dir, &init));
    run(&mut pgpki(&dir, "issue-client alice bob --out out"));
    cluster.set_conf(format!(
        "ssl = on\n\
         ssl_cert_file = '{tls}/current/server.crt'\n\
         ssl_key_file = '{tls}/current/server.key'\n\
         ssl_ca_file = '{tls}/current/root.crt'\n\
         ssl_crl_file = '{tls}/current/root.crl'\n"
    ));
    cluster.set_hba("hostssl all all all cert");
    cluster.start().unwrap();
    cluster.create_role("alice", None, true);
    connects(&cluster);

    let mut whole = Duration::ZERO;
    for _ in 0..5 {
        let started = Instant::now();
        run(&mut pgpki(&dir, "rotate --force"));
        whole = whole.max(started.elapsed());
    }
    let mut random = Random(SEED);
    let mut killed = 0;
    for kill in 1..=KILLS {
        let mut process = pgpki(&dir, "rotate --force")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let delay = random.up_to(whole);
        // The moment itself is what is tested: there is no condition to wait for.
        sleep(delay);
        process.kill().unwrap();
        let was_killed = !process.wait().unwrap().success();
        killed += u64::from(was_killed);
        // The machine is shared: a run takes longer at one time than at another.
        whole = match was_killed {
            true => whole.mul_f64(1.05),
            false => whole.mul_f64(0.9),
        };
        let context = format!("seed {SEED:#x}, kill {kill}, after {delay:?}");
        eprint!("{context}\r");
        check_files(&dir);
        if kill % 20 == 0 {
            cluster.stop(Shutdown::Fast).unwrap();
            cluster
                .start()
                .unwrap_or_else(|why| panic!("{context}: {why}"));
            connects(&cluster);
        } else if kill % 4 == 0 {
            cluster
                .reload()
                .unwrap_or_else(|why| panic!("{context}: {why}"));
            connects(&cluster);
        }
    }
    eprintln!("{killed} of {KILLS} were killed before they were done");
    assert!(
        killed > KILLS / 4,
        "only {killed} of {KILLS} were killed before they were done"
    );

    run(&mut pgpki(&dir, "rotate --force"));
    check_files(&dir);
    cluster.restart().unwrap();
    connects(&cluster);
    let left: Vec<_> = ["tls", "out", "pki"]
        .iter()
        .flat_map(|place| leftovers(&Tree::read(&dir.join(place))))
        .collect();
    assert!(left.is_empty(), "seed {SEED:#x}: left over: {left:?}");
    let report = run(&mut pgpki(&dir, "inspect --all --json"));
    let report = String::from_utf8(report.stdout).unwrap();
    for place in ["tls", "out"] {
        for (serial, path) in Tree::read(&dir.join(place)).serials() {
            assert!(report.contains(&serial), "{path:?} is not in the ledger");
        }
    }
}

//! The client does not come as far as TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgpki_testing::{Cluster, ServerPrograms, Shutdown};

use super::{explained, libpqs, log_during, psql_says};

/// What psql says to a connection that fails, wherever it goes.
#[track_caller]
fn says(cluster: &Cluster, conninfo: &str) -> String {
    let mut psql: Command = cluster.psql_command();
    let output = psql
        .args(["-XAtqc", "select 1", "-d", conninfo])
        .output()
        .unwrap();
    assert!(!output.status.success(), "psql got in with {conninfo}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn nobody_is_there() {
    for programs in ServerPrograms::every() {
        let mut cluster = Cluster::builder().programs(&programs).start().unwrap();
        let (sockets, port) = (cluster.socket_dir(), cluster.port());
        cluster.stop(Shutdown::Fast).unwrap();
        for libpq in libpqs(&cluster) {
            let said = psql_says(&cluster, libpq.as_ref(), "user=postgres");
            explained(&said, &["server-not-listening"]);
            let said = psql_says(
                &cluster,
                libpq.as_ref(),
                "user=postgres host=nowhere.invalid hostaddr=''",
            );
            explained(&said, &["host-unknown"]);
        }
        let said = says(&cluster, &format!("host={} port={port}", sockets.display()));
        explained(&said, &["server-not-listening"]);
    }
}

#[test]
fn nobody_answers() {
    let cluster = Cluster::builder().start().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let said = says(
        &cluster,
        &format!("host=127.0.0.1 port={port} connect_timeout=2"),
    );
    explained(&said, &["no-answer"]);
}

/// A server that is told to stop, and waits for a session.
#[test]
fn a_server_that_is_not_ready() {
    for programs in ServerPrograms::every() {
        let cluster = Cluster::builder().programs(&programs).start().unwrap();
        let (sockets, port) = (cluster.socket_dir(), cluster.port());
        let sockets = sockets.display();
        let socket = format!("host={sockets} port={port} user=postgres dbname=postgres");
        let mut psql = cluster.psql_command();
        let psql = psql.args(["-XAtq", "-d", &socket]);
        let mut held = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = held.stdin.as_ref();
        stdin.unwrap().write_all(b"select 1;\n").unwrap();
        let stdout = held.stdout.as_mut();
        stdout.unwrap().read_exact(&mut [0; 2]).unwrap();

        let pid = cluster.data_dir().join("postmaster.pid");
        let pid = std::fs::read_to_string(pid).unwrap();
        let pid: i32 = pid.lines().next().unwrap().parse().unwrap();
        log_during(&cluster, "received smart shutdown request", || {
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        });
        explained(&says(&cluster, &socket), &["server-not-ready"]);
        // It ends with its input.
        held.wait().unwrap();
    }
}

#[test]
fn a_role_that_the_operating_system_does_not_know() {
    for programs in ServerPrograms::every() {
        let builder = Cluster::builder().programs(&programs);
        let mut cluster = builder.start().unwrap();
        cluster.create_role("alice", None, true);
        cluster.set_hba("local all all peer");
        cluster.reload().unwrap();
        let sockets = cluster.socket_dir().display().to_string();
        let socket = format!("host={sockets} port={} user=alice", cluster.port());
        let mut said = String::new();
        let logged = log_during(&cluster, "FATAL", || {
            said = says(&cluster, &format!("{socket} dbname=postgres"));
        });
        explained(&said, &["socket-for-another-role"]);
        // The log has a line more, which is the same for certificates.
        explained(
            &logged,
            &["socket-for-another-role", "certificate-for-another-role"],
        );
    }
}

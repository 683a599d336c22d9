//! Connections that had begun before the reload, and go on after it. The server's process for each
//! has the TLS settings of the moment at which it was forked, the old CRL among them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use pgpki_testing::{Cluster, await_that};
use serde_json::Value;

use crate::fixture::{EVERYTHING, Stage, on_every_version};
use crate::stage::{LONG, LongSession, copied, is_refused, revoke};

/// A connection to the server, which has it, and which nothing has been sent over yet.
struct Stalled {
    port: u16,
    go_on: Sender<()>,
}

impl Stalled {
    fn at(stage: &Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = TcpStream::connect(("127.0.0.1", stage.cluster.port())).unwrap();
        await_that("the server has a process for it", LONG, || {
            has_process(stage)
        });
        let (go_on, gone_on) = channel();
        thread::spawn(move || pass_on(&listener, server, &gone_on));
        Self { port, go_on }
    }
}

fn pass_on(listener: &TcpListener, server: TcpStream, gone_on: &Receiver<()>) {
    let (client, _) = listener.accept().unwrap();
    if gone_on.recv().is_err() {
        return;
    }
    let pairs = [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ];
    for (mut from, mut to) in pairs {
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// Whether the server has a process that has not heard yet whose connection it is: it is called like the server itself.
fn has_process(stage: &Stage) -> bool {
    let server = stage.postmaster().to_string();
    let cmdline = |pid: &str| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let children = format!("/proc/{server}/task/{server}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let mut children = children.split_whitespace();
    children.any(|pid| cmdline(pid) == cmdline(&server))
}

/// A revocation on its way, and what it said.
struct Revoking(Child);

impl Revoking {
    fn alice(stage: &Stage) -> Self {
        let mut revoke = stage.scene.command(["revoke", "--json", "alice"]);
        Self(revoke.stdout(Stdio::piped()).spawn().unwrap())
    }

    #[track_caller]
    fn report(self) -> Value {
        let output = self.0.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn who_had_begun_before_the_reload_is_thrown_out_after_it() {
    on_every_version(|programs| {
        let stage = Stage::with(Cluster::builder().programs(programs));
        stage.configure(&EVERYTHING);
        let folder = copied(&stage, &stage.client("alice"));
        let alice = stage.conninfo(&folder, "alice", &[]);
        let known = LongSession::begin(&stage, &alice, "known");
        let stalled = Stalled::at(&stage);
        let port = stalled.port.to_string();
        let more = [
            ("port", &*port),
            ("connect_timeout", "60"),
            ("application_name", "late"),
        ];
        let late = stage.conninfo(&folder, "alice", &more);
        let mut psql = stage.cluster.psql_command();
        psql.args(["-XAtq", "-d", &late, "-c", "select pg_sleep(600)"]);
        let psql = psql.stderr(Stdio::piped()).spawn().unwrap();

        let revoking = Revoking::alice(&stage);
        // Then the server has reloaded, and refuses her.
        known.was_ended();
        is_refused(&stage, &alice);
        eprintln!("{programs}: refused");
        stalled.go_on.send(()).unwrap();
        let output = psql.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let ended = "terminating connection due to administrator command";
        assert!(
            said.contains(ended),
            "{programs}: she was let in first: {said}"
        );
        let began = Instant::now();
        let report = revoking.report();
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{programs}: {:?}",
            began.elapsed()
        );
        assert_eq!(report["ended"].as_array().unwrap().len(), 2, "{report}");
        assert_eq!(
            stage
                .cluster
                .sql("select count(*) from pg_stat_ssl where client_dn is not null"),
            "0"
        );
    });
}

/// `authentication_timeout` ends whoever never goes on.
#[test]
fn who_never_goes_on_is_waited_for_as_long_as_the_server_does() {
    on_every_version(|programs| {
        let conf = "authentication_timeout = 4s\n";
        let stage = Stage::with(Cluster::builder().programs(programs).conf(conf));
        stage.configure(&EVERYTHING);
        stage.client("alice");
        let _stalled = Stalled::at(&stage);
        let began = Instant::now();
        let report = Revoking::alice(&stage).report();
        assert_eq!(report["problems"], serde_json::json!([]), "{programs}");
        assert!(began.elapsed() > Duration::from_secs(2), "{programs}");
        // With nobody on the way there is nobody to wait for; the server's other processes do not count.
        let began = Instant::now();
        revoke(&stage, 0, &["alice"]);
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{programs}: {:?}",
            began.elapsed()
        );
    });
}

#[test]
fn nobody_is_waited_for_where_sessions_are_kept() {
    let stage = Stage::configured(&EVERYTHING);
    let alice = stage.conninfo(&stage.client("alice"), "alice", &[]);
    let mut hers = LongSession::begin(&stage, &alice, "hers");
    let _stalled = Stalled::at(&stage);
    let began = Instant::now();
    let report = revoke(&stage, 0, &["alice", "--keep-sessions"]);
    assert_eq!(report["ended"], serde_json::json!([]));
    is_refused(&stage, &alice);
    assert!(!hers.is_over());
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

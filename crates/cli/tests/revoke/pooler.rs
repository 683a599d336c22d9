//! PgBouncer before a server: it checks clients' certificates, and no CRL.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgpki_testing::await_that;

use crate::fixture::{EVERYTHING, Stage};
use crate::stage::{revoke, the_place};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One that runs, until it is dropped.
struct PgBouncer {
    process: Child,
    port: u16,
}

impl PgBouncer {
    /// Before the server, with the same certificate and the same root.
    fn before(stage: &Stage) -> Self {
        let folder = stage.scene.path("pooler");
        fs::create_dir(&folder).unwrap();
        let owner = stage.cluster.owner();
        owner.take(&folder).unwrap();
        let (port, behind) = (free_port(), stage.cluster.port());
        let live = stage.scene.tls().join("current");
        let (live, own) = (live.display(), folder.display());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir = {own}\nauth_type = any\nlogfile = {own}/log\nclient_tls_sslmode = verify-full\n\
             client_tls_cert_file = {live}/server.crt\nclient_tls_key_file = {live}/server.key\n\
             client_tls_ca_file = {live}/root.crt\nserver_login_retry = 1\n"
        );
        let file = folder.join("pgbouncer.ini");
        stage.write(&file, settings);
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.arg("--quiet").arg(&file);
        if !owner.is_caller() {
            command.uid(owner.uid).gid(owner.gid);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let pooler = Self { process, port };
        await_that("PgBouncer", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        pooler
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_pooler_that_checks_no_list_is_found_out() {
    let stage = Stage::configured(&EVERYTHING);
    stage.client("alice");
    let pooler = PgBouncer::before(&stage);
    let settings = stage.scene.home().join("pgpki.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let (process, port) = (pooler.process.id(), pooler.port);
    let entry = format!(
        "\n[[reload]]\ncommand = [\"kill\", \"-HUP\", \"{process}\"]\nprove = \"127.0.0.1:{port}\"\n"
    );
    fs::write(&settings, text + &entry).unwrap();
    let report = revoke(&stage, 1, &["alice"]);
    let place = the_place(&report);
    assert_eq!(place["outcome"], "not-enforced", "{report}");
    assert_eq!(place["proven"].as_array().unwrap().len(), 1, "{report}");
    let why = place["not_proven"][0].as_str().unwrap();
    assert!(
        why.contains(&port.to_string()) && why.contains("it accepts what the CRLs list"),
        "{why}"
    );
    // That is how it is, each day.
    assert_eq!(stage.rotate(0, &[])["places"], serde_json::json!([]));
}

//! PgBouncer between a client and the server: the certificate is its own.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgpki_testing::{Owner, ServerPrograms, holds_within, run};

use crate::cases::{Case, Trial, WHO_AM_I, alone};
use crate::roles::has_no_control;
use crate::stage::{free_port, text};

/// How long it may take to start, and to connect.
const PATIENCE: Duration = Duration::from_secs(20);

/// One that runs, until it is dropped.
struct PgBouncer(Child);

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The printed lines at the end of what PgBouncer needs to run at all. It takes no section twice, and
/// so neither does what comes first.
fn settings(folder: &Path, port: u16, printed: &str) -> String {
    let folder = text(folder);
    format!(
        "{printed}listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {folder}\n\
         auth_type = any\nlogfile = {folder}/log\nserver_login_retry = 1\nserver_connect_timeout = 10\n"
    )
}

fn started(folder: &Path, port: u16, case: &Case) -> PgBouncer {
    let owner = Owner::of_new_clusters().unwrap();
    owner.take(folder).unwrap();
    fs::write(
        folder.join("pgbouncer.ini"),
        settings(folder, port, &case.snippet),
    )
    .unwrap();
    let mut command = Command::new("/usr/sbin/pgbouncer");
    command.arg("--quiet").arg(folder.join("pgbouncer.ini"));
    if !owner.is_caller() {
        command.uid(owner.uid).gid(owner.gid);
    }
    let errors = fs::File::create(folder.join("errors")).unwrap();
    command.stdout(Stdio::null()).stderr(errors);
    let child = alone(&mut command, folder).spawn().unwrap();
    PgBouncer(child)
}

/// What psql says through it, or PgBouncer's log of a server that it does not like: clients wait, and
/// it tries again.
fn ask(folder: &Path, port: u16, database: &str) -> String {
    let psql = ServerPrograms::find().unwrap().program("psql");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let is_listening = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    let is_up = holds_within(PATIENCE, is_listening);
    assert!(
        is_up,
        "{}\n{}\n{}",
        read("pgbouncer.ini"),
        read("errors"),
        read("log")
    );
    let mut psql = Command::new(psql);
    psql.args(["-XAtqc", WHO_AM_I, "-h", "127.0.0.1", "-U", "anybody"]);
    psql.args(["-p", &port.to_string(), "-d", database]);
    let mut psql = alone(&mut psql, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let refuses = || read("log").contains("TLS handshake error");
    let is_done = holds_within(PATIENCE, || psql.try_wait().unwrap().is_some() || refuses());
    let _ = psql.kill();
    let output = psql.wait_with_output().unwrap();
    assert!(is_done, "{}", read("log"));
    match output.status.success() {
        true => String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned(),
        false => format!("no {}", read("log")),
    }
}

/// What clients of PgBouncer call the database.
fn database(case: &Case) -> &str {
    let mut lines = case
        .snippet
        .lines()
        .skip_while(|line| *line != "[databases]");
    let (name, _) = lines.nth(1).unwrap().split_once(" = ").unwrap();
    name
}

#[test]
fn pgbouncer() {
    let trial = Trial::of("pgbouncer")
        .few()
        .by_a_server()
        .if_it(has_no_control);
    for case in trial.cases() {
        let folder = trial.stage.workshop();
        let port = free_port();
        let running = started(&folder, port, &case);
        let line = ask(&folder, port, database(&case));
        drop(running);
        case.judge(&line);
        run(Command::new("rm").arg("-r").arg(&folder));
    }
}

//! `[[reload]]`: what stands beside a server is told when an installation changes, and asked what
//! it serves.
#![allow(clippy::unwrap_used)]

mod systemd;

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pgpki_testing::Scene;

/// A stand-in for a connection pooler: PostgreSQL's SSLRequest, then TLS, with a certificate that
/// it loads anew on SIGHUP, as PgBouncer does. Told to be deaf, it never loads another one.
const POOLER: &str = r"
import signal, socket, ssl, sys
folder, deaf = sys.argv[1], len(sys.argv) > 2
def load(*_):
    global context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + '/server.crt', folder + '/server.key')
load()
signal.signal(signal.SIGHUP, signal.SIG_IGN if deaf else load)
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection = listener.accept()[0]
    try:
        connection.recv(8)
        connection.sendall(b'S')
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        pass
";

struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", POOLER])
            .arg(folder)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap();
        Self { process, port }
    }
}

impl Pooler {
    /// It is told by a signal, and proven.
    fn entry(&self) -> String {
        let (process, port) = (self.process.id(), self.port);
        format!("command = [\"kill\", \"-HUP\", \"{process}\"]\nprove = \"127.0.0.1:{port}\"")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(scene: &Scene, entry: &str) {
    let path = scene.home().join("pgpki.toml");
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "\n[[reload]]\n{entry}").unwrap();
}

fn current(scene: &Scene) -> String {
    let link = fs::read_link(scene.tls().join("current")).unwrap();
    link.to_str().unwrap().to_owned()
}

#[test]
fn a_pooler_is_told_through_its_pid_file_and_proven() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let pooler = Pooler::start(&scene.tls().join("current"), &[]);
    let pid_file = scene.path("pooler.pid");
    fs::write(&pid_file, format!("{}\n", pooler.process.id())).unwrap();
    settings(
        &scene,
        &format!(
            "installation = {:?}\npid_file = {pid_file:?}\nprove = \"127.0.0.1:{}\"",
            scene.tls(),
            pooler.port
        ),
    );
    assert_eq!(scene.pgpki("rotate"), "", "it serves what is installed");
    let report = scene.pgpki("rotate --force");
    let served = format!("pooler.pid at 127.0.0.1:{}", pooler.port);
    assert!(report.contains(&served), "{report}");
    assert_eq!(current(&scene), "g0002");

    // It has restarted: the number in the file is another one, and is read anew.
    drop(pooler);
    let pooler = Pooler::start(&scene.tls().join("current"), &[]);
    fs::write(&pid_file, format!("{}\n", pooler.process.id())).unwrap();
    let port = pooler.port;
    let toml = scene.home().join("pgpki.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let (before, after) = text.rsplit_once("127.0.0.1:").unwrap();
    let rest = after.split_once('"').unwrap().1;
    fs::write(&toml, format!("{before}127.0.0.1:{port}\"{rest}")).unwrap();
    assert!(scene.pgpki("rotate --force").contains("served by"));
}

#[test]
fn a_pooler_that_goes_on_serving_the_old_one_has_it_put_back() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let pooler = Pooler::start(&scene.tls().join("current"), &["deaf"]);
    settings(&scene, &pooler.entry());
    let output = scene.command(["rotate", "--force"]).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(report.contains("another certificate is served"), "{report}");
    assert!(
        report.contains("g0001 was put back, and is served"),
        "{report}"
    );
    assert_eq!(current(&scene), "g0001");
    let report = scene.pgpki("inspect");
    assert!(!report.contains("due"), "{report}");
}

/// The first is told of the new one, and fails when the old one is put back; those after it are told all the same.
#[test]
fn one_that_cannot_be_put_back_keeps_no_other_from_it() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let pooler = Pooler::start(&scene.tls().join("current"), &[]);
    let once = scene.path("once");
    settings(&scene, &format!("command = [\"mkdir\", {once:?}]"));
    settings(&scene, &pooler.entry());
    settings(&scene, "command = [\"false\"]");
    let output = scene.command(["rotate", "--force"]).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    let (_, after) = report.split_once("was put back").expect(&report);
    assert!(once.exists() && after.contains("mkdir"), "{report}");
    assert!(after.contains("false could not be told"), "{report}");
    assert_eq!(current(&scene), "g0001");

    let toml = scene.home().join("pgpki.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let without = |words: &str| {
        let entries: Vec<&str> = text.split("\n[[reload]]\n").collect();
        let kept: Vec<&str> = entries
            .into_iter()
            .filter(|it| !it.contains(words))
            .collect();
        kept.join("\n[[reload]]\n")
    };
    let without = without("mkdir").replace("command = [\"false\"]", "command = [\"true\"]");
    fs::write(&toml, without).unwrap();
    assert_eq!(
        scene.pgpki("rotate"),
        "",
        "the pooler serves what is installed"
    );
}

#[test]
fn a_command_gets_its_words_as_they_are() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let told = scene.path("told; touch elsewhere");
    settings(&scene, &format!("command = [\"touch\", {told:?}]"));
    let report = scene.pgpki("rotate --force");
    assert!(told.exists(), "{report}");
    assert!(!scene.path("elsewhere").exists());
    assert!(report.contains("was told"), "{report}");
    // Nothing is due, and so nobody is told.
    fs::remove_file(&told).unwrap();
    assert_eq!(scene.pgpki("rotate"), "");
    assert!(!told.exists());
}

#[test]
fn what_cannot_be_told_is_named_and_has_the_old_one_back() {
    for (entry, why) in [
        ("command = [\"false\"]", "ended with exit status: 1"),
        ("command = [\"/no/such/program\"]", "No such file"),
        ("pid_file = \"/no/such/file\"", "/no/such/file"),
        ("pid_file = \"/dev/null\"", "/dev/null"),
    ] {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        settings(&scene, entry);
        let output = scene.command(["rotate", "--force"]).output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(6), "{entry}: {output:?}");
        assert!(report.contains(why), "{entry}: {report}");
        assert_eq!(current(&scene), "g0001", "{entry}");
    }
}

/// 0 is every process of the group, -1 every process that there is.
#[test]
fn a_pid_file_never_means_more_than_one_process() {
    for number in ["0", "-1", "1", "", "x", "99999999999999999999"] {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        let file = scene.path("pid");
        fs::write(&file, number).unwrap();
        settings(&scene, &format!("pid_file = {file:?}"));
        let output = scene.command(["rotate", "--force"]).output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(6), "{number}: {output:?}");
        assert!(report.contains("not the number of a process"), "{report}");
    }
}

//! A cluster that demands certificates of everybody, and the authority that it has them from.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use pgpki_testing::{Cluster, Owner, Scene, run};
use serde_json::Value;

/// Done, or nothing to do.
pub(crate) const DONE: i32 = 0;
/// Something is left to do.
pub(crate) const FINDINGS: i32 = 1;
/// The command line is wrong.
pub(crate) const USAGE: i32 = 2;
/// It would have broken something.
pub(crate) const REFUSED: i32 = 3;
/// A passphrase that is wrong, for one.
pub(crate) const BAD_INPUT: i32 = 4;
/// It failed, and nothing has changed.
pub(crate) const FAILED: i32 = 5;

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) scene: Scene,
}

impl Stage {
    /// A running server that lets nobody in without a certificate.
    pub(crate) fn new() -> Self {
        Self::with(|scene| {
            scene.init("");
        })
    }

    /// The same, with an authority that `init` makes.
    pub(crate) fn with(init: impl FnOnce(&Scene)) -> Self {
        let builder = Cluster::builder().conf("log_connections = on\n");
        let cluster = builder.start().unwrap();
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        init(&scene);
        let stage = Self { cluster, scene };
        stage.configure();
        stage
    }

    /// The same, with an authority that has been there for as long as faketime's words say.
    pub(crate) fn since(when: &str) -> Self {
        Self::with(|scene| init_at(scene, when, &["--no-root-passphrase"]))
    }

    fn configure(&self) {
        let mut command = self.scene.command(["configure", "--pgdata"]);
        command.arg(self.cluster.data_dir()).arg("--install");
        command.arg(self.scene.tls());
        run(command.args(["--require-tls", "--client-certs", "all"]));
    }

    /// Stops and starts the server, which may be in use by other threads of the test.
    #[track_caller]
    pub(crate) fn restart(&self) {
        let mut pg_ctl = Command::new(self.cluster.programs().program("pg_ctl"));
        let owner = self.cluster.owner();
        if !owner.is_caller() {
            pg_ctl.uid(owner.uid).gid(owner.gid);
        }
        let data = self.cluster.data_dir();
        pg_ctl
            .current_dir("/")
            .env("LC_ALL", "C")
            .arg("-D")
            .arg(&data);
        pg_ctl.arg("-l").arg(data.join("log-of-pg_ctl"));
        run(pg_ctl.args(["-w", "-m", "fast", "restart"]));
    }

    /// Issues a certificate to a new role, and returns its folder.
    pub(crate) fn client(&self, role: &str) -> PathBuf {
        self.client_with(role, &[])
    }

    pub(crate) fn client_with(&self, role: &str, more: &[&str]) -> PathBuf {
        self.cluster.create_role(role, None, true);
        let args = ["issue-client", "--out", "clients", role];
        run(&mut self.scene.command(args.iter().chain(more)));
        self.scene.path("clients").join(role)
    }

    /// What somebody has taken to another machine: it stands still from now on.
    pub(crate) fn copied(&self, folder: &Path, name: &str) -> PathBuf {
        let copy = self.scene.path(name);
        run(Command::new("cp").arg("-a").args([folder, &*copy]));
        copy
    }

    /// The roots that the server's clients are checked against, PEM, the newest first.
    pub(crate) fn roots(&self) -> Vec<String> {
        blocks(&self.scene.tls().join("current/root.crt"))
    }

    /// A file with this one root: all that some client trusts.
    pub(crate) fn trust(&self, name: &str, root: &str) -> PathBuf {
        let file = self.scene.path(name);
        fs::write(&file, root).unwrap();
        file
    }

    /// The connection string of a role with the certificate in a folder, which trusts what is in `root`.
    pub(crate) fn conninfo(&self, role: &str, folder: &Path, root: &Path) -> String {
        let port = self.cluster.port();
        let (root, folder) = (root.display(), folder.display());
        format!(
            "host=localhost port={port} dbname=postgres user={role} sslmode=verify-full \
             sslrootcert={root} sslcert={folder}/postgresql.crt sslkey={folder}/postgresql.key"
        )
    }

    /// The same for a folder as it was handed over.
    pub(crate) fn own(&self, role: &str, folder: &Path) -> String {
        self.conninfo(role, folder, &folder.join("root.crt"))
    }

    #[track_caller]
    pub(crate) fn connects(&self, conninfo: &str) {
        let output = self.cluster.psql(conninfo, "select 6 * 7");
        let log = self.cluster.log();
        assert!(
            output.status.success() && output.stdout == b"42\n",
            "{conninfo}\n{output:?}\n{log}"
        );
    }

    /// Fails to connect, and returns what psql said.
    #[track_caller]
    pub(crate) fn keeps_out(&self, conninfo: &str) -> String {
        let output = self.cluster.psql(conninfo, "select 1");
        assert!(!output.status.success(), "it let in {conninfo}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A session that stays.
    pub(crate) fn session(&self, conninfo: &str) -> OpenSession {
        let mut psql = self.cluster.psql_command();
        psql.args(["-XAtq", "-d", conninfo])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut psql = psql.spawn().unwrap();
        let answers = BufReader::new(psql.stdout.take().unwrap());
        let mut session = OpenSession {
            psql,
            answers,
            pid: 0,
        };
        session.pid = session.ask("select pg_backend_pid()").parse().unwrap();
        session
    }

    /// Runs `rotate --json` with more arguments, which must end with `status`, and returns the report.
    #[track_caller]
    pub(crate) fn rotate(&self, status: i32, more: &[&str]) -> Value {
        self.json(status, &[&["rotate", "--json"], more].concat())
    }

    #[track_caller]
    pub(crate) fn json(&self, status: i32, args: &[&str]) -> Value {
        let output = self.scene.command(args).output().unwrap();
        let log = self.cluster.log();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{args:?}\n{output:?}\n{log}"
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must end with `status`, and returns what it said on both streams.
    #[track_caller]
    pub(crate) fn says(&self, status: i32, args: &[&str]) -> String {
        let output = self.scene.command(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    /// Who depends on the old root, as `--dry-run` has it.
    #[track_caller]
    pub(crate) fn left(&self, status: i32) -> Value {
        self.rotate(status, &["--root", "--finish", "--dry-run"])
    }

    /// Revokes every certificate that depends on the old root.
    #[track_caller]
    pub(crate) fn supersede_what_is_left(&self, more: &[&str]) {
        let left = self.left(FINDINGS);
        for leaf in left["certificates"].as_array().unwrap() {
            let serial = leaf["serial"].as_str().unwrap();
            let revoke = ["revoke", serial, "--reason", "superseded"];
            let revoke = revoke.iter().chain(more);
            let output = self.scene.command(revoke).output().unwrap();
            // A server elsewhere has not heard of it yet.
            let status = output.status.code();
            assert!(matches!(status, Some(DONE | FINDINGS)), "{output:?}");
        }
    }

    /// The home, and every file in it.
    pub(crate) fn home(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(&self.scene.home())
    }

    /// A plain rotation finds nothing to do, the server serves what is installed, and inspect finds nothing.
    #[track_caller]
    pub(crate) fn is_settled(&self) {
        assert_eq!(self.says(DONE, &["rotate"]), "");
        self.says(DONE, &["inspect"]);
        let tls = self.scene.tls();
        self.says(DONE, &["inspect", tls.to_str().unwrap()]);
    }
}

/// `init` by another clock, with an installation for whoever runs servers in tests.
pub(crate) fn init_at(scene: &Scene, when: &str, more: &[&str]) {
    let owner = Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let tls = scene.tls();
    let init = ["init", "localhost", "127.0.0.1", "--owner", &owner];
    let install = ["--install", tls.to_str().unwrap()];
    let args = [&init[..], &install, more].concat();
    run(&mut scene.command_at(when, args));
}

/// A session of psql's.
pub(crate) struct OpenSession {
    psql: Child,
    answers: BufReader<ChildStdout>,
    pub(crate) pid: i64,
}

impl OpenSession {
    #[track_caller]
    pub(crate) fn ask(&mut self, sql: &str) -> String {
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql};").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Whether the server has ended it.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.ask("select 'alive'") != "alive"
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        drop(self.psql.stdin.take());
        let _ = self.psql.wait();
    }
}

/// The PEM blocks of a file.
pub(crate) fn blocks(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let blocks = text.split_inclusive("-----END");
    let mut found = Vec::new();
    for block in blocks {
        let Some(begin) = block.find("-----BEGIN") else {
            continue;
        };
        let block = &block[begin..];
        let label = block.lines().next().unwrap();
        let end = label.replace("-----BEGIN", "");
        found.push(format!("{block}{end}\n"));
    }
    found
}

/// Every file below a directory, in order, with what is in it.
pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let kind = path.symlink_metadata().unwrap();
        match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => found.extend(files(&path)),
            (_, true) => {
                let target = fs::read_link(&path).unwrap();
                found.push((path, target.into_os_string().into_encoded_bytes()));
            }
            _ => {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found
}

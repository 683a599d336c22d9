//! The processes of a cluster that Patroni runs: its members, and the store by which they agree.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use pgpki_testing::{Owner, ServerPrograms, attempt, await_that, holds_within, run};

use crate::cases::alone;
use crate::stage::{free_port, text};

/// How long anything may take that Patroni does: it looks at its store once a second, tries some things
/// again after five, and the machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs until it is dropped, and all that it has started in its group.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, folder: &Path) -> Self {
        let owner = Owner::of_new_clusters().unwrap();
        run(Command::new("chown")
            .args(["-R", &format!("{}:{}", owner.uid, owner.gid)])
            .arg(folder));
        if !owner.is_caller() {
            command.uid(owner.uid).gid(owner.gid);
        }
        let log = folder.join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.current_dir(folder).process_group(0);
        Self(alone(command, folder).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// etcd: one node, for one cluster.
pub(super) struct Store {
    _etcd: Running,
    port: u16,
}

impl Store {
    pub(super) fn start(folder: &Path) -> Self {
        fs::create_dir(folder).unwrap();
        let [port, peers] = [free_port(), free_port()];
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(folder.join("data"));
        etcd.args(["--listen-client-urls", &url(port)]);
        etcd.args(["--advertise-client-urls", &url(port)]);
        etcd.args(["--listen-peer-urls", &url(peers)]);
        etcd.args(["--initial-advertise-peer-urls", &url(peers)]);
        etcd.args(["--initial-cluster", &format!("default={}", url(peers))]);
        let etcd = Running::start(&mut etcd, folder);
        let is_listening = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let is_up = holds_within(PATIENCE, is_listening);
        let log = fs::read_to_string(folder.join("log"));
        assert!(is_up, "{}", log.unwrap());
        Self { _etcd: etcd, port }
    }
}

/// One Patroni and its server, which are stopped when it is dropped.
pub(super) struct Member {
    patroni: Option<Running>,
    folder: PathBuf,
    port: u16,
}

/// Where a member listens, and with which files.
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    /// As in `listen`, several with commas.
    pub(super) addresses: &'a str,
    /// The one by which the others come.
    pub(super) reached_by: &'a str,
    pub(super) installation: &'a Path,
    /// What is printed for Patroni.
    pub(super) printed: &'a str,
}

impl Member {
    /// Its folder is made in `parent`.
    pub(super) fn start(parent: &Path, store: &Store, plan: &Plan<'_>) -> Self {
        let mut member = Self {
            patroni: None,
            folder: parent.join(plan.name),
            port: free_port(),
        };
        fs::create_dir(&member.folder).unwrap();
        fs::write(member.settings(), member.describe(store, plan)).unwrap();
        member.run();
        member
    }

    /// The whole of patroni.yml: the printed part is followed by the rest of its section.
    fn describe(&self, store: &Store, plan: &Plan<'_>) -> String {
        let Plan {
            name,
            addresses,
            reached_by,
            printed,
            ..
        } = plan;
        let (folder, current) = (text(&self.folder), text(&plan.installation.join("current")));
        let (port, rest, store) = (self.port, free_port(), store.port);
        let programs = programs();
        let programs = programs.display();
        format!(
            "scope: stage\nname: {name}\netcd3:\n  host: 127.0.0.1:{store}\n\
             restapi:\n  listen: 127.0.0.1:{rest}\n  connect_address: 127.0.0.1:{rest}\n\
             bootstrap:\n  dcs:\n    ttl: 20\n    loop_wait: 1\n    retry_timeout: 3\n    \
             postgresql:\n      use_pg_rewind: true\n  initdb: [encoding: UTF8, no-sync]\n\
             {printed}\
             \x20 listen: {addresses}:{port}\n  connect_address: {reached_by}:{port}\n  \
             data_dir: {folder}/data\n  bin_dir: {programs}\n  pgpass: {folder}/pgpass\n  \
             use_unix_socket: true\n  parameters:\n    unix_socket_directories: {folder}\n    \
             fsync: off\n    log_connections: on\n    wal_retrieve_retry_interval: 100ms\n    \
             ssl: on\n    ssl_cert_file: {current}/server.crt\n    \
             ssl_key_file: {current}/server.key\n    ssl_ca_file: {current}/root.crt\n    \
             ssl_crl_file: {current}/root.crl\n  pg_hba:\n  - local all postgres trust\n  \
             - hostssl replication all all cert\n  - hostssl all all all cert\n"
        )
    }

    /// Starts it, again if it was stopped.
    pub(super) fn run(&mut self) {
        let mut patroni = Command::new("patroni");
        patroni.arg(self.settings());
        self.patroni = Some(Running::start(&mut patroni, &self.folder));
    }

    /// Stops it and its server in order, which hands the leadership on.
    pub(super) fn stop(&mut self) {
        let mut patroni = self.patroni.take().unwrap();
        kill(patroni.pid(), Signal::SIGTERM).unwrap();
        await_that("Patroni stops", PATIENCE, || {
            patroni.0.try_wait().unwrap().is_some()
        });
        assert!(!self.postmaster().exists(), "{}", self.log());
    }

    /// Has it read its settings again, in which something was replaced.
    pub(super) fn tell(&self, from: &str, to: &str) {
        let settings = fs::read_to_string(self.settings()).unwrap();
        assert!(settings.contains(from), "{settings}");
        fs::write(self.settings(), settings.replace(from, to)).unwrap();
        kill(self.patroni.as_ref().unwrap().pid(), Signal::SIGHUP).unwrap();
    }

    /// What its server answers, or nothing while it does not.
    pub(super) fn ask(&self, sql: &str) -> String {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["-XAtqc", sql, "-U", "postgres", "-h"]);
        psql.arg(&self.folder).args(["-p", &self.port.to_string()]);
        let output = attempt(alone(&mut psql, &self.folder));
        let output = output.map(|it| it.stdout).unwrap_or_default();
        String::from_utf8(output).unwrap().trim_end().to_owned()
    }

    /// Changes its stopped server as nobody else does.
    pub(super) fn change_alone(&self, sql: &str) {
        let script = self.folder.join("script.sql");
        fs::write(&script, sql).unwrap();
        let owner = Owner::of_new_clusters().unwrap();
        let mut postgres = Command::new(programs().join("postgres"));
        postgres.arg("--single").arg("-D").arg(self.data());
        postgres.arg("postgres").current_dir(&self.folder);
        if !owner.is_caller() {
            postgres.uid(owner.uid).gid(owner.gid);
        }
        let postgres = alone(&mut postgres, &self.folder);
        run(postgres.stdin(Stdio::from(File::open(script).unwrap())));
    }

    /// What Patroni and its server have said so far, in one.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Waits until one of the two says this; what they said before `from`, in octets, does not count.
    #[track_caller]
    pub(super) fn await_word(&self, word: &str, from: usize) {
        let has_said = || self.log()[from..].contains(word);
        assert!(
            holds_within(PATIENCE, has_said),
            "{word:?} is not in {}",
            self.log()
        );
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("patroni.yml")
    }

    fn postmaster(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.patroni.take());
        // Without Patroni its server goes on.
        let server = fs::read_to_string(self.postmaster()).unwrap_or_default();
        let pid = server.lines().next().and_then(|line| line.parse().ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
            holds_within(PATIENCE, || !self.postmaster().exists());
        }
    }
}

/// The folder with all programs that Patroni runs, those of clients too, which not every build has.
fn programs() -> PathBuf {
    let rewind = ServerPrograms::find().unwrap().program("pg_rewind");
    rewind.parent().unwrap().to_owned()
}

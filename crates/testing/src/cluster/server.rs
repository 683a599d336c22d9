//! The server process of a cluster.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Cluster;
use crate::awaiting::holds_within;
use crate::judges::attempt;

/// Far beyond what starting, stopping or reloading takes on a busy machine: only something that
/// hangs gets there.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to start anew when somebody else has taken the port that was free a moment ago.
const PORTS_TO_TRY: u32 = 10;

/// How a server is stopped; PostgreSQL's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, and everything is written: what `pg_ctl stop` does.
    Fast,
    /// The server aborts without writing anything more, as in a crash.
    Immediate,
}

/// A postmaster that we have started, as a child of ours: no other process can have its pid before
/// we have seen its end.
#[derive(Debug)]
pub(super) struct Server {
    postmaster: Child,
}

/// Why a server did not start.
enum StartFailure {
    /// Another process listens on the port.
    PortTaken,
    /// Anything else, in words.
    Other(String),
}

impl Cluster {
    /// Starts the server and waits until it answers. The error holds what the server logged. A
    /// server that runs already is left as it is.
    pub fn start(&mut self) -> Result<(), String> {
        if self.is_running() {
            return Ok(());
        }
        for _ in 0..PORTS_TO_TRY {
            match self.launch() {
                Ok(server) => {
                    self.server = Some(server);
                    self.port_is_unknown_outside = false;
                    return Ok(());
                }
                Err(StartFailure::PortTaken) if self.port_is_unknown_outside => {
                    self.choose_another_port()?
                }
                Err(StartFailure::PortTaken) => {
                    return Err(format!(
                        "port {} was taken while the server was down",
                        self.port
                    ));
                }
                Err(StartFailure::Other(text)) => return Err(text),
            }
        }
        Err(format!(
            "{PORTS_TO_TRY} ports in a row were taken by others"
        ))
    }

    /// Stops the server and waits until it is gone. A server that does not run is no error.
    pub fn stop(&mut self, mode: Shutdown) -> Result<(), String> {
        match self.server.take() {
            Some(server) => server
                .stop(mode)
                .map_err(|failure| format!("{failure}\n{}", self.log())),
            None => Ok(()),
        }
    }

    /// Stops the server if it runs, ending its sessions, and starts it again on the same port.
    pub fn restart(&mut self) -> Result<(), String> {
        self.stop(Shutdown::Fast)?;
        self.start()
    }

    /// Whether the server runs.
    pub fn is_running(&mut self) -> bool {
        self.server
            .as_mut()
            .is_some_and(|server| server.exit_status().is_none())
    }

    /// Makes the server read its configuration again and waits until every *new* session sees the
    /// result. The error holds what the server logged when it refused any of it: `pg_reload_conf()`
    /// and `pg_ctl reload` do not tell.
    pub fn reload(&mut self) -> Result<(), String> {
        let seen = self.log().len();
        let server = self
            .server
            .as_ref()
            .ok_or("the server does not run, so it cannot reload")?;
        server.signal(Signal::SIGHUP);
        if !holds_within(PATIENCE, || {
            self.log_since(seen).contains("received SIGHUP")
        }) {
            return Err(format!("the server did not notice SIGHUP\n{}", self.log()));
        }
        // The postmaster logs that line first, then reads all of its files, and only then takes
        // another connection: a session that begins now begins after the reload.
        attempt(&mut self.superuser_command("select 1"))?;
        let logged = self.log_since(seen);
        let refused = [
            "was not reloaded",
            "contains errors",
            "changes were not applied",
        ];
        if refused.iter().any(|words| logged.contains(words)) {
            Err(logged)
        } else {
            Ok(())
        }
    }

    /// Everything that the server has logged since the cluster was made.
    pub fn log(&self) -> String {
        // There is none before the first start.
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_since(&self, seen: usize) -> String {
        self.log().get(seen..).unwrap_or_default().to_owned()
    }

    fn launch(&self) -> Result<Server, StartFailure> {
        let seen = self.log().len();
        let mut server = self.spawn().map_err(StartFailure::Other)?;
        let pid_file = self.data_dir().join("postmaster.pid");
        let settled = holds_within(PATIENCE, || {
            server.exit_status().is_some() || says_ready(&pid_file, server.pid())
        });
        let logged = self.log_since(seen);
        // A server that gets one of two addresses is content with it; we are not.
        let port_taken = ["could not bind", "could not create listen socket"]
            .iter()
            .any(|it| logged.contains(it));
        let exited = server.exit_status();
        if settled && exited.is_none() && !port_taken {
            return Ok(server);
        }
        // It is of no use any more, and its end says nothing new.
        let _ = server.stop(Shutdown::Immediate);
        Err(match (port_taken, exited) {
            (true, _) => StartFailure::PortTaken,
            (false, Some(status)) => {
                StartFailure::Other(format!("PostgreSQL did not start ({status}):\n{logged}"))
            }
            (false, None) => StartFailure::Other(format!(
                "PostgreSQL was not ready after {PATIENCE:?}:\n{logged}"
            )),
        })
    }

    fn spawn(&self) -> Result<Server, String> {
        let log = self
            .open_log()
            .map_err(|error| format!("cannot open the server's log: {error}"))?;
        let errors = log
            .try_clone()
            .map_err(|error| format!("cannot open the server's log: {error}"))?;
        let mut command = self.server_command("postgres");
        command
            .arg("-D")
            .arg(self.data_dir())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        // Ctrl-C at the terminal is for us: we end the server ourselves, in an order that leaves
        // nothing behind.
        command.process_group(0);
        let postmaster = command
            .spawn()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        Ok(Server { postmaster })
    }

    fn open_log(&self) -> std::io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log_file())
    }

    /// A test may have restarted the server with `pg_ctl`; then its postmaster is not the one that
    /// we started.
    fn end_a_strangers_postmaster(&self) {
        let pid_file = self.data_dir().join("postmaster.pid");
        let Some(pid) = first_line(&pid_file)
            .and_then(|line| line.parse().ok())
            .map(Pid::from_raw)
        else {
            return;
        };
        // The file may be left from a crash, and the pid may be another program's by now.
        let runs_here =
            || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.data_dir());
        for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
            if runs_here() {
                let _ = kill(pid, signal);
                holds_within(Duration::from_secs(10), || !runs_here());
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The directory goes away next: how the server ended is of no interest.
        let _ = self.stop(Shutdown::Immediate);
        self.end_a_strangers_postmaster();
    }
}

impl Server {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.postmaster.id().cast_signed())
    }

    fn exit_status(&mut self) -> Option<ExitStatus> {
        self.postmaster.try_wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        match kill(self.pid(), signal) {
            // It has ended by itself; whoever waits for it will see that.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("cannot send {signal} to the server: {error}"),
        }
    }

    fn stop(mut self, mode: Shutdown) -> Result<(), String> {
        self.signal(match mode {
            Shutdown::Fast => Signal::SIGINT,
            Shutdown::Immediate => Signal::SIGQUIT,
        });
        if holds_within(PATIENCE, || self.exit_status().is_some()) {
            return Ok(());
        }
        self.signal(Signal::SIGKILL);
        self.postmaster.wait().unwrap();
        Err(format!(
            "the server had not stopped after {PATIENCE:?} and was killed"
        ))
    }
}

/// The eighth line of `postmaster.pid` is the server's state, padded with spaces.
fn says_ready(pid_file: &Path, pid: Pid) -> bool {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
}

fn first_line(path: &Path) -> Option<String> {
    fs::read_to_string(path)
        .ok()?
        .lines()
        .next()
        .map(str::to_owned)
}

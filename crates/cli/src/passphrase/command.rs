//! A passphrase that a command prints, as `ssl_passphrase_command` of PostgreSQL does ("SSL" in "Connections and
//! Authentication"). What it prints is never repeated, whatever is wrong with it.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use zeroize::Zeroizing;

use super::{MAX_BYTES, Passphrase, first_line};
use crate::exit::{Exit, Failure};

/// How long it may take. Somebody may have to touch a token; nobody types into it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at a command that has closed its output.
const PAUSE: Duration = Duration::from_millis(10);

/// The first line that a command prints.
pub(super) fn from_command(command: &str) -> Result<Passphrase, Failure> {
    let said = run(command, PATIENCE);
    said.map_err(|what| {
        Failure::new(Exit::BadInput, format!("{command:?} {what}"))
            .hint("Its first line of output must be the passphrase")
    })
}

fn run(command: &str, patience: Duration) -> Result<Passphrase, String> {
    let deadline = Instant::now() + patience;
    let child = begin(command);
    let child = child.map_err(|error| format!("could not be run: {error}"))?;
    let mut running = Running {
        child,
        has_ended: false,
    };
    let late = || format!("took longer than {} s", patience.as_secs());
    let output = running.child.stdout.take();
    let output = output.ok_or("could not be run: it has no output")?;
    let bytes = read(output, deadline)?.ok_or_else(late)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("printed more than {MAX_BYTES} bytes"));
    }
    let status = running.wait(deadline)?.ok_or_else(late)?;
    if !status.success() {
        return Err(format!("ended with {status}"));
    }
    first_line(&bytes).ok_or_else(|| "printed no passphrase: its first line is empty".to_owned())
}

/// In a process group of its own, so that it can be ended with all that it has begun; and in a session of its own (setsid(1)), so
/// that whatever would ask at the terminal is told that there is none. The terminal stops those who read from it in another group
/// than its own, and nobody would see why.
fn begin(command: &str) -> io::Result<Child> {
    let spawn = |program: &mut Command| {
        let program = program.stdin(Stdio::null()).stdout(Stdio::piped());
        program.spawn()
    };
    let shell = ["sh", "-c", command];
    match spawn(Command::new("setsid").args(shell)) {
        // A system without util-linux.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            spawn(Command::new("sh").args(&shell[1..]).process_group(0))
        }
        spawned => spawned,
    }
}

/// All that it prints, or one byte more than it may; nothing if that takes too long.
fn read(output: ChildStdout, deadline: Instant) -> Result<Option<Passphrase>, String> {
    let (send, receive) = mpsc::channel();
    let reading = move || {
        // Room for everything at once: a buffer that grows leaves copies behind.
        let room = usize::try_from(MAX_BYTES).unwrap_or_default() + 64;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        let read = output.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        // Nobody listens any more once it took too long.
        let _ = send.send(read.map(|_| bytes));
    };
    thread::Builder::new()
        .spawn(reading)
        .map_err(|error| format!("could not be listened to: {error}"))?;
    let left = deadline.saturating_duration_since(Instant::now());
    match receive.recv_timeout(left) {
        Ok(Ok(bytes)) => Ok(Some(bytes)),
        Ok(Err(error)) => Err(format!("could not be read: {error}")),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
    }
}

/// A command that does not outlive the wait for it, nor does what it has begun.
struct Running {
    child: Child,
    /// Whether it was waited for: then its number may be another's.
    has_ended: bool,
}

impl Running {
    fn wait(&mut self, deadline: Instant) -> Result<Option<ExitStatus>, String> {
        loop {
            let ended = self.child.try_wait();
            match ended.map_err(|error| format!("could not be waited for: {error}"))? {
                Some(status) => {
                    self.has_ended = true;
                    return Ok(Some(status));
                }
                None if Instant::now() >= deadline => return Ok(None),
                None => thread::sleep(PAUSE),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // The shell itself may have gone, and what it has begun not. It is gone already, or cannot be ended; either way
        // nobody waits for it.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        // It may not have come so far as to have a group.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pgpki_testing::await_that;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn its_first_line_is_the_passphrase() {
        for command in [
            "echo 'correct horse'",
            "printf 'correct horse\\r\\nmore\\n'",
            "printf 'correct horse'",
        ] {
            let said = run(command, LONG);
            assert_eq!(said.unwrap().as_slice(), b"correct horse", "{command}");
        }
    }

    #[test]
    fn what_it_says_is_in_no_error() {
        for (command, why) in [
            ("echo secret; exit 3", "ended with exit status: 3"),
            ("echo secret; kill -9 $$", "ended with signal: 9"),
            ("printf '\\nsecret\\n'", "its first line is empty"),
            ("true", "its first line is empty"),
            (
                "exec no-such-program secret 2>/dev/null",
                "ended with exit status: 127",
            ),
            (
                "while true; do echo secret; done",
                "printed more than 4096 bytes",
            ),
        ] {
            let error = run(command, LONG).unwrap_err();
            assert!(error.contains(why), "{command}: {error}");
            assert!(!error.contains("secret"), "{command}: {error}");
        }
    }

    #[test]
    fn it_is_not_waited_for_for_ever() {
        let begun = Instant::now();
        for command in ["sleep 60", "sleep 60 & echo here", "exec >&-; sleep 60"] {
            let error = run(command, Duration::from_secs(1)).unwrap_err();
            assert!(error.contains("took longer than 1 s"), "{command}: {error}");
        }
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    }

    /// The shell has ended, and what it has begun holds its output, or goes on writing whether anybody reads it or not.
    #[test]
    fn what_it_has_begun_ends_with_it() {
        let place = tempfile::tempdir().unwrap();
        let hold = "sleep 60";
        let flood = "trap \"\" PIPE; while true; do echo secret; done 2>/dev/null";
        for (begun, patience) in [(hold, Duration::from_secs(1)), (flood, LONG)] {
            let file = place.path().join("pid");
            let command = format!("sh -c 'echo $$ >\"$0\"; {begun}' '{}' &", file.display());
            run(&command, patience).unwrap_err();
            let pid = std::fs::read_to_string(&file).unwrap();
            let runs = || {
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
                // Whoever is its parent now may not have asked for it yet.
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            };
            await_that("the end of what it has begun", LONG, || !runs());
        }
    }
}

//! What stands beside a server and reads the same files: a connection pooler, a proxy.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgpki_authority::settings::{Reload, Tell};
use pgpki_postgres::probe::{ClientCredential, Target};
use pgpki_postgres::{refusal, reload};

/// How long a command may take to tell a program. `systemctl reload` waits for the program.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a command or a program.
const PAUSE: Duration = Duration::from_millis(50);

/// More than any PID file takes, in bytes.
const MAX_PID_FILE: u64 = 4096;

/// Between telling a program and the first connection that sees it there is no telling how long it
/// takes, so that it is asked again until this has passed.
const ONE_QUESTION: Duration = Duration::from_secs(5);

/// What to call it.
pub(super) fn name(tell: &Tell) -> String {
    match tell {
        Tell::Unit(unit) => unit.clone(),
        Tell::PidFile(file) => file.display().to_string(),
        Tell::Command(words) => words.join(" "),
    }
}

/// Tells a program to reload.
pub(super) fn tell(tell: &Tell) -> Result<(), String> {
    let told = match tell {
        Tell::Unit(unit) => run(Command::new("systemctl").args(["reload", "--", unit])),
        Tell::PidFile(file) => signal(file),
        Tell::Command(words) => match &words[..] {
            [program, arguments @ ..] => run(Command::new(program).args(arguments)),
            [] => Err("the command is empty".to_owned()),
        },
    };
    told.map_err(|reason| format!("{} could not be told to reload: {reason}", name(tell)))
}

fn signal(file: &Path) -> Result<(), String> {
    let bytes = pgpki_fs::read_bounded(file, MAX_PID_FILE).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok());
    match pid {
        // 1 is init, and what is below means whole groups of processes.
        Some(pid) if pid > 1 => {
            kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|error| error.desc().to_owned())
        }
        _ => Err("its first line is not the number of a process".to_owned()),
    }
}

/// Runs a command to its end, or ends it when it takes too long.
fn run(command: &mut Command) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error: io::Error| error.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it ended with {status}")),
            None if Instant::now() >= deadline => {
                // It is gone already, or cannot be ended; either way nobody waits for it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", PATIENCE.as_secs()));
            }
            None => thread::sleep(PAUSE),
        }
    }
}

/// Asks a program for the chain that is installed, until it serves it or `patience` is over.
/// Nothing where the settings do not say where to ask.
pub(super) fn ask(
    entry: &Reload,
    chain: &[Vec<u8>],
    patience: Duration,
) -> Result<Option<String>, String> {
    let Some((server, target)) = proven_at(entry)? else {
        return Ok(None);
    };
    let deadline = Instant::now() + patience;
    for endpoint in &target.endpoints {
        while let Err(error) = reload::ask_once(endpoint, chain, Instant::now() + ONE_QUESTION) {
            if Instant::now() + PAUSE >= deadline {
                return Err(format!("{}: {error}", name(&entry.tell)));
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(Some(server))
}

/// What to call a program where it is asked, and where that is.
fn proven_at(entry: &Reload) -> Result<Option<(String, Target)>, String> {
    let Some(place) = &entry.prove else {
        return Ok(None);
    };
    let wrong = |reason| format!("pgpki.toml, [[reload]], prove = {place:?}: {reason}");
    let target = place.parse().map_err(|error| wrong(format!("{error}")))?;
    Ok(Some((format!("{} at {place}", name(&entry.tell)), target)))
}

/// Comes to a program with a certificate that was revoked: what it is called, and whether it refuses it for that wherever
/// it is asked. Nothing where that is not known.
pub(super) fn refuses(entry: &Reload, revoked: &ClientCredential) -> Option<(String, bool)> {
    let (server, target) = proven_at(entry).ok()??;
    let endpoints = target.endpoints.iter();
    let answers: Option<Vec<bool>> = endpoints
        .map(|endpoint| refusal::refuses(endpoint, revoked, Duration::ZERO))
        .collect();
    Some((server, answers?.into_iter().all(|refuses| refuses)))
}

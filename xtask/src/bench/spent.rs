//! What one program took of the machine. A process of its own runs it and nothing else, so that
//! "all my children" means just that program.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use super::said;
use crate::running::Failure;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often
    times: u32,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What it took.
pub(super) struct Spent {
    /// From start to end.
    pub(super) wall: Duration,
    /// Processor time, user and system.
    pub(super) cpu: Duration,
    /// The most memory at any time, in KiB.
    pub(super) memory: u64,
}

/// Runs the program and prints microseconds of wall clock, of processor time, and KiB of memory.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let [program, arguments @ ..] = args.command.as_slice() else {
        return Err(Failure::Said("no program".to_owned()));
    };
    let started = Instant::now();
    for run in 0..args.times {
        let arguments = arguments.iter().map(|argument| numbered(argument, run));
        // 1 is what `inspect` says of findings.
        let status = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(said)?;
        if !matches!(status.code(), Some(0 | 1)) {
            return Err(Failure::Said(format!("{program:?} failed: {status}")));
        }
    }
    let wall = started.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(said)?;
    let cpu = [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum::<i64>();
    println!("{} {cpu} {}", wall.as_micros(), usage.max_rss());
    Ok(())
}

/// `{}` becomes something that no other run has.
fn numbered(argument: &OsString, run: u32) -> OsString {
    match argument.to_str() {
        Some(text) => text
            .replace("{}", &format!("{}-{run}", std::process::id()))
            .into(),
        None => argument.clone(),
    }
}

/// What `times` runs of a program took, each on average; the memory is the largest of them.
pub(super) fn measure(
    times: u32,
    program: &Path,
    arguments: &[OsString],
) -> Result<Spent, Failure> {
    let output = Command::new(std::env::current_exe().map_err(said)?)
        .args(["spent", &times.to_string()])
        .arg(program)
        .args(arguments)
        .output()
        .map_err(said)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    let [wall, cpu, memory] = numbers[..] else {
        return Err(Failure::Said(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    };
    let each = |total| Duration::from_micros(total) / times;
    Ok(Spent {
        wall: each(wall),
        cpu: each(cpu),
        memory,
    })
}

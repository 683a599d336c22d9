//! strace(1): which system calls a run makes, and the same run with one of them failing or killed.
//!
//! strace counts calls for each thread. So every run is bound to one processor, where pgpki starts
//! no second thread: then the n-th call of a run is the same in the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::fixture::{Fixture, finish};

/// All that has to do with files but `close`, whose result nobody looks at, `access`, which only
/// the dynamic loader calls, and `mmap`, which SQLite is not told to use.
const CALLS: &str = "openat,openat2,open,creat,mkdir,mkdirat,write,writev,pwrite64,ftruncate,\
    fallocate,fsync,fdatasync,syncfs,rename,renameat,renameat2,symlink,symlinkat,unlink,unlinkat,\
    rmdir,link,linkat,chown,fchown,fchownat,lchown,chmod,fchmod,fchmodat,fchmodat2,flock,fcntl,\
    fstat,newfstatat,statx,getdents64,read,pread64,lseek,readlink,readlinkat";

/// A call that a run made: the `number`-th of its name, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) number: usize,
    /// What strace wrote about it.
    pub(crate) line: String,
}

impl Call {
    /// Whether a filesystem is another one after it, or is safe on disk after it.
    pub(crate) fn changes(&self) -> bool {
        match &*self.name {
            "openat" | "open" => self.line.contains("O_CREAT"),
            "write" | "writev" => !self.writes_a_report(),
            "pwrite64" | "ftruncate" | "fallocate" | "fsync" | "fdatasync" | "syncfs" | "mkdir"
            | "mkdirat" | "rename" | "renameat" | "renameat2" | "symlink" | "symlinkat"
            | "unlink" | "unlinkat" | "rmdir" | "link" | "linkat" | "chown" | "fchown"
            | "fchownat" | "lchown" | "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "creat" => {
                true
            }
            _ => false,
        }
    }

    /// Whether it makes what was done before it durable, and nothing else.
    pub(crate) fn only_syncs(&self) -> bool {
        matches!(&*self.name, "fsync" | "fdatasync" | "syncfs")
    }

    /// To standard output or error.
    pub(crate) fn writes_a_report(&self) -> bool {
        self.name.starts_with("write") && (self.line.contains("(1, ") || self.line.contains("(2, "))
    }

    /// Whether it can fail at all: `F_GETFD` and its like are the standard library's own checks
    /// of its descriptors, in debug builds only.
    fn can_fail(&self) -> bool {
        self.name != "fcntl" || self.line.contains("LK")
    }

    /// How it fails on a real machine.
    pub(crate) fn errno(&self) -> &'static str {
        match &*self.name {
            "write" | "writev" | "pwrite64" | "mkdir" | "mkdirat" | "symlink" | "symlinkat"
            | "link" | "linkat" | "ftruncate" | "fallocate" => "ENOSPC",
            "openat" | "open" if self.changes() => "ENOSPC",
            "openat" | "openat2" | "open" => "EACCES",
            "fchown" | "chown" | "fchownat" | "fchmod" | "chmod" | "fchmodat" => "EPERM",
            "unlink" | "unlinkat" => "EACCES",
            "flock" => "ENOLCK",
            _ => "EIO",
        }
    }
}

/// What is done to a run.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This call does nothing and fails.
    Fails(Call),
    /// From the first one on, every call that changes a filesystem fails, as on one that the kernel
    /// has made read-only after an error. Each of these is the first of its name to fail.
    FailsFromHere {
        first: Call,
        all: Vec<(String, usize)>,
    },
    /// The process is killed when it makes this call, which does nothing.
    Kills(Call),
}

impl Fault {
    pub(crate) fn describe(&self) -> String {
        let (what, call) = match self {
            Self::Fails(call) => (call.errno(), call),
            Self::FailsFromHere { first, .. } => ("EROFS from here on", first),
            Self::Kills(call) => ("SIGKILL", call),
        };
        format!("{what} at {} {}: {}", call.name, call.number, call.line)
    }

    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Fails(call) => vec![format!(
                "{}:error={}:when={}",
                call.name,
                call.errno(),
                call.number
            )],
            Self::FailsFromHere { all, .. } => all
                .iter()
                .map(|(name, number)| format!("{name}:error=EROFS:when={number}+"))
                .collect(),
            Self::Kills(call) => vec![format!("{}:signal=SIGKILL:when={}", call.name, call.number)],
        }
    }

    fn names(&self) -> String {
        match self {
            Self::Fails(call) | Self::Kills(call) => call.name.clone(),
            Self::FailsFromHere { all, .. } => {
                let names: Vec<&str> = all.iter().map(|(name, _)| &**name).collect();
                names.join(",")
            }
        }
    }
}

/// One fault after the other for every call that changes something from there on; for calls that
/// open, strace cannot tell those that make a file from those that read one, so they go on.
pub(crate) fn failing_from(calls: &[Call], index: usize) -> Fault {
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls[..index] {
        *before.entry(&call.name).or_default() = call.number;
    }
    let names: std::collections::BTreeSet<&str> = calls
        .iter()
        .filter(|call| call.changes() && !call.name.starts_with("open"))
        // What is written through `write` may be the report, which goes somewhere else.
        .filter(|call| call.name != "write")
        .map(|call| &*call.name)
        .collect();
    let all = names
        .into_iter()
        .map(|name| {
            let number = before.get(name).copied().unwrap_or(0);
            (name.to_owned(), number + 1)
        })
        .collect();
    Fault::FailsFromHere {
        first: calls[index].clone(),
        all,
    }
}

/// The calls of a run, from the first that has to do with the fixture on: what the dynamic loader
/// does before is not ours. The run must succeed.
pub(crate) fn record(fixture: &Fixture, args: &[&str]) -> Vec<Call> {
    // Not every machine and every version of strace knows all of them: `?` makes that no error.
    let calls: Vec<String> = CALLS.split(',').map(|name| format!("?{name}")).collect();
    let (output, log) = run(fixture, 0, &calls.join(","), &[], args);
    assert!(output.status.success(), "{}", crate::fixture::said(&output));
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let root = fixture.root().to_str().unwrap();
    let mut calls = Vec::new();
    let mut is_ours = false;
    for line in log.lines() {
        // `4711  openat(AT_FDCWD, …) = 3`
        let Some((name, _)) = line
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .split_once('(')
        else {
            continue;
        };
        let number = numbers.entry(name.to_owned()).or_default();
        *number += 1;
        is_ours = is_ours || line.contains(root);
        let call = Call {
            name: name.to_owned(),
            number: *number,
            line: line.chars().take(160).collect(),
        };
        if is_ours && call.can_fail() {
            calls.push(call);
        }
    }
    let pids: std::collections::BTreeSet<_> =
        log.lines().map(|line| line.split(' ').next()).collect();
    assert_eq!(
        pids.len(),
        1,
        "pgpki is bound to one processor, and has one thread"
    );
    calls
}

/// What one processor of ours is called: not every machine lets us have number 0.
fn processor(number: usize) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap();
    let all: Vec<usize> = list
        .trim()
        .split(',')
        .flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse().unwrap()..=last.parse().unwrap()
        })
        .collect();
    all[number % all.len()].to_string()
}

/// Runs the program with a fault; also returns whether it was there for the fault to happen.
pub(crate) fn with_fault(
    fixture: &Fixture,
    on: usize,
    fault: &Fault,
    args: &[&str],
) -> (Output, bool) {
    let (output, log) = run(fixture, on, &fault.names(), &fault.arguments(), args);
    let has_struck = log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL +++");
    (output, has_struck)
}

/// The program's output, and the lines that strace wrote about these calls.
fn run(
    fixture: &Fixture,
    on: usize,
    calls: &str,
    faults: &[String],
    args: &[&str],
) -> (Output, String) {
    let dir = tempfile::TempDir::new().unwrap();
    let log = dir.path().join("log");
    let mut command = strace(&log, calls);
    // Many times faster; but then a signal that strace is to send never comes.
    if !faults.iter().any(|fault| fault.contains("signal=")) {
        command.arg("--seccomp-bpf");
    }
    for fault in faults {
        command.args(["-e", &format!("inject={fault}")]);
    }
    let mut bound = Command::new("taskset");
    bound
        .args(["-c", &processor(on)])
        .arg(command.get_program());
    bound.args(command.get_args());
    bound.arg(env!("CARGO_BIN_EXE_pgpki")).args(args);
    fixture.set_up(&mut bound);
    let output = finish(&mut bound);
    let log = fs::read_to_string(&log).unwrap_or_else(|_| {
        panic!(
            "strace did not run (`apt-get install strace`; in a container it needs \
             CAP_SYS_PTRACE): {}",
            crate::fixture::said(&output)
        )
    });
    (output, log)
}

/// strace without a program yet, tracing these calls into a file.
pub(crate) fn strace(log: &Path, calls: &str) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-q", "-s", "40", "-o"])
        .arg(log)
        .args(["-e", &format!("trace={calls}")]);
    command
}

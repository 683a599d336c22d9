//! Running other programs so that Ctrl-C ends them, and us, in an orderly way.

use std::fmt::{self, Display};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use pgpki_testing::holds_within;

/// How long Ctrl-C may go unnoticed.
const POLL: Duration = Duration::from_millis(10);

/// Why a chore ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something is wrong, in words.
    Said(String),
    /// A program that had to succeed did not; it has said why.
    Exited {
        /// The program, as it would be typed.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// Somebody pressed Ctrl-C or asked us to end.
    Interrupted,
}

impl Failure {
    /// A program's own status is handed on; 130 is what shells report for Ctrl-C.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Said(_) => ExitCode::FAILURE,
            Self::Exited { status, .. } => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                code.map_or(ExitCode::FAILURE, ExitCode::from)
            }
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(text) => f.write_str(text),
            Self::Exited { program, status } => write!(f, "`{program}` failed: {status}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// What a cluster says when it cannot be had is a failure of ours as it is.
impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

/// Whether SIGINT, SIGTERM or SIGHUP has arrived. Taking note is all that the signal does, so that
/// whatever has to be cleaned up is cleaned up by the thread that made it.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on those signals do not end this process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let arrived = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&arrived);
        ctrlc::set_handler(move || noted.store(true, Ordering::SeqCst))
            .map_err(|error| Failure::Said(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok(Self(arrived))
    }

    /// The failure to end with if one has arrived.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.0.load(Ordering::SeqCst) {
            Err(Failure::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Like [`Interrupt::check`], for when something has failed: a terminal sends Ctrl-C to all of
    /// its programs, and the end of another one can be seen before our own signal is noted.
    pub(crate) fn check_after_failure(&self) -> Result<(), Failure> {
        holds_within(Duration::from_millis(200), || self.check().is_err());
        self.check()
    }
}

/// Runs a program with our own input and output; anything but success is a failure with its status.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command
        .status()
        .map_err(|error| cannot_run(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Exited {
            program: typed(command),
            status,
        })
    }
}

/// Like [`run`], but ends the program when we are interrupted.
pub(crate) fn run_until(interrupt: &Interrupt, command: &mut Command) -> Result<(), Failure> {
    let mut child = command
        .spawn()
        .map_err(|error| cannot_run(command, &error))?;
    let status = wait(interrupt, &mut child)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Exited {
            program: typed(command),
            status,
        })
    }
}

/// What a program printed on its standard output, and how it ended.
pub(crate) struct Shown {
    /// All lines of its standard output.
    pub(crate) stdout: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// Runs a program and prints what it prints, line by line, while also keeping its standard output.
pub(crate) fn show(interrupt: &Interrupt, command: &mut Command) -> Result<Shown, Failure> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| cannot_run(command, &error))?;
    let (to_us, lines) = mpsc::channel();
    forward(child.stdout.take(), to_us.clone(), |text| Line {
        text,
        is_output: true,
    });
    forward(child.stderr.take(), to_us, |text| Line {
        text,
        is_output: false,
    });

    let mut stdout = String::new();
    loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                println!("{}", line.text);
                if line.is_output {
                    stdout.push_str(&line.text);
                    stdout.push('\n');
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        end_if_interrupted(interrupt, &mut child)?;
    }
    Ok(Shown {
        stdout,
        status: wait(interrupt, &mut child)?,
    })
}

struct Line {
    text: String,
    is_output: bool,
}

fn forward(
    from: Option<impl Read + Send + 'static>,
    to: Sender<Line>,
    line: impl Fn(String) -> Line + Send + 'static,
) {
    let Some(from) = from else { return };
    thread::spawn(move || {
        for bytes in BufReader::new(from).split(b'\n') {
            let Ok(bytes) = bytes else { return };
            // Nobody listens after an interrupt.
            if to
                .send(line(String::from_utf8_lossy(&bytes).into_owned()))
                .is_err()
            {
                return;
            }
        }
    });
}

fn wait(interrupt: &Interrupt, child: &mut Child) -> Result<ExitStatus, Failure> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                if !status.success() {
                    interrupt.check_after_failure()?;
                }
                return Ok(status);
            }
            Ok(None) => {}
            Err(error) => return Err(Failure::Said(format!("cannot wait for a program: {error}"))),
        }
        end_if_interrupted(interrupt, child)?;
        thread::sleep(POLL);
    }
}

fn end_if_interrupted(interrupt: &Interrupt, child: &mut Child) -> Result<(), Failure> {
    interrupt.check().inspect_err(|_| {
        // If it has ended already, that is what we want.
        let _ = child.kill();
        let _ = child.wait();
    })
}

fn cannot_run(command: &Command, error: &std::io::Error) -> Failure {
    Failure::Said(format!(
        "cannot run {}: {error}",
        command.get_program().display()
    ))
}

fn typed(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

//! The command line of pgpki: arguments, commands, reports. It wires the other crates together and
//! decides nothing about certificates.

pub mod args;
mod commands;
mod exit;
mod home;
mod passphrase;
mod progress;
mod show;

use std::io::Write as _;
use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::Parser as _;
use time::OffsetDateTime;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Runs the program with the arguments and the clock of this process. Errors are caught and
/// printed here, once.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match catch_unwind(|| run(cli.command, OffsetDateTime::now_utc())) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            if failure.exit != Exit::Done {
                // Nothing can be done about a closed standard error.
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            failure.exit
        }
        Err(_) => {
            let _ = writeln!(
                std::io::stderr(),
                "pgpki: this is a defect in pgpki itself; please report it with the text above"
            );
            Exit::Defect
        }
    };
    exit.into()
}

fn run(command: Command, now: OffsetDateTime) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => commands::init::run(&args, now),
        Command::IssueServer(args) => commands::issue_server::run(&args, now),
        Command::IssueClient(args) => commands::issue_client::run(&args, now),
        Command::Rotate(args) => commands::rotate::run(&args, now),
        Command::Inspect(args) => commands::inspect::run(&args, now),
    }
}

//! The command line of pgpki: arguments, commands, reports. It wires the other crates together and
//! decides nothing about certificates.

pub mod args;
mod cluster;
mod commands;
mod connect;
mod exit;
mod home;
mod issuer;
mod json;
mod list;
mod passphrase;
mod progress;
mod servers;
mod show;
mod tokens;

use std::io::Write as _;
use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::Parser as _;
use nix::sys::prctl::set_dumpable;
use time::OffsetDateTime;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Runs the program with the arguments and the clock of this process. Errors are caught and
/// printed here, once.
pub fn main() -> ExitCode {
    // A core dump would have the keys and passphrases in it. Where this fails, all else is as it was.
    let _ = set_dumpable(false);
    let cli = Cli::parse();
    let exit = match catch_unwind(|| run(cli.command, OffsetDateTime::now_utc)) {
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

/// What time it is. A command looks when it begins to act: it may have waited for a passphrase, or
/// for another run that has just made a CA.
type Clock = fn() -> OffsetDateTime;

fn run(command: Command, clock: Clock) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => commands::init::run(&args, clock),
        Command::IssueServer(args) => commands::issue_server::run(&args, clock),
        Command::IssueClient(args) => commands::issue_client::run(&args, clock),
        Command::Sign(args) => commands::sign::run(&args, clock),
        Command::Request(args) => commands::request::run(&args),
        Command::Export(args) => commands::export::run(&args),
        Command::Revoke(args) => commands::revoke::run(&args, clock),
        Command::Key(args) => commands::key::run(&args),
        Command::Rotate(args) => commands::rotate::run(&args, clock),
        Command::Backup(args) => commands::backup::run(&args, clock),
        Command::Restore(args) => commands::restore::run(&args, clock),
        Command::Configure(args) => commands::configure::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args, clock()),
        Command::Connect(args) => commands::connect::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args, clock()),
        Command::Convert(args) => commands::convert::run(&args),
    }
}

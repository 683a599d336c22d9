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
        Command::Init(args) => apart(|| commands::init::run(&args, clock)),
        Command::IssueServer(args) => apart(|| commands::issue_server::run(&args, clock)),
        Command::IssueClient(args) => apart(|| commands::issue_client::run(&args, clock)),
        Command::Sign(args) => apart(|| commands::sign::run(&args, clock)),
        Command::Request(args) => apart(|| commands::request::run(&args)),
        Command::Export(args) => apart(|| commands::export::run(&args)),
        Command::Revoke(args) => apart(|| commands::revoke::run(&args, clock)),
        Command::Key(args) => apart(|| commands::key::run(&args)),
        Command::Rotate(args) => apart(|| commands::rotate::run(&args, clock)),
        Command::Backup(args) => apart(|| commands::backup::run(&args, clock)),
        Command::Restore(args) => apart(|| commands::restore::run(&args, clock)),
        Command::Configure(args) => apart(|| commands::configure::run(&args)),
        Command::Inspect(args) => apart(|| commands::inspect::run(&args, clock())),
        Command::Connect(args) => apart(|| commands::connect::run(&args)),
        Command::Doctor(args) => apart(|| commands::doctor::run(&args, clock())),
        Command::Convert(args) => apart(|| commands::convert::run(&args)),
    }
}

/// In a frame of its own. Else they are all inlined into one, and every run touches the stack that all of them together need.
#[inline(never)]
fn apart(command: impl FnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    command()
}

//! Every chore of the project, as `cargo xtask <chore>`. One file per chore.

mod audit;
mod bench;
mod demo;
mod dist;
mod drivers;
mod fetch;
mod order;
mod prerequisites;
mod running;
mod test;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of pgpki")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run the main job on a throwaway PostgreSQL: init, issue-client, a connection, rotate,
    /// inspect
    Demo(demo::Args),
    /// Make sure of what the tests need, then run every test
    Test(test::Args),
    /// Fetch one PostgreSQL of every major version that the tests run on, as `test` does
    Fetch,
    /// Fetch the published certificates and keys that the tests read, as `test` does
    Vectors,
    /// Make the clients in other languages, as `test` does, then run the tests that connect with them
    Drivers(drivers::Args),
    /// Measure how long things take, as ratios
    Bench(bench::Args),
    /// Run a program and print what it took: a step of `bench`
    #[command(hide = true)]
    Spent(bench::SpentArgs),
    /// Find out which functions a run goes through, for the linker to lay side by side
    Order,
    /// Write shell completions and man pages
    Dist(dist::Args),
    /// Check the licences, the sources and the duplicates of all dependencies
    Audit(audit::Args),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().chore {
        Chore::Demo(args) => demo::run(&args),
        Chore::Test(args) => test::run(&args),
        Chore::Fetch => fetch::run(),
        Chore::Vectors => vectors::run(),
        Chore::Drivers(args) => drivers::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Spent(args) => bench::spent(&args),
        Chore::Order => order::run(),
        Chore::Dist(args) => dist::run(&args),
        Chore::Audit(args) => audit::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            failure.exit_code()
        }
    }
}

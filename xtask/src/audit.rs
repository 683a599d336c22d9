//! `cargo xtask audit`: what we depend on is what we mean to depend on. Apart from the tests,
//! because building the tool takes minutes.

use std::process::Stdio;

use crate::running::{self, Failure};
use crate::test::cargo;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Ask the advisory database too, which is fetched from the network
    #[arg(long)]
    advisories: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let is_here = cargo()
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_here {
        println!("installing cargo-deny, which takes a few minutes");
        running::run(cargo().args(["install", "cargo-deny", "--locked"]))?;
    }
    let mut deny = cargo();
    deny.args([
        "deny",
        "--workspace",
        "check",
        "licenses",
        "bans",
        "sources",
    ]);
    if args.advisories {
        deny.arg("advisories");
    }
    running::run(&mut deny)
}

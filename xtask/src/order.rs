//! `cargo xtask order`: writes anew which functions the linker lays side by side. When the list is old, a run maps a few
//! more parts of the program; nothing else depends on it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::{build, init, must, said};
use crate::prerequisites::{VALGRIND, ensure};
use crate::running::Failure;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/cli/order.ld");

pub(crate) fn run() -> Result<(), Failure> {
    ensure(&[&VALGRIND])?;
    let former = fs::read_to_string(SCRIPT).map_err(said)?;
    // valgrind reads the symbols of one section of text alone, so the program that it runs has only that.
    write(&script(&BTreeSet::new()))?;
    match found() {
        Ok(functions) => {
            println!("{SCRIPT}: {} functions", functions.len());
            write(&script(&functions))
        }
        Err(failure) => write(&former).and(Err(failure)),
    }
}

fn write(script: &str) -> Result<(), Failure> {
    fs::write(SCRIPT, script).map_err(said)
}

fn found() -> Result<BTreeSet<String>, Failure> {
    build()?;
    let dir = tempfile::tempdir().map_err(said)?;
    let program = fs::canonicalize("target/release/pgpki").map_err(said)?;
    Ok(called(&calls(&program, dir.path())?, &program))
}

/// Everything that one run of `issue-client` calls, as callgrind writes it down.
fn calls(program: &Path, dir: &Path) -> Result<String, Failure> {
    let home = init(program, dir)?;
    let calls = dir.join("calls");
    must(
        Command::new("valgrind")
            .args(["--tool=callgrind", "--demangle=no", "--compress-strings=no"])
            .arg(format!("--callgrind-out-file={}", calls.display()))
            .arg(program)
            .args(["issue-client", "alice", "--home"])
            .arg(home)
            .arg("--out")
            .arg(dir.join("out")),
    )?;
    fs::read_to_string(calls).map_err(said)
}

/// The symbols of the program's own functions. An object's name (`ob=`) holds for all functions (`fn=`) up to the next, and a
/// function that called itself is told apart by a `'`.
/// (valgrind's manual, "Callgrind Format Specification")
fn called(calls: &str, program: &Path) -> BTreeSet<String> {
    let mut is_ours = false;
    let mut functions = BTreeSet::new();
    for line in calls.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_ours = Path::new(object) == program;
        } else if let Some(function) = line.strip_prefix("fn=")
            && is_ours
        {
            let symbol = function.split('\'').next().unwrap_or_default();
            if symbol
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || "_$.".contains(it))
            {
                functions.insert(pattern(symbol));
            }
        }
    }
    functions
}

/// The symbol with `*` for what differs from one build to the next: the hash at the end of Rust's older symbols
/// (`17h…E`), and that of each crate in the newer ones (`Cs…_`, RFC 2603).
fn pattern(symbol: &str) -> String {
    const HEX_DIGITS: usize = 16;
    if let Some((name, hash)) = symbol.rsplit_once("17h")
        && symbol.starts_with("_ZN")
        && hash.len() == HEX_DIGITS + 1
    {
        return format!("{name}17h*E");
    }
    if !symbol.starts_with("_R") {
        return symbol.to_owned();
    }
    let mut parts = symbol.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('_').unwrap_or(("", part));
        pattern += "Cs*_";
        pattern += rest;
    }
    pattern
}

/// A linker script that goes before the default one, for the linkers of GNU and LLVM. Each function is in a section of its
/// own, which is named after it.
fn script(functions: &BTreeSet<String>) -> String {
    let mut text = String::from(
        "/* The functions that a run of issue-client goes through, to be side by side (build.rs says why).\n   \
         Written by `cargo xtask order`. */\nSECTIONS\n{\n  .text.order :\n  {\n",
    );
    for function in functions {
        let _ = writeln!(text, "    *(.text.{function})");
    }
    text + "  }\n}\nINSERT BEFORE .text;\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_functions_count_by_what_stays_of_their_symbols() {
        let calls = "ob=/lib/libc.so.6\nfn=malloc\nob=/bin/pgpki\nfn=sqlite3Select'2\ncfn=free\nfn=(below main)\n\
                     fn=_ZN5pgpki4main17h0123456789abcdefE\nfn=_RNvNtCs6Zk_4core3fmt5writeCsa1_5alloc\nfn=sqlite3Select\n";
        let found = called(calls, Path::new("/bin/pgpki"));
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            [
                "_RNvNtCs*_4core3fmt5writeCs*_5alloc",
                "_ZN5pgpki4main17h*E",
                "sqlite3Select"
            ]
        );
    }

    #[test]
    fn rusts_linker_reads_the_script_and_a_program_that_it_laid_runs() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let source = dir.path().join("hello.rs");
        let program = dir.path().join("hello");
        fs::write(&source, "fn main() { println!(\"hello\"); }").expect("a source file");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        must(
            Command::new(rustc)
                .args(["-Clink-arg=-T", &format!("-Clink-arg={SCRIPT}")])
                .arg("-o")
                .args([&program, &source]),
        )
        .expect("it is linked");
        let linked = fs::read(&program).expect("the program");
        let name = b"\0.text.order\0";
        assert!(linked.windows(name.len()).any(|it| it == name));
        must(&mut Command::new(&program)).expect("it runs");
    }
}

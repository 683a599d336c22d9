//! An error message, its cause and its fix.

use std::io::{self, Read as _, Write};

use pgpki_core::document::printable;
use pgpki_postgres::explain::{Explanation, explain};
use serde::Serialize;

use crate::args::Doctor;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::show::{FAINT, STRONG};

/// The most that is read from standard input, in bytes: part of a log, and not all of it.
const MOST: u64 = 256 << 10;

/// Where each finding has its page.
const MANUAL: &str = "docs/findings.md";

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    explanations: Vec<ExplanationJson<'a>>,
}

#[derive(Serialize)]
struct ExplanationJson<'a> {
    name: &'a str,
    title: &'a str,
    line: &'a str,
    cause: &'a str,
    checks: &'a [&'a str],
    fix: &'a str,
    findings: &'a [&'a str],
}

pub(super) fn run(args: &Doctor, text: &str) -> Result<Exit, Failure> {
    let text = match text {
        "-" => from_stdin()?,
        text => text.to_owned(),
    };
    if text.trim().is_empty() {
        return Err(Failure::new(Exit::BadInput, "there is no message to explain").hint(
            "Give what psql, a driver or the server's log said: pgpki doctor --explain 'TEXT', or \
             - to read it from standard input",
        ));
    }
    let explanations = explain(&text);
    if args.json {
        json::report(&Report {
            version: 1,
            explanations: explanations.iter().map(to_json).collect(),
        })?;
    } else {
        print(&explanations, &mut anstream::stdout().lock())?;
    }
    Ok(match explanations.is_empty() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

fn from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot read the message from standard input: {error}"),
        )
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn to_json(explanation: &Explanation) -> ExplanationJson<'_> {
    let entry = explanation.entry;
    ExplanationJson {
        name: entry.name,
        title: entry.title,
        line: &explanation.line,
        cause: entry.cause,
        checks: entry.checks,
        fix: entry.fix,
        findings: entry.findings,
    }
}

fn print(explanations: &[Explanation], out: &mut impl Write) -> io::Result<()> {
    if explanations.is_empty() {
        return unknown(out);
    }
    for (place, explanation) in explanations.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        one(explanation, out)?;
    }
    Ok(())
}

fn one(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
    let entry = explanation.entry;
    writeln!(
        out,
        "{STRONG}{}{STRONG:#}  {FAINT}[{}]{FAINT:#}",
        entry.title, entry.name
    )?;
    writeln!(
        out,
        "  {FAINT}seen{FAINT:#}   {}",
        printable(&explanation.line)
    )?;
    writeln!(out, "  {FAINT}cause{FAINT:#}  {}", entry.cause)?;
    for (place, check) in entry.checks.iter().enumerate() {
        let label = if place == 0 { "check" } else { "" };
        writeln!(out, "  {FAINT}{label:<5}{FAINT:#}  - {check}")?;
    }
    writeln!(out, "  {FAINT}fix{FAINT:#}    {}", entry.fix)?;
    if !entry.findings.is_empty() {
        let pages: Vec<String> = entry
            .findings
            .iter()
            .map(|code| format!("{MANUAL}#{code}"))
            .collect();
        writeln!(out, "  {FAINT}see{FAINT:#}    {}", pages.join(", "))?;
    }
    Ok(())
}

fn unknown(out: &mut impl Write) -> io::Result<()> {
    write!(
        out,
        "This message is not known, and nothing is guessed.\n\
         \x20 - If it is translated, have it in English: LC_ALL=C psql …; lc_messages = 'C' at the server.\n\
         \x20 - Give all that was printed, and the lines of the server's log at that moment.\n\
         \x20 - Look at the client and its connection: pgpki doctor --client 'host=…'\n\
         \x20 - Look at the server: pgpki doctor there, pgpki inspect HOST:PORT from anywhere.\n"
    )
}

//! Findings as doctor reports them, of a server's or a client's side: for people and in JSON.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::path::Path;

use pgpki_core::document::printable;
use pgpki_core::finding::Severity;
use pgpki_postgres::doctor::Located;
use serde::Serialize;

use crate::args::Doctor;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::show::{BAD, FAINT, GOOD, STRONG, WARNING, count};

/// What was looked at.
#[derive(Debug)]
pub(super) struct LookedAt {
    /// Which side of a connection it is.
    pub(super) side: Side,
    /// What to call it, such as `15/main`, a data directory, or a folder of a client's.
    pub(super) name: String,
    /// What `--fix` has mended, each in a sentence.
    pub(super) mended: Vec<String>,
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

/// The report in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
struct ReportJson<'a> {
    version: u32,
    side: &'static str,
    name: &'a str,
    mended: &'a [String],
    findings: Vec<LocatedJson<'a>>,
}

#[derive(Serialize)]
struct LocatedJson<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
}

/// Reports the findings, the worst ones first, as the arguments want it. A warning or worse gives
/// the exit status of findings.
pub(super) fn report(
    looked_at: &LookedAt,
    findings: &[Located],
    args: &Doctor,
) -> Result<Exit, Failure> {
    let mut sorted: Vec<&Located> = findings.iter().collect();
    sorted.sort_by_key(|it| Reverse(it.finding.severity));
    match args.json {
        true => json::report(&ReportJson {
            version: 1,
            side: looked_at.side.as_str(),
            name: &looked_at.name,
            mended: &looked_at.mended,
            findings: sorted.iter().map(|it| LocatedJson::of(it)).collect(),
        })?,
        false => print(looked_at, &sorted, &mut anstream::stdout().lock())?,
    }
    Ok(match is_healthy(&sorted) {
        true => Exit::Done,
        false => Exit::Findings,
    })
}

fn is_healthy(findings: &[&Located]) -> bool {
    let mut severities = findings.iter().map(|it| it.finding.severity);
    severities.all(|severity| severity < Severity::Warning)
}

/// Whether it says that something was not looked at.
fn is_gap(located: &Located) -> bool {
    matches!(located.finding.code, "not-looked-at" | "not-running")
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl<'a> LocatedJson<'a> {
    fn of(located: &'a Located) -> Self {
        let Located {
            finding,
            file,
            line,
            role,
        } = located;
        Self {
            code: finding.code,
            severity: finding.severity.as_str(),
            message: &finding.message,
            hint: &finding.hint,
            file: file
                .as_ref()
                .map(|file| file.to_string_lossy().into_owned()),
            line: *line,
            role: role.as_deref(),
        }
    }
}

fn print(looked_at: &LookedAt, findings: &[&Located], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{STRONG}{} {}{STRONG:#}",
        looked_at.side.as_str(),
        printable(&looked_at.name)
    )?;
    for mended in &looked_at.mended {
        writeln!(out, "  {GOOD}mended{GOOD:#}   {}", printable(mended))?;
    }
    for located in findings {
        one(located, out)?;
    }
    let wrong = findings.iter().filter(|it| !is_healthy(&[it])).count();
    match wrong {
        0 if findings.iter().any(|it| is_gap(it)) => {
            writeln!(out, "  nothing wrong was found in what was looked at")
        }
        0 => writeln!(out, "  {GOOD}healthy{GOOD:#}  nothing wrong was found"),
        _ => writeln!(
            out,
            "\n{FAINT}{}; docs/findings.md explains each code.{FAINT:#}",
            count(wrong, "finding")
        ),
    }
}

fn one(located: &Located, out: &mut impl Write) -> io::Result<()> {
    let finding = &located.finding;
    let style = match finding.severity {
        Severity::Error => BAD,
        Severity::Warning => WARNING,
        Severity::Info => FAINT,
    };
    writeln!(
        out,
        "  {style}{:<7}{style:#}  {}{}  {FAINT}[{}]{FAINT:#}",
        finding.severity,
        place(located),
        finding.message,
        finding.code
    )?;
    writeln!(out, "           {}", finding.hint)
}

/// What stands before the message: where it is.
fn place(located: &Located) -> String {
    let file = |file: &Path| printable(&file.to_string_lossy());
    match (&located.file, located.line, &located.role) {
        (Some(path), Some(line), _) => format!("{}:{line}: ", file(path)),
        (Some(path), None, _) => format!("{}: ", file(path)),
        (None, _, Some(role)) => format!("role {}: ", printable(role)),
        (None, _, None) => String::new(),
    }
}

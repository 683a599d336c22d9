//! Findings: how they are written, and what they mean for the exit status.

use std::io::{self, Write};

use pgpki_core::finding::{Finding, Severity};
use serde::Serialize;

use crate::exit::Exit;
use crate::show::{BAD, FAINT, WARNING};

/// A finding in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
pub(crate) struct FindingJson<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    hint: &'a str,
}

pub(crate) fn to_json(findings: &[Finding]) -> Vec<FindingJson<'_>> {
    findings
        .iter()
        .map(|finding| FindingJson {
            code: finding.code,
            severity: finding.severity.as_str(),
            message: &finding.message,
            hint: &finding.hint,
        })
        .collect()
}

/// The worst ones first.
pub(crate) fn print(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in sorted {
        let style = match finding.severity {
            Severity::Error => BAD,
            Severity::Warning => WARNING,
            Severity::Info => FAINT,
        };
        let Finding {
            code,
            severity,
            message,
            hint,
        } = finding;
        writeln!(
            out,
            "{style}{severity:<7}{style:#}  {message}  {FAINT}[{code}]{FAINT:#}"
        )?;
        writeln!(out, "         {hint}")?;
    }
    Ok(())
}

/// A warning or worse is worth a cron job's attention; what is merely worth knowing is not.
pub(crate) fn exit(findings: &[Finding]) -> Exit {
    match findings
        .iter()
        .any(|finding| finding.severity >= Severity::Warning)
    {
        true => Exit::Findings,
        false => Exit::Done,
    }
}

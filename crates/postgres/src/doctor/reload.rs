//! Whether the server uses what its files say. A reload that fails is silent: it keeps what it had,
//! and the next start fails.

use std::path::Path;

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;
use time::OffsetDateTime;

use super::Located;
use super::facts::{Answers, Facts, FileErrorRow, SettingRow};
use crate::conf::is_true;
use crate::last_reload::KEPT;

/// The most lines of a log that are repeated.
const MOST_LINES: usize = 4;

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let mut findings = Vec::new();
    if let Some(Ok(log)) = &facts.log {
        findings.extend(failed(log));
    }
    if let Some(Ok(answers)) = &facts.answers {
        findings.extend(refused(facts, answers));
        findings.extend(differing(facts, answers));
        if let Ok(loaded) = answers.loaded {
            findings.extend(written_since(facts, loaded));
        }
    }
    findings
}

fn failed(log: &[String]) -> Option<Located> {
    let at = log.iter().rposition(|line| line.contains(KEPT))?;
    let told = log.get(at.saturating_sub(MOST_LINES - 1)..=at)?;
    let finding = Finding::error(
        "reload-failed",
        format!(
            "the last reload failed, and the server kept what it had; it logged: {}",
            printable(&told.join("; "))
        ),
        "Put right what it names, and reload; until then, the server may not come up again once \
         it is stopped.",
    );
    Some(finding.into())
}

/// What the server itself finds wrong with its files.
fn refused(facts: &Facts, answers: &Answers) -> Vec<Located> {
    let rows = answers.file_errors.iter().flatten();
    let known = facts.configuration.lines.faults();
    let is_new = |row: &&FileErrorRow| {
        let same =
            |path: &Path, line: u32| row.file.as_deref() == Some(path) && row.line == Some(line);
        !known.iter().any(|fault| same(&fault.file, fault.line))
    };
    rows.filter(is_new)
        .map(|row| {
            let name = row.name.as_deref().unwrap_or("this line");
            let said = format!("{}: {}", printable(name), printable(&row.error));
            let finding = match row.needs_restart {
                true => Finding::warning(
                    "restart-pending",
                    format!("{said}; a new value of this parameter needs a restart"),
                    "Restart the server, or take the line back: a wrong value would keep it from \
                     starting.",
                ),
                false => Finding::error(
                    "setting-refused",
                    said,
                    "Correct the line, and reload: until then the server goes without it, or without \
                     every change of its files, and it does not come up again once it is stopped.",
                ),
            };
            match (&row.file, row.line) {
                (Some(file), Some(line)) => Located::at_line(finding, file, line),
                (Some(file), None) => Located::in_file(finding, file),
                (None, _) => finding.into(),
            }
        })
        .collect()
}

/// Parameters that the files give another value than the server has.
fn differing(facts: &Facts, answers: &Answers) -> Vec<Located> {
    let rows = answers.settings.iter().flatten();
    let differs = |row: &&SettingRow| {
        let given = facts.configuration.given.get(row.name.as_str());
        let on_disk = given.map_or(row.default.clone().into(), |given| given.text());
        match row.name.as_str() {
            // The server shows its own spelling of these, and a path where none was given.
            "ssl" => is_true(&on_disk) != is_true(&row.value),
            "hba_file" => false,
            "ssl_min_protocol_version" | "ssl_max_protocol_version" => {
                !on_disk.eq_ignore_ascii_case(&row.value)
            }
            _ => on_disk != row.value,
        }
    };
    // A line that the server refuses is a finding of its own.
    let is_refused = |row: &&SettingRow| {
        let mut refused = answers.file_errors.iter().flatten();
        refused.any(|it| it.name.as_deref() == Some(row.name.as_str()))
    };
    rows.filter(|row| !is_refused(row) && differs(row))
        .map(|row| {
            let finding = Finding::warning(
                "reload-pending",
                format!(
                    "the files give {} the value '{}', and the server still uses '{}'",
                    row.name,
                    printable(&facts.configuration.value(&row.name)),
                    printable(&row.value)
                ),
                match row.needs_restart {
                    true => "Restart the server, or take the change back.",
                    false => "Reload the server (SELECT pg_reload_conf()), then run doctor again.",
                },
            );
            finding.into()
        })
        .collect()
}

/// Files that were written after the server last read them.
fn written_since(facts: &Facts, loaded: OffsetDateTime) -> Vec<Located> {
    let mut written: Vec<(&Path, OffsetDateTime)> = Vec::new();
    if let Ok(rules) = &facts.rules
        && let Some(modified) = rules.modified
    {
        written.push((&facts.cluster.hba_file, modified));
    }
    if facts.configuration.ssl_is_on() {
        // Of the certificate, a handshake tells; a directory of CRLs is read at each connection.
        for file in facts.files.ca.iter().chain(&facts.files.crl) {
            let modified = file.status.as_ref().map(|status| status.modified);
            written.extend(modified.map(|modified| (file.path.as_path(), modified)));
        }
    }
    let late = written
        .into_iter()
        .filter(|(_, modified)| *modified > loaded);
    late.map(|(path, _)| {
        let finding = Finding::warning(
            "reload-pending",
            "the file has been written since the server last read its configuration",
            "Reload the server (SELECT pg_reload_conf()), then run doctor again.",
        );
        Located::in_file(finding, path)
    })
    .collect()
}

//! Lines that this version does not take. One of them is enough for a reload to be passed over,
//! and for a start to fail.

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;

use super::super::Located;
use super::super::facts::{Facts, HbaErrorRow, Rules};

const HINT: &str = "Correct the line and reload: until then a server that runs keeps the rules \
                    that it has, and one that starts does not start.";

pub(super) fn judge(rules: &Rules, facts: &Facts) -> Vec<Located> {
    let major = facts.cluster.major;
    let mut findings = Vec::new();
    for entry in &rules.entries {
        if let Some(problem) = entry.entry.problem(major) {
            let text = printable(&problem.to_string());
            let finding = Finding::error("hba-refused", text, HINT);
            findings.push(Located::at_line(
                finding,
                &entry.file,
                entry.entry.first_line,
            ));
        }
    }
    if rules.entries.is_empty() {
        let said = "there is no rule in it, and PostgreSQL loads no such file";
        let hint = "Write rules into it (local all all peer), and reload: until then a server that runs keeps those \
                    that it has, and one that starts does not start.";
        let finding = Finding::error("hba-refused", said, hint);
        findings.push(Located::in_file(finding, &facts.cluster.hba_file));
    }
    let answers = facts.answers.as_ref().and_then(|it| it.as_ref().ok());
    let rows = answers
        .into_iter()
        .flat_map(|it| it.hba_errors.iter().flatten());
    for row in rows {
        let located = by_server(row, facts);
        let is_known = |it: &Located| (&it.file, it.line) == (&located.file, located.line);
        if !findings.iter().any(is_known) {
            findings.push(located);
        }
    }
    findings
}

/// What only the server finds.
fn by_server(row: &HbaErrorRow, facts: &Facts) -> Located {
    let said = match &row.error {
        Some(error) => printable(error),
        None => "the server does not take this line, and does not say why".to_owned(),
    };
    let finding = Finding::error("hba-refused", said, HINT);
    let file = row.file.as_ref().unwrap_or(&facts.cluster.hba_file);
    match row.line {
        Some(line) => Located::at_line(finding, file, line),
        None => Located::in_file(finding, file),
    }
}

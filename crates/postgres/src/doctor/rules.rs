//! What `pg_hba.conf` lets happen.

mod certificates;
mod encryption;
mod replication;
mod syntax;

use std::path::Path;

use pgpki_core::finding::{Finding, Severity};

use super::Located;
use super::facts::{Facts, Rules};
use crate::hba::cover;
use crate::hba::rule::{Method, Rule};

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let Ok(rules) = &facts.rules else {
        return Vec::new();
    };
    let mut findings = syntax::judge(rules, facts);
    let placed = Placed::all(rules, facts);
    findings.extend(hidden(&placed));
    findings.extend(encryption::judge(&placed));
    findings.extend(certificates::judge(&placed, facts));
    findings.extend(replication::judge(&placed, facts));
    findings
}

/// A rule, and where it stands.
struct Placed<'a> {
    rule: &'a Rule,
    file: &'a Path,
    /// Whether pgpki wrote it.
    is_ours: bool,
}

impl<'a> Placed<'a> {
    fn all(rules: &'a Rules, facts: &Facts) -> Vec<Self> {
        let placed = rules.entries.iter().filter_map(|it| {
            let rule = it.entry.rule()?;
            let is_ours = rules.own_block.is_some_and(|(first, last)| {
                it.file == facts.cluster.hba_file && (first..=last).contains(&rule.first_line)
            });
            Some(Self {
                rule,
                file: &it.file,
                is_ours,
            })
        });
        placed.collect()
    }

    fn located(&self, finding: Finding) -> Located {
        Located::at_line(finding, self.file, self.rule.first_line)
    }

    /// Where it stands, seen from another rule.
    fn place(&self, from: &Self) -> String {
        let line = self.rule.first_line;
        match self.file == from.file {
            true => format!("line {line}"),
            false => format!(
                "line {line} of {}",
                pgpki_core::document::printable(&self.file.to_string_lossy())
            ),
        }
    }
}

/// Rules that never answer. One that would answer in the same way is superfluous; what pgpki's own
/// block hides is meant to be hidden.
fn hidden(placed: &[Placed<'_>]) -> Vec<Located> {
    let rules: Vec<&Rule> = placed.iter().map(|it| it.rule).collect();
    let pairs = cover::hidden(&rules)
        .into_iter()
        .filter_map(|hidden| Some((placed.get(hidden.rule)?, placed.get(hidden.by)?)));
    pairs
        .map(|(rule, by)| {
            let same = rule.rule.method == by.rule.method && rule.rule.options == by.rule.options;
            let severity = match same || by.is_ours {
                true => Severity::Info,
                false => Severity::Warning,
            };
            rule.located(Finding::new(
                severity,
                "hba-hidden",
                format!(
                    "this rule ({}) is never reached: {} ({}) matches everything that it matches",
                    rule.rule.in_short(),
                    by.place(rule),
                    by.rule.in_short()
                ),
                "Move it above that line, or delete it: the first rule that matches answers.",
            ))
        })
        .collect()
}

fn lets_in(rule: &Rule) -> bool {
    rule.method != Method::Reject
}

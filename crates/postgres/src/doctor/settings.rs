//! What the configuration says: whether TLS is on, how old a protocol it takes, and which lines say
//! something that does not count.

use pgpki_core::document::printable;
use pgpki_core::finding::{Finding, Severity};

use super::Located;
use super::facts::{Configuration, Facts, PARAMETERS};
use crate::cluster::{Cluster, Given};
use crate::conf::effective::Sourced;

/// What PostgreSQL calls the protocols that RFC 8996 has deprecated.
const OLD_PROTOCOLS: [&str; 3] = ["", "tlsv1", "tlsv1.1"];

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let configuration = &facts.configuration;
    let mut findings = Vec::new();
    for fault in configuration.lines.faults() {
        let finding = Finding::error(
            "setting-refused",
            printable(&fault.kind.to_string()),
            "Correct the line, and reload: until then the server goes without it, or without every \
             change of its files, and it does not come up again once it is stopped.",
        );
        findings.push(Located::at_line(finding, &fault.file, fault.line));
    }
    findings.extend(off(configuration));
    findings.extend(protocol(configuration));
    for parameter in PARAMETERS {
        findings.extend(shadowed(parameter, configuration, &facts.cluster));
    }
    findings
}

fn off(configuration: &Configuration) -> Option<Located> {
    let finding = || {
        Finding::error(
            "ssl-off",
            "TLS is off (ssl): clients that demand it are refused with \"server does not support \
             SSL, but SSL was required\", and all others talk in the clear",
            "pgpki configure turns it on, and has the server use what pgpki init (or issue-server --install) \
             has installed.",
        )
    };
    (!configuration.ssl_is_on()).then(|| about(finding(), configuration.given.get("ssl")))
}

fn protocol(configuration: &Configuration) -> Option<Located> {
    const PARAMETER: &str = "ssl_min_protocol_version";
    let value = configuration.value(PARAMETER);
    if !configuration.ssl_is_on() || !OLD_PROTOCOLS.contains(&value.to_ascii_lowercase().as_str()) {
        return None;
    }
    let finding = Finding::warning(
        "protocol-old",
        format!(
            "{PARAMETER} is {}: the server takes TLS versions older than 1.2",
            match value.as_str() {
                "" => "empty".to_owned(),
                value => printable(value),
            }
        ),
        "Set it to TLSv1.2, PostgreSQL's default, and reload; no client of the last ten years \
         needs less.",
    );
    Some(about(finding, configuration.given.get(PARAMETER)))
}

/// A finding about whatever gave a parameter its value.
fn about(finding: Finding, given: Option<&Given>) -> Located {
    match given {
        Some(Given::Line(line)) => Located::at_line(finding, &line.file, line.setting.line),
        Some(Given::Argument { .. }) | None => finding.into(),
    }
}

/// The lines for a parameter that do not count, and say something else than the one that does.
fn shadowed(parameter: &str, configuration: &Configuration, cluster: &Cluster) -> Vec<Located> {
    let Some(winner) = configuration.given.get(parameter) else {
        return Vec::new();
    };
    let lines = configuration.lines.setting(parameter);
    let losers = lines.filter(|line| match winner {
        Given::Argument { value } => line.setting.text() != value.as_str(),
        Given::Line(winner) => line.setting.value != winner.setting.value,
    });
    losers
        .map(|loser| {
            let by = match winner {
                Given::Argument { .. } => "an argument of the server's command line".to_owned(),
                Given::Line(line) => format!(
                    "{}, line {}",
                    printable(&line.file.to_string_lossy()),
                    line.setting.line
                ),
            };
            let finding = Finding::new(
                weight(loser, winner, cluster),
                "setting-shadowed",
                format!(
                    "{parameter} = '{}' does not count: {by}, says '{}'",
                    printable(&loser.setting.text()),
                    printable(&winner.text())
                ),
                "Keep one of them: of several lines the last one wins, postgresql.auto.conf (ALTER \
                 SYSTEM) over all files, the command line over everything.",
            );
            Located::at_line(finding, &loser.file, loser.setting.line)
        })
        .collect()
}

/// That an included file wins over the main one, or a line over one above it, is how they are
/// used; whoever edits what `ALTER SYSTEM` or the command line overrules is in for a surprise, and
/// so is whoever wrote a file of `conf.d` that loses.
fn weight(loser: &Sourced, winner: &Given, cluster: &Cluster) -> Severity {
    match winner {
        Given::Argument { .. } => Severity::Warning,
        Given::Line(line) if line.file == loser.file => Severity::Info,
        Given::Line(line) if line.file == cluster.auto_file() => Severity::Warning,
        Given::Line(_) if loser.file == cluster.config_file => Severity::Info,
        Given::Line(_) => Severity::Warning,
    }
}

//! Ways around TLS: rules by which somebody is let in without it.

use pgpki_core::finding::{Finding, Severity};

use super::super::Located;
use super::{Placed, lets_in};
use crate::hba::address::{Address, Network};
use crate::hba::answer::Transport;
use crate::hba::cover::covers;
use crate::hba::rule::{ConnType, Method, Rule};

pub(super) fn judge(placed: &[Placed<'_>]) -> Vec<Located> {
    let mut findings = Vec::new();
    for (position, it) in placed.iter().enumerate() {
        let (before, rule) = (placed.get(..position).unwrap_or_default(), it.rule);
        if lets_in(rule) && takes_plaintext(rule, before) {
            let finding = downgrade(it, before).or_else(|| plaintext(rule));
            findings.extend(finding.map(|finding| it.located(finding)));
        }
        if rule.method == Method::Trust && rule.client_cert().is_none() && !rule.is_loopback() {
            findings.push(it.located(Finding::warning(
                "hba-trust",
                format!(
                    "this rule ({}) lets anybody in as any role that it is for, and asks for \
                     nothing",
                    rule.in_short()
                ),
                "Write cert or scram-sha-256 for trust.",
            )));
        }
    }
    findings
}

/// Whether the rule answers some connection without TLS: no single rule before it takes them all.
fn takes_plaintext(rule: &Rule, before: &[Placed<'_>]) -> bool {
    let transports = rule.conn_type.transports();
    if !transports.contains(&Transport::Plain) || rule.address.is_none() {
        return false;
    }
    let is_taken = |part: &Rule| before.iter().any(|earlier| covers(earlier.rule, part));
    !parts(rule).iter().all(is_taken)
}

/// The rule as it is for connections without TLS, one for each family of addresses.
fn parts(rule: &Rule) -> Vec<Rule> {
    let addresses = match &rule.address {
        Some(Address::All) => ["0.0.0.0", "::"]
            .iter()
            .filter_map(|zero| {
                let zero = zero.parse().ok()?;
                Network::new(zero, zero).map(Address::Network)
            })
            .map(Some)
            .collect(),
        other => vec![other.clone()],
    };
    let part = |address| Rule {
        conn_type: ConnType::HostNoSsl,
        address,
        ..rule.clone()
    };
    addresses.into_iter().map(part).collect()
}

/// libpq's default, `sslmode=prefer`, tries TLS first. A client without a certificate that a
/// `hostssl` rule refuses then comes again without TLS.
fn downgrade(it: &Placed<'_>, before: &[Placed<'_>]) -> Option<Finding> {
    if !it.rule.method.asks_for_password() && it.rule.method != Method::Trust {
        return None;
    }
    let strict = before
        .iter()
        .find(|earlier| earlier.rule.client_cert().is_some() && meets(earlier.rule, it.rule))?;
    Some(Finding::new(
        severity(it.rule),
        "hba-downgrade",
        format!(
            "whom {} ({}) refuses for want of a certificate comes again without TLS \
             (sslmode=prefer, libpq's default), and this rule ({}) lets it",
            strict.place(it),
            strict.rule.in_short(),
            it.rule.in_short()
        ),
        "Put \"hostnossl all all all reject\" above both, or write hostssl for host here.",
    ))
}

fn plaintext(rule: &Rule) -> Option<Finding> {
    // What does not leave the machine is nobody's concern.
    (!rule.is_loopback()).then(|| {
        Finding::warning(
            "hba-plaintext",
            format!(
                "this rule ({}) lets clients in without TLS, and everything that they say can be \
                 read on the way",
                rule.in_short()
            ),
            "Write hostssl for host here, or put \"hostnossl all all all reject\" above it.",
        )
    })
}

fn severity(rule: &Rule) -> Severity {
    match rule.is_loopback() {
        true => Severity::Info,
        false => Severity::Warning,
    }
}

/// Whether one of two rules is for all that the other is for, whatever the transport.
fn meets(a: &Rule, b: &Rule) -> bool {
    let bare = |rule: &Rule| Rule {
        conn_type: ConnType::HostSsl,
        ..rule.clone()
    };
    let (a, b) = (bare(a), bare(b));
    covers(&a, &b) || covers(&b, &a)
}

//! The roles that certificates were issued to, and those that a rule would lock out.

use std::collections::HashMap;

use pgpki_core::due::{Phase, Within};
use pgpki_core::finding::Finding;
use time::OffsetDateTime;
use time::macros::format_description;

use super::Located;
use super::facts::{Answers, ClientIssued, Facts, RoleRow};
use crate::hba::answer::names_role;
use crate::hba::rule::{ConnType, Method, Rule};
use crate::roles::is_member;

pub(super) fn judge(facts: &Facts, now: OffsetDateTime) -> Vec<Located> {
    let mut findings = Vec::new();
    let issued = facts.issued.iter().flat_map(|issued| &issued.clients);
    for client in issued.clone() {
        findings.extend(end(client, now));
    }
    let Some(Ok(answers)) = &facts.answers else {
        return findings;
    };
    if let Ok(roles) = &answers.roles {
        let by_name: HashMap<&str, &RoleRow> = roles
            .iter()
            .map(|role| (role.name.as_str(), role))
            .collect();
        let live = issued.filter(|client| client.validity.not_after >= now);
        let (there, missing): (Vec<_>, Vec<_>) =
            live.partition(|client| by_name.contains_key(client.role.as_str()));
        for client in there {
            let role = by_name.get(client.role.as_str());
            let finding = role.and_then(|role| standing(role, facts, now));
            findings.extend(finding.map(|finding| Located::of_role(finding, &client.role)));
        }
        findings.extend(missing_roles(&missing));
        findings.extend(locked_out(&by_name, answers, facts));
    }
    findings
}

fn end(client: &ClientIssued, now: OffsetDateTime) -> Option<Located> {
    let day = client
        .validity
        .not_after
        .format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_default();
    let hint = "Renew it with pgpki rotate, and hand the new folder over; or issue a new one: pgpki \
                issue-client ROLE, or pgpki sign where its key is elsewhere.";
    let finding = match Phase::at(client.validity, Within::Third, now) {
        Phase::Due => Finding::warning(
            "role-certificate-due",
            format!("the role's certificate ends on {day}, and is due to be renewed"),
            hint,
        ),
        Phase::Expired => Finding::warning(
            "role-certificate-expired",
            format!("the role's last certificate ended on {day}"),
            hint,
        ),
        Phase::Valid | Phase::NotYetValid => return None,
    };
    Some(Located::of_role(finding, &client.role))
}

/// As many of them as somebody reads, and how many more there are: an authority has more than one cluster.
fn missing_roles(missing: &[&ClientIssued]) -> Vec<Located> {
    const NAMED: usize = 50;
    let finding = |message: String| {
        Finding::warning(
            "role-missing",
            message,
            "Create it (CREATE ROLE … LOGIN); names are compared to the letter, capitals included.",
        )
    };
    let named = missing.iter().take(NAMED).map(|client| {
        let said = "a certificate was issued to this role, and the server has no such role";
        Located::of_role(finding(said.to_owned()), &client.role)
    });
    let mut findings: Vec<Located> = named.collect();
    if let more @ 1.. = missing.len().saturating_sub(NAMED) {
        let said =
            format!("{more} more roles have certificates, and the server does not have them");
        findings.push(finding(said).into());
    }
    findings
}

/// What the server says about a role that has a certificate.
fn standing(role: &RoleRow, facts: &Facts, now: OffsetDateTime) -> Option<Finding> {
    if !role.can_login {
        return Some(Finding::warning(
            "role-no-login",
            "a certificate was issued to this role, and it may not log in",
            "ALTER ROLE … LOGIN, if it still should.",
        ));
    }
    let until = role.valid_until.filter(|until| *until < now)?;
    let day = until
        .format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_default();
    let passwords =
        rules(facts).any(|rule| rule.method.asks_for_password() && is_for(rule, role, facts));
    // The method cert does not look at it.
    match passwords {
        true => Some(Finding::warning(
            "role-password-expired",
            format!("the role's password ended on {day} (VALID UNTIL), and a rule asks it for one"),
            "ALTER ROLE … VALID UNTIL, with a later time or 'infinity'.",
        )),
        false => None,
    }
}

/// An MD5 verifier is of no use where a rule demands SCRAM.
fn locked_out(roles: &HashMap<&str, &RoleRow>, answers: &Answers, facts: &Facts) -> Vec<Located> {
    let md5 = answers.md5.iter().flatten();
    let scram = |role: &RoleRow| {
        rules(facts).find(|rule| rule.method == Method::ScramSha256 && is_for(rule, role, facts))
    };
    md5.filter_map(|name| {
        let role = roles.get(name.as_str()).filter(|role| role.can_login)?;
        let rule = scram(role)?;
        let finding = Finding::warning(
            "role-md5",
            format!(
                "the role's password is kept as MD5, and line {} of pg_hba.conf ({}) takes only \
                 SCRAM: \"password authentication failed\"",
                rule.first_line, rule.conn_type
            ),
            "Set the password anew with password_encryption = 'scram-sha-256': \\password in psql.",
        );
        Some(Located::of_role(finding, name))
    })
    .collect()
}

/// The rules for clients of the network.
fn rules(facts: &Facts) -> impl Iterator<Item = &Rule> {
    let rules = facts.rules.iter().flat_map(|rules| &rules.entries);
    let rules = rules.filter_map(|located| located.entry.rule());
    rules.filter(|rule| rule.conn_type != ConnType::Local)
}

fn is_for(rule: &Rule, role: &RoleRow, facts: &Facts) -> bool {
    names_role(rule, &role.name, &|role, group| {
        facts.is_member(role, group)
    })
}

impl Facts {
    /// Whether a role is a group or a member of it, as far as the server has said.
    pub(super) fn is_member(&self, role: &str, group: &[u8]) -> bool {
        let answers = self.answers.as_ref().and_then(|it| it.as_ref().ok());
        let members = answers.and_then(|answers| answers.members.as_ref().ok());
        is_member(members, role, group).unwrap_or(false)
    }
}

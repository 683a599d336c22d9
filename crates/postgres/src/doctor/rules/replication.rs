//! Roles that may replicate, and no rule that lets them: `all` does not mean replication.

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;

use super::super::Located;
use super::super::facts::Facts;
use super::Placed;
use crate::hba::answer::{Answer, Connection, Transport, answer};
use crate::hba::quoted;
use crate::hba::rule::{Method, Rule};

pub(super) fn judge(placed: &[Placed<'_>], facts: &Facts) -> Vec<Located> {
    let answers = facts.answers.as_ref().and_then(|it| it.as_ref().ok());
    let Some(Ok(roles)) = answers.map(|answers| &answers.roles) else {
        return Vec::new();
    };
    let rules: Vec<&Rule> = placed.iter().map(|it| it.rule).collect();
    // Every cluster has superusers who may, and never do.
    let replicas = roles
        .iter()
        .filter(|role| role.may_replicate && role.can_login && !role.is_superuser);
    replicas
        .filter(|role| {
            let connection = Connection {
                transport: Transport::Tls,
                address: None,
                database: "",
                role: &role.name,
                replication: true,
            };
            let is_member = |role: &str, group: &[u8]| facts.is_member(role, group);
            match answer(&rules, &connection, is_member) {
                Answer::NoRule => true,
                Answer::Rule(rule) => rules
                    .get(rule)
                    .is_some_and(|it| it.method == Method::Reject),
                Answer::Unknown { .. } => false,
            }
        })
        .map(|role| {
            let finding = Finding::warning(
                "replication-rule-missing",
                "the role may replicate, and no rule lets it connect for that: the word all in a \
                 rule does not mean replication",
                &format!(
                    "Add a rule for it, such as:  hostssl  replication  {}  all  cert",
                    printable(&quoted(&role.name))
                ),
            );
            Located::of_role(finding, &role.name)
        })
        .collect()
}

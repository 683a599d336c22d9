//! The rules: one marked block at the top of `pg_hba.conf`, because the first match wins. Lines
//! for Unix-domain sockets are not touched, so that the administrator is never locked out.

use pgpki_core::name::Role;

use super::{Authentication, Change, ClientCerts, ConfigureError, Current, Wishes};
use crate::cluster::Cluster;
use crate::conf::marked::Block;
use crate::hba::Hba;
use crate::hba::quoted;

pub(super) fn plan(cluster: &Cluster, wishes: &Wishes) -> Result<Vec<Change>, ConfigureError> {
    let lines = rules(wishes);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let file = Current::read(cluster, &cluster.hba_file)?.existing()?;
    let hba = Hba::parse(file.bytes(), cluster.major);
    let own = hba.without_block().map_err(file.block_error())?;
    if own.as_ref().unwrap_or(&hba).entries().is_empty() {
        return Err(ConfigureError::NoRules { path: file.path });
    }
    let block = Block::new(lines).map_err(file.block_error())?;
    let after = hba.with_block(&block).map_err(file.block_error())?;
    // What is there first, because its lines have the numbers that its reader sees.
    let problems = hba.problems().into_iter().chain(after.problems());
    if let Some((line, problem)) = problems.into_iter().next() {
        return Err(ConfigureError::BadRule {
            path: file.path,
            line,
            problem: Box::new(problem),
        });
    }
    Ok(vec![file.change(Some(after.to_bytes().to_vec()), None)])
}

pub(super) fn plan_removal(cluster: &Cluster) -> Result<Vec<Change>, ConfigureError> {
    let file = Current::read(cluster, &cluster.hba_file)?.existing()?;
    let hba = Hba::parse(file.bytes(), cluster.major);
    let after = hba.without_block().map_err(file.block_error())?;
    let change = after.map(|after| file.change(Some(after.to_bytes().to_vec()), None));
    Ok(change.into_iter().collect())
}

/// The rules that the wishes come to. `all` does not match replication, which therefore has lines
/// of its own.
pub(super) fn rules(wishes: &Wishes) -> Vec<String> {
    let method = match wishes.authentication {
        Authentication::Certificate => "cert",
        Authentication::CertificateAndPassword => "scram-sha-256 clientcert=verify-full",
    };
    let both = |kind: &str, users: &str, method: &str| {
        ["all", "replication"]
            .map(|database| format!("{kind:<9}  {database:<11}  {users}  all  {method}"))
    };
    let mut rules = Vec::new();
    let certified = match &wishes.client_certs {
        ClientCerts::AsBefore => None,
        ClientCerts::All => Some("all".to_owned()),
        ClientCerts::Roles(roles) => Some(users(roles)),
    };
    // Without this, a client that has no certificate falls back to a password in the clear:
    // libpq's default, sslmode=prefer, tries again without TLS.
    match (&certified, wishes.require_tls) {
        (_, true) => rules.extend(both("hostnossl", "all", "reject")),
        (Some(users), false) => rules.extend(both("hostnossl", users, "reject")),
        (None, false) => {}
    }
    if let Some(users) = &certified {
        rules.extend(both("hostssl", users, method));
    }
    rules
}

/// Names in quotes, so that none of them is taken for a keyword, a group or a file. Only a slash
/// would mean something in them (a regular expression, from version 16 on), and no [`Role`] has one.
fn users(roles: &[Role]) -> String {
    let names: Vec<_> = roles.iter().map(|role| quoted(role.as_str())).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_is_never_taken_for_something_else() {
        let roles = ["all", "a\"b,c", "+d"].map(|name| name.parse().unwrap());
        assert_eq!(users(&roles), r#""all","a""b,c","+d""#);
        "/x".parse::<Role>().unwrap_err();
    }
}

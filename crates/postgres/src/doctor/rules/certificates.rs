//! What rules demand of a client's certificate, and what they then make of it.

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;

use super::super::Located;
use super::super::facts::Facts;
use super::{Placed, lets_in};
use crate::hba::rule::{ClientCert, Method, Rule};

pub(super) fn judge(placed: &[Placed<'_>], facts: &Facts) -> Vec<Located> {
    let mut findings = Vec::new();
    for it in placed.iter().filter(|it| lets_in(it.rule)) {
        findings.extend(binding(it.rule).map(|finding| it.located(finding)));
        findings.extend(mapped(it.rule).map(|finding| it.located(finding)));
    }
    let demanding = placed.iter().find(|it| it.rule.client_cert().is_some());
    if let Some(it) = demanding
        && facts.configuration.value("ssl_ca_file").is_empty()
        && facts.configuration.ssl_is_on()
    {
        findings.push(it.located(Finding::error(
            "ca-file-unset",
            format!(
                "this rule ({}) demands a certificate, and ssl_ca_file is not set: clients get \
                 \"client certificates can only be checked if a root certificate store is \
                 available\"",
                it.rule.in_short()
            ),
            "Set ssl_ca_file to the certificates of the CAs whose clients may come in.",
        )));
    }
    findings
}

/// `verify-ca` asks for some certificate, and not for the role's own.
fn binding(rule: &Rule) -> Option<Finding> {
    if rule.client_cert() != Some(ClientCert::VerifyCa) {
        return None;
    }
    let hint = "Write clientcert=verify-full, which wants the role's name in the certificate.";
    match rule.method {
        Method::Trust => Some(Finding::warning(
            "certificate-for-any-role",
            "whoever has any certificate of these CAs is let in as any role: trust with \
             clientcert=verify-ca",
            hint,
        )),
        _ => Some(Finding::warning(
            "certificate-not-bound",
            format!(
                "with {} and clientcert=verify-ca, anybody's certificate will do: alice's \
                 certificate and bob's password let in as bob",
                rule.method
            ),
            hint,
        )),
    }
}

fn mapped(rule: &Rule) -> Option<Finding> {
    let map = rule.option("map")?;
    (rule.method == Method::Cert).then(|| {
        Finding::info(
            "certificate-mapped",
            format!(
                "the map \"{}\" of pg_ident.conf alone says who may be whom: the certificate's \
                 name no longer has to be the role's",
                printable(map)
            ),
            "Anchor its regular expressions with ^ and $, and add a line for whoever comes under \
             his own name.",
        )
    })
}

//! Revocation where the files together cannot tell: no list at all, or a place for lists without
//! one. PostgreSQL wants a list of every CA as soon as either parameter is set
//! (`X509_V_FLAG_CRL_CHECK_ALL` in be-secure-openssl.c).

use pgpki_core::document::printable;
use pgpki_core::finding::{Finding, Severity};

use super::Located;
use super::facts::{Facts, ServerIssued};

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let on_disk = missing(facts);
    // Why the server does not refuse them is known then.
    let is_known = on_disk
        .iter()
        .any(|it| it.finding.severity == Severity::Error);
    let is_open = facts.refuses_revoked == Some(false) && !is_known;
    let to_refuse = facts.to_refuse().filter(|_| is_open);
    let let_in = to_refuse.map(|(server, revoked)| not_refused(facts, server, revoked));
    on_disk.into_iter().chain(let_in).collect()
}

/// That the server was seen to take what the authority's CRLs list.
fn not_refused(facts: &Facts, server: &ServerIssued, revoked: usize) -> Located {
    let file = facts.configuration.value("ssl_crl_file");
    let installed = server.installation.join("current/root.crl");
    let finding = Finding::error(
        "revoked-accepted",
        format!(
            "the server accepts a certificate that the authority's CRLs list, beside {revoked} of the clients' that were \
             revoked and have not ended: it reads other CRLs, or has not loaded these"
        ),
        &format!(
            "Its ssl_crl_file is '{}', and what it should have is {}. Where both are the same, its log says why the last \
             reload failed; put that right, and run pgpki rotate, which tries the server again.",
            printable(&file),
            printable(&installed.to_string_lossy())
        ),
    );
    finding.into()
}

fn missing(facts: &Facts) -> Vec<Located> {
    let files = &facts.files;
    let Some(ca) = files.ca_document() else {
        return Vec::new();
    };
    if !facts.configuration.ssl_is_on() {
        return Vec::new();
    }
    if files.crl.is_none() && files.crl_dir.is_none() {
        return vec![unset(facts).into()];
    }
    let lists = files
        .crl
        .iter()
        .chain(files.crl_dir.iter().flatten().flatten());
    let mut contents = lists.filter_map(|file| file.content.as_ref().ok());
    if contents.any(|document| document.crls().next().is_some()) {
        return Vec::new();
    }
    let cas = ca.certificates().filter(|it| it.is_ca);
    let missing = cas.map(|ca| {
        let finding = Finding::error(
            "crl-missing",
            format!(
                "a place for CRLs is set, and there is none of the CA \"{}\" in it: everybody \
                 below it is refused with \"tlsv1 alert unknown ca\"",
                ca.title()
            ),
            "Put that CA's CRL there, in ssl_crl_dir under the name that openssl rehash gives \
             it; or set neither parameter.",
        );
        match &files.crl {
            Some(file) => Located::in_file(finding, &file.path),
            None => finding.into(),
        }
    });
    missing.collect()
}

/// A slip where it has come to nothing so far: somebody counts on it once a certificate was revoked.
fn unset(facts: &Facts) -> Finding {
    match facts.to_refuse() {
        None => Finding::info(
            "crl-unset",
            "neither ssl_crl_file nor ssl_crl_dir is set, so a revoked certificate is still accepted",
            "Set ssl_crl_file to the CRLs of every CA in ssl_ca_file, as pgpki installs them.",
        ),
        Some((_, revoked)) => {
            let given = facts.configuration.given.get("ssl_crl_file");
            let in_the_way = given.and_then(|it| facts.cluster.in_the_way("ssl_crl_file", it));
            let sets_it = "pgpki configure sets it";
            Finding::error(
                "crl-unset",
                format!(
                    "neither ssl_crl_file nor ssl_crl_dir is set, and {revoked} of the clients' certificates that were \
                     revoked have not ended: this server still accepts them"
                ),
                &match in_the_way {
                    Some(it) => format!("{sets_it}, but not before this: {it}"),
                    None => format!("{sets_it}."),
                },
            )
        }
    }
}

//! What the TLS files hold: the pair, the chain and its order, expiry, what each file promises.

use pgpki_core::bundle::{Bundle, ChainEnd, FileFinding};
use pgpki_core::document::{Document, printable};
use pgpki_core::due::Within;
use pgpki_core::finding::Finding;
use time::OffsetDateTime;

use super::Located;
use super::facts::{Configuration, Facts, FileSeen, KEY_PARAMETERS, NotRead, TlsFiles};
use crate::conf::is_true;

/// The names under which a bundle knows what each file is for.
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";
const CA: &str = "root.crt";
const CRL: &str = "root.crl";

pub(super) fn judge(facts: &Facts, now: OffsetDateTime) -> Vec<Located> {
    if !facts.configuration.ssl_is_on() {
        return Vec::new();
    }
    let members = members(&facts.files);
    let mut findings: Vec<Located> = members.iter().filter_map(unreadable).collect();
    let documents = members.iter().map(|it| {
        let opened = facts.opened_key().filter(|_| it.name == KEY);
        let seen = opened.or(it.file.content.as_ref().ok());
        (it.name.clone(), seen.cloned())
    });
    let bundle = Bundle::new(documents.collect());
    let is_other_peoples = chain_leads_elsewhere(&bundle);
    for found in bundle.findings(now, Within::Third) {
        let code = found.finding.code;
        if is_other_peoples && found.file == CERTIFICATE && code == "chain-broken" {
            continue;
        }
        let found = match (code, &*found.file) {
            ("key-encrypted", KEY) => match encrypted(found.finding, &facts.configuration) {
                Some(finding) => FileFinding { finding, ..found },
                None => continue,
            },
            _ => found,
        };
        let Some(member) = members.iter().find(|it| it.name == found.file) else {
            continue;
        };
        let finding = with_real_names(found.finding, &members);
        findings.push(Located::in_file(finding, &member.file.path));
    }
    findings
}

/// A key that is encrypted, unless the server can open it by itself at each start and reload.
fn encrypted(finding: Finding, configuration: &Configuration) -> Option<Finding> {
    let [command, at_reload] = KEY_PARAMETERS.map(|name| configuration.value(name));
    if command.is_empty() {
        return Some(Finding::error(
            "key-encrypted",
            format!("{}, and ssl_passphrase_command is not set", finding.message),
            "Set it to a command that prints the passphrase, and ssl_passphrase_command_supports_reload = on: \
             until then the server neither reloads nor starts with this key.",
        ));
    }
    (!is_true(&at_reload)).then(|| {
        Finding::warning(
            "key-encrypted",
            format!(
                "{}, and ssl_passphrase_command_supports_reload is off",
                finding.message
            ),
            "Set it to on: until then a reload keeps the certificate that the server has, and a renewed one waits for \
             a restart.",
        )
    })
}

/// A file, under the name that its use has.
struct Member<'a> {
    name: String,
    file: &'a FileSeen,
}

fn members(files: &TlsFiles) -> Vec<Member<'_>> {
    let member = |name: &str, file| Member {
        name: name.to_owned(),
        file,
    };
    let mut members = vec![
        member(CERTIFICATE, &files.certificate),
        member(KEY, &files.key),
    ];
    members.extend(files.ca.as_ref().map(|file| member(CA, file)));
    members.extend(files.crl.as_ref().map(|file| member(CRL, file)));
    for file in files.crl_dir.iter().flatten().flatten() {
        members.push(member(&file.path.to_string_lossy(), file));
    }
    members
}

/// A file that holds nothing that the server could load.
fn unreadable(member: &Member<'_>) -> Option<Located> {
    let Err(NotRead::Bad(why)) = &member.file.content else {
        return None;
    };
    let finding = Finding::error(
        "unreadable",
        format!("{}: {}", member.file.parameter, printable(why)),
        "Put the right file in its place; the server does not load this one.",
    );
    Some(Located::in_file(finding, &member.file.path))
}

/// Whether a chain goes up to a root that `ssl_ca_file` need not have: that file is for clients,
/// and the server's own certificate may be a public CA's.
fn chain_leads_elsewhere(bundle: &Bundle) -> bool {
    bundle.chains().iter().any(|chain| {
        chain.file == CERTIFICATE
            && !chain.links.is_empty()
            && matches!(chain.end, ChainEnd::IssuerMissing(_))
    })
}

/// The finding with the files' own paths for the names of their uses.
fn with_real_names(finding: Finding, members: &[Member<'_>]) -> Finding {
    let mut message = String::new();
    let mut rest = finding.message.as_str();
    while let Some(first) = rest.chars().next() {
        let named = members.iter().find(|it| rest.starts_with(&it.name));
        let (text, length) = match named {
            Some(member) => (
                printable(&member.file.path.to_string_lossy()),
                member.name.len(),
            ),
            None => (first.to_string(), first.len_utf8()),
        };
        message.push_str(&text);
        rest = rest.get(length..).unwrap_or_default();
    }
    Finding { message, ..finding }
}

impl TlsFiles {
    /// What `ssl_ca_file` holds, if it is set and can be read.
    pub(super) fn ca_document(&self) -> Option<&Document> {
        self.ca.as_ref()?.content.as_ref().ok()
    }

    /// What `ssl_cert_file` holds, if it can be read.
    pub(super) fn certificate_document(&self) -> Option<&Document> {
        self.certificate.content.as_ref().ok()
    }
}

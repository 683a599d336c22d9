//! What stands before pgpki's rules: the first match wins, and somebody has put it there on purpose or by mistake.

use std::path::PathBuf;

use pgpki_fs::Text;

use super::{ClientCerts, ConfigureError, Current, Wishes};
use crate::cluster::{Cluster, Disk};
use crate::hba::answer::Transport;
use crate::hba::rule::{ClientCert, Method, Rule, User};
use crate::hba::{Hba, included};

/// A rule that lets in over the network whom pgpki's would refuse, and is tried before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: u32,
    /// What it comes to, in a few words.
    pub rule: String,
}

/// The rules that `cluster` tries before those that are wished, and that let in whom these would refuse. Rules for the
/// machine's own addresses do not count.
///
/// # Errors
/// `pg_hba.conf` cannot be read.
pub fn earlier(cluster: &Cluster, wishes: &Wishes) -> Result<Vec<Earlier>, ConfigureError> {
    let file = Current::read(cluster, &cluster.hba_file)?;
    let Some(Text { bytes, .. }) = &file.text else {
        return Ok(Vec::new());
    };
    let block = Hba::parse(bytes, cluster.major).block();
    let Some(block) = block.map_err(file.block_error())? else {
        return Ok(Vec::new());
    };
    let entries = included::entries(&file.path, bytes, cluster.major, &mut Disk);
    let is_before =
        |it: &&included::Located| it.file != file.path || it.entry.first_line < block.first_line;
    let before = entries.iter().take_while(is_before);
    let found = before.filter_map(|it| {
        let rule = it.entry.rule().filter(|rule| is_laxer(rule, wishes))?;
        Some(Earlier {
            file: it.file.clone(),
            line: rule.first_line,
            rule: rule.in_short(),
        })
    });
    Ok(found.collect())
}

fn is_laxer(rule: &Rule, wishes: &Wishes) -> bool {
    let comes_by = |transport| rule.conn_type.transports().contains(&transport);
    let is_meant = match &wishes.client_certs {
        ClientCerts::AsBefore => false,
        ClientCerts::All => true,
        // A group, an expression or a file may have one of them.
        ClientCerts::Roles(roles) => !rule.users.iter().all(|user| match user {
            User::Name(name) => !roles.iter().any(|role| role.as_str().as_bytes() == name.0),
            _ => false,
        }),
    };
    let is_plain = (wishes.require_tls || is_meant) && comes_by(Transport::Plain);
    let is_uncertified =
        is_meant && comes_by(Transport::Tls) && rule.client_cert() != Some(ClientCert::VerifyFull);
    rule.method != Method::Reject && !rule.is_loopback() && (is_plain || is_uncertified)
}

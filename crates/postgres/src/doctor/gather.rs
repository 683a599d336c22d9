//! Gathers the facts. Nothing here changes anything, and each question has an end.

mod files;
mod questions;

use std::ffi::CString;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use pgpki_fs::read_bounded;
use time::OffsetDateTime;

use super::facts::{
    Answers, Configuration, Facts, Issued, KEY_PARAMETERS, NotServed, PARAMETERS, Rules, State,
    Unseen,
};
use crate::cluster::{Cluster, Disk, MAX_CONFIG};
use crate::hba::{Hba, included};
use crate::last_reload::since_last_reload;
use crate::postmaster::Postmaster;
use crate::probe::{ClientCredential, probe};
use crate::refusal::refuses;
use crate::reload::endpoint;
use crate::sql::Session;

/// How long the server is given for all questions, and again for a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

const AS_ROOT: &str = "Run it as root, or as the cluster's own user.";

/// Looks at a cluster. `issued` is what the authority knows, if there is one, and `revoked` are certificates that its CRLs
/// list, to try the server with.
#[must_use]
pub fn gather(
    cluster: &Cluster,
    issued: Result<Issued, Unseen>,
    revoked: &[ClientCredential],
) -> Facts {
    let configuration = configuration(cluster);
    let state = match cluster.postmaster() {
        Ok(None) => State::Down,
        Ok(Some(postmaster)) => State::Up(postmaster),
        Err(error) => State::Unknown(Unseen {
            why: error.to_string(),
            hint: error.hint().map_or_else(String::new, sentence),
        }),
    };
    let postmaster = match &state {
        State::Up(postmaster) => Some(postmaster),
        _ => None,
    };
    Facts {
        groups: groups(cluster.owner.uid, cluster.owner.gid),
        files: files::tls_files(cluster, &configuration),
        rules: rules(cluster),
        answers: postmaster.map(|it| answers(it, cluster.major)),
        served: postmaster.filter(|_| configuration.ssl_is_on()).map(served),
        log: postmaster.map(since_last_reload),
        refuses_revoked: postmaster.and_then(|it| refuses_all(it, revoked)),
        cluster: cluster.clone(),
        configuration,
        state,
        issued,
    }
}

/// A hint as the sentence that findings have.
pub(super) fn sentence(hint: impl Into<String>) -> String {
    let mut hint = hint.into();
    if !hint.ends_with('.') {
        hint.push('.');
    }
    hint
}

fn configuration(cluster: &Cluster) -> Configuration {
    let given = PARAMETERS.into_iter().chain(KEY_PARAMETERS);
    Configuration {
        lines: cluster.effective(),
        given: given
            .filter_map(|name| Some((name, cluster.given(name)?)))
            .collect(),
    }
}

/// The groups of the server's user: its own, and those that `/etc/group` adds.
fn groups(uid: u32, gid: u32) -> Vec<u32> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let listed = user.and_then(|user| {
        let name = CString::new(user.name).ok()?;
        getgrouplist(&name, user.gid).ok()
    });
    let mut groups: Vec<u32> = listed
        .into_iter()
        .flatten()
        .map(Gid::as_raw)
        .chain([gid])
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn rules(cluster: &Cluster) -> Result<Rules, Unseen> {
    let path = &cluster.hba_file;
    let text = read_bounded(path, MAX_CONFIG).map_err(|error| Unseen {
        why: error.to_string(),
        hint: AS_ROOT.to_owned(),
    })?;
    let entries = included::entries(path, &text, cluster.major, &mut Disk);
    let mut paths: Vec<_> = entries.iter().map(|it| it.file.as_path()).collect();
    paths.push(path);
    let modified = paths.iter().filter_map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(OffsetDateTime::from(metadata.modified().ok()?))
    });
    let block = Hba::parse(&text, cluster.major).block().ok().flatten();
    Ok(Rules {
        modified: modified.max(),
        own_block: block.map(|found| (found.first_line, found.last_line)),
        entries,
    })
}

fn answers(postmaster: &Postmaster, major: u32) -> Result<Answers, Unseen> {
    let unseen = |why: &str, hint: &str| Unseen {
        why: why.to_owned(),
        hint: hint.to_owned(),
    };
    if !postmaster.is_ready {
        return Err(unseen("the server is starting up", "Run it again later."));
    }
    let socket = postmaster.socket().ok_or_else(|| {
        unseen(
            "the server has no local socket",
            "Give it one with unix_socket_directories, and restart it.",
        )
    })?;
    let session = Session::open(&socket, Instant::now() + PATIENCE);
    let mut session = session.map_err(|error| Unseen {
        why: error.to_string(),
        hint: error.hint().map_or_else(|| AS_ROOT.to_owned(), sentence),
    })?;
    Ok(questions::ask(&mut session, major))
}

/// Whether a server refuses all of these.
fn refuses_all(postmaster: &Postmaster, revoked: &[ClientCredential]) -> Option<bool> {
    let endpoint = endpoint(postmaster).ok()?;
    let tried = revoked.iter();
    let tried: Vec<Option<bool>> = tried
        .map(|credential| refuses(&endpoint, credential, Duration::ZERO))
        .collect();
    match tried.contains(&Some(false)) {
        true => Some(false),
        false => (!tried.is_empty() && !tried.contains(&None)).then_some(true),
    }
}

fn served(postmaster: &Postmaster) -> Result<Vec<Vec<u8>>, NotServed> {
    let endpoint = endpoint(postmaster).map_err(|error| {
        NotServed::NotAsked(Unseen {
            why: error.to_string(),
            hint: "Where clients come over the network, set listen_addresses, and restart.".into(),
        })
    })?;
    match probe(&endpoint, Instant::now() + PATIENCE) {
        Ok(served) => Ok(served.chain),
        Err(error) => Err(NotServed::Refused(Unseen {
            why: error.to_string(),
            hint: sentence(error.hint()),
        })),
    }
}

//! The parameters: a file of pgpki's own, and a line that includes it where nothing does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Change, ConfigureError, Current, Wishes};
use crate::cluster::{Cluster, Disk, Given};
use crate::conf::effective::{Effective, Sourced};
use crate::conf::files::{ConfigFiles, location};
use crate::conf::marked::{self, Block};
use crate::conf::quote::setting_line;
use crate::conf::{Conf, IncludeKind};

/// pgpki's own file, in the `conf.d` of the cluster or beside `postgresql.conf`.
const OWN_FILE: &str = "pgpki.conf";

/// What each parameter is to be, as PostgreSQL's documentation, "SSL" in "Connections and
/// Authentication", has them. `passphrase_file` has the passphrase of the server's key, if that is encrypted.
#[must_use]
pub fn settings(
    installation: &Path,
    passphrase_file: Option<&Path>,
) -> Vec<(&'static str, Vec<u8>)> {
    let file = |name: &str| {
        let path = installation.join("current").join(name);
        path.as_os_str().as_bytes().to_vec()
    };
    let mut settings = vec![
        ("ssl", b"on".to_vec()),
        ("ssl_cert_file", file("server.crt")),
        ("ssl_key_file", file("server.key")),
        ("ssl_ca_file", file("root.crt")),
        ("ssl_crl_file", file("root.crl")),
        // Older versions are withdrawn (RFC 8996).
        ("ssl_min_protocol_version", b"TLSv1.2".to_vec()),
    ];
    settings.extend(passphrase_file.into_iter().flat_map(about_passphrase));
    settings
}

/// What makes a server open its key with the first line of a file. Without the second, a reload keeps the certificate
/// that the server has.
#[must_use]
pub fn about_passphrase(file: &Path) -> [(&'static str, Vec<u8>); 2] {
    [
        ("ssl_passphrase_command", passphrase_command(file)),
        ("ssl_passphrase_command_supports_reload", b"on".to_vec()),
    ]
}

/// A command for sh, in which the server puts its prompt in the place of `%p`, so that `%` is `%%`.
fn passphrase_command(file: &Path) -> Vec<u8> {
    let mut command = b"head -n 1 '".to_vec();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            // POSIX, 2.2.2 Single-Quotes.
            b'\'' => command.extend(br"'\''"),
            b'%' => command.extend(b"%%"),
            byte => command.push(*byte),
        }
    }
    command.push(b'\'');
    command
}

pub(super) fn plan(cluster: &Cluster, wishes: &Wishes) -> Result<Vec<Change>, ConfigureError> {
    let main = Current::read(cluster, &cluster.config_file)?.existing()?;
    let conf = Conf::parse(main.bytes());
    let (own_path, is_included) = own_file(cluster, &conf);
    let own = Current::read(cluster, &own_path)?;
    check_ours(&own)?;
    let own_path = own.path.clone();

    let settings = settings(&wishes.installation, wishes.passphrase_file.as_deref());
    let lines = settings
        .iter()
        .map(|(name, value)| setting_line(name, value));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let block = Block::new(lines).map_err(own.block_error())?;
    let text = marked::insert_first(b"", &block).map_err(own.block_error())?;
    let like = main.text.clone();
    let own = own.change(Some(text), like.as_ref());

    let block = match is_included {
        true => None,
        false => Some(include_block(&main, &own_path)?),
    };
    let after = match block {
        Some(block) => conf.with_block(&block).map_err(main.block_error())?,
        None => conf,
    };
    let main = main.change(Some(after.to_bytes().to_vec()), None);
    let changes = vec![own, main];
    let names = settings.into_iter().map(|(name, _)| name);
    check(cluster, names, &changes, &own_path)?;
    Ok(changes)
}

pub(super) fn plan_removal(cluster: &Cluster) -> Result<Vec<Change>, ConfigureError> {
    let main = Current::read(cluster, &cluster.config_file)?.existing()?;
    let conf = Conf::parse(main.bytes());
    let own = Current::read(cluster, &own_file(cluster, &conf).0)?;
    let mut changes = Vec::new();
    // Before the file goes: a server does not start with an include that leads nowhere.
    if let Some(after) = conf.without_block().map_err(main.block_error())? {
        changes.push(main.change(Some(after.to_bytes().to_vec()), None));
    }
    if own.text.is_some() {
        check_ours(&own)?;
        changes.push(own.change(None, None));
    }
    Ok(changes)
}

/// Where pgpki's file is to be, and whether the configuration includes it without further ado.
fn own_file(cluster: &Cluster, conf: &Conf) -> (PathBuf, bool) {
    let directory = conf
        .includes()
        .filter(|include| include.kind == IncludeKind::Directory)
        .map(|include| location(&include.target, &cluster.config_file))
        .find(|directory| directory.is_dir() && is_beside(directory, &cluster.config_file));
    match directory {
        Some(directory) => (directory.join(OWN_FILE), true),
        None => (cluster.config_file.with_file_name(OWN_FILE), false),
    }
}

/// Whether a directory lies below that of a file. The server's user writes these lines, and must
/// not have root make him a file wherever he likes.
fn is_beside(directory: &Path, file: &Path) -> bool {
    let canonical = |path: &Path| pgpki_fs::canonical(path).ok();
    match (canonical(directory), file.parent().and_then(canonical)) {
        (Some(directory), Some(around)) => directory.starts_with(around),
        _ => false,
    }
}

fn include_block(main: &Current, own: &Path) -> Result<Block, ConfigureError> {
    let line = setting_line("include", own.as_os_str().as_bytes())?;
    // A directive is no assignment.
    let line = String::from_utf8_lossy(&line).replacen(" = ", " ", 1);
    Block::new([line.into_bytes()]).map_err(main.block_error())
}

/// Refuses a file that is more than one whole block of pgpki's.
fn check_ours(own: &Current) -> Result<(), ConfigureError> {
    if own.text.is_none() {
        return Ok(());
    }
    match marked::remove(own.bytes()).map_err(own.block_error())? {
        Some(rest) if rest.is_empty() => Ok(()),
        _ => Err(ConfigureError::NotOurs {
            path: own.path.clone(),
        }),
    }
}

/// Reads the configuration as it is going to be.
struct Planned {
    texts: BTreeMap<PathBuf, Vec<u8>>,
}

impl ConfigFiles for Planned {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let canonical = pgpki_fs::canonical(path).unwrap_or_else(|_| path.to_owned());
        match self.texts.get(&canonical) {
            Some(text) => Ok(text.clone()),
            None => Disk.read(path),
        }
    }

    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Disk.list(directory)?;
        let canonical = pgpki_fs::canonical(directory).unwrap_or_else(|_| directory.to_owned());
        for path in self.texts.keys() {
            let name = path.file_name().map(OsString::from).unwrap_or_default();
            if path.parent() == Some(&canonical) && !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Refuses a plan that would have no effect: another line wins, or the server reads none of it.
fn check(
    cluster: &Cluster,
    names: impl Iterator<Item = &'static str>,
    changes: &[Change],
    own: &Path,
) -> Result<(), ConfigureError> {
    let planned = changes.iter().filter_map(|change| {
        let after = change.after.as_ref()?;
        Some((change.path.clone(), after.bytes.clone()))
    });
    let mut files = Planned {
        texts: planned.collect(),
    };
    let mut source = |path: PathBuf| {
        let text = files.read(&path).unwrap_or_default();
        (path, Conf::parse(&text))
    };
    let sources = [
        source(cluster.config_file.clone()),
        source(cluster.auto_file()),
    ];
    let effective = Effective::of(&sources, &mut files);
    if let Some(fault) = effective.faults().first() {
        return Err(ConfigureError::Faulty(fault.clone()));
    }
    for name in names {
        if let Some(given @ Given::Argument { value }) = &cluster.given(name) {
            return Err(ConfigureError::Shadowed {
                name,
                by: format!("the server's own argument {name}={value}"),
                remedy: cluster.in_the_way(name, given).unwrap_or_default(),
                file: own.to_owned(),
            });
        }
        match effective.winner(name) {
            Some(winner) if same(&winner.file, own) => {}
            Some(winner) => return Err(shadowed(cluster, name, winner, own)),
            None => {
                return Err(ConfigureError::Missing {
                    path: own.to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn same(a: &Path, b: &Path) -> bool {
    pgpki_fs::canonical(a).is_ok_and(|a| a == b)
}

fn shadowed(cluster: &Cluster, name: &'static str, winner: &Sourced, own: &Path) -> ConfigureError {
    let by = format!("{}, line {}", winner.file.display(), winner.setting.line);
    let in_the_way = cluster.in_the_way(name, &Given::Line(winner.clone()));
    let remedy = in_the_way.unwrap_or_else(|| {
        let own = own.display();
        format!("Remove that line, or have it stand before {own}")
    });
    ConfigureError::Shadowed {
        name,
        by,
        remedy,
        file: own.to_owned(),
    }
}

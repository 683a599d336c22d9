//! Where clusters and their files are.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use pgpki_fs::read_bounded;

use super::{ClusterError, MAX_CONFIG};
use crate::conf::Conf;
use crate::postmaster::{self, Postmaster};

/// Where Debian's `postgresql-common` keeps the configuration: `/etc/postgresql/15/main`.
pub(super) const DEBIAN: &str = "/etc/postgresql";

/// Where other systems keep a data directory: Red Hat's packages, those of postgresql.org for it,
/// and the official container image. A star stands for one name.
const ELSEWHERE: [&str; 3] = [
    "/var/lib/pgsql/data",
    "/var/lib/pgsql/*/data",
    "/var/lib/postgresql/data",
];

const CONFIG_FILE: &str = "postgresql.conf";

/// Every data directory that can be found, some of them more than once.
pub(super) fn data_directories() -> Vec<PathBuf> {
    let running = postmaster::running()
        .into_iter()
        .map(|process| process.data_directory);
    let debian = debian_config_files()
        .into_iter()
        .filter_map(|file| data_directory_of(&file).ok());
    let elsewhere = ELSEWHERE.iter().flat_map(|pattern| matching(pattern));
    let environment = env::var_os("PGDATA").map(PathBuf::from);
    running
        .chain(debian)
        .chain(elsewhere)
        .chain(environment)
        .collect()
}

/// The existing paths that a pattern stands for.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((above, below)) = pattern.split_once("/*/") else {
        return vec![pattern.into()];
    };
    children(Path::new(above))
        .map(|child| child.join(below))
        .filter(|path| path.exists())
        .collect()
}

fn children(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

pub(super) fn debian_config_file(version: &str, cluster: &str) -> PathBuf {
    [DEBIAN, version, cluster, CONFIG_FILE].iter().collect()
}

fn debian_config_files() -> Vec<PathBuf> {
    children(Path::new(DEBIAN))
        .flat_map(|version| children(&version))
        .map(|cluster| cluster.join(CONFIG_FILE))
        .filter(|file| file.exists())
        .collect()
}

/// `15/main`, if the configuration is where Debian's tools keep it.
pub(super) fn debian_name(config_file: &Path) -> Option<String> {
    let name = config_file.parent()?.strip_prefix(DEBIAN).ok()?.to_str()?;
    (name.split('/').count() == 2).then(|| name.to_owned())
}

/// The data directory that a configuration outside of it names, or else its own directory.
pub(super) fn data_directory_of(config_file: &Path) -> Result<PathBuf, ClusterError> {
    let conf = Conf::parse(&read_bounded(config_file, MAX_CONFIG)?);
    let above = config_file.parent().unwrap_or(Path::new("/"));
    let named = conf.settings().filter(|it| it.is("data_directory")).last();
    Ok(match named {
        Some(setting) => above.join(OsStr::from_bytes(&setting.value)),
        None => above.to_owned(),
    })
}

/// The `postgresql.conf` of a data directory: what the running server was told, what lies in the
/// directory, or what one of Debian's configurations says.
pub(super) fn config_file(
    data_directory: &Path,
    postmaster: Option<&Postmaster>,
) -> Option<PathBuf> {
    let arguments = postmaster.map(Postmaster::arguments).unwrap_or_default();
    let told = argument(&arguments, "config_file").map(PathBuf::from);
    let configured = flag(&arguments, "-D").map(|directory| Path::new(directory).join(CONFIG_FILE));
    let within = data_directory.join(CONFIG_FILE);
    let is_ours = |file: &PathBuf| {
        data_directory_of(file)
            .and_then(|directory| super::canonical(&directory))
            .is_ok_and(|directory| directory == data_directory)
    };
    [told, configured, Some(within)]
        .into_iter()
        .flatten()
        .find(|file| file.is_absolute() && file.exists())
        .or_else(|| debian_config_files().into_iter().find(is_ours))
}

/// What follows a flag.
fn flag<'a>(arguments: &'a [OsString], flag: &str) -> Option<&'a OsStr> {
    let mut arguments = arguments.iter().skip(1);
    arguments.find(|argument| *argument == flag)?;
    arguments.next().map(OsString::as_os_str)
}

/// The value that the server's arguments give a parameter: `-c name=value` or `--name=value`, of
/// which the last one wins; see "postgres" in PostgreSQL's documentation.
pub(super) fn argument(arguments: &[OsString], name: &str) -> Option<String> {
    let mut value = None;
    let mut is_option = false;
    for argument in arguments.iter().skip(1) {
        let text = argument.to_string_lossy();
        let assignment = match (is_option, text.strip_prefix("--"), text.strip_prefix("-c")) {
            (true, _, _) => Some(text.as_ref()),
            (false, Some(long), _) => Some(long),
            (false, None, Some(short)) if !short.is_empty() => Some(short),
            _ => None,
        };
        is_option = !is_option && text == "-c";
        if let Some((left, right)) = assignment.and_then(|text| text.split_once('='))
            && left.replace('-', "_").eq_ignore_ascii_case(name)
        {
            value = Some(right.to_owned());
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_the_server_reads_them() {
        let arguments = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, expected) in [
            ("postgres -D /d -c ssl_cert_file=/x", Some("/x")),
            (
                "postgres --ssl-cert-file=/x -c ssl_cert_file=/y",
                Some("/y"),
            ),
            ("postgres -cssl_cert_file=/x", Some("/x")),
            ("postgres -c other=ssl_cert_file=/x", None),
            ("postgres ssl_cert_file=/x", None),
            ("postgres -c", None),
        ] {
            let value = argument(&arguments(line), "ssl_cert_file");
            assert_eq!(value.as_deref(), expected, "{line}");
        }
        assert_eq!(
            flag(&arguments("postgres -p 5 -D /d"), "-D"),
            Some(OsStr::new("/d"))
        );
    }
}

//! Making a cluster: its directory, its port, `initdb`.

use std::collections::hash_map::RandomState;
use std::env;
use std::fs::{self, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::Cluster;
use crate::judges::attempt;
use crate::owner::Owner;
use crate::programs::ServerPrograms;

/// A socket's path is limited to 107 bytes on Linux; this is the rest of it:
/// `/pgpki-XXXXXX/socket/.s.PGSQL.65535`.
const LONGEST_PARENT: usize = 107 - 36;

/// Below Linux's ephemeral ports (from 32768), so that no outgoing connection takes the port of a
/// server that restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_768;

/// What a new cluster is to be like; see [`Cluster::builder`].
#[derive(Debug, Default)]
pub struct ClusterBuilder {
    conf: String,
    hba: Option<String>,
    server: WhichServer,
}

/// Which of the machine's servers a new cluster runs on.
#[derive(Debug, Default)]
enum WhichServer {
    /// What [`ServerPrograms::find`] finds.
    #[default]
    Found,
    OfMajor(u32),
    These(ServerPrograms),
}

impl WhichServer {
    fn programs(self) -> Result<ServerPrograms, String> {
        match self {
            Self::Found => ServerPrograms::find(),
            Self::OfMajor(major) => ServerPrograms::of_major(major),
            Self::These(programs) => Ok(programs),
        }
    }
}

impl ClusterBuilder {
    /// Lines at the end of `postgresql.conf`, where they win.
    pub fn conf(mut self, text: impl Into<String>) -> Self {
        self.conf = text.into();
        self
    }

    /// The lines of `pg_hba.conf`; without them everybody on this machine is trusted. See
    /// [`Cluster::set_hba`].
    pub fn hba(mut self, text: impl Into<String>) -> Self {
        self.hba = Some(text.into());
        self
    }

    /// A server of this major version, which is one of [`ServerPrograms::MAJORS`]; see
    /// [`ServerPrograms::of_major`].
    pub fn major(mut self, major: u32) -> Self {
        self.server = WhichServer::OfMajor(major);
        self
    }

    /// This server, as one of [`ServerPrograms::every`].
    pub fn programs(mut self, programs: &ServerPrograms) -> Self {
        self.server = WhichServer::These(programs.clone());
        self
    }

    /// Makes the cluster and starts it. The error says what to install, or what the server logged.
    pub fn start(self) -> Result<Cluster, String> {
        let mut cluster = self.create()?;
        cluster.start()?;
        Ok(cluster)
    }

    /// Makes the cluster without starting it.
    pub fn create(self) -> Result<Cluster, String> {
        let programs = self.server.programs()?;
        let owner = Owner::of_new_clusters()?;
        let dir = directory(&owner)
            .map_err(|error| format!("cannot make a directory for a cluster: {error}"))?;
        let mut cluster = Cluster {
            programs,
            owner,
            port: free_port()?,
            pristine_conf: String::new(),
            extra_conf: self.conf,
            port_is_unknown_outside: true,
            server: None,
            dir,
        };
        cluster.init()?;
        cluster.write_conf();
        if let Some(hba) = self.hba {
            cluster.set_hba(&hba);
        }
        Ok(cluster)
    }
}

impl Cluster {
    fn init(&mut self) -> Result<(), String> {
        for (path, owner) in [
            (self.data_dir(), Some(&self.owner)),
            (self.socket_dir(), Some(&self.owner)),
            (self.home(), None),
        ] {
            fs::create_dir(&path)
                .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
            if let Some(owner) = owner {
                owner.take(&path)?;
            }
        }
        let mut initdb = self.server_command("initdb");
        initdb
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(self.data_dir());
        attempt(&mut initdb)?;
        let conf = self.data_dir().join("postgresql.conf");
        self.pristine_conf = fs::read_to_string(&conf)
            .map_err(|error| format!("cannot read {}: {error}", conf.display()))?;
        Ok(())
    }

    /// One of the server's programs, as the server's user, in an environment that says nothing of
    /// this machine.
    pub(super) fn server_command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.program(program));
        self.clean(&mut command);
        // PostgreSQL's programs complain when they cannot enter the directory they are started in.
        self.owner.runs(&mut command).current_dir("/");
        command
    }

    pub(super) fn choose_another_port(&mut self) -> Result<(), String> {
        self.port = free_port()?;
        self.write_conf();
        Ok(())
    }
}

fn directory(owner: &Owner) -> std::io::Result<TempDir> {
    let dir = tempfile::Builder::new()
        .prefix("pgpki-")
        .tempdir_in(parent(owner))?;
    // The server's user has to enter; set after creation, because the umask may have taken it away.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    Ok(dir)
}

/// The usual place for temporary files, unless the socket's path would be too long there or the
/// server's user could not get in.
fn parent(owner: &Owner) -> PathBuf {
    let usual = env::temp_dir();
    if owner.may_enter(&usual) && usual.is_absolute() && usual.as_os_str().len() <= LONGEST_PARENT {
        usual
    } else {
        PathBuf::from("/tmp")
    }
}

/// A port that is free on both loopback addresses now. Somebody can take it before the server does:
/// the start is then tried again with another one.
fn free_port() -> Result<u16, String> {
    (0..1000)
        .map(|_| {
            PORTS.start + u16::try_from(random() % u64::from(PORTS.end - PORTS.start)).unwrap()
        })
        .find(|&port| {
            TcpListener::bind(("127.0.0.1", port)).is_ok()
                && (!has_ipv6() || TcpListener::bind(("::1", port)).is_ok())
        })
        .ok_or_else(|| {
            format!(
                "no free port on 127.0.0.1 from {} to {}",
                PORTS.start,
                PORTS.end - 1
            )
        })
}

/// Random enough to keep tests that run side by side apart.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Whether this machine has the IPv6 loopback address; many containers do not.
pub(super) fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_from_call_to_call() {
        let ports: std::collections::HashSet<u16> = (0..8).map(|_| free_port().unwrap()).collect();
        assert!(ports.len() > 4, "{ports:?}");
    }

    #[test]
    fn the_longest_socket_path_fits() {
        let longest = format!(
            "{}/pgpki-XXXXXX/socket/.s.PGSQL.65535",
            "x".repeat(LONGEST_PARENT)
        );
        assert!(longest.len() <= 107, "{}", longest.len());
    }
}

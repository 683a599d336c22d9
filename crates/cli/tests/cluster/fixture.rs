//! A cluster that pgpki configures, and an authority with an installation for it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Cluster, ClusterBuilder, Scene, ServerPrograms, attempt, run};
use serde_json::Value;

pub(crate) const EVERYTHING: [&str; 3] = ["--require-tls", "--client-certs", "all"];

/// Makes every version refuse its TLS files, whatever is in them; 18 knows it by its former name.
pub(crate) const POISON: &str = "ssl_ecdh_curve = 'nonsense'\n";

/// A cluster that does not use the installation yet, and an authority with an installation.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) scene: Scene,
}

impl Stage {
    /// The machine's own server, running.
    pub(crate) fn new() -> Self {
        Self::with(Cluster::builder())
    }

    /// A server of this kind, running.
    pub(crate) fn with(builder: ClusterBuilder) -> Self {
        Self::of(builder.start().unwrap())
    }

    pub(crate) fn of(cluster: Cluster) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        Self { cluster, scene }
    }

    /// A running server that has been told everything.
    pub(crate) fn configured(rules: &[&str]) -> Self {
        let stage = Self::new();
        let said = stage.configure(rules);
        assert!(said.contains("proven     "), "{said}");
        stage
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = self.scene.command(["configure", "--pgdata"]);
        command
            .arg(self.cluster.data_dir())
            .arg("--install")
            .arg(self.scene.tls())
            .args(more);
        command
    }

    /// Configures, which must succeed, and returns what was printed.
    #[track_caller]
    pub(crate) fn configure(&self, more: &[&str]) -> String {
        let output = run(&mut self.command(more));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails to configure with `status`, changes nothing, and returns the message.
    #[track_caller]
    pub(crate) fn refuses(&self, status: i32, more: &[&str]) -> String {
        let before = Files::of(&self.cluster);
        let said = self.scene.fails_with(status, &mut self.command(more));
        before.assert_unchanged(&self.cluster);
        said
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.cluster.data_dir().join("postgresql.conf")
    }

    pub(crate) fn hba(&self) -> PathBuf {
        self.cluster.data_dir().join("pg_hba.conf")
    }

    /// A file of the server's user, with what is in it.
    pub(crate) fn write(&self, path: &Path, text: impl AsRef<[u8]>) {
        fs::write(path, text).unwrap();
        self.cluster.owner().take(path).unwrap();
    }

    /// Issues a certificate to a new role, and returns its folder.
    pub(crate) fn client(&self, role: &str) -> PathBuf {
        self.cluster.create_role(role, None, true);
        let args = ["issue-client", "--out", "clients", "--", role];
        run(&mut self.scene.command(args));
        self.scene.path("clients").join(role)
    }

    /// The connection string of a client with this folder and full verification; what is in `more`
    /// wins.
    pub(crate) fn conninfo(&self, folder: &Path, user: &str, more: &[(&str, &str)]) -> String {
        let port = self.cluster.port().to_string();
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let own = [
            ("host", "localhost".to_owned()),
            ("port", port),
            ("dbname", "postgres".to_owned()),
            ("user", user.to_owned()),
            ("sslmode", "verify-full".to_owned()),
            ("sslrootcert", file("root.crt")),
            ("sslcert", file("postgresql.crt")),
            ("sslkey", file("postgresql.key")),
        ];
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        // libpq takes the last of several values for one keyword.
        own.into_iter()
            .chain(more)
            .map(|(key, value)| {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                format!("{key}='{value}' ")
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn connects(&self, conninfo: &str) {
        let output = self.cluster.psql(conninfo, "select 6 * 7");
        let log = self.cluster.log();
        assert!(
            output.status.success() && output.stdout == b"42\n",
            "{conninfo}\n{output:?}\n{log}"
        );
    }

    /// Fails to connect, and returns what psql said.
    #[track_caller]
    pub(crate) fn keeps_out(&self, conninfo: &str) -> String {
        let output = self.cluster.psql(conninfo, "select 1");
        assert!(!output.status.success(), "it let in {conninfo}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The generation that is live.
    pub(crate) fn current(&self) -> String {
        let link = fs::read_link(self.scene.tls().join("current")).unwrap();
        link.to_str().unwrap().to_owned()
    }

    /// Runs `rotate --json` with more arguments, which must end with `status`, and returns the
    /// report.
    #[track_caller]
    pub(crate) fn rotate(&self, status: i32, more: &[&str]) -> Value {
        let args = ["rotate", "--json"];
        let mut command = self.scene.command(args.iter().chain(more));
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{output:?}\n{}",
            self.cluster.log()
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The server serves the live generation, which is this one, and all that the authority knows
    /// fits together.
    #[track_caller]
    pub(crate) fn is_sound_with(&self, generation: &str) {
        assert_eq!(self.current(), generation);
        self.serves_what_is_installed();
        self.ledger_agrees();
    }

    #[track_caller]
    pub(crate) fn serves_what_is_installed(&self) {
        let served = served_leaf(&format!("127.0.0.1:{}", self.cluster.port())).unwrap();
        let served = served.trim();
        assert_eq!(served, self.installed_leaf(), "{}", self.cluster.log());
    }

    /// Whether the live generation is what is served now.
    pub(crate) fn is_served(&self) -> bool {
        served_leaf(&format!("127.0.0.1:{}", self.cluster.port()))
            .is_ok_and(|served| served.trim() == self.installed_leaf())
    }

    pub(crate) fn installed_leaf(&self) -> String {
        let chain = fs::read_to_string(self.scene.tls().join("current/server.crt")).unwrap();
        first_certificate(&chain).unwrap().to_owned()
    }

    /// A plain rotation finds nothing to do, and inspect nothing to complain of.
    #[track_caller]
    pub(crate) fn ledger_agrees(&self) {
        assert_eq!(self.scene.pgpki("rotate"), "");
        self.scene.pgpki("inspect");
        let tls = self.scene.tls();
        run(&mut self.scene.command(["inspect".as_ref(), tls.as_os_str()]));
    }

    /// `pg_ctl` of the machine's own server, as the server's user.
    pub(crate) fn pg_ctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.cluster.programs().program("pg_ctl"));
        let owner = self.cluster.owner();
        if !owner.is_caller() {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
            .current_dir("/")
            .env("LC_ALL", "C")
            .arg("-D")
            .arg(self.cluster.data_dir())
            .arg("-l")
            .arg(self.cluster.data_dir().join("pg_ctl.log"))
            .args(args);
        command
    }

    pub(crate) fn postmaster(&self) -> nix::unistd::Pid {
        let file = fs::read_to_string(self.cluster.data_dir().join("postmaster.pid")).unwrap();
        nix::unistd::Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
    }
}

/// What a report says of the one installation.
#[track_caller]
pub(crate) fn the_server(report: &Value) -> &Value {
    let places = report["places"].as_array().unwrap();
    let mut servers = places.iter().filter(|it| it["profile"] == "server");
    let server = servers
        .next()
        .unwrap_or_else(|| panic!("no server in {report}"));
    assert!(servers.next().is_none(), "{report}");
    server
}

/// The servers of a test about versions, each in a thread of its own.
pub(crate) fn on_every_version(check: impl Fn(&ServerPrograms) + Sync) {
    let servers = ServerPrograms::every();
    let check = &check;
    std::thread::scope(|scope| {
        for programs in &servers {
            let name = programs.to_string();
            let thread = std::thread::Builder::new().name(name);
            thread.spawn_scoped(scope, move || check(programs)).unwrap();
        }
    });
}

/// The leaf that is served at an address, PEM.
pub(crate) fn served_leaf(address: &str) -> Result<String, String> {
    let mut openssl = Command::new("timeout");
    openssl.args(["10", "openssl", "s_client", "-starttls", "postgres"]);
    let output = attempt(openssl.args(["-connect", address]))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    first_certificate(&text).map(str::to_owned).ok_or(text)
}

fn first_certificate(text: &str) -> Option<&str> {
    let begin = text.find("-----BEGIN CERTIFICATE-----")?;
    let end = text[begin..].find("-----END CERTIFICATE-----")?;
    Some(text[begin..begin + end].trim())
}

/// One file as it is.
#[derive(Clone, PartialEq, Eq)]
struct File {
    bytes: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, mode, owner } = self;
        write!(
            f,
            "{mode:o} of {owner:?}: {}",
            String::from_utf8_lossy(bytes)
        )
    }
}

/// Every file that a cluster may be configured with, leftovers included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, File>);

/// What the server itself writes there.
const THE_SERVERS: [&str; 5] = [
    "postmaster.pid",
    "postmaster.opts",
    "current_logfiles",
    "pg_ctl.log",
    "logfile",
];

impl Files {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let mut files = BTreeMap::new();
        let data = cluster.data_dir();
        for directory in [data.clone(), data.join("conf.d"), cluster.dir().join("etc")] {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                let seen = path.metadata().unwrap();
                if seen.is_file() && !THE_SERVERS.contains(&name) {
                    let file = File {
                        bytes: fs::read(&path).unwrap(),
                        mode: seen.mode(),
                        owner: (seen.uid(), seen.gid()),
                    };
                    files.insert(path, file);
                }
            }
        }
        Self(files)
    }

    #[track_caller]
    pub(crate) fn assert_unchanged(&self, cluster: &Cluster) {
        let now = Self::of(cluster);
        let names = |files: &Self| files.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&now), names(self), "files came or went");
        for (path, file) in &self.0 {
            let now = &now.0[path];
            assert!(
                now == file,
                "{} was changed:\n{now:?}\nfrom\n{file:?}",
                path.display()
            );
        }
    }
}

//! A server that demands certificates, and everybody's folders; shared by the tests that run at the
//! same time.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use pgpki_testing::{Cluster, Owner, Scene, openssl, quote_identifier, run};

pub(crate) use crate::material::text;
use crate::material::{CLIENTS, Material, TLS, put, put_credential};
use crate::roles;

/// Everybody needs a certificate with the role's name, over TLS.
const RULES: &str = "local replication postgres trust\n\
                     hostssl all all all cert clientcert=verify-full\n\
                     hostssl replication all all cert clientcert=verify-full";

/// Addresses on which the server is reached, and of which its certificate has the first alone.
const ADDRESSES: &str = "listen_addresses = '127.0.0.1, 127.0.0.2'\n";

/// An address that the server's certificate has not.
pub(crate) const OTHER_ADDRESS: &str = "127.0.0.2";

/// A database whose name needs as much care as a role's.
pub(crate) const ODD_DATABASE: &str = r#"d'b "x" %20$\"#;

pub(crate) struct Stage {
    /// Whose certificate is for `localhost` and `127.0.0.1`.
    pub(crate) cluster: Cluster,
    /// The same authority's, whose certificate is for `db.example.com`.
    pub(crate) misnamed: Cluster,
    pub(crate) material: Material,
    /// Every role, by hand and made up.
    pub(crate) roles: Vec<String>,
}

/// The stage of the tests that run now; the last of them takes it down.
static SHARED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());

impl Stage {
    /// The shared one.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(|broken| broken.into_inner());
        if let Some(stage) = shared.upgrade() {
            return stage;
        }
        let stage = Arc::new(Self::new());
        *shared = Arc::downgrade(&stage);
        stage
    }

    fn new() -> Self {
        let material = Material::new();
        let other = material.server_for("db.example.com");
        let misnamed = serving(&material, &other, "");
        let cluster = serving(&material, &material.server(), ADDRESSES);
        let roles = roles::all();
        let create =
            |role: &String| format!("create role {} login replication;", quote_identifier(role));
        cluster.sql(&roles.iter().map(create).collect::<String>());
        cluster.sql(&format!(
            "create database {}",
            quote_identifier(ODD_DATABASE)
        ));
        let stage = Self {
            cluster,
            misnamed,
            material,
            roles,
        };
        stage.hand_out();
        stage
    }

    pub(crate) fn scene(&self) -> &Scene {
        &self.material.scene
    }

    /// Folders for every role, with the keys in Java's form as well, and one of alice's with a root
    /// that has not signed anything here.
    fn hand_out(&self) {
        let scene = self.scene();
        let issue = ["issue-client", "--out", "clients", "--"].map(str::to_owned);
        run(&mut scene.command(issue.iter().chain(&self.roles)));
        for role in &self.roles {
            with_java_key(&self.folder(role));
        }
        run(Command::new("cp")
            .arg("-r")
            .args([scene.path("clients"), scene.path("servers")]));
        let owner = Owner::of_new_clusters().unwrap();
        let owner = format!("{}:{}", owner.uid, owner.gid);
        run(Command::new("chown")
            .args(["-R", &owner])
            .arg(scene.path("servers")));
        run(Command::new("chmod")
            .args(["-R", "go+rX"])
            .arg(scene.path("clients"))
            .arg(scene.path("servers")));
        let keys = "find . -name 'postgresql.key' -exec chmod 0600 {} +";
        run(Command::new("sh")
            .args(["-c", keys])
            .current_dir(scene.path("")));
        let stranger = Material::new();
        for shelf in ["clients", "servers"] {
            let folder = scene.path(shelf).join(STRANGER);
            run(Command::new("cp")
                .args(["-r", "-p"])
                .args([scene.path(shelf).join("alice"), folder.clone()]));
            fs::write(folder.join("root.crt"), stranger.root()).unwrap();
        }
    }

    /// A role's folder, whose name is the role's.
    pub(crate) fn folder(&self, role: &str) -> PathBuf {
        self.scene().path("clients").join(role)
    }

    /// The same under a name that can be written everywhere.
    pub(crate) fn plain_folder(&self, folder: &Path) -> PathBuf {
        let link = tempfile::tempdir_in(self.scene().path(""))
            .unwrap()
            .keep()
            .join("folder");
        run(Command::new("chmod")
            .arg("0755")
            .arg(link.parent().unwrap()));
        symlink(folder, &link).unwrap();
        link
    }

    /// What the program prints of a role for a driver; the arguments go in between.
    pub(crate) fn connect(&self, driver: &str, role: &str, args: &[&str]) -> Command {
        let mut command = self.scene().command(["connect", "--for", driver]);
        command.args(args).args(["--", role]);
        command
    }

    /// A folder for the files of one test.
    pub(crate) fn workshop(&self) -> PathBuf {
        let folder = tempfile::tempdir_in(self.scene().path("")).unwrap().keep();
        run(Command::new("chmod").arg("0755").arg(&folder));
        folder
    }
}

/// The folder of alice with another authority's root.
pub(crate) const STRANGER: &str = "stranger";

fn serving(material: &Material, server: &crate::material::Pair, more: &str) -> Cluster {
    let conf = format!("{TLS}{CLIENTS}{more}max_wal_senders = 10\n");
    let mut cluster = Cluster::builder().conf(conf).hba(RULES).create().unwrap();
    put_credential(&cluster, server);
    put(&cluster, "root.crt", &material.root());
    put(&cluster, "root.crl", &material.crls());
    cluster.start().unwrap();
    cluster
}

fn with_java_key(folder: &Path) {
    let (key, pk8) = (folder.join("postgresql.key"), folder.join("postgresql.pk8"));
    let (key, pk8) = (text(&key), text(&pk8));
    openssl([
        "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", &key, "-out", &pk8,
    ]);
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

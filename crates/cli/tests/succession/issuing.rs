//! `rotate --issuing`: a new issuing CA beside the old one, and who signs for whom meanwhile.

use std::fs;
use std::path::Path;

use pgpki_testing::{Cluster, append, openssl, replace, run};

use crate::stage::{DONE, Stage, blocks};

/// Something was put back.
const PUT_BACK: i32 = 6;

/// Makes every version refuse its TLS files, whatever is in them.
const POISON: &str = "ssl_ecdh_curve = 'nonsense'\n";

/// The common name of whoever signed a folder's certificate.
fn issuer(folder: &Path) -> String {
    let file = folder.join("postgresql.crt");
    let args = ["x509", "-noout", "-issuer", "-nameopt", "multiline", "-in"];
    let args = args.iter().map(AsRef::as_ref).chain([file.as_os_str()]);
    let said = String::from_utf8(openssl(args).stdout).unwrap();
    let line = said.lines().find(|line| line.contains("commonName"));
    line.unwrap().split(" = ").nth(1).unwrap().to_owned()
}

const FIRST: &str = "localhost issuing CA 1";
const SECOND: &str = "localhost issuing CA 2";

#[test]
fn both_chains_are_accepted_and_nobodys_trust_changes() {
    let stage = Stage::new();
    let alice = stage.client("alice");
    let old = stage.copied(&alice, "old");
    let roots = stage.roots();

    let report = stage.rotate(DONE, &["--issuing"]);
    assert_eq!(report["issuing_ca"], "renewed", "{report}");
    assert_eq!(report["root"], "not-due", "{report}");
    assert_eq!(stage.roots(), roots);
    // A client that is not due keeps what it has.
    assert_eq!(issuer(&alice), FIRST);
    stage.connects(&stage.own("alice", &old));
    let newcomer = stage.client("newcomer");
    assert_eq!(issuer(&newcomer), SECOND);
    stage.connects(&stage.conninfo("newcomer", &newcomer, &old.join("root.crt")));
    assert_eq!(blocks(&stage.scene.tls().join("current/root.crl")).len(), 3);

    stage.rotate(DONE, &["--force"]);
    assert_eq!(issuer(&alice), SECOND);
    for folder in [&alice, &old] {
        stage.connects(&stage.own("alice", folder));
        assert_eq!(blocks(&folder.join("root.crt")), roots);
    }
    stage.restart();
    stage.connects(&stage.own("alice", &old));
    stage.is_settled();
}

/// PostgreSQL wants a CRL of the CA that signed a client's certificate, and this server has none of the new one.
#[test]
fn a_server_that_cannot_take_it_up_keeps_the_old_one_signing() {
    let stage = Stage::new();
    let conf = stage.cluster.data_dir().join("postgresql.conf");
    let healthy = fs::read(&conf).unwrap();
    append(&conf, POISON);

    let report = stage.rotate(PUT_BACK, &["--issuing"]);
    assert_eq!(report["issuing_ca"], "renewed", "{report}");
    let newcomer = stage.client("newcomer");
    assert_eq!(issuer(&newcomer), FIRST);
    stage.connects(&stage.own("newcomer", &newcomer));

    replace(&conf, healthy);
    stage.rotate(DONE, &[]);
    let latest = stage.client("latest");
    assert_eq!(issuer(&latest), SECOND);
    stage.connects(&stage.own("latest", &latest));
    stage.connects(&stage.own("newcomer", &newcomer));
    stage.is_settled();
}

/// A server that has its files from a folder, which somebody has to carry there.
struct Elsewhere {
    cluster: Cluster,
}

impl Elsewhere {
    fn with(folder: &Path) -> Self {
        let mut cluster = Cluster::builder()
            .hba("hostssl all all all cert")
            .create()
            .unwrap();
        let dir = cluster.dir().join("tls");
        let file = |name: &str| format!("'{}'", dir.join(name).display());
        cluster.set_conf(format!(
            "ssl = on\nssl_cert_file = {}\nssl_key_file = {}\nssl_ca_file = {}\nssl_crl_file = {}\n",
            file("server.crt"),
            file("server.key"),
            file("root.crt"),
            file("root.crl"),
        ));
        let mut elsewhere = Self { cluster };
        elsewhere.carry(folder);
        elsewhere.cluster.start().unwrap();
        for role in ["newcomer", "latest", "last"] {
            elsewhere.cluster.create_role(role, None, true);
        }
        elsewhere
    }

    fn carry(&self, folder: &Path) {
        let dir = self.cluster.dir().join("tls");
        let owner = self.cluster.owner();
        fs::create_dir_all(&dir).unwrap();
        owner.take(&dir).unwrap();
        for name in ["server.crt", "server.key", "root.crt", "root.crl"] {
            run(std::process::Command::new("cp")
                .args(["-p", "--remove-destination"])
                .arg(folder.join(name))
                .arg(dir.join(name)));
            owner.take(&dir.join(name)).unwrap();
        }
    }

    #[track_caller]
    fn lets_in(&self, stage: &Stage, role: &str, folder: &Path) {
        let port = |cluster: &Cluster| format!("port={} ", cluster.port());
        let here = stage.own(role, folder);
        let there = here.replace(&port(&stage.cluster), &port(&self.cluster));
        assert_ne!(here, there);
        let output = self.cluster.psql(&there, "select 1");
        assert!(
            output.status.success(),
            "{output:?}\n{}",
            self.cluster.log()
        );
    }
}

#[test]
fn a_server_elsewhere_keeps_the_old_one_signing_until_it_must_have_moved_on() {
    let stage = Stage::new();
    stage
        .scene
        .pgpki("issue-server localhost --out servers/standby");
    let folder = stage.scene.path("servers/standby");
    let before = stage.copied(&folder, "before");
    let mut elsewhere = Elsewhere::with(&before);

    stage.rotate(DONE, &["--issuing"]);
    let newcomer = stage.client("newcomer");
    assert_eq!(issuer(&newcomer), FIRST);
    stage.connects(&stage.own("newcomer", &newcomer));
    elsewhere.lets_in(&stage, "newcomer", &newcomer);

    // The new files have been taken there, and the old certificate, which nobody uses any more, is revoked.
    elsewhere.carry(&folder);
    elsewhere.cluster.reload().unwrap();
    let latest = stage.client("latest");
    assert_eq!(issuer(&latest), FIRST);
    let old = before.join("server.crt");
    let revoke = ["revoke", old.to_str().unwrap(), "--reason", "superseded"];
    stage.scene.command(revoke).output().unwrap();
    let last = stage.client("last");
    assert_eq!(issuer(&last), SECOND);
    for (role, folder) in [
        ("newcomer", &newcomer),
        ("latest", &latest),
        ("last", &last),
    ] {
        stage.connects(&stage.own(role, folder));
        elsewhere.lets_in(&stage, role, folder);
    }
}

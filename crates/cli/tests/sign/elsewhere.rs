//! The whole way on a real server: a key that is made where it stays, its request signed elsewhere, and what comes back
//! put beside it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgpki_testing::{Cluster, Owner, run, startable_copy};

use crate::stage::{Stage, names, said, text};

/// Nobody, who has no home and no authority.
const UID: u32 = 65534;

/// A server with an installation's settings.
pub(crate) fn served(stage: &Stage) -> Cluster {
    server_from(&stage.scene.tls().join("current"))
}

/// A server with the files of this directory, which wants certificates.
fn server_from(directory: &Path) -> Cluster {
    let file = |setting: &str, name: &str| {
        let path = directory.join(name);
        format!("{setting} = '{}'\n", path.display())
    };
    let settings = [
        "ssl = on\n".to_owned(),
        file("ssl_cert_file", "server.crt"),
        file("ssl_key_file", "server.key"),
        file("ssl_ca_file", "root.crt"),
        file("ssl_crl_file", "root.crl"),
    ];
    Cluster::builder()
        .conf(settings.concat())
        .hba("local all all trust\nhostssl all all all cert\n")
        .start()
        .unwrap()
}

/// psql with what is in this folder, and full verification.
pub(crate) fn connect(
    cluster: &Cluster,
    folder: &Path,
    role: &str,
    sql: &str,
) -> std::process::Output {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let file = |name: &str| escaped(text(&folder.join(name)));
    let conninfo = format!(
        "host=localhost port={} dbname=postgres user='{}' sslmode=verify-full sslrootcert='{}' sslcert='{}' sslkey='{}'",
        cluster.port(),
        escaped(role),
        file("root.crt"),
        file("postgresql.crt"),
        file("postgresql.key"),
    );
    cluster.psql(&conninfo, sql)
}

#[track_caller]
pub(crate) fn connects(cluster: &Cluster, folder: &Path, role: &str, sql: &str) -> String {
    let output = connect(cluster, folder, role, sql);
    assert!(
        output.status.success(),
        "{}\n{}",
        said(&output),
        cluster.log()
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end_matches('\n')
        .to_owned()
}

/// What came back goes beside the key.
fn put_beside(signed: &Path, folder: &Path) {
    for name in names(signed) {
        fs::copy(signed.join(&name), folder.join(&name)).unwrap();
    }
}

/// A machine of somebody else's: his directory, and a copy of the program that he may run.
struct Laptop {
    directory: PathBuf,
    program: PathBuf,
}

impl Laptop {
    fn new(stage: &Stage) -> Self {
        let directory = stage.path("laptop");
        fs::create_dir(&directory).unwrap();
        let program = startable_copy(env!("CARGO_BIN_EXE_pgpki"), &stage.path(""));
        if Self::is_somebody_elses() {
            chown(&directory, Some(UID), Some(UID)).unwrap();
        }
        Self { directory, program }
    }

    fn is_somebody_elses() -> bool {
        nix_uid() == 0
    }

    /// No home, no authority, nothing in the environment.
    fn pgpki(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.directory).env_clear();
        if Self::is_somebody_elses() {
            command.uid(UID).gid(UID);
        }
        command.stdin(Stdio::null());
        command
    }
}

fn nix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn an_analysts_key_never_leaves_the_laptop() {
    let stage = Stage::new();
    let cluster = served(&stage);
    let laptop = Laptop::new(&stage);
    for kind in ["p256", "p384", "rsa2048", "ed25519"] {
        cluster.create_role(kind, None, true);
        run(&mut laptop.pgpki(&["request", kind, "--key-algorithm", kind]));
        let folder = laptop.directory.join(kind);
        let request = folder.join("postgresql.csr");
        // Before it is signed there is nothing to connect with.
        assert_eq!(names(&folder), ["postgresql.csr", "postgresql.key"]);
        stage.sign(&request, &["--trust-request"]);
        put_beside(&stage.path("signed").join(kind), &folder);
        let sql =
            "select current_user, ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()";
        let seen = connects(&cluster, &folder, kind, sql);
        assert_eq!(seen, format!("{kind}|t|/CN={kind}"));
        let output = connect(&cluster, &folder, "postgres", "select 1");
        assert!(!output.status.success(), "it lets {kind} in as postgres");
    }
}

#[test]
fn odd_names_of_roles() {
    let stage = Stage::new();
    let cluster = served(&stage);
    let longest = format!("{}z", "é".repeat(31));
    for role in [
        "Alice",
        "two words",
        " space around ",
        "José Müller",
        "d'Artagnan",
        "say \"hi\"",
        "back\\slash",
        "a=b, c+d;e<f>#g",
        ".hidden",
        "-dash",
        "--help",
        "tab\there",
        "new\nline",
        "e\u{301}",
        "*",
        &longest,
    ] {
        cluster.create_role(role, None, true);
        let args = ["request", "--out", "requests", "--", role];
        run(&mut stage.scene.command(args));
        let folder = stage.path("requests").join(role);
        let role_flag = format!("--role={role}");
        stage.sign(&folder.join("postgresql.csr"), &[&role_flag]);
        put_beside(&stage.path("signed").join(role), &folder);
        assert_eq!(
            connects(&cluster, &folder, role, "select current_user"),
            role,
            "{role:?}"
        );
    }
}

#[test]
fn a_server_runs_from_what_came_back() {
    let stage = Stage::new();
    let client = stage.request(&["alice"]);
    stage.sign(&client, &["--role", "alice"]);
    put_beside(&stage.path("signed/alice"), client.parent().unwrap());
    let owner = Owner::of_new_clusters().unwrap();
    for kind in ["p256", "p384", "rsa2048", "ed25519"] {
        let out = format!("node-{kind}");
        let args = [
            "request",
            "--host",
            "localhost",
            "--host",
            "127.0.0.1",
            "--host",
            "::1",
        ];
        let more = ["--key-algorithm", kind, "--out", &out];
        run(&mut stage.scene.command([&args[..], &more].concat()));
        let folder = stage.path(&out).join("localhost");
        assert_eq!(names(&folder), ["server.csr", "server.key"]);
        let signed = format!("signed-{kind}");
        let mut sign = stage
            .scene
            .command(["sign", "--host", "localhost", "--host", "127.0.0.1"]);
        run(sign.args(["--out", &signed]).arg(folder.join("server.csr")));
        put_beside(&stage.path(&signed).join("localhost"), &folder);
        fs::set_permissions(stage.path(&out), PermissionsExt::from_mode(0o755)).unwrap();
        for name in names(&folder) {
            owner.take(&folder.join(name)).unwrap();
        }
        owner.take(&folder).unwrap();
        let cluster = server_from(&folder);
        cluster.create_role("alice", None, true);
        let sql = "select client_dn from pg_stat_ssl where pid = pg_backend_pid()";
        let mine = client.parent().unwrap();
        assert_eq!(connects(&cluster, mine, "alice", sql), "/CN=alice");
    }
}

/// What other tools made is good for libpq as well: a request by openssl, with a hash that does not go with the curve.
#[test]
fn requests_by_openssl_connect() {
    let stage = Stage::new();
    let cluster = served(&stage);
    let dir = stage.path("requests");
    for (role, kind, hash) in [
        ("p256_sha512", crate::makers::ec("P-256"), "-sha512"),
        ("p384_sha256", crate::makers::ec("P-384"), "-sha256"),
        ("rsa4096", crate::makers::rsa(4096), "-sha512"),
    ] {
        cluster.create_role(role, None, true);
        let kind: Vec<&str> = kind.iter().map(String::as_str).collect();
        let key = crate::makers::openssl_key(&dir, role, &kind);
        let request = crate::makers::openssl_request(&dir, role, &key, &[hash]);
        stage.sign(&request, &["--role", role]);
        let folder = stage.path("signed").join(role);
        fs::copy(&key, folder.join("postgresql.key")).unwrap();
        let key = folder.join("postgresql.key");
        fs::set_permissions(key, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(
            connects(&cluster, &folder, role, "select current_user"),
            role
        );
    }
}

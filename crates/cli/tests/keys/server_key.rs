//! `--server-key-passphrase`: a server whose key is encrypted, which has the passphrase from a file. PostgreSQL says whether
//! it starts, reloads and starts again.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Cluster, Owner, Scene, openssl, run};
use serde_json::Value;

use crate::stage::{BAD_INPUT, DONE, FINDINGS, REFUSED, ends_with};

/// A name that has to be quoted for the shell, for PostgreSQL's `%p`, and for its configuration file.
const ODD: &str = "it's a \"pass\" \\ 100%p $HOME";

struct Served {
    cluster: Cluster,
    scene: Scene,
    file: PathBuf,
}

impl Served {
    /// A cluster that `init` has configured, with the passphrase in a file of this name, which `init` has made.
    fn new(name: &str) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        let cluster = Cluster::running();
        let file = scene.path(name);
        let mut init = scene.command(["init", "localhost", "127.0.0.1", "--no-root-passphrase"]);
        init.arg("--install").arg(scene.tls());
        init.arg("--pgdata").arg(cluster.data_dir());
        init.arg("--server-key-passphrase").arg(&file);
        let said = ends_with(DONE, &mut init);
        assert!(said.contains("serves what is installed"), "{said}");
        Self {
            cluster,
            scene,
            file,
        }
    }

    fn key(&self) -> PathBuf {
        self.scene.tls().join("current/server.key")
    }

    /// OpenSSL opens the key with the file, and it is encrypted.
    #[track_caller]
    fn openssl_opens(&self) {
        let text = fs::read_to_string(self.key()).unwrap();
        assert!(text.contains("ENCRYPTED PRIVATE KEY"), "{text}");
        let mut pkey = Command::new("openssl");
        pkey.args(["pkey", "-noout", "-passin"]);
        pkey.arg(format!("file:{}", self.file.display()));
        run(pkey.arg("-in").arg(self.key()));
    }

    /// A handshake shows the certificate that is installed.
    #[track_caller]
    fn serves_what_is_installed(&self) {
        let host = format!("localhost:{}", self.cluster.port());
        let root = self.scene.tls().join("current/root.crt");
        let args = ["inspect", &host, "--json", "--root"];
        let output = self.scene.command(args).arg(root).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let served = report["servers"][0]["certificates"][0]["serial"].as_str();
        let certificate = self.scene.tls().join("current/server.crt");
        let args = [
            "x509",
            "-noout",
            "-serial",
            "-in",
            certificate.to_str().unwrap(),
        ];
        let installed = String::from_utf8(openssl(args).stdout)
            .unwrap()
            .to_lowercase();
        let installed = installed.trim_end().strip_prefix("serial=").unwrap();
        assert_eq!(
            served.unwrap().trim_start_matches('0'),
            installed.trim_start_matches('0')
        );
    }

    fn doctor(&self) -> (Option<i32>, String) {
        let mut doctor = self.scene.command(["doctor", "--json", "--pgdata"]);
        let output = doctor.arg(self.cluster.data_dir()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    }
}

#[test]
fn a_server_starts_reloads_and_starts_again() {
    for name in ["passphrase", ODD] {
        let mut served = Served::new(name);
        let owner = served.cluster.owner();
        let made = served.file.metadata().unwrap();
        assert_eq!((made.uid(), made.gid()), (owner.uid, owner.gid));
        assert_eq!(made.permissions().mode() & 0o7777, 0o600);
        served.openssl_opens();
        served.serves_what_is_installed();
        let before = fs::read(served.key()).unwrap();
        let said = ends_with(DONE, &mut served.scene.command(["rotate", "--force"]));
        assert!(said.contains("served by"), "{said}");
        assert!(fs::read(served.key()).unwrap() != before);
        served.openssl_opens();
        served.serves_what_is_installed();
        served.cluster.restart().unwrap();
        served.serves_what_is_installed();
        let (status, report) = served.doctor();
        assert!(
            !report.contains("key-encrypted") && !report.contains("pair"),
            "{report}"
        );
        assert_eq!(status, Some(DONE), "{report}");
    }
}

/// The passphrase of the next key is what the file says then.
#[test]
fn another_passphrase_with_the_next_renewal() {
    let mut served = Served::new("passphrase");
    for line in [
        "another one\n",
        "with\ttab\r\nand more\n",
        "p\u{e4}ss \u{1f40e}",
    ] {
        fs::write(&served.file, line).unwrap();
        let said = ends_with(DONE, &mut served.scene.command(["rotate", "--force"]));
        assert!(said.contains("served by"), "{said}");
        served.cluster.restart().unwrap();
        served.serves_what_is_installed();
    }
    served.openssl_opens();
}

/// One failed line, and everything as it was.
#[test]
fn a_file_that_is_gone_or_open() {
    let served = Served::new("passphrase");
    let (unusable, open) = ("passphrase-file-unusable", "passphrase-file-open");
    let spoil: [(&str, &str, &dyn Fn()); 5] = [
        ("is missing", unusable, &|| {
            fs::remove_file(&served.file).unwrap()
        }),
        ("and nobody else", open, &|| set_mode(&served.file, 0o644)),
        ("is empty", unusable, &|| {
            fs::write(&served.file, "\nsecret\n").unwrap()
        }),
        ("longer than 1023", unusable, &|| {
            fs::write(&served.file, "x".repeat(2000)).unwrap()
        }),
        ("symbolic link", unusable, &|| {
            fs::rename(&served.file, served.scene.path("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", &served.file).unwrap();
        }),
    ];
    let (good, owner) = (fs::read(&served.file).unwrap(), served.cluster.owner());
    for (why, code, spoil) in spoil {
        let before = (
            fs::read_link(served.scene.tls().join("current")).unwrap(),
            fs::read(served.key()).unwrap(),
        );
        spoil();
        let mut rotate = served.scene.command(["rotate", "--force"]);
        let said = ends_with(5, &mut rotate);
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(said.matches("failed").count(), 1, "{said}");
        assert!(!said.contains("secret"), "{said}");
        let after = (
            fs::read_link(served.scene.tls().join("current")).unwrap(),
            fs::read(served.key()).unwrap(),
        );
        assert!(before == after, "{why}");
        let (status, report) = served.doctor();
        assert_eq!(status, Some(FINDINGS), "{report}");
        assert!(report.contains(&format!("\"{code}\"")), "{report}");
        let _ = fs::remove_file(&served.file);
        fs::write(&served.file, &good).unwrap();
        set_mode(&served.file, 0o600);
        chown(&served.file, Some(owner.uid), Some(owner.gid)).unwrap();
    }
    ends_with(DONE, &mut served.scene.command(["rotate", "--force"]));
    served.serves_what_is_installed();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn what_doctor_says_of_it() {
    let mut served = Served::new("passphrase");
    let own = served.cluster.data_dir().join("pgpki.conf");
    let lines = fs::read_to_string(&own).unwrap();
    let without = |what: &str| {
        let lines = lines.lines().filter(|line| !line.starts_with(what));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    fs::write(&own, without("ssl_passphrase_command_supports_reload")).unwrap();
    served.cluster.reload().unwrap_err();
    let (status, report) = served.doctor();
    assert_eq!(status, Some(FINDINGS), "{report}");
    assert!(
        report.contains("ssl_passphrase_command_supports_reload is off"),
        "{report}"
    );
    fs::write(&own, without("ssl_passphrase_command")).unwrap();
    let (status, report) = served.doctor();
    assert_eq!(status, Some(FINDINGS), "{report}");
    assert!(
        report.contains("ssl_passphrase_command is not set"),
        "{report}"
    );
    assert!(!report.contains("key-mismatch"), "{report}");
    fs::write(&own, &lines).unwrap();
    served.cluster.reload().unwrap();
    let (_, report) = served.doctor();
    assert!(!report.contains("key-encrypted"), "{report}");
    // With the passphrase at hand, it can be told whether the key is the certificate's.
    assert!(!report.contains("key-unchecked"), "{report}");
    assert!(!report.contains("\"passphrase-"), "{report}");
    let good = fs::read(&served.file).unwrap();
    fs::write(&served.file, "another one\n").unwrap();
    let (status, report) = served.doctor();
    assert_eq!(status, Some(FINDINGS), "{report}");
    assert!(report.contains("\"passphrase-mismatch\""), "{report}");
    fs::write(&served.file, good).unwrap();
}

/// The lines are printed for whoever puts them in himself, and `configure` knows them from the ledger.
#[test]
fn the_lines_that_are_printed() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let owner = Owner::of_new_clusters().unwrap();
    let file = scene.path(ODD);
    let mut init = scene.command(["init", "localhost", "--no-root-passphrase", "--install"]);
    init.arg(scene.tls());
    init.args(["--owner", &format!("{}:{}", owner.uid, owner.gid)]);
    init.arg("--server-key-passphrase").arg(&file);
    let said = String::from_utf8(run(&mut init).stdout).unwrap();
    let lines: String = said
        .lines()
        .filter(|line| line.starts_with("ssl"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(lines.lines().count(), 8, "{said}");
    let cluster = Cluster::builder().conf(&lines).start().unwrap();
    let served = Served {
        cluster,
        scene,
        file,
    };
    served.serves_what_is_installed();

    // Another cluster, which is configured later.
    let other = Cluster::running();
    let configure = |more: &[&str]| {
        let mut configure = served.scene.command(["configure", "--pgdata"]);
        configure.arg(other.data_dir()).arg("--install");
        configure.arg(served.scene.tls()).args(more);
        String::from_utf8(run(&mut configure).stdout).unwrap()
    };
    let said = configure(&[]);
    assert!(said.contains("serves what is installed"), "{said}");
    // Whoever has no authority names it.
    let nowhere = served.scene.path("nowhere");
    let nowhere = ["--home", nowhere.to_str().unwrap()];
    let file = served.file.to_str().unwrap();
    let said = configure(&[&nowhere[..], &["--server-key-passphrase", file]].concat());
    assert!(said.contains("is configured like that already"), "{said}");
    // A rotation reaches both.
    let said = ends_with(DONE, &mut served.scene.command(["rotate", "--force"]));
    assert!(!said.contains("not proven"), "{said}");
    served.serves_what_is_installed();
}

#[test]
fn files_that_are_refused() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let owner = Owner::of_new_clusters().unwrap();
    let init = |file: &Path, status| {
        let mut init = scene.command(["init", "localhost", "--no-root-passphrase", "--install"]);
        init.arg(scene.tls());
        init.args(["--owner", &format!("{}:{}", owner.uid, owner.gid)]);
        init.arg("--server-key-passphrase").arg(file);
        let said = ends_with(status, &mut init);
        if status != DONE {
            assert!(!scene.home().exists() && !scene.tls().exists(), "{said}");
        }
        said
    };
    let said = init(&scene.tls().join("passphrase"), REFUSED);
    assert!(said.contains("is inside of"), "{said}");
    init(&scene.home().join("passphrase"), REFUSED);
    let open = scene.path("open");
    fs::write(&open, "secret\n").unwrap();
    set_mode(&open, 0o644);
    let said = init(&open, REFUSED);
    assert!(said.contains("chmod 0600"), "{said}");
    if !owner.is_caller() {
        // Nobody but the caller can read it.
        set_mode(&open, 0o600);
        init(&open, REFUSED);
        let closed = scene.path("closed");
        fs::create_dir(&closed).unwrap();
        set_mode(&closed, 0o700);
        let said = init(&closed.join("passphrase"), REFUSED);
        assert!(said.contains("cannot enter"), "{said}");
        assert!(fs::read_dir(&closed).unwrap().next().is_none());
        // As systemd gives it to a unit.
        set_mode(&open, 0o440);
        init(&open, DONE);
    }
    let missing = scene.path("no/such/directory/passphrase");
    let said = scene_fails(&missing, &owner);
    assert!(said.contains("/no does not exist"), "{said}");
}

fn scene_fails(file: &Path, owner: &Owner) -> String {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let mut init = scene.command(["init", "localhost", "--no-root-passphrase", "--install"]);
    init.arg(scene.tls());
    init.args(["--owner", &format!("{}:{}", owner.uid, owner.gid)]);
    init.arg("--server-key-passphrase").arg(file);
    let said = ends_with(BAD_INPUT, &mut init);
    assert!(!scene.home().exists() && !scene.tls().exists(), "{said}");
    said
}

/// What was made for an installation that came to nothing goes with it.
#[test]
fn a_file_that_was_made_for_nothing() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let file = scene.path("passphrase");
    // Other names than the place has.
    let mut issue_over = scene.command(["issue-server", "elsewhere", "--install"]);
    issue_over
        .arg(scene.tls())
        .arg("--server-key-passphrase")
        .arg(&file);
    ends_with(REFUSED, &mut issue_over);
    assert!(!file.exists());
    // For another machine, and for none any more.
    let mut out = scene.command([
        "issue-server",
        "db2",
        "--out",
        "db2",
        "--server-key-passphrase",
    ]);
    let said = ends_with(DONE, out.arg(&file));
    assert!(said.contains("ssl_passphrase_command = ") && said.contains("Its key is encrypted"));
    let key = |is_encrypted| {
        let text = fs::read_to_string(scene.path("db2/server.key")).unwrap();
        assert_eq!(text.contains("ENCRYPTED"), is_encrypted);
    };
    key(true);
    ends_with(
        DONE,
        &mut scene.command(["issue-server", "db2", "--out", "db2"]),
    );
    key(true);
    let plain = [
        "issue-server",
        "db2",
        "--out",
        "db2",
        "--no-server-key-passphrase",
    ];
    ends_with(DONE, &mut scene.command(plain));
    key(false);
}

/// A server that has had an open key until now is told first how to open one; before that it goes on with what it has.
#[test]
fn an_open_key_is_encrypted_later() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let cluster = Cluster::running();
    let file = scene.path("passphrase");
    let mut configure = scene.command(["configure", "--pgdata"]);
    configure.arg(cluster.data_dir()).arg("--install");
    run(configure.arg(scene.tls()));
    let issue = || {
        let mut issue = scene.command(["issue-server", "localhost", "127.0.0.1", "--install"]);
        let owner = cluster.owner();
        issue.arg(scene.tls());
        issue.args(["--owner", &format!("{}:{}", owner.uid, owner.gid)]);
        issue.arg("--server-key-passphrase").arg(&file);
        issue
    };
    let before = fs::read_link(scene.tls().join("current")).unwrap();
    let said = ends_with(6, &mut issue());
    assert!(said.contains("pgpki configure --install"), "{said}");
    assert!(said.contains("--server-key-passphrase"), "{said}");
    assert!(!said.contains("Put right"), "{said}");
    assert!(!file.exists());
    assert_eq!(fs::read_link(scene.tls().join("current")).unwrap(), before);

    let mut configure = scene.command(["configure", "--pgdata"]);
    configure.arg(cluster.data_dir()).arg("--install");
    configure.arg(scene.tls());
    run(configure.arg("--server-key-passphrase").arg(&file));
    let said = ends_with(DONE, &mut issue());
    assert!(said.contains("served"), "{said}");
    let served = Served {
        cluster,
        scene,
        file,
    };
    served.openssl_opens();
    served.serves_what_is_installed();
}

/// One folder without its passphrase is one failed line; the folder beside it is renewed.
#[test]
fn a_folder_beside_one_whose_file_is_gone() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let file = scene.path("passphrase");
    let mut one = scene.command(["issue-server", "db2", "--out", "out/db2"]);
    run(one.arg("--server-key-passphrase").arg(&file));
    run(&mut scene.command(["issue-server", "db3", "--out", "out/db3"]));
    fs::remove_file(&file).unwrap();
    let said = ends_with(FINDINGS, &mut scene.command(["rotate", "--force"]));
    assert_eq!(said.matches("failed").count(), 1, "{said}");
    assert!(said.contains("renewed  server db3"), "{said}");
    assert!(said.contains("passphrase is missing"), "{said}");
    assert!(!file.exists());
}

/// Whatever fails: an encrypted key that is there has its passphrase beside it.
#[test]
fn no_key_is_left_without_its_passphrase() {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    scene.init("");
    let mut kept = 0;
    for call in ["fsync", "syncfs", "renameat", "renameat2"] {
        for number in 1.. {
            let name = |what: &str| scene.path(format!("{what}-{call}-{number}"));
            let (folder, file, log) = (name("folders").join("db2"), name("pass"), name("log"));
            let mut issue = scene.command(["issue-server", "db2", "--out"]);
            issue.arg(&folder).arg("--server-key-passphrase").arg(&file);
            let mut strace = scene.command(["-f", "-q", "-o"]);
            strace
                .arg(&log)
                .args(["-e", &format!("trace={call}"), "-e"]);
            strace.arg(format!("inject={call}:error=EIO:when={number}"));
            strace.arg(issue.get_program()).args(issue.get_args());
            let mut strace = under(strace, "strace");
            let done = strace.output().unwrap();
            let is_there = folder.join("server.key").exists();
            if is_there {
                let mut pkey = Command::new("openssl");
                pkey.args(["pkey", "-noout", "-passin"]);
                pkey.arg(format!("file:{}", file.display()));
                run(pkey.arg("-in").arg(folder.join("server.key")));
            }
            kept += usize::from(is_there && !done.status.success());
            if !fs::read_to_string(&log).unwrap().contains("(INJECTED)") {
                assert!(done.status.success(), "{done:?}");
                break;
            }
        }
    }
    assert!(kept > 0, "nothing failed once the key was there");
}

/// The same command with another program.
fn under(command: Command, program: &str) -> Command {
    let mut other = Command::new(program);
    other.args(command.get_args()).env_clear();
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    other.envs(set);
    if let Some(directory) = command.get_current_dir() {
        other.current_dir(directory);
    }
    other
}

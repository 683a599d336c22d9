//! Files as people keep them: what configure puts in works, a second run adds nothing, and
//! `--remove` gives every byte, owner and mode back.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use pgpki_testing::{Cluster, ServerPrograms, Shutdown, as_user, replace, run};

use crate::fixture::{EVERYTHING, Files, Stage, served_leaf};

/// Configures, looks whether that is in force, and takes it out again.
#[track_caller]
fn goes_there_and_back(stage: &mut Stage, what: &str) {
    stage.cluster.reload().unwrap();
    let before = Files::of(&stage.cluster);
    let said = stage.configure(&EVERYTHING);
    assert!(said.contains("proven     "), "{what}: {said}");
    stage.serves_what_is_installed();
    let plaintext = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable",
        stage.cluster.port()
    );
    let refused = stage.keeps_out(&plaintext);
    assert!(refused.contains("rejects"), "{what}: {refused}");
    let after = Files::of(&stage.cluster);
    stage.configure(&EVERYTHING);
    after.assert_unchanged(&stage.cluster);
    stage.cluster.restart().unwrap();
    stage.serves_what_is_installed();
    stage.configure(&["--remove"]);
    before.assert_unchanged(&stage.cluster);
    stage.connects(&plaintext);
}

fn with_line_ends(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn text_of_every_kind_is_given_back() {
    let mut stage = Stage::new();
    let (conf, hba) = (stage.conf(), stage.hba());
    let plain_conf = fs::read_to_string(&conf).unwrap();
    let plain_hba = fs::read_to_string(&hba).unwrap();
    let long: String = (0..5000)
        .map(|n| {
            format!(
                "host db{n} \"user {n}\" 10.{}.{}.0/24 scram-sha-256 # {n}\n",
                n / 256,
                n % 256
            )
        })
        .collect();
    for (what, conf_text, hba_text) in [
        ("as initdb leaves it", plain_conf.clone(), plain_hba.clone()),
        (
            "without a last line break",
            plain_conf.trim_end().to_owned(),
            plain_hba.trim_end().to_owned(),
        ),
        (
            "CRLF",
            with_line_ends(&plain_conf),
            with_line_ends(&plain_hba),
        ),
        (
            "CRLF without a last line break",
            with_line_ends(&plain_conf).trim_end().to_owned(),
            with_line_ends(&plain_hba).trim_end().to_owned(),
        ),
        (
            "5,000 rules",
            plain_conf.clone(),
            format!("{plain_hba}{long}"),
        ),
        (
            "bytes that are no UTF-8 would be lost here",
            format!("{plain_conf}# caf\u{e9}\n\n\n"),
            format!("{plain_hba}\n# \u{1f980}\n"),
        ),
        (
            "continued lines",
            plain_conf.clone(),
            format!("host all \\\n  bob \\\n 10.0.0.0/8 reject\n{plain_hba}"),
        ),
    ] {
        replace(&conf, conf_text);
        replace(&hba, hba_text);
        goes_there_and_back(&mut stage, what);
    }
    replace(&conf, [plain_conf.as_bytes(), b"# caf\xe9 \xff\n"].concat());
    replace(&hba, [plain_hba.as_bytes(), b"# \xe9\xff"].concat());
    goes_there_and_back(&mut stage, "Latin-1");
}

#[test]
fn modes_and_owners_stay() {
    let mut stage = Stage::new();
    for mode in [0o600, 0o640, 0o644, 0o660] {
        for path in [stage.conf(), stage.hba()] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        stage.configure(&EVERYTHING);
        let own = stage.cluster.data_dir().join("pgpki.conf");
        for path in [stage.conf(), stage.hba(), own] {
            let seen = path.metadata().unwrap();
            assert_eq!(
                seen.permissions().mode() & 0o7777,
                mode,
                "{}",
                path.display()
            );
            let owner = stage.cluster.owner();
            let seen = (
                std::os::unix::fs::MetadataExt::uid(&seen),
                std::os::unix::fs::MetadataExt::gid(&seen),
            );
            assert_eq!(seen, (owner.uid, owner.gid), "{}", path.display());
        }
        stage.configure(&["--remove"]);
        goes_there_and_back(&mut stage, &format!("{mode:o}"));
    }
}

#[test]
fn a_conf_d_takes_the_settings_and_postgresql_conf_is_left_alone() {
    let mut stage = Stage::new();
    let conf_d = stage.cluster.data_dir().join("conf.d");
    fs::create_dir(&conf_d).unwrap();
    stage.cluster.owner().take(&conf_d).unwrap();
    stage.write(&conf_d.join("10-memory.conf"), "work_mem = 5MB\n");
    stage.write(&conf_d.join("off.conf"), "ssl = off\n");
    stage.write(&conf_d.join("notes.txt"), "ssl off!");
    let plain = fs::read_to_string(stage.conf()).unwrap();
    let text = format!("{plain}\ninclude_dir = 'conf.d'\nssl_ciphers = 'HIGH'");
    replace(stage.conf(), &text);
    goes_there_and_back(&mut stage, "conf.d");
    stage.configure(&[]);
    assert_eq!(fs::read_to_string(stage.conf()).unwrap(), text);
    assert!(conf_d.join("pgpki.conf").is_file());
    assert_eq!(stage.cluster.sql("show work_mem"), "5MB");
}

/// As Debian has it: the configuration apart from the data, and found through the running server.
#[test]
fn a_configuration_outside_of_the_data_directory() {
    let mut stage = Stage::new();
    let etc = stage.cluster.dir().join("etc");
    fs::create_dir_all(etc.join("conf.d")).unwrap();
    for directory in [&etc, &etc.join("conf.d")] {
        stage.cluster.owner().take(directory).unwrap();
    }
    let text = fs::read_to_string(stage.conf()).unwrap();
    let (data, hba) = (stage.cluster.data_dir(), etc.join("pg_hba.conf"));
    let text = format!(
        "{text}\ndata_directory = '{}'\nhba_file = '{}'\nident_file='{}'\ninclude_dir 'conf.d'\n",
        data.display(),
        hba.display(),
        data.join("pg_ident.conf").display(),
    );
    stage.write(&etc.join("postgresql.conf"), text);
    stage.write(&hba, fs::read(stage.hba()).unwrap());
    stage.cluster.stop(Shutdown::Fast).unwrap();
    fs::rename(
        stage.conf(),
        stage.cluster.dir().join("postgresql.conf.away"),
    )
    .unwrap();
    fs::remove_file(stage.hba()).unwrap();
    let options = format!("-c config_file={}", etc.join("postgresql.conf").display());
    run(&mut stage.pg_ctl(&["-w", "-o", &options, "start"]));

    let before = Files::of(&stage.cluster);
    let said = stage.configure(&EVERYTHING);
    assert!(said.contains("proven     "), "{said}");
    assert!(etc.join("conf.d/pgpki.conf").is_file());
    stage.is_sound_with("g0001");
    stage.rotate(0, &["--force"]);
    stage.is_sound_with("g0002");
    stage.configure(&["--remove"]);
    assert!(!etc.join("conf.d/pgpki.conf").exists());
    before.assert_unchanged(&stage.cluster);
    run(&mut stage.pg_ctl(&["-w", "-m", "immediate", "stop"]));
}

/// Rules in other files, from version 16 on.
#[test]
fn included_rules_stay_and_come_after_ours() {
    for programs in ServerPrograms::every()
        .iter()
        .filter(|it| it.major() >= 16)
        .take(1)
    {
        let mut stage = Stage::with(Cluster::builder().programs(programs));
        let more = stage.cluster.data_dir().join("more.hba");
        stage.write(&more, "host all all all trust\n");
        let text = fs::read_to_string(stage.hba()).unwrap();
        fs::write(
            stage.hba(),
            format!("include more.hba\n{text}include_if_exists none\n"),
        )
        .unwrap();
        goes_there_and_back(&mut stage, "includes");
    }
}

/// The server's user may link what he likes in a directory of his own. For himself such a link is
/// followed, and stays one; root does not go where he points.
#[test]
fn a_link_is_followed_for_its_owner_and_not_for_root() {
    let stage = Stage::new();
    let etc = stage.cluster.dir().join("etc");
    fs::create_dir(&etc).unwrap();
    stage.cluster.owner().take(&etc).unwrap();
    let real = etc.join("real.conf");
    stage.write(&real, fs::read(stage.conf()).unwrap());
    fs::remove_file(stage.conf()).unwrap();
    symlink("../etc/real.conf", stage.conf()).unwrap();
    let owner = stage.cluster.owner().clone();
    std::os::unix::fs::lchown(stage.conf(), Some(owner.uid), Some(owner.gid)).unwrap();
    let before = Files::of(&stage.cluster);

    if !owner.is_caller() {
        let said = stage.refuses(5, &EVERYTHING);
        assert!(said.contains("postgresql.conf"), "{said}");
    }
    let as_owner = |more: &[&str]| {
        let mut command = stage.command(more);
        if !owner.is_caller() {
            command = as_user(&command, owner.uid, owner.gid, &stage.scene.path(""));
        }
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    let said = as_owner(&EVERYTHING);
    assert!(said.contains("proven     "), "{said}");
    assert!(stage.conf().symlink_metadata().unwrap().is_symlink());
    stage.is_sound_with("g0001");
    as_owner(&["--remove"]);
    before.assert_unchanged(&stage.cluster);
}

/// Somebody else's certificate was served before, and is again.
#[test]
fn former_settings_count_again_after_removal() {
    let mut stage = Stage::new();
    let other = Stage::of(Cluster::builder().create().unwrap());
    let files = other.scene.tls().join("current");
    let text = fs::read_to_string(stage.conf()).unwrap();
    let settings = format!(
        "ssl = on\nssl_cert_file = '{0}/server.crt'\nssl_key_file = '{0}/server.key'\n",
        files.display()
    );
    replace(stage.conf(), format!("{text}{settings}"));
    stage.cluster.restart().unwrap();
    let address = format!("127.0.0.1:{}", stage.cluster.port());
    let is_theirs = || served_leaf(&address).is_ok_and(|it| it.trim() == other.installed_leaf());
    assert!(is_theirs());
    stage.configure(&EVERYTHING);
    assert!(!is_theirs());
    stage.configure(&["--remove"]);
    pgpki_testing::await_that(
        "the former one is served",
        std::time::Duration::from_secs(10),
        is_theirs,
    );
    stage.cluster.stop(Shutdown::Fast).unwrap();
}

/// Without a name the installation is the one that the cluster uses, or the authority's only one; never a stranger's that lies
/// where `init` would have put it.
#[test]
fn the_installation_is_the_clusters_own() {
    let stage = Stage::new();
    let unnamed = |more: &[&str]| {
        let mut command = stage.scene.command(["configure", "--pgdata"]);
        command.arg(stage.cluster.data_dir()).args(more);
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    assert!(unnamed(&["--require-tls"]).contains("proven     "));
    stage.is_sound_with("g0001");
    let other = stage.scene.path("other");
    let mut issue = stage
        .scene
        .command(["issue-server", "localhost", "--install"]);
    run(issue.arg(&other));
    let said = unnamed(&["--require-tls", "--client-certs", "alice"]);
    assert!(said.contains("proven     "), "{said}");
    stage.is_sound_with("g0001");
}

/// `+group` is a role's name as good as any, and seldom meant so.
#[test]
fn who_names_the_members_of_a_role_is_warned() {
    let stage = Stage::new();
    let said = run(&mut stage.command(&["--client-certs", "+analysts"])).stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("\"+analysts\" is the name of a role"),
        "{said}"
    );
}

#[test]
fn connect_knows_the_port() {
    let stage = Stage::configured(&EVERYTHING);
    stage.client("alice");
    let port = format!("port={}", stage.cluster.port());
    assert!(stage.scene.pgpki("connect alice").contains(&port));
    let said = stage.scene.pgpki("connect alice --port 6543");
    assert!(said.contains("port=6543"), "{said}");
    for line in ["--host localhost", "--host 127.0.0.1 --folder somewhere"] {
        let said = stage.scene.pgpki(&format!("connect alice {line}"));
        assert!(said.contains(&port), "{line}: {said}");
    }
    // Of another server nothing is known.
    let said = stage.scene.pgpki("connect alice --host db.example.com");
    assert!(said.contains("port=5432"), "{said}");
    // One that is gone is none.
    stage
        .scene
        .pgpki("issue-server other.example.com --install other");
    stage.scene.fails(2, "connect alice");
    fs::remove_dir_all(stage.scene.path("other")).unwrap();
    assert!(stage.scene.pgpki("connect alice").contains(&port));
}

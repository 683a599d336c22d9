//! Finding a cluster by its files, whatever its owner has put there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pgpki_postgres::cluster::{Cluster as Found, ClusterError, Given};
use pgpki_postgres::postmaster::Postmaster;
use pgpki_testing::{Cluster, Shutdown, run};

#[test]
fn a_running_cluster_is_found_as_it_is() {
    let mut cluster = Cluster::running();
    let found = Found::at(&cluster.data_dir()).unwrap();
    assert_eq!(found.major, cluster.major());
    assert_eq!(
        found.config_file,
        cluster.data_dir().join("postgresql.conf")
    );
    assert_eq!(found.hba_file, cluster.data_dir().join("pg_hba.conf"));
    assert_eq!(found.owner.uid, cluster.owner().uid);
    let process = found.postmaster().unwrap().unwrap();
    assert_eq!(process.port, cluster.port());
    assert_eq!(process.socket_directory, Some(cluster.socket_dir()));
    assert_eq!(process.listen_address.as_deref(), Some("127.0.0.1"));
    assert!(process.is_ready);
    assert!(Found::all().contains(&found));

    let link = cluster.dir().join("link");
    symlink(cluster.data_dir(), &link).unwrap();
    assert_eq!(Found::at(&link).unwrap(), found);

    cluster.stop(Shutdown::Fast).unwrap();
    assert_eq!(found.postmaster().unwrap(), None);
    assert_eq!(Found::at(&cluster.data_dir()).unwrap(), found);
}

#[test]
fn what_is_given_is_what_the_server_shows() {
    let mut cluster = Cluster::running();
    let hba = cluster.data_dir().join("other.conf");
    let hba_file = format!("hba_file = '{}'\n", hba.display());
    cluster.set_conf(format!("work_mem = 5MB\nWork_Mem = '6MB'\n{hba_file}"));
    fs::copy(cluster.data_dir().join("pg_hba.conf"), &hba).unwrap();
    cluster.owner().take(&hba).unwrap();
    cluster.restart().unwrap();
    let found = Found::at(&cluster.data_dir()).unwrap();
    assert_eq!(found.hba_file, hba);
    assert_eq!(cluster.sql("show hba_file"), hba.to_str().unwrap());
    let text = || found.given("work_mem").unwrap().text().into_owned();
    assert_eq!(text(), "6MB");
    cluster.sql("alter system set work_mem = '7MB'");
    assert_eq!(text(), "7MB");
    let Some(Given::Line(line)) = found.given("work_mem") else {
        panic!("no line");
    };
    assert_eq!(line.file, found.auto_file());
}

#[test]
fn what_is_no_cluster_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |dir: &Path| Found::at(dir).unwrap_err();
    assert!(matches!(
        at(dir.path()),
        ClusterError::NotADataDirectory { .. }
    ));
    fs::write(dir.path().join("postgresql.conf"), "").unwrap();
    assert!(matches!(
        at(dir.path()),
        ClusterError::NotADataDirectory { .. }
    ));
    for (version, is_expected) in [
        (
            "12\n",
            (|it| matches!(it, ClusterError::TooOld { major: 12, .. }))
                as fn(&ClusterError) -> bool,
        ),
        ("9.6\n", |it| {
            matches!(it, ClusterError::TooOld { major: 9, .. })
        }),
        ("", |it| matches!(it, ClusterError::BadVersion { .. })),
        ("fifteen", |it| {
            matches!(it, ClusterError::BadVersion { .. })
        }),
        ("-15", |it| matches!(it, ClusterError::BadVersion { .. })),
        (&"1".repeat(100), |it| matches!(it, ClusterError::Read(_))),
    ] {
        fs::write(dir.path().join("PG_VERSION"), version).unwrap();
        let error = at(dir.path());
        assert!(is_expected(&error), "{version}: {error}");
    }
    assert!(matches!(
        at(&dir.path().join("none")),
        ClusterError::NoSuchDirectory { .. }
    ));
    for name in ["15", "15/", "/main", "../../tmp/x", "15/main/x", "15/.."] {
        assert!(
            matches!(Found::debian(name), Err(ClusterError::BadName(_))),
            "{name}"
        );
    }
    assert!(matches!(
        Found::debian("99/none"),
        Err(ClusterError::NoSuchCluster { .. })
    ));
}

/// The server's user writes `postmaster.pid`. Nobody else's process is taken for the server, and
/// nothing that he puts there holds the reader up.
#[test]
fn a_hostile_pid_file_names_nobody() {
    let cluster = Cluster::builder().create().unwrap();
    let data = cluster.data_dir();
    let file = data.join("postmaster.pid");
    let rest = format!("{}\n0\n5432\n/tmp\n*\n\nready\n", data.display());
    let own = std::process::id().to_string();
    for pid in [
        "1",
        own.as_str(),
        "0",
        "-1",
        "2147483647",
        "99999999999",
        "x",
        "",
    ] {
        fs::write(&file, format!("{pid}\n{rest}")).unwrap();
        assert!(!matches!(Postmaster::of(&data), Ok(Some(_))), "{pid}");
    }
    // A process of ours in that directory, whose user is not the owner's.
    let mut sleep = Command::new("sleep")
        .arg("60")
        .current_dir(&data)
        .spawn()
        .unwrap();
    fs::write(&file, format!("{}\n{rest}", sleep.id())).unwrap();
    let seen = Postmaster::of(&data).unwrap();
    assert_eq!(seen.is_some(), cluster.owner().is_caller(), "{seen:?}");
    sleep.kill().unwrap();
    sleep.wait().unwrap();

    fs::write(&file, vec![b'1'; 1 << 20]).unwrap();
    Postmaster::of(&data).unwrap_err();
    for make in [
        (|at: &Path| mkfifo(at, Mode::S_IRWXU).unwrap()) as fn(&Path),
        |at| fs::create_dir(at).unwrap(),
        |at| symlink("/proc/self/mem", at).unwrap(),
        |at| symlink("postmaster.pid", at).unwrap(),
    ] {
        let _ = fs::remove_file(&file);
        let _ = fs::remove_dir(&file);
        make(&file);
        let began = Instant::now();
        assert!(!matches!(Postmaster::of(&data), Ok(Some(_))));
        assert!(began.elapsed() < Duration::from_secs(5));
        let _ = Found::at(&data).unwrap();
    }
}

/// Configuration files that are none do not hold the reader up either.
#[test]
fn a_configuration_that_is_no_file() {
    let cluster = Cluster::builder().create().unwrap();
    let conf = cluster.data_dir().join("postgresql.conf");
    let text = fs::read_to_string(&conf).unwrap();
    run(Command::new("mkfifo").arg(cluster.data_dir().join("fifo.conf")));
    fs::write(
        &conf,
        format!("{text}\ninclude 'fifo.conf'\ninclude '/dev/zero'\n"),
    )
    .unwrap();
    let began = Instant::now();
    let found = Found::at(&cluster.data_dir()).unwrap();
    assert_eq!(
        found.effective().faults().len(),
        2,
        "{:?}",
        found.effective().faults()
    );
    fs::remove_file(&conf).unwrap();
    run(Command::new("mkfifo").arg(&conf));
    let _ = Found::at(&cluster.data_dir());
    assert!(began.elapsed() < Duration::from_secs(5));
}

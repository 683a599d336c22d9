//! The cluster keeps its promises: it answers, it reloads when it says so, and it leaves nothing
//! behind.
#![allow(clippy::unwrap_used)]

mod certificate;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::thread;

use certificate::Certificate;
use pgpki_testing::{Cluster, Shutdown, run};

/// Every process that runs in this directory, as the server and all of its children do.
fn processes_in(dir: &Path) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let process = entry.ok()?.path();
            let cwd = fs::read_link(process.join("cwd")).ok()?;
            cwd.starts_with(dir).then(|| process.display().to_string())
        })
        .collect()
}

#[test]
fn a_cluster_answers_over_the_socket_and_over_tcp() {
    let cluster = Cluster::running();
    assert_eq!(cluster.sql("select 6 * 7, current_user"), "42|postgres");
    assert!(
        cluster
            .sql("show server_version")
            .starts_with(&cluster.major().to_string())
    );

    let output = cluster.psql(
        &format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres",
            cluster.port()
        ),
        "select 'over tcp'",
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "over tcp\n");
}

#[test]
fn files_belong_to_the_user_that_the_server_runs_as() {
    use std::os::unix::fs::MetadataExt;
    let cluster = Cluster::running();
    for file in ["", "postgresql.conf", "pg_hba.conf", "postmaster.pid"] {
        assert_eq!(
            fs::metadata(cluster.data_dir().join(file)).unwrap().uid(),
            cluster.owner().uid,
            "{file}"
        );
    }
}

#[test]
fn roles_keep_their_names_to_the_letter() {
    let cluster = Cluster::builder()
        .hba("host all all all scram-sha-256")
        .start()
        .unwrap();
    for name in [
        "alice",
        "Mixed Case",
        "O'Brien \"the\" \\ Größe",
        "-- x",
        "$1",
        "名前",
    ] {
        let password = format!("pass'word\\ of {name}");
        cluster.create_role(name, Some(&password), true);
        let conninfo = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
        let output = cluster.psql(
            &format!(
                "host=127.0.0.1 port={} dbname=postgres user='{}' password='{}'",
                cluster.port(),
                conninfo(name),
                conninfo(&password)
            ),
            "select current_user",
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim_end(),
            name,
            "{output:?}"
        );
    }
}

#[test]
fn a_reload_has_taken_effect_when_it_returns() {
    let mut cluster = Cluster::running();
    assert_eq!(cluster.sql("show ssl"), "off");
    let certificate = Certificate::make(&cluster);
    cluster.set_conf(certificate.conf());
    cluster.set_hba("hostssl all postgres all trust");
    cluster.reload().unwrap();

    let output = cluster.psql(
        &certificate.conninfo(&cluster),
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "t\n", "{output:?}");

    let plain = cluster.psql(
        &format!(
            "host=localhost port={} user=postgres dbname=postgres sslmode=disable",
            cluster.port()
        ),
        "",
    );
    assert!(
        String::from_utf8_lossy(&plain.stderr).contains("no pg_hba.conf entry"),
        "{plain:?}"
    );

    for work_mem in 100..130 {
        cluster.set_conf(format!("work_mem = {work_mem}kB"));
        cluster.reload().unwrap();
        assert_eq!(cluster.sql("show work_mem"), format!("{work_mem}kB"));
    }
}

#[test]
fn a_reload_that_is_refused_says_why() {
    let mut cluster = Cluster::running();
    cluster.set_conf("ssl = on\nssl_cert_file = 'nowhere.crt'");
    let refusal = cluster.reload().unwrap_err();
    assert!(
        refusal.contains("SSL configuration was not reloaded"),
        "{refusal}"
    );

    cluster.set_conf("");
    cluster.set_hba("hostssl all all all cert clientcert=perhaps");
    let refusal = cluster.reload().unwrap_err();
    assert!(refusal.contains("pg_hba.conf"), "{refusal}");

    cluster.set_hba("");
    cluster.set_conf("no_such_setting = 1");
    let refusal = cluster.reload().unwrap_err();
    assert!(refusal.contains("no_such_setting"), "{refusal}");
}

#[test]
fn a_server_that_does_not_start_shows_its_log() {
    let mut cluster = Cluster::builder()
        .conf("ssl = on\nssl_cert_file = 'nowhere.crt'")
        .create()
        .unwrap();
    let failure = cluster.start().unwrap_err();
    assert!(
        failure.contains("could not load server certificate file \"nowhere.crt\""),
        "{failure}"
    );

    cluster.set_conf("");
    cluster.start().unwrap();
    assert_eq!(cluster.sql("select 1"), "1");
}

#[test]
fn data_survives_a_restart_and_the_port_stays() {
    let mut cluster = Cluster::running();
    let port = cluster.port();
    cluster.sql("create table kept (it int); insert into kept values (7)");
    cluster.restart().unwrap();
    assert_eq!(
        (cluster.sql("table kept"), cluster.port()),
        ("7".to_owned(), port)
    );
    cluster.stop(Shutdown::Immediate).unwrap();
    assert!(!cluster.is_running());
    cluster.start().unwrap();
    assert_eq!(cluster.sql("table kept"), "7");
}

#[test]
fn a_port_taken_before_the_first_start_is_replaced() {
    let mut cluster = Cluster::builder().create().unwrap();
    let port = cluster.port();
    let _squatter = TcpListener::bind(("127.0.0.1", port)).unwrap();
    cluster.start().unwrap();
    assert_ne!(cluster.port(), port);
    assert_eq!(cluster.sql("show port"), cluster.port().to_string());
}

#[test]
fn dropping_leaves_no_process_no_directory_and_no_listener() {
    let cluster = Cluster::running();
    let (dir, port) = (cluster.dir().to_owned(), cluster.port());
    assert!(!processes_in(&dir).is_empty());
    drop(cluster);
    assert_eq!(processes_in(&dir), Vec::<String>::new());
    assert!(!dir.exists());
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap_err();
}

#[test]
fn a_panic_leaves_nothing_either() {
    let cluster = Cluster::running();
    let dir = cluster.dir().to_owned();
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        cluster.sql("select no_such_column")
    }));
    let message = outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("column \"no_such_column\" does not exist"),
        "{message}"
    );
    assert_eq!(processes_in(&dir), Vec::<String>::new());
    assert!(!dir.exists());
}

#[test]
fn a_server_restarted_by_somebody_else_is_ended_too() {
    let mut cluster = Cluster::running();
    let dir = cluster.dir().to_owned();
    cluster.stop(Shutdown::Fast).unwrap();
    let mut pg_ctl = Command::new("setpriv");
    let owner = cluster.owner();
    if owner.is_caller() {
        pg_ctl = Command::new(cluster.programs().program("pg_ctl"));
    } else {
        pg_ctl.args([
            &format!("--reuid={}", owner.uid),
            &format!("--regid={}", owner.gid),
            "--clear-groups",
        ]);
        pg_ctl.arg(cluster.programs().program("pg_ctl"));
    }
    // Not into a file of ours: pg_ctl's server keeps what it inherits, and `output` would wait for
    // it.
    pg_ctl
        .current_dir("/")
        .args(["start", "-w", "-D"])
        .arg(cluster.data_dir());
    run(pg_ctl.arg("-l").arg(cluster.data_dir().join("pg_ctl.log")));
    assert!(!processes_in(&dir).is_empty());
    drop(cluster);
    assert_eq!(processes_in(&dir), Vec::<String>::new());
    assert!(!dir.exists());
}

#[test]
fn two_clusters_run_side_by_side() {
    let cluster = || thread::spawn(Cluster::running);
    let [one, other] = [cluster(), cluster()].map(|it| it.join().unwrap());
    assert_ne!(one.port(), other.port());
    one.sql("create role only_here");
    assert_eq!(
        other.sql("select count(*) from pg_roles where rolname = 'only_here'"),
        "0"
    );
}

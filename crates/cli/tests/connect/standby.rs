//! A standby that follows the server by what is printed for it, and what Patroni makes of its part.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pgpki_testing::{Cluster, await_that, run};

use crate::cases::{Case, Trial, WHO_AM_I};
use crate::roles::has_no_control;
use crate::stage::Stage;

/// How long a standby may take to come, or to say why it does not.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that is a copy of the stage's, and waits for something to follow.
fn copy(stage: &Stage) -> Cluster {
    let standby = Cluster::builder().create().unwrap();
    let data = standby.data_dir();
    fs::remove_dir_all(&data).unwrap();
    let (uid, gid) = (standby.owner().uid, standby.owner().gid);
    let mut copying = Command::new(standby.programs().program("pg_basebackup"));
    copying.args([
        "-U",
        "postgres",
        "-c",
        "fast",
        "-X",
        "none",
        "--no-sync",
        "-h",
    ]);
    copying
        .arg(stage.cluster.socket_dir())
        .args(["-p", &stage.cluster.port().to_string(), "-D"]);
    run(copying.arg(&data));
    fs::write(data.join("standby.signal"), "").unwrap();
    run(Command::new("chown")
        .args(["-R", &format!("{uid}:{gid}")])
        .arg(&data));
    standby
}

/// What the standby is told beside what is printed: to be quick.
fn conf(case: &Case) -> String {
    format!(
        "ssl = off\nwal_retrieve_retry_interval = 100ms\n{}",
        case.snippet
    )
}

/// The server's view of who follows it and did not before, in the form that other programs print.
fn follower(stage: &Stage, before: &str) -> String {
    stage.cluster.sql(&format!(
        "select 'ok ' || encode(convert_to(usename::text, 'UTF8'), 'hex') || ' ' \
         || encode('postgres', 'hex') || ' ' || encode(convert_to(client_dn, 'UTF8'), 'hex') \
         from pg_stat_replication join pg_stat_ssl using (pid) \
         where ssl and state = 'streaming' and pid::text <> '{before}'"
    ))
}

/// One standby, that is told to follow by one setting after the other.
#[test]
fn primary_conninfo() {
    let trial = Trial::of("primary-conninfo").few().by_a_server();
    let stage = &trial.stage;
    let mut standby = copy(stage);
    for case in trial.cases() {
        // Replication is to no database.
        if case.database() != "postgres" {
            continue;
        }
        let before = stage.cluster.sql("select pid from pg_stat_replication");
        let logged = standby.log().len();
        standby.set_conf(conf(&case));
        match standby.is_running() {
            true => standby.reload().unwrap(),
            // It needs what it is to follow to come up at all.
            false => standby.start().unwrap(),
        }
        let mut line = String::new();
        await_that(&case.title, PATIENCE, || {
            line = follower(stage, &before);
            let log = standby.log()[logged..].replace('\n', " ");
            if line.is_empty() && log.contains("could not connect to the primary server") {
                line = format!("no {log}");
            }
            !line.is_empty()
        });
        case.judge(&line);
    }
}

/// Patroni's own code reads its file, makes the string that it writes into a standby's configuration
/// (which is tried as it is), and the arguments with which it connects itself.
const PATRONI: &str = "\
import sys, types
from patroni import psycopg
from patroni.config import Config
from patroni.dcs import Member
from patroni.postgresql.config import ConfigHandler
query, files = sys.argv[1], sys.argv[2:]
for file in files:
    file, host, port = file.split('|')
    replication = Config(file)['postgresql']['authentication']['replication']
    leader = Member.from_node(0, 'leader', 0, '{\"conn_url\": \"postgres://%s:%s/postgres\"}' % (host, port))
    postgresql = types.SimpleNamespace(name='standby', major_version=150000, database='postgres')
    handler = types.SimpleNamespace(_postgresql=postgresql, _krbsrvname=None, replication=replication)
    parameters = ConfigHandler.primary_conninfo_params(handler, leader)
    try:
        dsn = ConfigHandler.format_dsn(handler, parameters)
        psycopg.connect(dsn + ' replication=true').close()
        with psycopg.connect(**leader.conn_kwargs(replication)).cursor() as cursor:
            cursor.execute(query)
            print(cursor.fetchone()[0])
    except Exception as refused:
        print('no', ' '.join(str(refused).split()))
";

#[test]
fn patroni() {
    let trial = Trial::of("patroni").by_a_server().if_it(has_no_control);
    let cases = trial.cases();
    let folder = trial.stage.workshop();
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PATRONI, WHO_AM_I]);
    let mut taken = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        // Patroni has the host, the port and the database from elsewhere.
        if case.database() != "postgres" {
            continue;
        }
        let file = folder.join(format!("patroni{number}.yml"));
        fs::write(&file, whole(&case.snippet, &folder)).unwrap();
        python.arg(format!("{}|{}|{}", file.display(), case.host, case.port));
        taken.push(case);
    }
    trial.judge(&taken, &mut python);
}

/// The rest of patroni.yml, without which it is not one; the printed part has a section in which other
/// settings stand as well.
fn whole(printed: &str, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "{printed}  listen: 127.0.0.1:1\n  connect_address: 127.0.0.1:1\n  data_dir: {folder}/data\n\
         name: standby\nscope: stage\nrestapi:\n  listen: 127.0.0.1:1\n  connect_address: 127.0.0.1:1\n"
    )
}

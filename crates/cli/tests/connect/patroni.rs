//! Patroni's cluster, by what is printed for it: members join, are refused and are rewound as they would be
//! anywhere.

mod members;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Owner, await_that, run};

use crate::cases::{Case, Expected};
use crate::material::Material;
use crate::stage::text;
use members::{Member, PATIENCE, Plan, Store};

/// The role that replicates. Patroni 3.0.2 does not make one with letters beyond ASCII.
const REPLICATION: &str = r#"o'Brien "x" \$ %"#;
/// The role that `pg_rewind` connects as.
const REWIND: &str = "rewind_user";

/// Of the members, the first one's certificate has `localhost` and this.
const FIRST: &str = "127.0.0.1";
/// An address of the first one that its certificate has not.
const MISNAMED: &str = "127.0.0.4";

/// An authority, everybody's files, and a store; members are added.
struct Scope {
    // Dropped first, because the other holds its files.
    store: Store,
    material: Material,
}

impl Scope {
    fn new() -> Self {
        let material = Material::new();
        let scene = &material.scene;
        run(&mut scene.command([
            "issue-client",
            "--out",
            "clients",
            "--",
            REPLICATION,
            REWIND,
        ]));
        let clients = scene.path("clients");
        give_away(&clients);
        let store = Store::start(&scene.path("store"));
        Self { store, material }
    }

    /// What is printed for both roles, one below the other.
    fn printed(&self, shelf: &str) -> String {
        let print = |role: &str, driver: &str| {
            let folder = text(&self.material.scene.path(shelf).join(role));
            let args = [
                "connect", "--for", driver, "--host", FIRST, "--folder", &folder, "--", role,
            ];
            let output = run(&mut self.material.scene.command(args));
            assert!(output.stderr.is_empty(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        print(REPLICATION, "patroni") + &print(REWIND, "patroni-rewind")
    }

    /// Another installation, for these names.
    fn install(&self, folder: &str, names: &[&str]) -> PathBuf {
        let (scene, owner) = (&self.material.scene, Owner::of_new_clusters().unwrap());
        let installation = scene.path(folder);
        let (path, owner) = (text(&installation), format!("{}:{}", owner.uid, owner.gid));
        let args = [
            "issue-server",
            "--no-reload",
            "--owner",
            &owner,
            "--install",
            &path,
        ];
        run(&mut scene.command(args.iter().chain(names)));
        installation
    }

    fn start(&self, plan: &Plan<'_>) -> Member {
        Member::start(&self.material.scene.path(""), &self.store, plan)
    }

    /// The member that makes the cluster.
    fn first(&self) -> Member {
        let first = self.start(&Plan {
            name: "first",
            addresses: &format!("{FIRST},{MISNAMED}"),
            reached_by: FIRST,
            installation: &self.material.scene.tls(),
            printed: &self.printed("clients"),
        });
        first.await_word("I am (first), the leader with the lock", 0);
        first
    }
}

/// Folders of roles go to the user of PostgreSQL; the shelf stays whose it is, so that `rotate` renews
/// them there.
fn give_away(shelf: &Path) {
    let owner = Owner::of_new_clusters().unwrap();
    run(Command::new("chmod").arg("0755").arg(shelf));
    for role in [REPLICATION, REWIND] {
        run(Command::new("chown")
            .args(["-R", &format!("{}:{}", owner.uid, owner.gid)])
            .arg(shelf.join(role)));
    }
}

/// The names of those that follow.
fn followers(leader: &Member) -> String {
    leader.ask("select string_agg(application_name, ' ') from pg_stat_replication where state = 'streaming'")
}

#[track_caller]
fn await_follower(leader: &Member, name: &str) {
    await_that(&format!("{name} follows"), PATIENCE, || {
        followers(leader) == name
    });
}

#[test]
fn members_join_by_what_is_printed_and_not_otherwise() {
    let scope = Scope::new();
    let first = scope.first();
    let installation = scope.install("tls2", &["127.0.0.2"]);
    let printed = scope.printed("clients");
    let second = scope.start(&Plan {
        name: "second",
        // It connects to itself as localhost then, which its certificate has not.
        addresses: "127.0.0.1,127.0.0.2",
        reached_by: "127.0.0.2",
        installation: &installation,
        printed: &printed,
    });
    await_follower(&first, "second");
    it_comes_as_the_role(&first, &printed);
    let certificate = serial(&first);
    everything_is_renewed(&scope, &first, &second);
    another_root_keeps_it_out(&scope, &first);
    another_name_keeps_it_out(&first, &second);
    assert_ne!(serial(&first), certificate);
}

/// The certificate with which the one that follows has come.
fn serial(leader: &Member) -> String {
    leader.ask("select client_serial from pg_stat_replication join pg_stat_ssl using (pid)")
}

fn it_comes_as_the_role(leader: &Member, printed: &str) {
    let case = Case {
        title: "a member of Patroni's cluster".to_owned(),
        snippet: printed.to_owned(),
        role: REPLICATION.to_owned(),
        host: FIRST.to_owned(),
        port: leader.port(),
        expected: Expected::In {
            database: "postgres",
        },
    };
    case.judge(&leader.ask(
        "select 'ok ' || encode(convert_to(usename::text, 'UTF8'), 'hex') || ' ' || encode('postgres', 'hex') \
         || ' ' || encode(convert_to(client_dn, 'UTF8'), 'hex') \
         from pg_stat_replication join pg_stat_ssl using (pid) where ssl",
    ));
}

/// A member with the root of another authority gets no copy to begin with.
fn another_root_keeps_it_out(scope: &Scope, leader: &Member) {
    let scene = &scope.material.scene;
    let strangers = scene.path("strangers");
    run(Command::new("cp")
        .arg("-r")
        .args([&scene.path("clients"), &strangers]));
    fs::write(
        strangers.join(REPLICATION).join("root.crt"),
        Material::new().root(),
    )
    .unwrap();
    give_away(&strangers);
    let third = scope.start(&Plan {
        name: "third",
        addresses: "127.0.0.3",
        reached_by: "127.0.0.3",
        installation: &scope.install("tls3", &["127.0.0.3"]),
        printed: &scope.printed("strangers"),
    });
    third.await_word("pg_basebackup exited with code=1", 0);
    assert!(
        third.log().contains("certificate verify failed"),
        "{}",
        third.log()
    );
    assert!(!third.data().join("PG_VERSION").exists(), "{}", third.log());
    assert_eq!(followers(leader), "second");
}

/// Patroni writes the servers' settings, and `rotate` reloads them.
fn everything_is_renewed(scope: &Scope, first: &Member, second: &Member) {
    let scene = &scope.material.scene;
    let data = text(&first.data());
    let line = format!("configure --require-tls --pgdata {data}");
    let refusal = scene.fails(3, &line);
    assert!(refusal.contains("is written by Patroni"), "{refusal}");

    let said = scene.pgpki("rotate --force");
    for member in [first, second] {
        let proof = format!("served by {} at ", member.data().display());
        assert!(said.contains(&proof), "{said}");
    }
}

/// The one that follows is told another address of the leader, which the leader's certificate has not.
fn another_name_keeps_it_out(leader: &Member, second: &Member) {
    let address = |host: &str| format!("connect_address: {host}:{}", leader.port());
    let from = second.log().len();
    leader.tell(&address(FIRST), &address(MISNAMED));
    second.await_word(&format!("does not match host name \"{MISNAMED}\""), from);
    await_that("it is out", PATIENCE, || followers(leader).is_empty());
    // Patroni asks its own server then.
    second.await_word("does not match host name \"localhost\"", from);
    leader.tell(&address(MISNAMED), &address(FIRST));
    await_follower(leader, "second");
}

#[test]
fn a_member_that_went_its_own_way_is_rewound_by_what_is_printed() {
    let scope = Scope::new();
    let mut first = scope.first();
    let second = scope.start(&Plan {
        name: "second",
        addresses: "127.0.0.2",
        reached_by: "127.0.0.2",
        installation: &scope.install("tls2", &["127.0.0.2"]),
        printed: &scope.printed("clients"),
    });
    await_follower(&first, "second");
    second.await_word("following a leader (first)", 0);
    first.stop();
    second.await_word("I am (second), the leader with the lock", 0);
    first.change_alone("create table own_way as select generate_series(1, 1000)");
    let from = first.log().len();
    first.run();
    first.await_word("pg_rewind exit code=0", from);
    await_follower(&second, "first");
    second.await_word(&format!("identity=\"CN={REWIND}\" method=cert"), 0);
    let own = first.ask("select count(*) from pg_class where relname = 'own_way'");
    assert_eq!(own, "0");
    for member in [&first, &second] {
        let log = member.log();
        assert!(!log.contains("does not match host name"), "{log}");
    }
}

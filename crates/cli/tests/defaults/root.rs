//! The README's commands, as root, with the paths they have there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use nix::unistd::User;
use pgpki_testing::{attempt, openssl, run};

use crate::machine::{Machine, text};

const PASSPHRASE: &str = "correct horse";
const INIT: &str = "init db.example.com 10.0.0.5 --root-passphrase-file /root/passphrase";

fn machine() -> Machine {
    let machine = Machine::new();
    let file = machine.path("/root/passphrase");
    fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
    fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    machine
}

/// Mode, user and group; a symbolic link's own.
fn seen(path: &Path) -> (u32, u32, u32) {
    let metadata = path.symlink_metadata().unwrap();
    (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}

fn postgres() -> (u32, u32) {
    let user = User::from_name("postgres").unwrap();
    let user = user.expect("there is no user postgres: `cargo xtask test` installs PostgreSQL");
    (user.uid.as_raw(), user.gid.as_raw())
}

#[test]
fn the_readme_from_beginning_to_end() {
    let machine = machine();
    let said = machine.says(INIT);
    for line in [
        "Authority  /var/lib/pgpki",
        "  installed  /etc/ssl/postgres/current -> g0001",
        "ssl = on",
        "ssl_cert_file = '/etc/ssl/postgres/current/server.crt'",
        "ssl_key_file = '/etc/ssl/postgres/current/server.key'",
        "ssl_ca_file = '/etc/ssl/postgres/current/root.crt'",
        "ssl_crl_file = '/etc/ssl/postgres/current/root.crl'",
        "ssl_min_protocol_version = 'TLSv1.2'",
        "hostnossl  all          all  all  reject",
        "hostnossl  replication  all  all  reject",
        "hostssl    all          all  all  cert",
        "hostssl    replication  all  all  cert",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "{line:?} is not in\n{said}"
        );
    }
    for part in [
        "db.example.com root CA 1",
        "key encrypted",
        "db.example.com, 10.0.0.5",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }

    let home = machine.path("/var/lib/pgpki");
    assert_eq!(seen(&home), (0o700, 0, 0));
    assert_eq!(seen(&home.join("ledger.db")), (0o600, 0, 0));
    for tier in ["root", "issuing"] {
        assert_eq!(seen(&home.join(tier).join("current/ca.key")), (0o600, 0, 0));
    }
    let root_key = home.join("root/current/ca.key");
    let pass = format!("pass:{PASSPHRASE}");
    let root_key = root_key.to_str().unwrap();
    openssl(["pkey", "-noout", "-passin", &pass, "-in", root_key]);

    let tls = machine.path("/etc/ssl/postgres");
    let (uid, gid) = postgres();
    assert_eq!(seen(&tls), (0o700, uid, gid));
    let current = fs::read_link(tls.join("current")).unwrap();
    assert_eq!(current, Path::new("g0001"));
    for file in ["server.crt", "server.key", "root.crt", "root.crl"] {
        let (mode, user, group) = seen(&tls.join("g0001").join(file));
        assert_eq!((user, group), (uid, gid), "{file}");
        assert_eq!(mode & 0o133, 0, "{file} has mode {mode:o}");
    }
    assert_eq!(seen(&tls.join("g0001/server.key")).0, 0o600);
    // The server's user reads what the printed lines name, and not the authority.
    let as_postgres = |file: &str| {
        let ids = [
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".into(),
        ];
        let cat = ["cat".to_owned(), file.to_owned()];
        attempt(&mut machine.command(["setpriv".to_owned()].iter().chain(&ids).chain(&cat)))
    };
    for file in ["server.crt", "server.key", "root.crt", "root.crl"] {
        as_postgres(&format!("/etc/ssl/postgres/current/{file}")).unwrap();
    }
    as_postgres("/var/lib/pgpki/ledger.db").unwrap_err();

    let said = machine.says("issue-client alice bob --out /root/hand-over");
    for role in ["alice", "bob"] {
        let folder = machine.path("/root/hand-over").join(role);
        assert!(said.contains(&format!("/root/hand-over/{role}")), "{said}");
        assert_eq!(seen(&folder), (0o700, 0, 0));
        for file in ["postgresql.crt", "postgresql.key", "root.crt"] {
            assert_eq!(seen(&folder.join(file)).1, 0, "{file}");
        }
        assert_eq!(seen(&folder.join("postgresql.key")).0, 0o600);
    }
    let names: Vec<_> = fs::read_dir(machine.path("/root/hand-over"))
        .unwrap()
        .collect();
    let shown = |name: &str| {
        names
            .iter()
            .any(|entry| entry.as_ref().unwrap().file_name() == name)
    };
    assert!(shown("alice") && shown("bob"));

    assert_eq!(machine.says("rotate"), "", "nothing is due");
    assert_eq!(
        fs::read_link(tls.join("current")).unwrap(),
        Path::new("g0001")
    );
    let said = text(run(&mut machine.pgpki_at("+300d", "rotate")));
    assert!(
        said.contains("/etc/ssl/postgres") && said.contains("/root/hand-over/alice"),
        "{said}"
    );
    assert_eq!(
        fs::read_link(tls.join("current")).unwrap(),
        Path::new("g0002")
    );

    let said = text(run(&mut machine.pgpki_at("+300d", "inspect")));
    assert!(said.starts_with("/var/lib/pgpki\n"), "{said}");
    for part in [
        "db.example.com, 10.0.0.5  /etc/ssl/postgres",
        "alice  /root/hand-over/alice",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    run(&mut machine.pgpki_at("+300d", "inspect /etc/ssl/postgres"));
    run(&mut machine.pgpki_at("+300d", "inspect /root/hand-over/alice"));
}

#[test]
fn a_second_time_is_refused() {
    let machine = machine();
    machine.says(INIT);
    let failure = attempt(&mut machine.pgpki(INIT)).unwrap_err();
    assert!(failure.contains("exit status: 3"), "{failure}");
    assert!(
        failure.contains("/var/lib/pgpki already exists"),
        "{failure}"
    );
    machine.says("inspect");
}

#[test]
fn another_server_on_this_machine_and_elsewhere() {
    let machine = machine();
    machine.says(INIT);
    machine.says("issue-server db2.example.com --out /root/db2");
    assert_eq!(seen(&machine.path("/root/db2/server.key")), (0o600, 0, 0));
    let renewed = machine.says("rotate --force");
    assert!(
        renewed.contains("/root/db2\n         take it to that server, and reload it there\n"),
        "{renewed}"
    );
    machine.says("issue-server db.example.com --install /etc/ssl/postgres-reporting");
    let (uid, gid) = postgres();
    assert_eq!(
        seen(&machine.path("/etc/ssl/postgres-reporting")),
        (0o700, uid, gid)
    );
}

/// Whatever root's environment says: its home is where the documentation has it.
#[test]
fn roots_home_does_not_depend_on_the_environment() {
    let machine = machine();
    let mut init = machine.pgpki(INIT);
    init.env("XDG_DATA_HOME", "/root/data")
        .env("HOME", "/root/elsewhere");
    run(&mut init);
    assert!(machine.path("/var/lib/pgpki/ledger.db").exists());
    run(machine.pgpki("inspect").env_remove("HOME"));
    let mut other = machine.pgpki("inspect");
    let failure = attempt(other.env("PGPKI_HOME", "/root/other")).unwrap_err();
    assert!(
        failure.contains("exit status: 4") && failure.contains("/root/other"),
        "{failure}"
    );
}

#[test]
fn without_a_host_it_is_this_machine() {
    let machine = machine();
    let line = "init --root-passphrase-file /root/passphrase";
    let said = machine.says(line);
    assert!(said.contains("that is this machine's name"), "{said}");
    let full = attempt(Command::new("hostname").arg("-f"));
    let full = full
        .or_else(|_| attempt(&mut Command::new("hostname")))
        .unwrap();
    let full = text(full).trim_end().to_lowercase();
    let server = said
        .lines()
        .find(|line| line.starts_with("Server "))
        .unwrap();
    assert!(
        server.split_whitespace().nth(1) == Some(&full),
        "{full} is not in {server}"
    );
    let certificate = machine.path("/etc/ssl/postgres/g0001/server.crt");
    let args = ["x509", "-noout", "-ext", "subjectAltName", "-in"];
    let names = openssl(args.iter().copied().chain([certificate.to_str().unwrap()]));
    assert!(text(names).contains(&full));
}

#[test]
fn with_a_host_nothing_is_said_of_this_machine() {
    let said = machine().says(INIT);
    assert!(!said.contains("this machine"), "{said}");
}

/// A machine without PostgreSQL has no user to give the files to.
#[test]
fn without_the_user_postgres() {
    let machine = machine();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let others: String = passwd
        .lines()
        .filter(|line| !line.starts_with("postgres:"))
        .map(|l| format!("{l}\n"))
        .collect();
    fs::write(machine.path("passwd"), others).unwrap();
    let passwd = machine.path("passwd");
    let program = machine.path("pgpki");
    let script = format!(
        "mount --bind {} /etc/passwd && exec {} {INIT}",
        passwd.display(),
        program.display()
    );
    let failure = attempt(&mut machine.command(["sh", "-c", &script])).unwrap_err();
    for part in ["exit status: 4", "postgres", "--owner"] {
        assert!(failure.contains(part), "{part:?} is not in {failure}");
    }
    assert!(!machine.path("/var/lib/pgpki").exists());
    assert!(!machine.path("/etc/ssl/postgres").exists());
}

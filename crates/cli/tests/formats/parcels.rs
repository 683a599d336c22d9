//! `issue-client --encrypt-to`: opened by age, and by nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Scene, attempt, run};

use super::{check_modes, names};
use crate::served::{Served, scene};

/// A key pair of age's: the file with the secret, and the public key.
fn age_key(scene: &Scene, name: &str) -> (PathBuf, String) {
    let file = scene.path(name);
    run(Command::new("age-keygen").arg("-o").arg(&file));
    let public = run(Command::new("age-keygen").arg("-y").arg(&file));
    (
        file,
        String::from_utf8(public.stdout).unwrap().trim().to_owned(),
    )
}

fn ssh_key(scene: &Scene, name: &str, kind: &str) -> (PathBuf, String) {
    let file = scene.path(name);
    run(Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", kind, "-f"])
        .arg(&file));
    let public = fs::read_to_string(file.with_extension("pub")).unwrap();
    (file, public.trim().to_owned())
}

/// Opens a parcel as its page says, and returns the folder in it.
fn open(scene: &Scene, parcel: &str, key: &Path, role: &str) -> Result<PathBuf, String> {
    let into = scene.path(format!(
        "opened-{}",
        fs::read_dir(scene.path(".")).unwrap().count()
    ));
    fs::create_dir(&into).unwrap();
    let line = "age -d -i \"$1\" \"$2\" > all.tar && tar xf all.tar && rm all.tar";
    let file = scene.path(parcel);
    attempt(
        Command::new("sh")
            .current_dir(&into)
            .args(["-c", line, "sh"])
            .arg(key)
            .arg(file),
    )?;
    Ok(into.join(role))
}

#[test]
fn the_recipient_opens_it_and_connects() {
    let served = Served::new("");
    let scene = &served.scene;
    let (key, public) = age_key(scene, "key");
    served.cluster.create_role("alice", None, true);
    let said = scene.pgpki(&format!(
        "issue-client alice --out sent --encrypt-to {public}"
    ));
    assert!(said.contains("sent/alice.age"), "{said}");
    assert_eq!(
        names(&scene.path("sent")),
        ["alice.age"],
        "no key in the clear"
    );

    let folder = open(scene, "sent/alice.age", &key, "alice").unwrap();
    assert_eq!(
        names(&folder),
        ["README.txt", "postgresql.crt", "postgresql.key", "root.crt"]
    );
    let page = fs::read_to_string(folder.join("README.txt")).unwrap();
    assert!(
        page.contains("psql 'host=localhost dbname=DB user=alice sslmode=verify-full'"),
        "{page}"
    );
    fs::remove_file(folder.join("README.txt")).unwrap();
    check_modes(&folder);
    let conninfo = served.conninfo(&folder, "alice", &[]);
    assert_eq!(served.connects(&conninfo, "select current_user"), "alice");

    assert!(
        scene.pgpki("inspect").contains("alice"),
        "the ledger knows it"
    );
    assert_eq!(scene.pgpki("rotate --no-reload"), "");
    scene.pgpki("rotate --force --no-reload");
    assert_eq!(names(&scene.path("sent")), ["alice.age"]);

    // No rotation renews it, so that each tells when it is due, until there is another one.
    let later = |when: &str| {
        let mut command = scene.command_at(when, ["rotate", "--no-reload"]);
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    assert!(!later("+200d").contains("alice"));
    assert!(
        later("+300d").contains("elsewhere  client alice"),
        "{}",
        later("+300d")
    );
    assert!(
        later("+300d").contains("elsewhere  client alice"),
        "each time"
    );
    run(&mut scene.command_at("+300d", ["issue-client", "alice", "--out", "clients"]));
    // A folder is another one's; it may be for another machine.
    assert!(later("+300d").contains("elsewhere  client alice"));
    let again = [
        "issue-client",
        "alice",
        "--out",
        "again",
        "--encrypt-to",
        &public,
    ];
    run(&mut scene.command_at("+300d", again));
    assert!(!later("+300d").contains("alice"));
}

#[test]
fn every_kind_of_recipient() {
    let scene = scene();
    scene.init("");
    let (age, age_public) = age_key(&scene, "age");
    let (ssh, ssh_public) = ssh_key(&scene, "ssh", "ed25519");
    let (stranger, _) = age_key(&scene, "stranger");
    fs::write(
        scene.path("list"),
        format!("# the team\n\n{age_public}\r\n{ssh_public}\n"),
    )
    .unwrap();
    for (role, recipients) in [
        ("age", vec![age_public.as_str()]),
        ("ssh", vec![ssh_public.as_str()]),
        ("both", vec![&age_public, &ssh_public]),
        ("list", vec!["list"]),
        ("pub", vec!["ssh.pub"]),
    ] {
        let mut args = vec!["issue-client", role, "--out", "sent", "--format", "pem"];
        args.extend(recipients.iter().flat_map(|it| ["--encrypt-to", it]));
        run(&mut scene.command(args));
        let parcel = format!("sent/{role}.age");
        for (key, opens) in [
            (&age, ["age", "both", "list"].contains(&role)),
            (&ssh, ["ssh", "both", "list", "pub"].contains(&role)),
            (&stranger, false),
        ] {
            assert_eq!(
                open(&scene, &parcel, key, role).is_ok(),
                opens,
                "{role} {key:?}"
            );
        }
    }
}

#[test]
fn what_is_no_recipient_is_refused_before_anything_is_issued() {
    let scene = scene();
    scene.init("");
    let (_, rsa) = ssh_key(&scene, "rsa", "rsa");
    let (_, ecdsa) = ssh_key(&scene, "ecdsa", "ecdsa");
    let (age, _) = age_key(&scene, "age");
    fs::write(scene.path("empty"), "# nobody\n").unwrap();
    let private = fs::read_to_string(&age).unwrap();
    let private = private.lines().last().unwrap();
    for recipient in [
        "alice@example.com",
        "age1garbage",
        "ssh-ed25519 AAAA",
        &rsa,
        &ecdsa,
        private,
        "empty",
        "age",
        "rsa",
        "nowhere",
    ] {
        let args = [
            "issue-client",
            "alice",
            "--out",
            "sent",
            "--encrypt-to",
            recipient,
        ];
        let said = scene.fails_with(4, &mut scene.command(args));
        assert!(!said.contains(private), "{said}");
    }
    assert!(!scene.path("sent").exists());
    assert!(!scene.pgpki("inspect --all").contains("alice"));
}

#[test]
fn a_parcel_that_is_there_stays_and_many_go_out_at_once() {
    let scene = scene();
    scene.init("");
    let (key, public) = age_key(&scene, "key");
    let roles = ["alice", "bob", "O'Brien $x", "Ä -n"];
    let mut args = vec![
        "issue-client",
        "--out",
        "sent",
        "--encrypt-to",
        &public,
        "--",
    ];
    args.extend(roles);
    run(&mut scene.command(&args));
    for role in roles {
        open(&scene, &format!("sent/{role}.age"), &key, role).unwrap();
    }
    let before = fs::read(scene.path("sent/bob.age")).unwrap();
    let said = scene.fails(
        3,
        &format!("issue-client bob --out sent --encrypt-to {public}"),
    );
    assert!(said.contains("bob.age"), "{said}");
    assert_eq!(fs::read(scene.path("sent/bob.age")).unwrap(), before);
    let listed = scene.pgpki("inspect --all");
    assert_eq!(listed.matches(" bob").count(), 1, "{listed}");
    // Some were made before one could not be: those are told, and it is no success.
    let output = scene
        .command([
            "issue-client",
            "carol",
            "bob",
            "--out",
            "sent",
            "--encrypt-to",
            &public,
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("carol.age"));
    assert!(scene.path("sent/carol.age").is_file());
}

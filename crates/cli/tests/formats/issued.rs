//! `issue-client --format`.

use std::fs;
use std::path::Path;

use pgpki_testing::{Client, Connection, Credential, Scene, openssl, run};

use super::{check_modes, decoded, files, names, yaml};
use crate::served::{Served, issue_client, scene};

const COMMON: [&str; 2] = ["postgresql.crt", "root.crt"];

/// Issues to alice in one format with a generated passphrase, and returns what was said on standard error.
fn issue(scene: &Scene, format: &str) -> String {
    let mut args = vec![
        "issue-client",
        "alice",
        "--out",
        "clients",
        "--format",
        format,
    ];
    if format.contains("pkcs12") {
        args.push("--generate-passphrase");
    }
    let output = run(&mut scene.command(args));
    String::from_utf8(output.stderr).unwrap()
}

/// The last word of `Passphrase of alice: …`.
pub(crate) fn passphrase(stderr: &str) -> String {
    let shown = stderr
        .lines()
        .find_map(|line| line.strip_prefix("Passphrase of alice: "));
    shown
        .unwrap_or_else(|| panic!("no passphrase in {stderr}"))
        .to_owned()
}

#[test]
fn each_format_has_its_files_and_no_other_has_the_key() {
    for (format, own) in [
        ("libpq", &["postgresql.key"][..]),
        ("pkcs12", &["postgresql.p12"]),
        ("jdbc", &["postgresql.pk8"]),
        ("pem", &["postgresql.pem"]),
        ("k8s-secret", &["postgresql-secret.yaml"]),
        ("docker", &["postgresql-compose.yaml", "postgresql.key"]),
    ] {
        let scene = scene();
        scene.init("");
        issue(&scene, format);
        let folder = scene.path("clients/alice");
        let mut expected: Vec<&str> = own.iter().chain(&COMMON).copied().collect();
        expected.sort_unstable();
        assert_eq!(names(&folder), expected, "{format}");
        check_modes(&folder);
        if !["pem", "k8s-secret"].contains(&format) {
            scene.pgpki("inspect clients/alice");
        }
        for name in COMMON {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            assert!(!text.contains("PRIVATE"), "{name} of {format}");
        }
    }
}

#[test]
fn several_at_once_hold_the_same_key() {
    let scene = scene();
    scene.init("");
    let said = issue(&scene, "libpq,pkcs12,jdbc,pem,k8s-secret,docker");
    let folder = scene.path("clients/alice");
    check_modes(&folder);
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let der = openssl([
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-outform",
        "DER",
        "-in",
        &file("postgresql.key"),
    ]);
    assert_eq!(der.stdout, fs::read(file("postgresql.pk8")).unwrap());

    let (key, certificate) = (
        read(&folder, "postgresql.key"),
        read(&folder, "postgresql.crt"),
    );
    assert_eq!(read(&folder, "postgresql.pem"), key.clone() + &certificate);

    let passphrase = format!("pass:{}", passphrase(&said));
    let opened = openssl([
        "pkcs12",
        "-in",
        &file("postgresql.p12"),
        "-nodes",
        "-passin",
        &passphrase,
    ]);
    let opened = String::from_utf8(opened.stdout).unwrap();
    assert!(opened.contains("friendlyName: user"), "{opened}");
    assert!(opened.contains(key.trim()), "the same key");
    assert_eq!(opened.matches("BEGIN CERTIFICATE").count(), 2, "{opened}");

    let secret = yaml(&folder.join("postgresql-secret.yaml"));
    assert_eq!(secret["kind"], "Secret");
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(secret["metadata"]["name"], "alice-postgresql-tls");
    assert_eq!(secret["metadata"]["labels"]["cnpg.io/reload"], "");
    let roots = read(&folder, "root.crt");
    for (entry, expected) in [
        ("tls.crt", certificate),
        ("tls.key", key),
        ("ca.crt", roots),
    ] {
        let decoded = decoded(&secret["data"][entry]);
        assert_eq!(String::from_utf8(decoded).unwrap(), expected, "{entry}");
    }
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Whatever a role is called, Compose gets it to the letter.
#[test]
fn a_compose_file_takes_every_role() {
    let scene = scene();
    scene.init("");
    for role in [
        "alice",
        "O'Brien \"x\" $HOME",
        "Ä \\ #: {}",
        "two\nlines\ttab",
        "\u{85}\u{2028}",
    ] {
        let folder = issue_client(&scene, role, &["--format", "docker,k8s-secret"]);
        let compose = yaml(&folder.join("postgresql-compose.yaml"));
        let environment = &compose["services"]["app"]["environment"];
        assert_eq!(environment["PGUSER"], role.replace('$', "$$"), "{role:?}");
        assert_eq!(environment["PGSSLMODE"], "verify-full");
        for file in ["postgresql.crt", "postgresql.key", "root.crt"] {
            let named = compose["secrets"][file]["file"].as_str().unwrap();
            assert!(folder.join(named).is_file(), "{named}");
            let mounted = compose["services"]["app"]["secrets"].as_array().unwrap();
            assert!(mounted.iter().any(|it| it == file), "{file}");
        }
        assert_eq!(environment["PGSSLKEY"], "/run/secrets/postgresql.key");
        assert_eq!(
            yaml(&folder.join("postgresql-secret.yaml"))["kind"],
            "Secret"
        );
    }
}

#[test]
fn libpq_and_pgjdbc_connect_with_what_is_theirs() {
    let served = Served::new("");
    let folder = served.client(
        "alice",
        &["--format", "pem,jdbc,pkcs12", "--new-passphrase-file", {
            fs::write(served.scene.path("secret"), "open sesame\n").unwrap();
            fs::set_permissions(
                served.scene.path("secret"),
                std::os::unix::fs::PermissionsExt::from_mode(0o600),
            )
            .unwrap();
            "secret"
        }],
    );
    let pem = folder.join("postgresql.pem");
    let pem = pem.to_str().unwrap();
    let conninfo = served.conninfo(&folder, "alice", &[("sslcert", pem), ("sslkey", pem)]);
    assert_eq!(served.connects(&conninfo, "select current_user"), "alice");

    let connection = |key: &str, database: &str| Connection {
        credential: Some(Credential {
            certificate: folder.join("postgresql.crt"),
            key: folder.join(key),
            as_it_is: true,
        }),
        database: database.to_owned(),
        ..Connection::to(&served.cluster, "alice", folder.join("root.crt"))
    };
    for (key, database) in [
        ("postgresql.pk8", "postgres"),
        // The driver's URL ends with the database's name, and takes parameters after it.
        ("postgresql.p12", "postgres?sslpassword=open%20sesame"),
    ] {
        let session = Client::PgJdbc.connect(&connection(key, database));
        let session = session.unwrap_or_else(|refusal| panic!("{key}: {refusal}"));
        assert_eq!(session.client_dn, "/CN=alice", "{key}");
    }
}

#[test]
fn generated_passphrases_are_each_roles_own() {
    let scene = scene();
    scene.init("");
    let line = "issue-client alice bob --out clients --format pkcs12 --generate-passphrase";
    let output = run(&mut scene.command(line.split(' ')));
    let said = String::from_utf8(output.stderr).unwrap();
    let passphrases: Vec<&str> = said
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    let [alice, bob] = passphrases[..] else {
        panic!("{said}")
    };
    assert_ne!(alice, bob);
    assert!(
        !String::from_utf8(output.stdout).unwrap().contains(alice),
        "shown once"
    );
    for (role, passphrase) in [("alice", alice), ("bob", bob)] {
        let file = scene.path("clients").join(role).join("postgresql.p12");
        let pass = format!("pass:{passphrase}");
        openssl([
            "pkcs12",
            "-noout",
            "-passin",
            &pass,
            "-in",
            file.to_str().unwrap(),
        ]);
    }
    let everything = files(&scene.path("clients/alice"));
    let hides = |bytes: &Vec<u8>| !bytes.windows(alice.len()).any(|it| it == alice.as_bytes());
    assert!(
        everything.values().all(hides),
        "a passphrase does not go with what it opens"
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_issued() {
    let scene = scene();
    scene.init("");
    let said = scene.fails(2, "issue-client alice --out clients --format pkcs12");
    assert!(
        said.contains("--new-passphrase-file") && said.contains("--generate-passphrase"),
        "{said}"
    );
    scene.fails(2, "issue-client alice --out clients --format p12");
    for flags in [
        "--generate-passphrase",
        "--format pem --generate-passphrase",
    ] {
        let said = scene.fails(2, &format!("issue-client alice --out clients {flags}"));
        assert!(said.contains("--format pkcs12"), "{said}");
    }
    for passphrase in ["", "größer"] {
        fs::write(scene.path("secret"), passphrase).unwrap();
        scene.fails(
            4,
            "issue-client alice --out clients --format pkcs12 --new-passphrase-file secret",
        );
    }
    assert!(!scene.path("clients").exists());
    assert!(!scene.pgpki("inspect --all").contains("alice"));
}

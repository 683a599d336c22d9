//! `export`.

use std::fs;
use std::os::unix::fs::symlink;

use pgpki_testing::openssl;

use super::{check_modes, decoded, files, names, yaml};
use crate::served::{issue_client, scene};

#[test]
fn a_folder_is_exported_and_stays_as_it_is() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(&scene, "alice", &[]);
    let before = files(&folder);
    scene.pgpki("export clients/alice --format jdbc,pem --out laptop");
    assert_eq!(files(&folder), before);
    let made = scene.path("laptop");
    assert_eq!(
        names(&made),
        [
            "postgresql.crt",
            "postgresql.pem",
            "postgresql.pk8",
            "root.crt"
        ]
    );
    check_modes(&made);
    for name in ["postgresql.crt", "root.crt"] {
        assert_eq!(files(&made)[name], before[name]);
    }
    // And back again, from whichever form holds the key.
    for form in ["postgresql.pk8", "postgresql.pem"] {
        let other = match form {
            "postgresql.pk8" => "postgresql.pem",
            _ => "postgresql.pk8",
        };
        let kept = fs::read(made.join(other)).unwrap();
        fs::remove_file(made.join(other)).unwrap();
        scene.pgpki(&format!("export laptop --format libpq --out from-{form}"));
        assert_eq!(files(&scene.path(format!("from-{form}"))), before, "{form}");
        fs::write(made.join(other), kept).unwrap();
    }
}

#[test]
fn a_serial_number_leads_to_the_folder() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(&scene, "alice", &[]);
    let leaf = folder.join("postgresql.crt");
    let serial = openssl(["x509", "-noout", "-serial", "-in", leaf.to_str().unwrap()]);
    let serial = String::from_utf8(serial.stdout).unwrap();
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();
    let serial = format!("{serial:0>32}");
    scene.pgpki(&format!("export {serial} --format pem --out out"));
    assert_eq!(
        files(&scene.path("out"))["postgresql.crt"],
        files(&folder)["postgresql.crt"]
    );
    // A container is opened with its passphrase.
    fs::write(scene.path("secret"), "open sesame\n").unwrap();
    let line = format!("export {serial} --format pkcs12 --out boxed --new-passphrase-file secret");
    scene.pgpki(&line);
    scene.fails(2, "export boxed --format libpq --out unboxed");
    scene.pgpki("export boxed --format libpq --out unboxed --passphrase-file secret");
    assert_eq!(files(&scene.path("unboxed")), files(&folder));
    // A folder that holds another certificate by now is not what was asked for.
    let former = fs::read(folder.join("postgresql.crt")).unwrap();
    let former_key = fs::read(folder.join("postgresql.key")).unwrap();
    scene.pgpki("issue-client alice --out clients");
    fs::write(folder.join("postgresql.crt"), former).unwrap();
    fs::write(folder.join("postgresql.key"), former_key).unwrap();
    let listed = scene.pgpki("inspect --json");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let all = listed["certificates"].as_array().unwrap();
    let newest = all
        .iter()
        .find(|it| it["profile"] == "client" && it["status"] == "valid");
    let newest = newest.unwrap()["serial"].as_str().unwrap();
    let said = scene.fails(3, &format!("export {newest} --format pem --out out3"));
    assert!(said.contains("another certificate"), "{said}");
    fs::rename(&folder, scene.path("moved")).unwrap();
    let said = scene.fails(4, &format!("export {newest} --format pem --out out2"));
    assert!(said.contains("clients/alice"), "{said}");
    scene.fails(
        4,
        &format!("export {} --format pem --out out2", "ab".repeat(16)),
    );
    assert!(!scene.path("out2").exists());
}

#[test]
fn a_server_is_exported_too() {
    let scene = scene();
    scene.init("");
    let current = scene.tls().join("current");
    scene.pgpki(&format!(
        "export {} --format pem,k8s-secret,docker --out node",
        current.display()
    ));
    let made = scene.path("node");
    assert_eq!(
        names(&made),
        [
            "root.crl",
            "root.crt",
            "server-compose.yaml",
            "server-secret.yaml",
            "server.crt",
            "server.key",
            "server.pem"
        ]
    );
    check_modes(&made);
    let crl = fs::read(current.join("root.crl")).unwrap();
    assert_eq!(files(&made)["root.crl"], crl);
    // A server without them lets in whoever was revoked.
    let secret = yaml(&made.join("server-secret.yaml"));
    assert_eq!(decoded(&secret["data"]["ca.crl"]), crl);
    let compose = yaml(&made.join("server-compose.yaml"));
    assert_eq!(compose["secrets"]["root.crl"]["file"], "./root.crl");
    let mounted = compose["services"]["db"]["secrets"].as_array().unwrap();
    assert!(mounted.contains(&"root.crl".into()), "{compose}");
    assert_eq!(
        files(&made)["server.crt"],
        fs::read(current.join("server.crt")).unwrap()
    );
}

#[test]
fn what_is_no_credential_is_refused_and_nothing_is_written() {
    let scene = scene();
    scene.init("");
    let alice = issue_client(&scene, "alice", &[]);
    let bob = issue_client(&scene, "bob", &[]);
    let put = |name: &str| {
        let folder = scene.path(name);
        fs::create_dir(&folder).unwrap();
        for file in ["postgresql.crt", "postgresql.key", "root.crt"] {
            fs::copy(alice.join(file), folder.join(file)).unwrap();
        }
        folder
    };
    fs::copy(
        bob.join("postgresql.key"),
        put("swapped").join("postgresql.key"),
    )
    .unwrap();
    // A file that holds both: what goes out as a certificate has no key in it.
    let both = put("both").join("postgresql.crt");
    let key = fs::read_to_string(alice.join("postgresql.key")).unwrap();
    fs::write(&both, fs::read_to_string(&both).unwrap() + &key).unwrap();
    scene.pgpki("export both --format k8s-secret --out clean");
    let clean = files(&scene.path("clean"));
    let certificate = String::from_utf8_lossy(&clean["postgresql.crt"]).into_owned();
    assert!(!certificate.contains("PRIVATE"), "{certificate}");
    fs::write(put("garbage").join("postgresql.key"), "garbage").unwrap();
    fs::write(
        put("cut").join("postgresql.crt"),
        "-----BEGIN CERTIFICATE-----\nMIIB",
    )
    .unwrap();
    fs::remove_file(put("rootless").join("root.crt")).unwrap();
    fs::create_dir(scene.path("empty")).unwrap();
    let fifo = put("fifo").join("postgresql.key");
    fs::remove_file(&fifo).unwrap();
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    for (folder, status) in [
        ("swapped", 3),
        ("garbage", 4),
        ("cut", 4),
        ("rootless", 4),
        ("empty", 4),
        ("fifo", 4),
        ("nowhere", 4),
    ] {
        scene.fails(status, &format!("export {folder} --format pem --out out"));
        assert!(!scene.path("out").exists(), "{folder}");
    }
    let before = files(&bob);
    let said = scene.fails(3, "export clients/alice --format pem --out clients/bob");
    assert!(said.contains("clients/bob"), "{said}");
    assert_eq!(files(&bob), before);
    symlink(&alice, scene.path("link")).unwrap();
    scene.fails(3, "export clients/alice --format pem --out link");
    assert_eq!(
        names(&alice),
        ["postgresql.crt", "postgresql.key", "root.crt"]
    );
}

/// The next rotation would make of it what was there before.
#[test]
fn a_place_of_the_authoritys_is_refused() {
    let scene = scene();
    scene.init("");
    let folder = issue_client(&scene, "alice", &["--format", "jdbc"]);
    let moved = scene.path("moved");
    fs::rename(&folder, &moved).unwrap();
    let said = scene.fails(3, "export moved --format pem --out clients/alice");
    assert!(said.contains("issued for role alice"), "{said}");
    assert!(!folder.exists());
    // Without the authority nothing is known, and nothing is renewed either.
    scene.pgpki("export moved --format pem --out clients/alice --home nowhere");
    let said = scene.fails(
        3,
        &format!("export moved --format pem --out {}", scene.tls().display()),
    );
    assert!(said.contains("localhost"), "{said}");
}

/// It would have looked like the one that opens what is there.
#[test]
fn no_passphrase_is_shown_where_nothing_is_written() {
    let scene = scene();
    scene.init("");
    issue_client(&scene, "alice", &[]);
    let line = "export clients/alice --format pkcs12 --generate-passphrase --out laptop";
    let export = || {
        let output = scene.command(line.split(' ')).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (status, said) = export();
    assert!(
        status == Some(0) && said.contains("Passphrase of alice"),
        "{said}"
    );
    let before = files(&scene.path("laptop"));
    let (status, said) = export();
    assert!(status == Some(3) && !said.contains("Passphrase"), "{said}");
    assert!(said.contains("laptop exists"), "{said}");
    assert_eq!(files(&scene.path("laptop")), before);
}

//! Containers that others made, of today and of old.

use std::process::Command;

use pgpki_testing::{Scene, run};

use crate::fixture::{
    BAD_INPUT, KINDS, PASSPHRASE, openssl, public_half, refuses, scene, secret, text, tried,
    with_credential,
};

/// Opens `name` and finds alice's key, her certificate and her CA's.
#[track_caller]
fn opens(scene: &Scene, name: &str) {
    let out = format!("{name}.pem");
    scene.pgpki(&format!(
        "convert {name} --passphrase-file pass --to pem --out {out}"
    ));
    assert_eq!(
        public_half(scene, &out, ""),
        public_half(scene, "alice.key", ""),
        "{name}"
    );
    let all = text(scene, &out);
    let certificates = text(scene, "alice.crt") + &text(scene, "ca.crt");
    assert!(all.ends_with(&certificates), "{name}: {all}");
    // It may have findings: nobody says that alice's certificate is good for anything.
    let inspect = ["inspect", name, "--passphrase-file", "pass"];
    let output = scene.command(inspect).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("CN=alice") && !said.contains("needs its passphrase"),
        "{said}"
    );
}

fn export(scene: &Scene, more: &str) {
    let mut command = Command::new("openssl");
    command
        .args([
            "pkcs12",
            "-export",
            "-in",
            "alice.crt",
            "-inkey",
            "alice.key",
        ])
        .args(["-certfile", "ca.crt", "-name", "user", "-out", "a.p12"])
        .args(["-passout", &format!("pass:{PASSPHRASE}")])
        .args(more.split_whitespace())
        .current_dir(scene.path(""));
    run(&mut command);
}

#[test]
fn of_openssl_in_each_kind() {
    for (kind, _) in KINDS {
        let scene = with_credential(kind);
        export(&scene, "");
        opens(&scene, "a.p12");
    }
}

/// The methods of OpenSSL 1.0 and 1.1, of Windows before 10 and of macOS among them.
#[test]
fn of_openssl_in_each_method() {
    for more in [
        "-legacy",
        "-legacy -descert",
        "-legacy -certpbe PBE-SHA1-RC2-128 -keypbe PBE-SHA1-2DES",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-certpbe AES-128-CBC -keypbe AES-192-CBC -macalg sha512",
        "-macalg sha384 -iter 1",
        "-keypbe NONE -certpbe NONE",
        "-keypbe NONE",
    ] {
        let scene = with_credential("rsa2048");
        export(&scene, more);
        opens(&scene, "a.p12");
    }
}

#[test]
fn of_java() {
    for (kind, algorithm) in [("EC", "-groupname secp256r1"), ("RSA", "-keysize 3072")] {
        let scene = scene();
        let mut keytool = Command::new("keytool");
        keytool
            .args(["-genkeypair", "-keyalg", kind])
            .args(algorithm.split(' '))
            .args(["-alias", "user", "-dname", "CN=alice", "-keystore", "j.p12"])
            .args(["-storetype", "PKCS12", "-storepass", PASSPHRASE])
            .current_dir(scene.path(""));
        run(&mut keytool);
        scene.pgpki("convert j.p12 --passphrase-file pass --to pem --out j.pem");
        let certificate = openssl(&scene, "x509 -in j.pem -noout -pubkey");
        assert_eq!(public_half(&scene, "j.pem", ""), certificate, "{kind}");
    }
}

/// As Java wrote them before 8u301, which is what keystores of old are.
#[test]
fn of_java_of_old() {
    let scene = scene();
    let mut keytool = Command::new("keytool");
    keytool
        .arg("-J-Dkeystore.pkcs12.legacy")
        .args(["-genkeypair", "-keyalg", "RSA", "-keysize", "2048"])
        .args(["-alias", "user", "-dname", "CN=alice", "-keystore", "j.p12"])
        .args(["-storetype", "PKCS12", "-storepass", PASSPHRASE])
        .current_dir(scene.path(""));
    run(&mut keytool);
    let info = tried(
        &scene,
        "openssl",
        "pkcs12 -info -noout -in j.p12 -passin file:pass",
    );
    assert!(
        info.is_err(),
        "it is not of old, since OpenSSL opens it: {info:?}"
    );
    scene.pgpki("convert j.p12 --passphrase-file pass --to pem --out j.pem");
    let certificate = openssl(&scene, "x509 -in j.pem -noout -pubkey");
    assert_eq!(public_half(&scene, "j.pem", ""), certificate);
}

#[test]
fn of_gnutls() {
    for cipher in ["aes-256", "3des-pkcs12", "rc2-40"] {
        let scene = with_credential("p256");
        let mut certtool = Command::new("certtool");
        certtool
            .args(["--to-p12", "--load-privkey", "alice.key"])
            .args(["--load-certificate", "alice.crt"])
            .args(["--load-ca-certificate", "ca.crt", "--p12-name", "user"])
            .args(["--pkcs-cipher", cipher, "--password", PASSPHRASE])
            .args(["--outder", "--outfile", "g.p12"])
            .current_dir(scene.path(""));
        run(&mut certtool);
        opens(&scene, "g.p12");
    }
}

/// There are two ways of having no passphrase, and OpenSSL's is one.
#[test]
fn without_a_passphrase() {
    let scene = with_credential("p256");
    for more in ["", " -legacy"] {
        openssl(
            &scene,
            &format!(
                "pkcs12 -export -in alice.crt -inkey alice.key -passout pass: -out e.p12{more}"
            ),
        );
        scene.pgpki("convert e.p12 --to pem --out e.pem --force");
        assert_eq!(
            public_half(&scene, "e.pem", ""),
            public_half(&scene, "alice.key", "")
        );
    }
}

/// What nobody has authenticated is converted, and said to be so.
#[test]
fn without_a_mac() {
    let scene = with_credential("p256");
    export(&scene, "-nomac");
    let line = "convert a.p12 --passphrase-file pass --to pem --out a.pem";
    let output = run(&mut scene.command(line.split(' ')));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: a.p12 has no MAC"), "{said}");
    assert_eq!(
        public_half(&scene, "a.pem", ""),
        public_half(&scene, "alice.key", "")
    );
}

#[test]
fn a_change_is_seen_by_the_mac() {
    let scene = with_credential("p256");
    export(&scene, "-keypbe NONE -certpbe NONE");
    let mut container = std::fs::read(scene.path("a.p12")).unwrap();
    // In the name of the certificate, which nothing but the MAC guards.
    let place = container.windows(5).rposition(|it| it == b"alice").unwrap();
    container[place] = b'm';
    std::fs::write(scene.path("a.p12"), container).unwrap();
    let said = refuses(
        &scene,
        BAD_INPUT,
        "convert a.p12 --passphrase-file pass --to pem --out a.pem",
    );
    assert!(said.contains("or it is damaged"), "{said}");
}

#[test]
fn with_another_passphrase() {
    let scene = with_credential("p256");
    for more in ["", "-legacy", "-nomac", "-keypbe NONE -certpbe NONE"] {
        export(&scene, more);
        let line = "convert a.p12 --passphrase-file other --to pem --out a.pem";
        let said = refuses(&scene, BAD_INPUT, line);
        let names_it = said.starts_with("pgpki: a.p12: the passphrase does not open the file");
        assert!(names_it, "{said}");
    }
}

/// A passphrase of the text file has the same characters in every derivation.
#[test]
fn passphrases_of_any_characters() {
    for passphrase in ["\u{1f40e} horse", "\u{e4}\u{f6}\u{fc}", "a b  c "] {
        let scene = with_credential("p256");
        secret(&scene.path("wide"), passphrase);
        for more in ["", "-legacy"] {
            let mut command = Command::new("openssl");
            command
                .args([
                    "pkcs12",
                    "-export",
                    "-in",
                    "alice.crt",
                    "-inkey",
                    "alice.key",
                ])
                .args(["-passout", &format!("pass:{passphrase}"), "-out", "w.p12"])
                .args(more.split_whitespace())
                .env("LC_ALL", "C.UTF-8")
                .current_dir(scene.path(""));
            run(&mut command);
            scene.pgpki("convert w.p12 --passphrase-file wide --to pkcs8 --out w.key --force");
            assert_eq!(
                public_half(&scene, "w.key", ""),
                public_half(&scene, "alice.key", "")
            );
        }
    }
}

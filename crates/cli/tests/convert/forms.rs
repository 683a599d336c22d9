//! Every form of everything, and where it goes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use pgpki_testing::run;

use crate::fixture::{
    BAD_INPUT, REFUSED, USAGE, mode, openssl, public_half, refuses, text, with_credential,
};

/// What openssl made, in one form and the other, is the same to the last byte.
#[test]
fn certificates_requests_and_crls() {
    let scene = with_credential("p256");
    fs::write(scene.path("index.txt"), "").unwrap();
    fs::write(
        scene.path("ca.cnf"),
        "[ca]\ndefault_ca=here\n[here]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n",
    )
    .unwrap();
    openssl(
        &scene,
        "ca -gencrl -config ca.cnf -keyfile ca.key -cert ca.crt -out ca.crl",
    );
    for (name, kind, begins) in [
        ("alice.crt", "x509", "-----BEGIN CERTIFICATE-----"),
        ("alice.csr", "req", "-----BEGIN CERTIFICATE REQUEST-----"),
        ("ca.crl", "crl", "-----BEGIN X509 CRL-----"),
    ] {
        openssl(
            &scene,
            &format!("{kind} -in {name} -outform DER -out theirs.der"),
        );
        openssl(&scene, &format!("{kind} -in {name} -out theirs.pem"));
        scene.pgpki(&format!("convert {name} --to der --out ours.der --force"));
        let der = |name| fs::read(scene.path(name)).unwrap();
        assert_eq!(der("ours.der"), der("theirs.der"), "{name}");
        for from in ["theirs.der", "theirs.pem"] {
            scene.pgpki(&format!("convert {from} --to pem --out ours.pem --force"));
            assert_eq!(
                text(&scene, "ours.pem"),
                text(&scene, "theirs.pem"),
                "{from}"
            );
        }
        // Without a key there is nothing to hide.
        let printed = scene.pgpki("convert theirs.der --to pem");
        assert!(printed.starts_with(begins), "{printed}");
    }
}

#[test]
fn several_files_make_one() {
    let scene = with_credential("p256");
    let all = scene.pgpki("convert alice.crt ca.crt --to pem");
    assert_eq!(all, text(&scene, "alice.crt") + &text(&scene, "ca.crt"));
    let said = refuses(&scene, BAD_INPUT, "convert alice.crt ca.crt --to der");
    assert!(
        said.contains("DER holds one thing, and there are 2 certificates"),
        "{said}"
    );
}

/// Of a file with more in it, PKCS#8 is the key.
#[test]
fn the_key_alone() {
    let scene = with_credential("p256");
    fs::write(
        scene.path("all.pem"),
        text(&scene, "alice.crt") + &text(&scene, "alice.key") + &text(&scene, "ca.crt"),
    )
    .unwrap();
    scene.pgpki("convert all.pem --to pkcs8 --out only.key");
    let only = text(&scene, "only.key");
    assert_eq!(only.matches("-----BEGIN").count(), 1, "{only}");
    assert_eq!(
        public_half(&scene, "only.key", ""),
        public_half(&scene, "alice.key", "")
    );
    let said = refuses(&scene, BAD_INPUT, "convert alice.crt --to pkcs8 --out x");
    assert!(said.contains("there is no key in what was read"), "{said}");
    let said = refuses(
        &scene,
        BAD_INPUT,
        "convert alice.key ca.key --to pkcs8 --out x",
    );
    assert!(said.contains("there are 2 keys"), "{said}");
}

#[test]
fn a_key_goes_where_it_is_told_to() {
    let scene = with_credential("p256");
    for to in ["pem", "der", "pkcs8"] {
        let said = refuses(&scene, USAGE, &format!("convert alice.key --to {to}"));
        assert!(said.contains("--out -"), "{said}");
    }
    let printed = scene.pgpki("convert alice.key --to pem --out -");
    assert!(
        printed.starts_with("-----BEGIN PRIVATE KEY-----"),
        "{printed}"
    );
    // DER to another program.
    let line = "convert alice.key --to der --out -";
    let der = run(&mut scene.command(line.split(' '))).stdout;
    fs::write(scene.path("k.der"), der).unwrap();
    assert_eq!(
        public_half(&scene, "k.der", ""),
        public_half(&scene, "alice.key", "")
    );
}

#[test]
fn files_that_are_there_stay_unless_forced() {
    let scene = with_credential("p256");
    fs::write(scene.path("there"), "mine").unwrap();
    let said = refuses(&scene, REFUSED, "convert alice.key --to pem --out there");
    assert!(said.contains("--force"), "{said}");
    assert_eq!(text(&scene, "there"), "mine");
    scene.pgpki("convert alice.key --to pem --out there --force");
    assert!(text(&scene, "there").starts_with("-----BEGIN PRIVATE KEY"));
    assert_eq!(mode(&scene, "there"), 0o600);
    // In place: what is read is read before it is replaced.
    scene.pgpki("convert alice.key --to pkcs8 --new-passphrase-file pass --out alice.key --force");
    assert!(text(&scene, "alice.key").starts_with("-----BEGIN ENCRYPTED"));

    symlink("elsewhere", scene.path("link")).unwrap();
    for force in ["", " --force"] {
        let line = format!("convert there --to pem --out link{force}");
        let said = refuses(&scene, REFUSED, &line);
        assert!(said.contains("symbolic link"), "{said}");
    }
    for (out, status) in [("missing/x", BAD_INPUT), (".", REFUSED), ("x/", BAD_INPUT)] {
        refuses(
            &scene,
            status,
            &format!("convert there --to pem --out {out} --force"),
        );
    }
}

/// The key and the certificate have to be of one pair.
#[test]
fn a_container_needs_the_keys_own_certificate() {
    let scene = with_credential("p256");
    let make =
        |files: &str| format!("convert {files} --to pkcs12 --new-passphrase-file pass --out x.p12");
    let said = refuses(&scene, REFUSED, &make("ca.key alice.crt"));
    assert!(
        said.contains("the private key belongs to none of the 1 certificate"),
        "{said}"
    );
    let said = refuses(&scene, BAD_INPUT, &make("alice.key"));
    assert!(said.contains("there is no certificate"), "{said}");
    let said = refuses(&scene, BAD_INPUT, &make("alice.crt"));
    assert!(said.contains("there is no key"), "{said}");
    let said = refuses(&scene, BAD_INPUT, &make("alice.key alice.crt ca.key"));
    assert!(said.contains("2 keys, 1 certificate"), "{said}");
    let said = refuses(&scene, BAD_INPUT, &make("alice.key alice.crt alice.csr"));
    assert!(said.contains("no place for a request or a CRL"), "{said}");
}

/// What everybody may have is not hidden, whatever the umask; a key is, wherever it stands.
#[test]
fn modes() {
    let scene = with_credential("p256");
    for umask in ["000", "077", "777"] {
        for (line, expected) in [
            ("alice.crt --to pem", 0o644),
            ("alice.csr --to der", 0o644),
            ("alice.key --to der", 0o600),
            ("alice.crt alice.key --to pem", 0o600),
            (
                "alice.crt alice.key --to pkcs12 --new-passphrase-file pass",
                0o600,
            ),
        ] {
            // Also in the place of one with another mode.
            let program = scene.command(["convert"]);
            let mut shell = Command::new("sh");
            shell.args(["-c", "umask $1; shift; exec \"$@\"", "sh", umask]);
            shell.arg(program.get_program()).arg("convert");
            shell
                .args(line.split(' '))
                .args(["--out", "made", "--force"]);
            run(shell.current_dir(scene.path("")));
            assert_eq!(mode(&scene, "made"), expected, "{line}, umask {umask}");
        }
    }
}

#[test]
fn standard_input() {
    let scene = with_credential("p256");
    let feed = |line: &str, input: &mut dyn Read| {
        let mut command = scene.command(line.split(' '));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may have heard enough.
        let _ = std::io::copy(input, &mut stdin);
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    let file = |name: &str| fs::File::open(scene.path(name)).unwrap();
    let output = feed("convert - ca.crt --to pem", &mut file("alice.crt"));
    let both = text(&scene, "alice.crt") + &text(&scene, "ca.crt");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), both);
    // Larger than a pipe holds, and still a chain.
    let many = text(&scene, "alice.crt").repeat(300);
    let output = feed("convert - --to pem", &mut many.as_bytes());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), many);
    let output = feed("convert - --to pkcs8 --out key", &mut file("alice.key"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(mode(&scene, "key"), 0o600);
    assert_eq!(
        public_half(&scene, "key", ""),
        public_half(&scene, "alice.key", "")
    );

    let refused = |line: &str, input: &mut dyn Read, status: i32, says: &str| {
        let output = feed(line, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(says), "{said}");
    };
    refused("convert - - --to pem", &mut &b""[..], USAGE, "read once");
    refused(
        "convert - --to pem",
        &mut &b""[..],
        BAD_INPUT,
        "-: the file is empty",
    );
    // One that never ends.
    let endless = &mut std::io::repeat(b'A');
    refused("convert - --to pem", endless, BAD_INPUT, "more than 64 MiB");
    // A file of that name has another one as well.
    fs::copy(scene.path("ca.crt"), scene.path("-")).unwrap();
    assert_eq!(scene.pgpki("convert ./- --to pem"), text(&scene, "ca.crt"));
}

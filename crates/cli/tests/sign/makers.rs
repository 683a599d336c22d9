//! Who makes requests: openssl, GnuTLS, Python's cryptography, Go and Java.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{attempt, certtool, openssl, run};

use crate::stage::text;

/// Makes a key with `openssl genpkey`.
pub(crate) fn openssl_key(dir: &Path, name: &str, kind: &[&str]) -> PathBuf {
    let file = dir.join(format!("{name}.key"));
    openssl([&["genpkey"], kind, &["-out", text(&file)]].concat());
    file
}

/// Makes a request with `openssl req` for a key that is there.
pub(crate) fn openssl_request(dir: &Path, name: &str, key: &Path, args: &[&str]) -> PathBuf {
    let file = dir.join(format!("{name}.csr"));
    let subject = ["-subj", "/CN=mallory"];
    let subject: &[&str] = if args.contains(&"-subj") {
        &[]
    } else {
        &subject
    };
    let files = ["-key", text(key), "-out", text(&file)];
    openssl([&["req", "-new"], &files[..], subject, args].concat());
    file
}

/// Whether openssl finds that the request was signed with its own key; its exit status does not say so.
pub(crate) fn openssl_verifies(request: &Path) -> bool {
    let output = openssl(["req", "-verify", "-noout", "-in", text(request)]);
    String::from_utf8_lossy(&output.stderr).contains("verify OK")
}

pub(crate) fn ec(curve: &str) -> Vec<String> {
    let curve = format!("ec_paramgen_curve:{curve}");
    ["-algorithm", "EC", "-pkeyopt", &curve]
        .map(str::to_owned)
        .into()
}

/// RSA of these many bits, from more primes than two: for a judge of public keys that makes no difference, and the
/// larger ones are made in a moment.
pub(crate) fn rsa(bits: usize) -> Vec<String> {
    let primes = if bits >= 8192 { 5 } else { 2 };
    let (bits, primes) = (
        format!("rsa_keygen_bits:{bits}"),
        format!("rsa_keygen_primes:{primes}"),
    );
    ["-algorithm", "RSA", "-pkeyopt", &bits, "-pkeyopt", &primes]
        .map(str::to_owned)
        .into()
}

/// Makes a key and a request with GnuTLS.
pub(crate) fn gnutls(dir: &Path, name: &str, key: &[&str], request: &[&str]) -> PathBuf {
    let file = |end: &str| dir.join(format!("{name}.{end}"));
    let (key_file, template, csr) = (file("key"), file("template"), file("csr"));
    certtool([&["--generate-privkey", "--outfile", text(&key_file)], key].concat());
    fs::write(
        &template,
        "cn = \"mallory\"\norganization = \"Elsewhere\"\nunit = \"unit\"\ndns_name = \"elsewhere.example\"\n\
         challenge_password = \"secret\"\nca\ncert_signing_key\nsigning_key\ntls_www_server\n",
    )
    .unwrap();
    let args = ["--generate-request", "--template", text(&template)];
    let files = ["--load-privkey", text(&key_file), "--outfile", text(&csr)];
    certtool([&args[..], &files, request].concat());
    csr
}

/// Runs a script with a Python that has the module `cryptography`: Debian's, where the first in the path has none.
pub(crate) fn python(dir: &Path, script: &str) {
    let has_module =
        |python: &&str| attempt(Command::new(python).args(["-c", "import cryptography"])).is_ok();
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_module);
    let python = found.expect("`apt-get install python3-cryptography`, or `cargo xtask test`");
    run(Command::new(python).args(["-c", script]).arg(dir));
}

/// Runs a program of Go's standard library alone.
pub(crate) fn go(dir: &Path, source: &str) {
    let file = dir.join("requests.go");
    fs::write(&file, source).unwrap();
    run(Command::new("go")
        .arg("run")
        .arg(&file)
        .arg(dir)
        .current_dir(dir)
        .env("GOCACHE", dir.join("cache"))
        .env("GO111MODULE", "off")
        .env("GOFLAGS", ""));
    fs::remove_dir_all(dir.join("cache")).unwrap();
}

/// Makes a key and a request with Java's keytool.
pub(crate) fn keytool(dir: &Path, name: &str, key: &[&str], request: &[&str]) -> PathBuf {
    let (store, csr) = (
        dir.join(format!("{name}.p12")),
        dir.join(format!("{name}.csr")),
    );
    let store = ["-keystore", text(&store), "-storepass", "changeit"];
    let alias = ["-alias", "user"];
    let pair = ["-genkeypair", "-dname", "CN=mallory, O=Elsewhere"];
    run(Command::new("keytool").args([&pair[..], &alias, &store, key].concat()));
    let ask = ["-certreq", "-file", text(&csr)];
    run(Command::new("keytool").args([&ask[..], &alias, &store, request].concat()));
    csr
}

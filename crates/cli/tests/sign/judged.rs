//! What other implementations say of a certificate that was signed for somebody else's key.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use pgpki_testing::{attempt, openssl, run};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, anchor_from_trusted_cert,
};

use crate::stage::{Stage, names, text};

/// Everybody takes it as what it is for, and nobody as the other; it has exactly its profile's extensions, the key of
/// the request, and this common name alone.
#[track_caller]
pub(crate) fn assert_client(stage: &Stage, folder: &Path, role: &str, public_key: &[u8]) {
    assert_eq!(names(folder), ["postgresql.crt", "root.crt"]);
    let certificate = folder.join("postgresql.crt");
    let seen = assert_leaf(stage, &certificate, "sslclient", public_key);
    assert_eq!(seen["Extended Key Usage:"], "TLS Web Client Authentication");
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert_eq!(subject(&certificate), role);
}

/// The same for a server; `hosts` as openssl prints them.
#[track_caller]
pub(crate) fn assert_server(stage: &Stage, folder: &Path, hosts: &str, public_key: &[u8]) {
    assert_eq!(names(folder), ["root.crl", "root.crt", "server.crt"]);
    let certificate = folder.join("server.crt");
    let seen = assert_leaf(stage, &certificate, "sslserver", public_key);
    assert_eq!(seen["Extended Key Usage:"], "TLS Web Server Authentication");
    assert_eq!(seen["Subject Alternative Name:"], hosts);
    assert_eq!(seen.len(), 6, "{seen:?}");
}

#[track_caller]
fn assert_leaf(
    stage: &Stage,
    certificate: &Path,
    purpose: &str,
    public_key: &[u8],
) -> BTreeMap<String, String> {
    let live = stage.scene.tls().join("current");
    let (root, crls) = (live.join("root.crt"), live.join("root.crl"));
    let openssl_says = |purpose: &str| openssl_verify(certificate, &root, &crls, purpose);
    openssl_says(purpose).unwrap();
    let (usage, other, of_key) = match purpose {
        "sslclient" => (KeyUsage::client_auth(), "sslserver", "1.3.6.1.5.5.7.3.2"),
        _ => (KeyUsage::server_auth(), "sslclient", "1.3.6.1.5.5.7.3.1"),
    };
    assert!(openssl_says(other).is_err(), "openssl takes it as {other}");
    let mut verify = Command::new("certtool");
    verify.args(["--verify", "--verify-profile", "medium", "--verify-purpose"]);
    verify.args([of_key, "--load-ca-certificate", text(&root), "--load-crl"]);
    run(verify.args([text(&crls), "--infile", text(certificate)]));
    webpki_verify(certificate, &root, &crls, usage);
    let seen = openssl(["x509", "-noout", "-pubkey", "-in", text(certificate)]).stdout;
    assert_eq!(seen, public_key, "another key");
    let seen = extensions(certificate);
    assert_eq!(seen["Basic Constraints: critical"], "CA:FALSE");
    assert_eq!(seen["Key Usage: critical"], "Digital Signature");
    assert!(seen.contains_key("Subject Key Identifier:"), "{seen:?}");
    assert!(seen.contains_key("Authority Key Identifier:"), "{seen:?}");
    seen
}

fn openssl_verify(
    certificate: &Path,
    root: &Path,
    crls: &Path,
    purpose: &str,
) -> Result<(), String> {
    let mut verify = Command::new("openssl");
    verify
        .args(["verify", "-x509_strict", "-purpose", purpose])
        .args(["-crl_check_all", "-CRLfile", text(crls)])
        .args(["-no-CApath", "-no-CAstore", "-CAfile", text(root)])
        .args(["-untrusted", text(certificate), text(certificate)]);
    attempt(&mut verify).map(|_| ())
}

fn webpki_verify(certificate: &Path, root: &Path, crls: &Path, usage: KeyUsage) {
    let read = |file: &Path| -> Vec<CertificateDer<'static>> {
        let certificates = CertificateDer::pem_file_iter(file).unwrap();
        certificates.map(Result::unwrap).collect()
    };
    let (roots, chain) = (read(root), read(certificate));
    let anchors = [anchor_from_trusted_cert(&roots[0]).unwrap()];
    let crls: Vec<CertificateRevocationListDer<'static>> =
        CertificateRevocationListDer::pem_file_iter(crls)
            .unwrap()
            .map(Result::unwrap)
            .collect();
    let crls: Vec<CertRevocationList<'_>> = crls
        .iter()
        .map(|der| BorrowedCertRevocationList::from_der(der).unwrap().into())
        .collect();
    let crls: Vec<&CertRevocationList<'_>> = crls.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&crls)
        .unwrap()
        .with_depth(RevocationCheckDepth::Chain)
        .build();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let leaf = EndEntityCert::try_from(&chain[0]).unwrap();
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &chain[1..],
        UnixTime::since_unix_epoch(now.unwrap()),
        usage,
        Some(revocation),
        None,
    )
    .unwrap();
}

/// `Name: critical` → value, as openssl spells it out.
fn extensions(certificate: &Path) -> BTreeMap<String, String> {
    let output = openssl(["x509", "-noout", "-text", "-in", text(certificate)]);
    let spelt = String::from_utf8(output.stdout).unwrap();
    let (_, spelt) = spelt.split_once("X509v3 extensions:\n").unwrap();
    let mut found = BTreeMap::new();
    let mut lines = spelt.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line.starts_with("Signature Algorithm") {
            break;
        }
        // One that openssl does not know would be here as well, by its number.
        let name = line.strip_prefix("X509v3 ").unwrap_or(line).to_owned();
        let value = lines.next().unwrap().to_owned();
        assert!(found.insert(name, value).is_none(), "{spelt}");
    }
    found
}

fn subject(certificate: &Path) -> String {
    let format = "multiline,utf8,-esc_msb,-esc_ctrl,-align";
    let args = ["x509", "-noout", "-subject", "-nameopt", format, "-in"];
    let output = openssl(args.iter().chain(&[text(certificate)])).stdout;
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = output.lines().skip(1).map(str::trim_start).collect();
    let [line] = lines[..] else {
        panic!("more than a common name: {output}");
    };
    line.strip_prefix("commonName = ").unwrap().to_owned()
}

/// The public key of a request, PEM, as openssl extracts it.
pub(crate) fn public_key(request: &Path, form: &str) -> Vec<u8> {
    let args = ["req", "-noout", "-pubkey", "-inform", form, "-in"];
    openssl(args.iter().chain(&[text(request)])).stdout
}

//! What is served and presented during a change of roots, as OpenSSL, GnuTLS and webpki judge it: by the old root alone,
//! and by the new one alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use pgpki_testing::attempt;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert,
    ExpirationPolicy, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, anchor_from_trusted_cert,
};

use crate::stage::{DONE, FINDINGS, Stage};

#[derive(Clone, Copy, Debug)]
enum Purpose {
    Server,
    Client,
}

/// A leaf with its chain, and what it is checked against.
struct Case<'a> {
    chain: &'a Path,
    root: &'a Path,
    crls: &'a Path,
    purpose: Purpose,
}

type Judge = fn(&Case<'_>) -> Result<(), String>;

const JUDGES: [(&str, Judge); 3] = [
    ("openssl", openssl),
    ("certtool", certtool),
    ("webpki", webpki),
];

fn openssl(case: &Case<'_>) -> Result<(), String> {
    let purpose = match case.purpose {
        Purpose::Server => "sslserver",
        Purpose::Client => "sslclient",
    };
    let mut verify = Command::new("openssl");
    verify
        .args(["verify", "-x509_strict", "-purpose", purpose])
        .args(["-crl_check_all", "-CRLfile"])
        .arg(case.crls)
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(case.root)
        .arg("-untrusted")
        .args([case.chain, case.chain]);
    attempt(&mut verify).map(|_| ())
}

fn certtool(case: &Case<'_>) -> Result<(), String> {
    let mut verify = Command::new("certtool");
    verify.args(["--verify", "--verify-profile", "medium"]);
    verify.arg("--load-ca-certificate").arg(case.root);
    verify.arg("--load-crl").arg(case.crls);
    verify.arg("--infile").arg(case.chain);
    match case.purpose {
        Purpose::Server => verify.args([
            "--verify-purpose",
            "1.3.6.1.5.5.7.3.1",
            "--verify-hostname",
            "localhost",
        ]),
        Purpose::Client => verify.args(["--verify-purpose", "1.3.6.1.5.5.7.3.2"]),
    };
    attempt(&mut verify).map(|_| ())
}

fn webpki(case: &Case<'_>) -> Result<(), String> {
    let certificates = |file| -> Vec<CertificateDer<'static>> {
        let read = CertificateDer::pem_file_iter(file).unwrap();
        read.map(Result::unwrap).collect()
    };
    let roots = certificates(case.root);
    let anchors: Vec<_> = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).unwrap())
        .collect();
    let ders: Vec<CertificateRevocationListDer<'static>> =
        CertificateRevocationListDer::pem_file_iter(case.crls)
            .unwrap()
            .map(Result::unwrap)
            .collect();
    let crls: Vec<CertRevocationList<'_>> = ders
        .iter()
        .map(|der| BorrowedCertRevocationList::from_der(der).unwrap().into())
        .collect();
    let crls: Vec<&CertRevocationList<'_>> = crls.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&crls)
        .unwrap()
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce)
        .build();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let usage = match case.purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Client => KeyUsage::client_auth(),
    };
    let chain = certificates(case.chain);
    let leaf = EndEntityCert::try_from(&chain[0]).map_err(|error| error.to_string())?;
    let now = UnixTime::since_unix_epoch(now.unwrap());
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &chain[1..],
        now,
        usage,
        Some(revocation),
        None,
    )
    .map(|_| ())
    .map_err(|error| error.to_string())
}

/// What there is in the middle of a change. A server's chain stands on its own with either root; a client's with the
/// one that it is from, of which the server has both.
struct Scene {
    stage: Stage,
    server: PathBuf,
    old: PathBuf,
    new: PathBuf,
    old_root: PathBuf,
    new_root: PathBuf,
    crls: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new();
        let old = stage.copied(&stage.client("alice"), "old");
        let old_root = stage.trust("old-root.crt", &stage.roots()[0]);
        stage.rotate(DONE, &["--root"]);
        let new = stage.copied(&stage.client("newcomer"), "new");
        let current = stage.scene.tls().join("current");
        Self {
            server: current.join("server.crt"),
            crls: current.join("root.crl"),
            old: old.join("postgresql.crt"),
            new: new.join("postgresql.crt"),
            new_root: stage.trust("new-root.crt", &stage.roots()[0]),
            old_root,
            stage,
        }
    }

    fn case<'a>(&'a self, chain: &'a Path, root: &'a Path, purpose: Purpose) -> Case<'a> {
        Case {
            chain,
            root,
            crls: &self.crls,
            purpose,
        }
    }
}

#[test]
fn every_judge_accepts_them_by_either_root() {
    let scene = Scene::new();
    let (old_root, new_root) = (&scene.old_root, &scene.new_root);
    let accepted = [
        scene.case(&scene.server, old_root, Purpose::Server),
        scene.case(&scene.server, new_root, Purpose::Server),
        scene.case(&scene.new, new_root, Purpose::Client),
        scene.case(&scene.old, old_root, Purpose::Client),
    ];
    for (name, judge) in JUDGES {
        for case in &accepted {
            if let Err(why) = judge(case) {
                let (chain, root) = (case.chain.display(), case.root.display());
                panic!("{name} refuses {chain} by {root}: {why}");
            }
        }
        for (chain, root) in [(&scene.old, new_root), (&scene.new, old_root)] {
            let stranger = scene.case(chain, root, Purpose::Client);
            assert!(judge(&stranger).is_err(), "{name} takes anything");
        }
        // Both roots, as the server has them.
        let both = scene.stage.scene.tls().join("current/root.crt");
        for chain in [&scene.old, &scene.new] {
            judge(&scene.case(chain, &both, Purpose::Client)).unwrap();
        }
    }
}

/// The CRLs that the judges were given count: of a chain without them nobody thinks well.
#[test]
fn every_judge_sees_what_is_revoked() {
    let scene = Scene::new();
    let old_crls = scene.stage.scene.path("old.crl");
    fs::copy(&scene.crls, &old_crls).unwrap();
    scene
        .stage
        .rotate(FINDINGS, &["--issuing", "--compromised"]);
    for (name, judge) in JUDGES {
        let mut client = scene.case(&scene.new, &scene.new_root, Purpose::Client);
        assert!(judge(&client).is_err(), "{name} takes what is revoked");
        client.crls = &old_crls;
        judge(&client).unwrap();
        for root in [&scene.old_root, &scene.new_root] {
            judge(&scene.case(&scene.server, root, Purpose::Server)).unwrap();
        }
    }
}

/// The new root is not trusted any more, and the server has what the old one has signed for it.
#[test]
fn every_judge_accepts_them_when_the_change_was_undone() {
    let scene = Scene::new();
    scene.stage.rotate(DONE, &["--root", "--undo"]);
    let servers = scene.stage.scene.tls().join("current/root.crt");
    for (name, judge) in JUDGES {
        for chain in [&scene.old, &scene.new] {
            if let Err(why) = judge(&scene.case(chain, &servers, Purpose::Client)) {
                panic!("{name} refuses {}: {why}", chain.display());
            }
        }
        judge(&scene.case(&scene.server, &scene.old_root, Purpose::Server)).unwrap();
    }
}

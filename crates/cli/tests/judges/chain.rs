//! Whether a chain closes, for its purpose and for no other.

use std::path::Path;
use std::process::Command;

use pgpki_testing::attempt;

use crate::issued::{Issued, Leaf, Purpose};
use crate::webpki_judge;

#[test]
fn p256() {
    everybody_agrees(&Issued::new(
        "p256",
        &["p256", "p384", "rsa2048", "ed25519"],
    ));
}

#[test]
fn p384() {
    everybody_agrees(&Issued::new("p384", &["p384", "p256"]));
}

#[test]
fn rsa2048() {
    everybody_agrees(&Issued::new("rsa2048", &["rsa2048", "ed25519"]));
}

#[test]
fn rsa3072() {
    everybody_agrees(&Issued::new("rsa3072", &["rsa3072"]));
}

#[track_caller]
fn everybody_agrees(issued: &Issued) {
    type Judge = fn(&Issued, &Leaf, Purpose) -> Result<(), String>;
    let judges: [(&str, Judge); 3] = [
        ("openssl", openssl),
        ("certtool", certtool),
        ("webpki", webpki_judge::verify),
    ];
    for leaf in issued.leaves() {
        for (name, judge) in judges {
            let other = match leaf.purpose {
                Purpose::Server => Purpose::Client,
                Purpose::Client => Purpose::Server,
            };
            let file = leaf.certificate.display();
            if let Err(why) = judge(issued, &leaf, leaf.purpose) {
                panic!("{name} refuses {file} as {:?}: {why}", leaf.purpose);
            }
            assert!(
                judge(issued, &leaf, other).is_err(),
                "{name} takes {file} as {other:?}"
            );
        }
    }
}

#[test]
fn nobody_takes_it_for_another_authoritys() {
    let (issued, other) = (Issued::new("p256", &[]), Issued::new("p256", &[]));
    let leaf = &issued.leaves()[0];
    for judge in [openssl, certtool, webpki_judge::verify] {
        assert!(judge(&other, leaf, Purpose::Server).is_err());
    }
}

fn openssl(issued: &Issued, leaf: &Leaf, purpose: Purpose) -> Result<(), String> {
    let purpose = match purpose {
        Purpose::Server => "sslserver",
        Purpose::Client => "sslclient",
    };
    let mut verify = Command::new("openssl");
    verify
        .args(["verify", "-x509_strict", "-purpose", purpose])
        .args(["-crl_check_all", "-CRLfile"])
        .arg(issued.crls())
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(issued.root())
        .arg("-untrusted")
        .arg(&leaf.certificate)
        .arg(&leaf.certificate);
    attempt(&mut verify).map(|_| ())
}

fn certtool(issued: &Issued, leaf: &Leaf, purpose: Purpose) -> Result<(), String> {
    let verify = |more: &[&str]| {
        let mut verify = Command::new("certtool");
        verify
            .arg("--verify")
            .arg("--load-ca-certificate")
            .arg(issued.root())
            .arg("--load-crl")
            .arg(issued.crls())
            .args(["--verify-profile", "medium"])
            .arg("--infile")
            .arg(&leaf.certificate)
            .args(more);
        attempt(&mut verify).map(|_| ())
    };
    match purpose {
        Purpose::Client => verify(&["--verify-purpose", "1.3.6.1.5.5.7.3.2"]),
        Purpose::Server => {
            let server = ["--verify-purpose", "1.3.6.1.5.5.7.3.1", "--verify-hostname"];
            for name in ["db.example.com", "n1.nodes.example.com"] {
                verify(&[&server[..], &[name]].concat())?;
            }
            match verify(&[&server[..], &["db.example.org"]].concat()) {
                Ok(()) => panic!("certtool takes any name"),
                Err(_) => Ok(()),
            }
        }
    }
}

#[test]
fn the_chain_file_is_the_leaf_and_its_ca_in_this_order() {
    let issued = Issued::new("p256", &["p256"]);
    let issuing = crate::issued::blocks(&issued.ca("issuing", "ca.crt"));
    for leaf in issued.leaves() {
        let blocks = crate::issued::blocks(&leaf.certificate);
        assert_eq!(blocks[1..], issuing);
        assert_ne!(blocks[0], issuing[0]);
    }
    let root = crate::issued::blocks(&issued.ca("root", "ca.crt"));
    assert_eq!(crate::issued::blocks(&issued.root()), root);
    assert!(Path::new(&issued.crls()).exists());
}

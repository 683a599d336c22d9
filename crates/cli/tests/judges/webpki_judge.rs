//! webpki, which is rustls's judge, and so that of sqlx and tokio-postgres.

use std::path::Path;
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert,
    ExpirationPolicy, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, anchor_from_trusted_cert,
};

use crate::issued::{HOSTS, Issued, Leaf, Purpose};

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).unwrap().collect();
    read.unwrap()
}

/// Verifies a leaf with its chain, every CRL, and for a server every name.
pub(crate) fn verify(issued: &Issued, leaf: &Leaf, purpose: Purpose) -> Result<(), String> {
    let roots = certificates(&issued.root());
    let anchors: Vec<_> = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).unwrap())
        .collect();
    let chain = certificates(&leaf.certificate);
    let crl_ders: Vec<CertificateRevocationListDer<'static>> =
        CertificateRevocationListDer::pem_file_iter(issued.crls())
            .unwrap()
            .map(Result::unwrap)
            .collect();
    let crls: Vec<CertRevocationList<'_>> = crl_ders
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
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let usage = match purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Client => KeyUsage::client_auth(),
    };
    let end_entity = EndEntityCert::try_from(&chain[0]).map_err(|error| error.to_string())?;
    end_entity
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &chain[1..],
            UnixTime::since_unix_epoch(now),
            usage,
            Some(revocation),
            None,
        )
        .map_err(|error| error.to_string())?;
    if purpose == Purpose::Server {
        names(&end_entity)?;
    }
    Ok(())
}

fn names(end_entity: &EndEntityCert<'_>) -> Result<(), String> {
    let is_for = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        end_entity
            .verify_is_valid_for_subject_name(&name)
            .map_err(|error| error.to_string())
    };
    for host in HOSTS {
        let name = match host {
            "*.nodes.example.com" => "n1.nodes.example.com",
            "bücher.example" => "xn--bcher-kva.example",
            other => other,
        };
        is_for(name).map_err(|why| format!("{name}: {why}"))?;
    }
    for stranger in [
        "example.com",
        "a.b.nodes.example.com",
        "nodes.example.com",
        "10.0.0.6",
        "2001:db8::6",
    ] {
        assert!(is_for(stranger).is_err(), "webpki takes it for {stranger}");
    }
    Ok(())
}

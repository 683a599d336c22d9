//! Whether a client and a server accept each other at an instant, as webpki and OpenSSL see it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert,
    ExpirationPolicy, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, anchor_from_trusted_cert,
};

use crate::material::{List, Material, Root};

/// webpki, which forgets no judgement: one changes only at an instant that stands in a certificate or a CRL.
#[derive(Default)]
pub(crate) struct Webpki {
    known: HashMap<(u64, usize, u64, usize), Result<(), String>>,
    /// How often it was really asked.
    pub(crate) asked: usize,
}

impl Webpki {
    /// Whether each accepts the other's certificate.
    pub(crate) fn accept(
        &mut self,
        server: &Material,
        client: &Material,
        at: OffsetDateTime,
    ) -> Result<(), String> {
        let key = (server.id, server.phase(at), client.id, client.phase(at));
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        self.asked += 1;
        let judged = serves(server, &client.roots, at)
            .map_err(|why| format!("the client refuses the server: {why}"))
            .and_then(|()| {
                lets_in(server, client, at)
                    .map_err(|why| format!("the server refuses the client: {why}"))
            });
        self.known.insert(key, judged.clone());
        judged
    }
}

/// Whether somebody who trusts `roots` accepts the server.
pub(crate) fn serves(server: &Material, roots: &[Root], at: OffsetDateTime) -> Result<(), String> {
    verify(server, &[], roots, &[], KeyUsage::server_auth(), at)
}

/// Whether the server lets a client in.
pub(crate) fn lets_in(
    server: &Material,
    client: &Material,
    at: OffsetDateTime,
) -> Result<(), String> {
    if server.crls.is_empty() {
        return Err("there is no CRL".to_owned());
    }
    // webpki does not look at thisUpdate, OpenSSL does.
    let mut lists = server.crls.iter();
    let matters = |list: &List| {
        let mut issuers = client.issuers.iter().chain(&server.issuers);
        issuers.any(|issuer| *issuer == list.issuer)
    };
    if let Some(early) = lists.find(|list| list.from > at && matters(list)) {
        return Err(format!("a CRL counts from {} only", early.from));
    }
    let crls = server.crls.iter();
    let crls: Vec<CertRevocationList<'_>> = crls
        .map(|list| {
            let read = BorrowedCertRevocationList::from_der(&list.der);
            read.unwrap().into()
        })
        .collect();
    let crls: Vec<&CertRevocationList<'_>> = crls.iter().collect();
    verify(
        client,
        &server.bridges,
        &server.roots,
        &crls,
        KeyUsage::client_auth(),
        at,
    )
}

fn verify(
    held: &Material,
    bridges: &[CertificateDer<'static>],
    roots: &[Root],
    crls: &[&CertRevocationList<'_>],
    usage: KeyUsage,
    at: OffsetDateTime,
) -> Result<(), String> {
    // webpki takes an anchor for good at any time, OpenSSL does not.
    let counts = |root: &&Root| (root.validity.not_before..=root.validity.not_after).contains(&at);
    let anchors = roots.iter().filter(counts);
    let anchors: Vec<_> = anchors
        .map(|root| anchor_from_trusted_cert(&root.der).unwrap())
        .collect();
    let revocation = RevocationOptionsBuilder::new(crls).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let mut chain = held.chain[1..].to_vec();
    chain.extend_from_slice(bridges);
    let seconds = u64::try_from(at.unix_timestamp()).unwrap();
    let leaf = EndEntityCert::try_from(&held.chain[0]).unwrap();
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &chain,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        usage,
        revocation,
        None,
    )
    .map_err(|error| error.to_string())?;
    Ok(())
}

/// The same, by OpenSSL's command line.
pub(crate) fn openssl(
    server: &Material,
    client: &Material,
    at: OffsetDateTime,
    scratch: &Path,
) -> Result<(), String> {
    write(scratch, server, "server");
    write(scratch, client, "client");
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(["verify", "-attime", &at.unix_timestamp().to_string()])
            .args(["-x509_strict", "-no-CApath", "-no-CAstore"])
            .args(arguments)
            .current_dir(scratch)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    let [ours, theirs] =
        ["server", "client"].map(|name| (format!("{name}.pem"), format!("{name}.roots")));
    run(&[
        "-purpose",
        "sslserver",
        "-CAfile",
        &theirs.1,
        "-untrusted",
        &ours.0,
        &ours.0,
    ])?;
    run(&[
        "-purpose",
        "sslclient",
        "-crl_check_all",
        "-CRLfile",
        "server.crl",
        "-CAfile",
        &ours.1,
        "-untrusted",
        &theirs.0,
        &theirs.0,
    ])
}

fn write(scratch: &Path, held: &Material, name: &str) {
    let pem = |label: &str, ders: Vec<&[u8]>| -> String {
        ders.into_iter()
            .map(|der| pgpki_core::pem(label, der))
            .collect()
    };
    let chain = held.chain.iter().map(AsRef::as_ref).collect();
    let roots = held.roots.iter().map(|root| root.der.as_ref());
    let roots = roots
        .chain(held.bridges.iter().map(AsRef::as_ref))
        .collect();
    let crls = held.crls.iter().map(|list| list.der.as_ref()).collect();
    for (ending, text) in [
        ("pem", pem("CERTIFICATE", chain)),
        ("roots", pem("CERTIFICATE", roots)),
        ("crl", pem("X509 CRL", crls)),
    ] {
        std::fs::write(scratch.join(format!("{name}.{ending}")), text).unwrap();
    }
}

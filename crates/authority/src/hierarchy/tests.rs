#![allow(clippy::unwrap_used)]

use pgpki_core::due::Within;
use pgpki_core::endorsement::IssuerChain;
use pgpki_core::issue::{Ca, CaName, NewIssuing};
use pgpki_core::key::{KeyAlgorithm, PrivateKey};
use pgpki_core::name::Organization;
use pgpki_core::name_constraints::Permitted;
use pgpki_core::validity::Days;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::rotation::{Request, succession};

const START: OffsetDateTime = datetime!(2026-01-01 03:17 UTC);

fn days(days: u32) -> Days {
    Days::new(days).unwrap()
}

fn root(name: &str, lifetime: u32) -> (Ca, Vec<u8>) {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let (ca, issued) =
        Ca::new_root(key, &Organization::default(), name, START, days(lifetime)).unwrap();
    (ca, issued.der)
}

fn below(root: &Ca, name: &str, lifetime: u32) -> Vec<u8> {
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let new = NewIssuing {
        key: &(&key).into(),
        name: CaName::Common(&Organization::default(), name),
        permitted: &Permitted::default(),
        days: days(lifetime),
        until: None,
    };
    root.issue(&new, START).unwrap().der
}

/// An authority under a company's root whose certificate for us lasts a hundred days.
struct Company {
    root: Vec<u8>,
    ours: Vec<u8>,
    own_root: Vec<u8>,
    own: Vec<u8>,
    hierarchy: Hierarchy,
}

fn company(state: CaState) -> Company {
    let (company, company_der) = root("company", 900);
    let (own_root, own_root_der) = root("own root", 3650);
    let (own, ours) = (
        below(&own_root, "issuing", 1825),
        below(&company, "issuing", 100),
    );
    let known = |id, profile, parent, certificate: &[u8]| KnownCa {
        id,
        profile,
        state: CaState::Active,
        parent,
        certificate: certificate.to_vec(),
        facts: CaFacts::read(certificate).unwrap(),
        cross: None,
        endorsement: None,
        crl_number: 1,
        crl_from: START,
    };
    let first = CaId::after(None);
    let chain = IssuerChain::recorded(&company_der).unwrap();
    let issuing = KnownCa {
        state,
        endorsement: Some(Endorsement::new(ours.clone(), chain).unwrap()),
        ..known(
            CaId::after(Some(first)),
            Profile::Issuing,
            Some(first),
            &own,
        )
    };
    let hierarchy = Hierarchy::new(vec![
        known(first, Profile::Root, None, &own_root_der),
        issuing,
    ]);
    Company {
        root: company_der,
        ours,
        own_root: own_root_der,
        own,
        hierarchy,
    }
}

#[test]
fn servers_have_the_companys_chain_and_clients_our_own() {
    let it = company(CaState::Active);
    let issuing = it.hierarchy.server_signer(START).unwrap();
    let chain = |profile, now| it.hierarchy.chain(issuing.id, profile, now);
    assert_eq!(chain(Profile::Server, START), [it.ours.as_slice()]);
    assert_eq!(chain(Profile::Client, START), [it.own.as_slice()]);
    assert_eq!(it.hierarchy.roots_of_others(START), [it.root.as_slice()]);
    assert_eq!(it.hierarchy.endorsed_issuing(START), [it.own.as_slice()]);
    let own: Vec<_> = it
        .hierarchy
        .roots(START)
        .map(|root| root.certificate.clone())
        .collect();
    assert_eq!(own, [it.own_root]);
}

#[test]
fn an_endorsement_counts_to_its_last_second() {
    let it = company(CaState::Active);
    let issuing = it.hierarchy.server_signer(START).unwrap();
    let last = issuing.endorsement.as_ref().unwrap().validity.not_after;
    assert_eq!(last, START + Duration::days(100));
    let chain = |now| it.hierarchy.chain(issuing.id, Profile::Server, now);
    assert_eq!(chain(last), [it.ours.as_slice()]);
    assert_eq!(chain(last + Duration::SECOND), [it.own.as_slice()]);
    assert!(
        it.hierarchy
            .roots_of_others(last + Duration::SECOND)
            .is_empty()
    );
    // The next issuing CA needs an endorsement all the same.
    assert!(it.hierarchy.endorsed(last + Duration::SECOND).is_some());
}

#[test]
fn leaves_of_servers_end_with_the_endorsement_and_those_of_clients_do_not() {
    let it = company(CaState::Active);
    let issuing = it.hierarchy.server_signer(START).unwrap();
    let end = |profile, now| end_of_leaves(issuing, profile, now);
    let (own, others) = (
        issuing.facts.validity.not_after,
        START + Duration::days(100),
    );
    assert_eq!(end(Profile::Server, START), others);
    assert_eq!(end(Profile::Client, START), own);
    assert_eq!(end(Profile::Server, others + Duration::SECOND), own);
}

#[test]
fn the_issuing_ca_is_due_by_either_of_its_certificates() {
    let it = company(CaState::Active);
    let settings = Settings::new("pki", KeyAlgorithm::P256, Organization::default());
    let request = Request::default();
    let step = |now| succession(&it.hierarchy, &settings, &request, now);
    let due = Within::Third.due_from(it.hierarchy.endorsed(START).unwrap().1.validity);
    assert_eq!(step(due - Duration::SECOND), None);
    assert_eq!(step(due), Some(Step::Issuing));
}

#[test]
fn what_was_revoked_brings_nobody_the_companys_root() {
    let it = company(CaState::Revoking);
    assert!(it.hierarchy.roots_of_others(START).is_empty());
    assert!(it.hierarchy.endorsed_issuing(START).is_empty());
    // What stands elsewhere may still go on; it is trusted by its own chain as before.
    let retired = company(CaState::Retired);
    assert_eq!(
        retired.hierarchy.roots_of_others(START),
        [retired.root.as_slice()]
    );
}

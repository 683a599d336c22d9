//! Containers that are made and opened in-process. That others open them is shown by the program's
//! own tests.
#![allow(clippy::unwrap_used)]

mod samples;

use pgpki_core::key::{KeyAlgorithm, PrivateKey};
use pgpki_core::material;
use pgpki_core::pkcs12::{self, ALIAS, OpenError, WriteError};
use samples::Ours;

const PASSPHRASE: &str = "geheim";

/// A key, and its certificate with the chain.
fn credential(algorithm: KeyAlgorithm) -> (PrivateKey, Vec<Vec<u8>>) {
    let ours = Ours::with(algorithm, &[]);
    let key = PrivateKey::from_pem(ours.client_key.as_bytes(), None).unwrap();
    (key, pgpki_core::certificates(ours.client.as_bytes()))
}

#[test]
fn what_is_made_is_opened() {
    for algorithm in [
        KeyAlgorithm::P256,
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Ed25519,
    ] {
        let (key, chain) = credential(algorithm);
        let made = pkcs12::write(&key, &chain, ALIAS, PASSPHRASE).unwrap();
        let opened = pkcs12::open(&made, Some(PASSPHRASE.as_bytes())).unwrap();
        assert!(opened.is_authentic);
        assert_eq!(opened.others, 0);
        let [entry] = &opened.keys[..] else {
            panic!("one key")
        };
        assert_eq!(entry.item.public_key_info(), key.public_key_info());
        assert_eq!(entry.alias.as_deref(), Some("user"));
        let leaf = &opened.certificates[0];
        assert_eq!(leaf.alias.as_deref(), Some("user"));
        assert!(leaf.local_key_id.is_some());
        assert_eq!(leaf.local_key_id, entry.local_key_id);
        // The chain has no name: it is nobody's own.
        assert!(opened.certificates[1..].iter().all(|ca| ca.alias.is_none()));
        let found: Vec<_> = opened.certificates.into_iter().map(|it| it.item).collect();
        assert_eq!(found, chain);
        let again = PrivateKey::read(&made, Some(PASSPHRASE.as_bytes())).unwrap();
        assert_eq!(again.public_key_info(), key.public_key_info());
    }
}

#[test]
fn a_wrong_passphrase_and_none() {
    let (key, chain) = credential(KeyAlgorithm::P256);
    let made = pkcs12::write(&key, &chain, ALIAS, PASSPHRASE).unwrap();
    let refusal = |passphrase| pkcs12::open(&made, passphrase).unwrap_err();
    assert_eq!(refusal(None), OpenError::PassphraseNeeded);
    for wrong in ["", "Geheim", "geheim ", "\u{e4}"] {
        assert_eq!(refusal(Some(wrong.as_bytes())), OpenError::WrongPassphrase);
    }
    assert_eq!(refusal(Some(&[0xff])), OpenError::WrongPassphrase);
}

/// Two of the same are not the same: salts and initial values are new each time.
#[test]
fn nothing_repeats() {
    let (key, chain) = credential(KeyAlgorithm::P256);
    let make = || pkcs12::write(&key, &chain, ALIAS, PASSPHRASE).unwrap();
    let (one, other) = (make(), make());
    let windows: std::collections::HashSet<_> = one.windows(16).skip(64).collect();
    let alike = other.windows(16).filter(|window| windows.contains(window));
    // The identifiers, the names and the local key identifier.
    assert!(alike.count() < 400);
}

#[test]
fn what_is_not_made() {
    let (key, chain) = credential(KeyAlgorithm::P256);
    let (other, _) = credential(KeyAlgorithm::P256);
    let refused = |key: &PrivateKey, chain: &[Vec<u8>], alias: &str, passphrase: &str| {
        pkcs12::write(key, chain, alias, passphrase).unwrap_err()
    };
    assert_eq!(refused(&key, &chain, ALIAS, ""), WriteError::NoPassphrase);
    for passphrase in ["p\u{e4}ss", "a\nb", "a\0b", "\u{7f}"] {
        let refusal = refused(&key, &chain, ALIAS, passphrase);
        assert_eq!(refusal, WriteError::PassphraseNotAscii);
    }
    assert_eq!(refused(&key, &[], ALIAS, "x"), WriteError::NoCertificate);
    assert_eq!(refused(&other, &chain, ALIAS, "x"), WriteError::OtherKey);
    let mut unsound = chain.clone();
    unsound[1].pop();
    let refusal = refused(&key, &unsound, ALIAS, "x");
    assert_eq!(refusal, WriteError::NotACertificate(2));
    unsound[1] = [&chain[1][..], b"x"].concat();
    let refusal = refused(&key, &unsound, ALIAS, "x");
    assert_eq!(refusal, WriteError::NotACertificate(2));
    let horse = "\u{1f40e}";
    assert_eq!(
        refused(&key, &chain, horse, "x"),
        WriteError::Alias(horse.into())
    );
}

/// Whatever is changed in it, it says so or gives the same.
#[test]
fn every_change_is_noticed() {
    let (key, chain) = credential(KeyAlgorithm::P256);
    let made = pkcs12::write(&key, &chain, ALIAS, PASSPHRASE).unwrap();
    // Each that gets as far as the MAC takes its hundred thousand rounds.
    for place in (0..made.len()).step_by(97) {
        let mut changed = made.clone();
        changed[place] ^= 0x10;
        let opened = pkcs12::open(&changed, Some(PASSPHRASE.as_bytes()));
        assert!(opened.is_err(), "byte {place}");
        let error = material::read(&changed, Some(PASSPHRASE.as_bytes())).unwrap_err();
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

#[test]
fn a_chain_is_put_in_order() {
    let (key, chain) = credential(KeyAlgorithm::P256);
    let ours = Ours::new();
    let stranger = pgpki_core::certificates(ours.roots.as_bytes()).remove(0);
    let [leaf, ca] = &chain[..] else {
        panic!("leaf and issuing CA")
    };
    let given = vec![stranger.clone(), ca.clone(), leaf.clone(), ca.clone()];
    let ordered = pkcs12::in_chain_order(&key, given.clone());
    assert_eq!(ordered, [leaf.clone(), ca.clone(), stranger.clone()]);
    let (other, _) = credential(KeyAlgorithm::P256);
    let ordered = pkcs12::in_chain_order(&other, given);
    assert_eq!(ordered, [stranger, ca.clone(), leaf.clone()]);
}

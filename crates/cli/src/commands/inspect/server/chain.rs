//! The chain that was served, and at which roots it closes.

use pgpki_core::bundle::{Bundle, Chain, ChainEnd};
use pgpki_core::document::{CertificateFacts, Document, Item, Signature, printable};

use super::roots::{From, Store, of_items};

/// What the chain that was sent is called where files are told apart; it is judged as the file
/// that PostgreSQL sends it from.
pub(super) const SENT: &str = "server.crt";

/// Whether a chain closes at some roots.
pub(super) struct Closing {
    pub(super) from: From,
    /// What reports call these roots.
    pub(super) store: String,
    pub(super) closes: bool,
    /// The titles from the leaf as far as the chain goes.
    pub(super) names: Vec<String>,
    /// The certificates of the store that it goes through.
    pub(super) through: Vec<CertificateFacts>,
}

/// Reads a chain: what can be read, and what cannot, by its place from 1.
pub(super) fn read(chain: &[Vec<u8>]) -> (Document, Vec<(usize, String)>) {
    let (mut items, mut unreadable) = (Vec::new(), Vec::new());
    for (index, der) in chain.iter().enumerate() {
        match Document::read(der) {
            Ok(document) if document.certificates().next().is_some() => {
                items.extend(document.items);
            }
            Ok(_) => unreadable.push((index + 1, "it is no certificate".to_owned())),
            Err(error) => unreadable.push((index + 1, printable(&error.to_string()))),
        }
    }
    (of_items(items), unreadable)
}

pub(super) fn closings(served: &Document, stores: &[Store]) -> Vec<Closing> {
    let Some(leaf) = served.certificates().next() else {
        return Vec::new();
    };
    let close = |store| closing(leaf, served, store);
    stores.iter().map(close).collect()
}

fn closing(leaf: &CertificateFacts, served: &Document, store: &Store) -> Closing {
    let with = |closes, names, through| Closing {
        from: store.from,
        store: store.name.clone(),
        closes,
        names,
        through,
    };
    // psql takes the very certificate as its root; of other clients a finding tells.
    if store.document.certificates().any(|root| root == leaf) {
        return with(true, vec![leaf.title()], Vec::new());
    }
    if leaf.is_ca || leaf.self_signed {
        return match direct_issuer(leaf, store) {
            Some(root) => with(true, vec![leaf.title(), root.title()], vec![root.clone()]),
            None => with(false, vec![leaf.title()], Vec::new()),
        };
    }
    let bundle = Bundle::new(vec![
        (SENT.to_owned(), Some(without_roots(served))),
        (store.name.clone(), Some(store.document.clone())),
    ]);
    let chains = bundle.chains();
    let chain = chains
        .iter()
        .find(|chain| chain.file == SENT && chain.leaf == leaf);
    match chain {
        Some(chain) => with(
            chain.end == ChainEnd::Root,
            titles(chain),
            through(chain, &store.name),
        ),
        None => with(false, vec![leaf.title()], Vec::new()),
    }
}

fn titles(chain: &Chain<'_>) -> Vec<String> {
    let issuers = chain.links.iter().map(|link| link.certificate.title());
    std::iter::once(chain.leaf.title()).chain(issuers).collect()
}

fn through(chain: &Chain<'_>, store: &str) -> Vec<CertificateFacts> {
    let links = chain.links.iter().filter(|link| link.file == store);
    links.map(|link| link.certificate.clone()).collect()
}

/// A CA that serves with its own certificate is no leaf, and may still be known.
fn direct_issuer<'a>(ca: &CertificateFacts, store: &'a Store) -> Option<&'a CertificateFacts> {
    let mut roots = store.document.certificates();
    roots.find(|root| {
        root.is_ca
            && root.self_signed
            && root.subject == ca.issuer
            && ca.signed_by(root) == Signature::Good
    })
}

/// Nobody trusts a root because it was sent.
fn without_roots(served: &Document) -> Document {
    let is_kept =
        |item: &&Item| !matches!(item, Item::Certificate(it) if it.is_ca && it.self_signed);
    of_items(served.items.iter().filter(is_kept).cloned().collect())
}

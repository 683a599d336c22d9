//! What somebody has: a leaf with its chain, the roots that are trusted with it, a server's CRLs; and
//! when it was made.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use pgpki_core::document::Document;
use pgpki_core::profile::Profile;
use pgpki_core::validity::Validity;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use time::{Duration, OffsetDateTime};

/// What the clock of the authority said when something was made, and how far it was off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) at: OffsetDateTime,
    pub(crate) off: Duration,
}

#[derive(Clone)]
pub(crate) struct Material {
    /// Differs wherever the contents do.
    pub(crate) id: u64,
    pub(crate) made: Made,
    /// The leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// When each of the chain counts.
    counts: Vec<Validity>,
    pub(crate) leaf: Validity,
    pub(crate) roots: Vec<Root>,
    /// What stands among the roots and is none: it ties a root that is no longer trusted to one that is.
    pub(crate) bridges: Vec<CertificateDer<'static>>,
    pub(crate) crls: Vec<List>,
    /// Who signed the chain and the bridges: whose CRLs matter.
    pub(crate) issuers: Vec<String>,
    /// Every instant at which a judgement on this can change, in order.
    pub(crate) turns: Vec<OffsetDateTime>,
}

#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) validity: Validity,
}

#[derive(Clone)]
pub(crate) struct List {
    pub(crate) der: CertificateRevocationListDer<'static>,
    pub(crate) issuer: String,
    pub(crate) number: String,
    pub(crate) from: OffsetDateTime,
}

impl Material {
    /// Reads a folder or a generation, unless it still holds what it held `before`; nothing if it is not there.
    pub(crate) fn read_if_new(
        folder: &Path,
        profile: Profile,
        made: Made,
        before: Option<Self>,
    ) -> Option<Self> {
        let name = match profile {
            Profile::Client => "postgresql.crt",
            _ => "server.crt",
        };
        let certificate = fs::read(folder.join(name)).ok()?;
        let roots = fs::read(folder.join("root.crt")).unwrap();
        let crls = match profile {
            Profile::Client => Vec::new(),
            _ => fs::read(folder.join("root.crl")).unwrap(),
        };
        let mut hasher = DefaultHasher::new();
        (&certificate, &roots, &crls).hash(&mut hasher);
        let id = hasher.finish();
        match before {
            Some(before) if before.id == id => Some(before),
            _ => Some(Self::parse(id, made, [&certificate, &roots, &crls])),
        }
    }

    fn parse(id: u64, made: Made, [certificate, roots, crls]: [&[u8]; 3]) -> Self {
        let mut turns = Vec::new();
        let mut turn = |validity: Validity| {
            let after = validity.not_after + Duration::SECOND;
            turns.extend([validity.not_before, validity.not_after, after]);
            validity
        };
        let certificate = Document::read(certificate).unwrap();
        let chain: Vec<_> = certificate.certificates().collect();
        for certificate in &chain {
            turn(certificate.validity);
        }
        let mut issuers: Vec<_> = chain.iter().map(|it| it.issuer.clone()).collect();
        let trusted = Document::read(roots).unwrap();
        let (mut roots, mut bridges) = (Vec::new(), Vec::new());
        for certificate in trusted.certificates() {
            let der: CertificateDer<'static> = certificate.der.clone().into();
            let validity = turn(certificate.validity);
            match certificate.self_signed {
                true => roots.push(Root { der, validity }),
                false => {
                    issuers.push(certificate.issuer.clone());
                    bridges.push(der);
                }
            }
        }
        let lists = Document::read(crls).ok();
        let lists = lists.iter().flat_map(Document::crls).map(|list| {
            turn(Validity {
                not_before: list.this_update,
                not_after: list.next_update.unwrap(),
            });
            List {
                der: list.der.clone().into(),
                issuer: list.issuer.clone(),
                number: list.number.as_ref().unwrap().decimal.clone(),
                from: list.this_update,
            }
        });
        let crls = lists.collect();
        turns.sort_unstable();
        turns.dedup();
        Self {
            id,
            made,
            leaf: chain[0].validity,
            counts: chain.iter().map(|it| it.validity).collect(),
            chain: chain.iter().map(|it| it.der.clone().into()).collect(),
            roots,
            bridges,
            crls,
            issuers,
            turns,
        }
    }

    /// Whether it does not count by a clock that says this: some of its chain, every root, or a CRL that matters is over, or
    /// has not begun.
    pub(crate) fn is_outside(&self, at: OffsetDateTime) -> bool {
        let counts = |validity: &Validity| (validity.not_before..=validity.not_after).contains(&at);
        let matters = |list: &&List| self.issuers.contains(&list.issuer);
        !self.counts.iter().all(counts)
            || !self.roots.iter().any(|root| counts(&root.validity))
            || self.crls.iter().filter(matters).any(|list| list.from > at)
    }

    /// How many of its turns are over. Between two turns no judgement changes.
    pub(crate) fn phase(&self, at: OffsetDateTime) -> usize {
        self.turns.partition_point(|turn| *turn <= at)
    }

    /// The turns after `from` and up to `to`.
    pub(crate) fn turns_between(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> &[OffsetDateTime] {
        let (from, to) = (self.phase(from), self.phase(to));
        self.turns.get(from..to).unwrap_or_default()
    }
}

//! Certificates that a report names.

use std::path::PathBuf;

use pgpki_authority::Authority;
use pgpki_authority::ledger::{CaState, Leaf};
use pgpki_authority::rotation;
use serde::Serialize;
use time::OffsetDateTime;

use crate::show;

/// A certificate of the ledger, in a report about what became of it.
#[derive(Serialize)]
pub(crate) struct LeafLine {
    pub(crate) serial: String,
    pub(crate) profile: &'static str,
    pub(crate) name: String,
    pub(crate) not_after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
}

impl LeafLine {
    pub(crate) fn of(leaf: &Leaf) -> Self {
        let place = leaf.place.as_ref();
        Self {
            serial: leaf.serial.to_string(),
            profile: leaf.profile.as_str(),
            name: leaf.common_name.clone(),
            not_after: show::rfc3339(leaf.validity.not_after),
            place: place.map(|place| place.to_string_lossy().into_owned()),
        }
    }
}

/// A certificate of an issuing CA of ours that somebody else's CA has signed.
#[derive(Serialize)]
pub(in crate::commands::rotate) struct Foreign {
    pub(in crate::commands::rotate) serial: String,
    pub(in crate::commands::rotate) issuer: String,
    pub(in crate::commands::rotate) not_after: String,
}

impl Foreign {
    /// Those of the CAs that are being revoked.
    pub(super) fn to_be_revoked(authority: &Authority, now: OffsetDateTime) -> Vec<Self> {
        let cas = authority.hierarchy().cas();
        let revoking = cas.filter(|ca| ca.state == CaState::Revoking);
        let endorsements = revoking.filter_map(|ca| ca.endorsement.as_ref());
        let counting = endorsements.filter(|it| now <= it.validity.not_after);
        let foreign = counting.map(|it| Self {
            serial: it.serial(),
            issuer: it.issuer(),
            not_after: show::rfc3339(it.validity.not_after),
        });
        foreign.collect()
    }
}

/// A certificate that only whoever has its key can have renewed.
#[derive(Serialize)]
pub(in crate::commands::rotate) struct Elsewhere {
    pub(in crate::commands::rotate) profile: &'static str,
    pub(in crate::commands::rotate) name: String,
    pub(in crate::commands::rotate) serial: String,
    pub(in crate::commands::rotate) not_after: String,
    #[serde(skip)]
    pub(in crate::commands::rotate) end: OffsetDateTime,
}

impl Elsewhere {
    pub(super) fn of(leaf: &Leaf) -> Self {
        let end = leaf.validity.not_after;
        Self {
            profile: leaf.profile.as_str(),
            name: leaf.common_name.clone(),
            serial: leaf.serial.to_string(),
            not_after: show::rfc3339(end),
            end,
        }
    }
}

/// A holder who must be handed a new certificate.
#[derive(Serialize)]
pub(in crate::commands::rotate) struct Lost {
    pub(in crate::commands::rotate) profile: &'static str,
    pub(in crate::commands::rotate) name: String,
    /// The folders that have new ones; none where it is not known where the old ones went.
    pub(in crate::commands::rotate) renewed: Vec<String>,
}

impl Lost {
    pub(super) fn of(lost: &[rotation::Lost]) -> Vec<Self> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let lost = lost.iter().map(|it| Self {
            profile: it.holder.profile.as_str(),
            name: it.holder.common_name.clone(),
            renewed: it.ready.iter().map(path).collect(),
        });
        lost.collect()
    }
}

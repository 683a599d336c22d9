//! What became of each installation and folder.

use std::sync::Arc;

use pgpki_authority::ledger::{KnownPlace, Place, PlaceKind};
use pgpki_authority::rotation::{Holds, Seen};
use pgpki_authority::{AuthorityError, DeliverError, Installed, Live, TakenUp};
use pgpki_core::issue::Issued;
use serde::Serialize;

use crate::commands::server;
use crate::show;

/// What to do about a folder that is not what pgpki has made.
const SPOILT: &str =
    "Nothing renews it as it is: put it right, or move it away and issue another one";

/// What it means that a server may not have read the CRLs beside its certificate.
const NOT_ENFORCED: &str =
    "Until that is put right, the server may let in clients whose certificates were revoked";

/// What happened to one place, or would.
#[derive(Serialize)]
pub(in crate::commands::rotate) struct Line {
    /// `renewed`, `refreshed`, `taken-up`, `not-enforced`, `would-renew`, `would-refresh`, `would-take-up`, `waiting`, `passphrase-needed`, `moved-away`, `missing`,
    /// `changed`, `sealed`, `put-back`, `failed`.
    pub(in crate::commands::rotate) outcome: &'static str,
    pub(in crate::commands::rotate) path: String,
    pub(in crate::commands::rotate) kind: &'static str,
    pub(in crate::commands::rotate) profile: &'static str,
    pub(in crate::commands::rotate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::rotate) serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::rotate) not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::rotate) generation: Option<u32>,
    /// The servers that were seen to serve it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::commands::rotate) proven: Vec<String>,
    /// Why no server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::rotate) not_proven: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::commands::rotate) cut_to_issuer: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::rotate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::rotate) hint: Option<String>,
}

impl Line {
    fn new(outcome: &'static str, place: &Place) -> Self {
        Self {
            outcome,
            path: place.path.to_string_lossy().into_owned(),
            kind: place.kind.as_str(),
            profile: place.holder.profile().as_str(),
            name: show::holder(&place.holder),
            serial: None,
            not_after: None,
            generation: None,
            proven: Vec::new(),
            not_proven: None,
            cut_to_issuer: false,
            reason: None,
            hint: None,
        }
    }

    pub(super) fn renewed(place: &Place, issued: &Issued) -> Self {
        Self {
            serial: Some(issued.serial.to_string()),
            not_after: Some(show::rfc3339(issued.validity.not_after)),
            cut_to_issuer: issued.cut_to_issuer,
            ..Self::new("renewed", place)
        }
    }

    pub(super) fn installed((place, installed): &(Place, Installed)) -> Self {
        Self {
            generation: installed.live.generation,
            ..Self::renewed(place, &installed.issued)
        }
        .with(&installed.live.taken_up)
    }

    pub(super) fn refreshed((known, live): &(KnownPlace, Live)) -> Self {
        Self {
            generation: live.generation,
            ..Self::known("refreshed", known)
        }
        .with_all(&live.taken_up)
    }

    pub(super) fn taken_up((known, taken_up): &(KnownPlace, TakenUp)) -> Self {
        Self::known("taken-up", known).with(taken_up)
    }

    pub(super) fn not_enforced((known, taken_up): &(KnownPlace, TakenUp)) -> Self {
        Self {
            proven: taken_up.proven.clone(),
            reason: Some(taken_up.not_proven().collect::<Vec<_>>().join("; ")),
            hint: Some(NOT_ENFORCED.to_owned()),
            ..Self::known("not-enforced", known)
        }
    }

    pub(super) fn would_take_up((known, why): &(KnownPlace, String)) -> Self {
        Self {
            reason: Some(why.clone()),
            ..Self::known("would-take-up", known)
        }
    }

    /// What servers made of another certificate.
    fn with(self, taken_up: &TakenUp) -> Self {
        let unasked = &taken_up.unasked;
        Self {
            proven: taken_up.serving().cloned().collect(),
            not_proven: (!unasked.is_empty()).then(|| unasked.join(", ")),
            ..self
        }
    }

    /// What servers made of what stands beside the certificate that they had before.
    fn with_all(self, taken_up: &TakenUp) -> Self {
        let not_proven: Vec<String> = taken_up.not_proven().collect();
        Self {
            proven: taken_up.proven.clone(),
            not_proven: (!not_proven.is_empty()).then(|| not_proven.join(", ")),
            ..self
        }
    }

    pub(super) fn known(outcome: &'static str, known: &KnownPlace) -> Self {
        Self {
            serial: Some(known.serial.to_string()),
            not_after: Some(show::rfc3339(known.validity.not_after)),
            ..Self::new(outcome, &known.place)
        }
    }

    pub(super) fn failed((place, error): &(Place, Arc<DeliverError>)) -> Self {
        let outcome = match **error {
            DeliverError::PutBack { .. } => "put-back",
            _ => "failed",
        };
        Self {
            reason: Some(error.to_string()),
            hint: error.hint(),
            ..Self::new(outcome, place)
        }
    }

    pub(super) fn gone(seen: &Seen, home: &str) -> Self {
        match &seen.holds {
            Holds::Foreign(why) => Self {
                reason: why.clone(),
                hint: why.as_ref().map(|_| SPOILT.to_owned()),
                ..Self::known("changed", &seen.known)
            },
            Holds::Expected | Holds::Outdated => Self::known("sealed", &seen.known),
            _ if seen.known.place.kind == PlaceKind::Installation => Self {
                reason: Some("it is not there any more".to_owned()),
                hint: Some(server::install_again(&seen.known, home)),
                ..Self::known("missing", &seen.known)
            },
            _ => Self::known("moved-away", &seen.known),
        }
    }
}

/// Places that are due, and cannot be renewed because nothing opens the issuing key.
pub(super) fn locked(
    locked: Option<&(Vec<KnownPlace>, AuthorityError)>,
) -> impl Iterator<Item = Line> {
    locked.into_iter().flat_map(|(places, error)| {
        places.iter().map(move |known| Line {
            reason: Some(error.to_string()),
            ..Line::known("passphrase-needed", known)
        })
    })
}

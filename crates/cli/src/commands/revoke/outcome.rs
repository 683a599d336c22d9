//! What a revocation did, as it is told: the report of `--json`, and the exit status.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pgpki_authority::ledger::{Certificate, Leaf, Place, PlaceKind};
use pgpki_authority::rotation::{Holds, Seen};
use pgpki_authority::{DeliverError, Revocation, TakenUp};
use pgpki_core::crl::Reason;
use pgpki_core::profile::Profile;
use pgpki_postgres::ways_in::WayIn;
use serde::Serialize;

use crate::commands::rotate::outcome::LeafLine;
use crate::commands::rotate::root_change::SessionLine;
use crate::commands::server;
use crate::exit::Exit;
use crate::show;

/// The report of `revoke --json`, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct Outcome {
    pub(super) version: u32,
    pub(super) revoked: Vec<Revoked>,
    /// What was revoked before.
    pub(super) already: Vec<Revoked>,
    /// The CRLs that list them.
    pub(super) crls: Vec<CrlLine>,
    pub(super) places: Vec<Line>,
    /// Servers whose keys and files are elsewhere, and which do not know yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) elsewhere: Vec<ServerElsewhere>,
    /// Servers that were seen to refuse what the new CRLs list.
    pub(super) refused: Vec<String>,
    /// Sessions that were ended.
    pub(super) ended: Vec<SessionLine>,
    /// Rules by which the roles come in whatever became of their certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) without_certificate: Vec<RuleLine>,
    pub(super) problems: Vec<String>,
}

/// A rule of `pg_hba.conf` that lets a role in without a certificate of its own.
#[derive(Serialize)]
pub(super) struct RuleLine {
    pub(super) role: String,
    pub(super) server: String,
    pub(super) file: String,
    pub(super) line: u32,
    /// In short.
    pub(super) rule: String,
    /// Whether it does; else it may.
    pub(super) certain: bool,
}

/// A certificate, and why it is on the CRL.
#[derive(Serialize)]
pub(super) struct Revoked {
    #[serde(flatten)]
    pub(super) leaf: LeafLine,
    /// As the CRL has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// What it was before; `unspecified` where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason_before: Option<&'static str>,
    /// Whether another one was asked for.
    #[serde(skip)]
    pub(super) is_as_asked: bool,
}

impl Revoked {
    fn of(leaf: &Leaf, reason: Option<Reason>) -> Self {
        Self {
            leaf: LeafLine::of(leaf),
            reason: reason.map(Reason::as_str),
            reason_before: None,
            is_as_asked: true,
        }
    }
}

/// What stands for no reason (RFC 5280 section 5.3.1).
pub(super) const UNSPECIFIED: &str = "unspecified";

#[derive(Serialize)]
pub(super) struct CrlLine {
    pub(super) ca: String,
    pub(super) number: u64,
}

/// A place of a server, and whether the server there knows.
#[derive(Serialize)]
pub(super) struct Line {
    /// `enforced`, `not-enforced`, `elsewhere`, `unreached`, `put-back`, `failed`.
    pub(super) outcome: &'static str,
    pub(super) path: String,
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Whether the server's own certificate was revoked, and it has a new one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) replaced: bool,
    /// The servers that have the new CRLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) proven: Vec<String>,
    /// What is not known, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not_proven: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

/// A server that has its certificate from `sign`.
#[derive(Serialize)]
pub(super) struct ServerElsewhere {
    pub(super) serial: String,
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    pub(super) not_after: String,
    pub(super) hint: String,
}

impl ServerElsewhere {
    /// `crls` is a file with the new CRLs, where there is one; `home` as [`Outcome::of`] has it.
    fn of(certificate: &Certificate, crls: Option<&Path>, home: &str) -> Self {
        let serial = certificate.serial;
        let take = match crls {
            Some(crls) => format!("Take {} to that server", crls.display()),
            None => "A folder of pgpki sign, for another certificate, has the new root.crl: take it to that server"
                .to_owned(),
        };
        Self {
            serial: serial.to_string(),
            name: certificate.common_name.clone(),
            hosts: certificate.hosts.clone(),
            not_after: show::rfc3339(certificate.validity.not_after),
            hint: format!(
                "{take}, as its ssl_crl_file, and reload it there; if there is no such server any more, say so: pgpki revoke {serial}{home}"
            ),
        }
    }
}

/// A file on this machine that has the new CRLs.
fn crls(done: &Revocation) -> Option<PathBuf> {
    let installed = done.told.iter().map(|(place, _)| place);
    let mut files = installed
        .chain(&done.elsewhere)
        .map(|place| match place.kind {
            PlaceKind::Installation => place.path.join("current/root.crl"),
            PlaceKind::Folder => place.path.join("root.crl"),
        });
    files.next()
}

impl Line {
    fn new(outcome: &'static str, place: &Place) -> Self {
        Self {
            outcome,
            path: place.path.to_string_lossy().into_owned(),
            kind: place.kind.as_str(),
            name: show::holder(&place.holder),
            replaced: false,
            proven: Vec::new(),
            not_proven: Vec::new(),
            reason: None,
            hint: None,
        }
    }

    fn told(place: &Place, taken_up: &TakenUp) -> Self {
        let not_proven: Vec<String> = taken_up.not_proven().collect();
        let is_enforced = not_proven.is_empty() && !taken_up.proven.is_empty();
        let outcome = match is_enforced {
            true => "enforced",
            false => "not-enforced",
        };
        let hint = "A server that has not loaded this CRL accepts it: reload or start it, then run revoke again to have it proven";
        Self {
            proven: taken_up.proven.clone(),
            not_proven,
            hint: (!taken_up.unasked.is_empty()).then(|| hint.to_owned()),
            ..Self::new(outcome, place)
        }
    }

    fn elsewhere(place: &Place) -> Self {
        let path = place.path.join("root.crl");
        Self {
            hint: Some(format!(
                "Take {} to that server, and reload it there",
                path.display()
            )),
            ..Self::new("elsewhere", place)
        }
    }

    fn unreached(seen: &Seen, home: &str) -> Self {
        let what = match (&seen.holds, seen.known.place.kind) {
            (Holds::Nothing, PlaceKind::Installation) => "the installation is gone",
            (Holds::Nothing, _) => "the folder was moved away",
            _ => "it holds something else",
        };
        let hint = match seen.known.place.kind {
            PlaceKind::Installation => server::install_again(&seen.known, home),
            PlaceKind::Folder => format!(
                "pgpki issue-server makes a new folder to take there; if there is no such server any more, say so: pgpki revoke {}{home}",
                seen.known.serial
            ),
        };
        Self {
            reason: Some(what.to_owned()),
            hint: Some(hint),
            ..Self::new("unreached", &seen.known.place)
        }
    }

    fn failed(place: &Place, error: &DeliverError) -> Self {
        let accepted =
            "Until that is put right the certificate is accepted there; then run revoke again";
        let (outcome, hint) = match error {
            DeliverError::PutBack { .. } => ("put-back", Some(accepted.to_owned())),
            DeliverError::NotServed { .. } => ("failed", Some(accepted.to_owned())),
            _ => ("failed", error.hint()),
        };
        Self {
            reason: Some(error.to_string()),
            hint,
            ..Self::new(outcome, place)
        }
    }
}

impl Outcome {
    /// `home` names the authority in a next step, as [`crate::args::Home::flag`] has it.
    pub(super) fn of(done: &Revocation, asked: Option<Reason>, home: &str) -> Self {
        let told = done.told.iter();
        let told = told.map(|(place, taken_up)| Line {
            replaced: done.replaced.contains(place),
            ..Line::told(place, taken_up)
        });
        let elsewhere = done.elsewhere.iter().map(|place| Line {
            replaced: done.replaced.contains(place),
            ..Line::elsewhere(place)
        });
        let failed = done.report.failed.iter();
        let places = told
            .chain(elsewhere)
            .chain(
                done.unreached
                    .iter()
                    .map(|seen| Line::unreached(seen, home)),
            )
            .chain(failed.map(|(place, error)| Line::failed(place, error)));
        let revoked = done.revoked.iter().map(|leaf| Revoked::of(leaf, asked));
        let corrected = done.corrected.iter().map(|(leaf, before)| Revoked {
            reason_before: Some(before.map_or(UNSPECIFIED, Reason::as_str)),
            ..Revoked::of(leaf, asked)
        });
        let already = done.already.iter().map(|(leaf, reason)| Revoked {
            is_as_asked: asked.is_none() || asked == *reason,
            ..Revoked::of(leaf, *reason)
        });
        let signed = done.signed.iter();
        let file = crls(done);
        let elsewhere = signed.map(|it| ServerElsewhere::of(it, file.as_deref(), home));
        let stopped = done.report.stopped.iter().map(ToString::to_string);
        let crls = done.crls.iter().map(|(ca, number)| CrlLine {
            ca: ca.clone(),
            number: *number,
        });
        Self {
            version: 1,
            revoked: revoked.collect(),
            already: corrected.chain(already).collect(),
            crls: crls.collect(),
            places: places.collect(),
            elsewhere: elsewhere.collect(),
            refused: done.refused.iter().cloned().collect(),
            ended: done.ended.iter().map(SessionLine::of).collect(),
            without_certificate: Vec::new(),
            problems: done.problems.iter().cloned().chain(stopped).collect(),
        }
    }

    /// The roles whose certificates these are.
    pub(super) fn roles(&self) -> Vec<&str> {
        let leaves = self.revoked.iter().chain(&self.already);
        let leaves = leaves.map(|it| &it.leaf);
        let clients = leaves.filter(|leaf| leaf.profile == Profile::Client.as_str());
        let roles: BTreeSet<&str> = clients.map(|leaf| &*leaf.name).collect();
        roles.into_iter().collect()
    }

    /// With the rules by which those come in all the same, or why a server's could not be read.
    pub(super) fn with_ways_in(mut self, ways: Vec<Result<(String, WayIn), String>>) -> Self {
        for way in ways {
            match way {
                Ok((server, way)) => self.without_certificate.push(RuleLine {
                    role: way.role,
                    server,
                    file: way.file.to_string_lossy().into_owned(),
                    line: way.line,
                    rule: way.rule,
                    certain: way.is_certain,
                }),
                Err(problem) => self.problems.push(problem),
            }
        }
        self
    }

    /// A revocation that nobody enforces is not done.
    pub(super) fn exit(&self) -> Exit {
        let is = |outcome| self.places.iter().any(|line| line.outcome == outcome);
        let all = !self.places.is_empty() && self.places.iter().all(|it| it.outcome == "enforced");
        match all && self.elsewhere.is_empty() && self.problems.is_empty() {
            _ if is("put-back") => Exit::PutBack,
            true => Exit::Done,
            false => Exit::Findings,
        }
    }
}

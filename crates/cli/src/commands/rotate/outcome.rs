//! What a rotation did, as it is told: the report of `--json`, and the exit status.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgpki_authority::ledger::{CaState, KnownCa, KnownPlace, Leaf, Place};
use pgpki_authority::rotation::{self, Holds, Plan, Report, Seen, Step, SuccessionProblem};
use pgpki_authority::{
    Authority, AuthorityError, DeliverError, Installed, Live, SuccessionError, TakenUp,
};
use pgpki_core::issue::Issued;
use pgpki_core::profile::Profile;
use serde::Serialize;
use time::OffsetDateTime;

use super::root_change::SessionLine;
use crate::exit::Exit;
use crate::show;

/// What a server does that does not know yet that its CA was revoked.
const LEFT_BEHIND: &str = "Until that is put right and pgpki rotate has run again, this server lets in whoever has a \
    certificate of the revoked CA, a thief's included, and refuses those with a new one. Stop it if that cannot wait";

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

/// What happened to one place, or would.
#[derive(Serialize)]
pub(super) struct Line {
    /// `renewed`, `refreshed`, `taken-up`, `would-renew`, `would-refresh`, `waiting`, `passphrase-needed`, `moved-away`, `changed`,
    /// `sealed`, `put-back`, `failed`.
    pub(super) outcome: &'static str,
    pub(super) path: String,
    pub(super) kind: &'static str,
    pub(super) profile: &'static str,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<u32>,
    /// The servers that were seen to serve it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) proven: Vec<String>,
    /// Why no server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_proven: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut_to_issuer: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

/// The report of `rotate --json`, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct Outcome {
    pub(super) version: u32,
    pub(super) dry_run: bool,
    /// `not-due`, `renewed`, `would-renew`, `passphrase-needed`, `token-needed`, `endorsement-needed`, `failed`; `replaced`, `would-replace` where the
    /// one before has ended and cannot sign it; `finished`, `undone`.
    pub(super) root: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root_reason: Option<String>,
    pub(super) root_not_after: String,
    /// The same; and `replaced`, `would-replace` where the one before was revoked.
    pub(super) issuing_ca: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuing_ca_reason: Option<String>,
    pub(super) issuing_ca_not_after: String,
    /// Why the issuing CA that was made in place of a compromised one is to be followed by another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endorsement_needed: Option<String>,
    /// Where a request waited whose key may have been stolen as well. It is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) given_up: Option<String>,
    /// When its certificate from a CA of somebody else's ends, as long as that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuing_ca_endorsement_not_after: Option<String>,
    pub(super) places: Vec<Line>,
    /// Certificates that are due, and whose keys are elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) elsewhere: Vec<Elsewhere>,
    /// Whose certificates nobody accepts any more, because their CA was revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lost: Vec<Lost>,
    /// What a CA of somebody else's has certified, and has to revoke.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) others_must_revoke: Vec<Foreign>,
    /// Sessions that lived on one of those and were ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ended: Vec<SessionLine>,
    /// Why some of those may go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
    /// Leftovers of killed runs that were removed.
    pub(super) swept: usize,
    /// What could not be removed or moved, and why.
    pub(super) left: Vec<String>,
    /// Why a delivery ended early, or may not survive a power cut; which CRL does not count yet.
    pub(super) stopped: Vec<String>,
    /// Whether a passphrase that was given does not open its key.
    #[serde(skip)]
    pub(super) is_wrong_passphrase: bool,
    /// How the issuing key's passphrase can be given, where places wait for it.
    #[serde(skip)]
    pub(super) hint: Option<String>,
    /// The flag that names the authority in a next step, if one is needed.
    #[serde(skip)]
    pub(super) home: String,
    /// The step for which somebody else has to certify the next issuing CA.
    #[serde(skip)]
    pub(super) to_certify: Option<ToCertify>,
    /// Whether what was asked for stands against what is under way.
    #[serde(skip)]
    pub(super) is_refused: bool,
}

/// A step for which somebody else has to certify the next issuing CA.
#[derive(Clone, Copy)]
pub(super) struct ToCertify {
    pub(super) step: Step,
    /// Whether what he has certified so far has ended.
    pub(super) is_over: bool,
}

impl ToCertify {
    fn new(step: Step, authority: &Authority, now: OffsetDateTime) -> Self {
        let endorsed = authority.hierarchy().endorsed(now);
        Self {
            step,
            is_over: endorsed.is_some_and(|(_, it)| now > it.validity.not_after),
        }
    }
}

/// A certificate of an issuing CA of ours that somebody else's CA has signed.
#[derive(Serialize)]
pub(super) struct Foreign {
    pub(super) serial: String,
    pub(super) issuer: String,
    pub(super) not_after: String,
}

impl Foreign {
    /// Those of the CAs that are being revoked.
    fn to_be_revoked(authority: &Authority, now: OffsetDateTime) -> Vec<Self> {
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
pub(super) struct Elsewhere {
    pub(super) profile: &'static str,
    pub(super) name: String,
    pub(super) serial: String,
    pub(super) not_after: String,
    #[serde(skip)]
    pub(super) end: OffsetDateTime,
}

impl Elsewhere {
    fn of(leaf: &Leaf) -> Self {
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
pub(super) struct Lost {
    pub(super) profile: &'static str,
    pub(super) name: String,
    /// The folders that have new ones; none where it is not known where the old ones went.
    pub(super) renewed: Vec<String>,
}

impl Lost {
    fn of(lost: &[rotation::Lost]) -> Vec<Self> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let lost = lost.iter().map(|it| Self {
            profile: it.holder.profile.as_str(),
            name: it.holder.common_name.clone(),
            renewed: it.ready.iter().map(path).collect(),
        });
        lost.collect()
    }
}

impl Outcome {
    pub(super) fn of(report: &Report, authority: &Authority, now: OffsetDateTime) -> Self {
        let installed = report.installed.iter().map(Line::installed);
        let handed_over = report.handed_over.iter();
        let renewed =
            installed.chain(handed_over.map(|(place, issued)| Line::renewed(place, issued)));
        let waiting = report.waiting.iter();
        let places = renewed
            .chain(report.refreshed.iter().map(Line::refreshed))
            .chain(report.taken_up.iter().map(Line::taken_up))
            .chain(waiting.map(|known| Line::known("waiting", known)))
            .chain(locked(report))
            .chain(report.gone.iter().map(Line::gone))
            .chain(report.failed.iter().map(Line::failed));
        let step = report.succession.as_ref().map(|(step, _)| *step);
        let mut outcome = Self {
            places: places.collect(),
            elsewhere: report.elsewhere.iter().map(Elsewhere::of).collect(),
            lost: Lost::of(&report.lost),
            given_up: report
                .given_up
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned()),
            ended: report.ended.iter().map(SessionLine::of).collect(),
            problems: report.problems.clone(),
            swept: report.swept,
            left: report.left.clone(),
            stopped: report
                .stopped
                .iter()
                .map(ToString::to_string)
                .chain(report.early.iter().cloned())
                .collect(),
            is_wrong_passphrase: is_wrong_passphrase(report),
            hint: report.locked.as_ref().and_then(|(_, error)| {
                let secret = error.secret();
                secret.and_then(|secret| secret.hint.clone())
            }),
            is_refused: matches!(
                report.problem,
                Some((
                    _,
                    SuccessionProblem::Failed(SuccessionError::Underway { .. })
                ))
            ),
            ..Self::nothing(authority, now)
        };
        outcome.warn_of_servers_left_behind(authority);
        outcome.step(step, ["renewed", "replaced"]);
        let newest = authority.hierarchy().newest_root();
        if step == Some(Step::Root) && newest.is_some_and(|root| root.cross.is_none()) {
            outcome.root = "replaced";
        }
        if let Some((step, problem)) = &report.problem {
            let (what, reason) = match problem {
                SuccessionProblem::PassphraseNeeded => ("passphrase-needed", None),
                SuccessionProblem::IssuingPassphraseNeeded(error) => {
                    ("passphrase-needed", Some(error.to_string()))
                }
                SuccessionProblem::TokenNeeded(error) => ("token-needed", Some(error.to_string())),
                SuccessionProblem::EndorsementNeeded(error) => {
                    outcome.to_certify = Some(ToCertify::new(*step, authority, now));
                    ("endorsement-needed", Some(error.to_string()))
                }
                SuccessionProblem::Failed(error) => {
                    let hint = error.hint().map(|hint| format!(". {hint}"));
                    (
                        "failed",
                        Some(format!("{error}{}", hint.unwrap_or_default())),
                    )
                }
            };
            match step {
                Step::Issuing if report.succession.is_some() => outcome.endorsement_needed = reason,
                Step::Root => (outcome.root, outcome.root_reason) = (what, reason),
                _ => (outcome.issuing_ca, outcome.issuing_ca_reason) = (what, reason),
            }
        }
        outcome
    }

    /// What the end of a change of roots did, which this word says.
    pub(super) fn of_root_change(
        what: &'static str,
        report: &Report,
        authority: &Authority,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            root: what,
            ..Self::of(report, authority, now)
        }
    }

    pub(super) fn of_plan(plan: &Plan, authority: &Authority, now: OffsetDateTime) -> Self {
        let lines = |outcome, places: &[KnownPlace]| -> Vec<Line> {
            let lines = places.iter().map(|known| Line::known(outcome, known));
            lines.collect()
        };
        let places = lines("would-renew", &plan.renew).into_iter();
        let places = places
            .chain(lines("would-refresh", &plan.refresh))
            .chain(lines("waiting", &plan.waiting))
            .chain(plan.gone.iter().map(Line::gone))
            .chain(plan.failed.iter().map(Line::failed));
        let mut outcome = Self {
            dry_run: true,
            places: places.collect(),
            elsewhere: plan.elsewhere.iter().map(Elsewhere::of).collect(),
            lost: Lost::of(&plan.lost),
            ..Self::nothing(authority, now)
        };
        outcome.step(plan.succession, ["would-renew", "would-replace"]);
        if let (Some(step), Err(error)) = (plan.needs_endorsement, authority.check_unendorsed(now))
        {
            let reason = Some(error.to_string());
            outcome.to_certify = Some(ToCertify::new(step, authority, now));
            match step {
                Step::Compromised => {
                    outcome.endorsement_needed = reason;
                    outcome.to_certify = Some(ToCertify::new(Step::Issuing, authority, now));
                }
                Step::Root => (outcome.root, outcome.root_reason) = ("endorsement-needed", reason),
                _ => {
                    (outcome.issuing_ca, outcome.issuing_ca_reason) = ("endorsement-needed", reason)
                }
            }
        }
        if plan.succession == Some(Step::Root) && authority.hierarchy().roots(now).next().is_none()
        {
            outcome.root = "would-replace";
        }
        outcome
    }

    /// A server that could not be given what came in place of a revoked CA fails open to whoever has its key, and closed to
    /// everybody else.
    fn warn_of_servers_left_behind(&mut self, authority: &Authority) {
        let is_behind = |line: &Line| {
            let known = authority.ledger().place(Path::new(&line.path));
            let issuer = known.ok().flatten().map(|known| known.issuer);
            let issuer = issuer.and_then(|issuer| authority.hierarchy().ca(issuer));
            issuer.is_some_and(|ca| ca.state.is_revoked())
        };
        let failed =
            |line: &&mut Line| matches!(line.outcome, "failed" | "put-back" | "passphrase-needed");
        for line in self.places.iter_mut().filter(failed) {
            if line.profile == Profile::Server.as_str() && is_behind(line) {
                let hint = line.hint.take().map(|hint| format!("{hint}. "));
                line.hint = Some(hint.unwrap_or_default() + LEFT_BEHIND);
            }
        }
    }

    fn step(&mut self, step: Option<Step>, [renewed, replaced]: [&'static str; 2]) {
        match step {
            None => {}
            Some(Step::Issuing) => self.issuing_ca = renewed,
            Some(Step::Compromised) => self.issuing_ca = replaced,
            Some(Step::Root) => (self.root, self.issuing_ca) = (renewed, renewed),
        }
    }

    fn nothing(authority: &Authority, now: OffsetDateTime) -> Self {
        let hierarchy = authority.hierarchy();
        let root = hierarchy.roots(now).next().or(hierarchy.newest_root());
        let issuing = hierarchy.server_signer(now);
        let endorsed = issuing.and_then(|ca| ca.endorsement.as_ref());
        let endorsed = endorsed.map(|it| it.validity.not_after);
        let endorsed = endorsed.filter(|end| now <= *end);
        let end = |ca: Option<&KnownCa>| {
            ca.map_or_else(String::new, |ca| show::rfc3339(ca.facts.validity.not_after))
        };
        Self {
            version: 1,
            dry_run: false,
            root: "not-due",
            root_reason: None,
            root_not_after: end(root),
            issuing_ca: "not-due",
            issuing_ca_reason: None,
            issuing_ca_not_after: end(issuing),
            endorsement_needed: None,
            given_up: None,
            issuing_ca_endorsement_not_after: endorsed.map(show::rfc3339),
            places: Vec::new(),
            elsewhere: Vec::new(),
            lost: Vec::new(),
            others_must_revoke: Foreign::to_be_revoked(authority, now),
            ended: Vec::new(),
            problems: Vec::new(),
            swept: 0,
            left: Vec::new(),
            stopped: Vec::new(),
            is_wrong_passphrase: false,
            hint: None,
            home: String::new(),
            to_certify: None,
            is_refused: false,
        }
    }

    /// When the issuing CA ends: its own certificate, or the one from somebody else's CA before that.
    pub(super) fn end_of_issuing_ca(&self) -> &str {
        let own = &self.issuing_ca_not_after;
        let endorsed = self.issuing_ca_endorsement_not_after.as_ref();
        // Both are in RFC 3339 and UTC, and so they sort as what they name.
        endorsed.map_or(own, |endorsed| endorsed.min(own))
    }

    /// 4 and 5 say that nothing has changed: where something was renewed, what is left to do is
    /// due. A folder that was moved away, or changed, is as somebody wanted it.
    pub(super) fn exit(&self) -> Exit {
        let is = |outcome| self.places.iter().any(|line| line.outcome == outcome);
        let ca_is = |outcome| [self.root, self.issuing_ca].contains(&outcome);
        let something_done = ["renewed", "refreshed", "taken-up"].into_iter().any(is)
            || ["renewed", "replaced", "finished", "undone"]
                .into_iter()
                .any(ca_is)
            || !self.ended.is_empty();
        let failed = is("failed")
            || ca_is("failed")
            || self.is_wrong_passphrase
            || !self.stopped.is_empty()
            || !self.problems.is_empty();
        let unfinished = is("waiting")
            || is("passphrase-needed")
            || ca_is("passphrase-needed")
            || ca_is("token-needed")
            || ca_is("endorsement-needed")
            || self.endorsement_needed.is_some()
            || self.root == "replaced"
            || !(self.lost.is_empty() || self.issuing_ca == "would-replace");
        match (failed, something_done) {
            _ if is("put-back") => Exit::PutBack,
            (true, false) if self.is_wrong_passphrase && !is("failed") => Exit::BadInput,
            (true, false) if self.is_refused && !is("failed") => Exit::Refused,
            (true, false) => Exit::Failed,
            (true, true) => Exit::Findings,
            (false, _) if unfinished => Exit::Findings,
            (false, _) => Exit::Done,
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        [self.root, self.issuing_ca] == ["not-due"; 2]
            && self.places.is_empty()
            && self.swept == 0
            && self.left.is_empty()
            && self.stopped.is_empty()
            && self.elsewhere.is_empty()
            && self.lost.is_empty()
            && self.ended.is_empty()
            && self.problems.is_empty()
    }
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

    fn renewed(place: &Place, issued: &Issued) -> Self {
        Self {
            serial: Some(issued.serial.to_string()),
            not_after: Some(show::rfc3339(issued.validity.not_after)),
            cut_to_issuer: issued.cut_to_issuer,
            ..Self::new("renewed", place)
        }
    }

    fn installed((place, installed): &(Place, Installed)) -> Self {
        Self {
            generation: installed.live.generation,
            ..Self::renewed(place, &installed.issued)
        }
        .with(&installed.live.taken_up)
    }

    fn refreshed((known, live): &(KnownPlace, Live)) -> Self {
        Self {
            generation: live.generation,
            ..Self::known("refreshed", known)
        }
        .with_all(&live.taken_up)
    }

    fn taken_up((known, taken_up): &(KnownPlace, TakenUp)) -> Self {
        Self::known("taken-up", known).with(taken_up)
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

    fn known(outcome: &'static str, known: &KnownPlace) -> Self {
        Self {
            serial: Some(known.serial.to_string()),
            not_after: Some(show::rfc3339(known.validity.not_after)),
            ..Self::new(outcome, &known.place)
        }
    }

    fn failed((place, error): &(Place, Arc<DeliverError>)) -> Self {
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

    fn gone(seen: &Seen) -> Self {
        match &seen.holds {
            Holds::Foreign(why) => Self {
                reason: why.clone(),
                ..Self::known("changed", &seen.known)
            },
            Holds::Expected | Holds::Outdated => Self::known("sealed", &seen.known),
            _ => Self::known("moved-away", &seen.known),
        }
    }
}

/// Places that are due, and cannot be renewed because nothing opens the issuing key.
fn locked(report: &Report) -> impl Iterator<Item = Line> {
    let locked = report.locked.as_ref().into_iter();
    locked.flat_map(|(places, error)| {
        places.iter().map(move |known| Line {
            reason: Some(error.to_string()),
            ..Line::known("passphrase-needed", known)
        })
    })
}

fn is_wrong_passphrase(report: &Report) -> bool {
    let of_a_step = match &report.problem {
        Some((_, SuccessionProblem::Failed(SuccessionError::Authority(error)))) => Some(error),
        _ => None,
    };
    let of_places = report.locked.as_ref().map(|(_, error)| error);
    let is_missing =
        |error: &&AuthorityError| error.secret().is_some_and(|secret| secret.is_missing);
    let mut given = of_a_step.into_iter().chain(of_places);
    given.any(|error| error.needs_passphrase() && !is_missing(&error))
}

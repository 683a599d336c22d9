//! What a rotation did, as it is told: the report of `--json`, and the exit status.

mod certificates;
mod place;

use std::path::Path;

use pgpki_authority::ledger::{KnownCa, KnownPlace};
use pgpki_authority::rotation::{Plan, Report, Step, SuccessionProblem};
use pgpki_authority::{Authority, AuthorityError, SuccessionError};
use pgpki_core::profile::Profile;
use serde::Serialize;
use time::OffsetDateTime;

pub(crate) use self::certificates::LeafLine;
pub(super) use self::certificates::{Elsewhere, Foreign, Lost};
pub(super) use self::place::Line;
use super::root_change::SessionLine;
use crate::exit::{Exit, WRONG_PASSPHRASE};
use crate::show;

/// What a server does that does not know yet that its CA was revoked.
const LEFT_BEHIND: &str = "Until that is put right and pgpki rotate has run again, this server lets in whoever has a \
    certificate of the revoked CA, a thief's included, and refuses those with a new one. Stop it if that cannot wait";

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
    /// The URI of its key, if that is in a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) given_up_key: Option<String>,
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
    /// Whether servers were handed CRLs that list clients: a `revoke` that was killed has not come to their sessions.
    #[serde(skip)]
    pub(super) published_revocations: bool,
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
    pub(super) chain: OthersChain,
}

/// How servers stand to somebody else's CA, whose next certificate is due.
#[derive(Clone, Copy)]
pub(super) enum OthersChain {
    /// They have the chain to its root.
    Served,
    /// They had, until that ended.
    Ended,
    /// They have not: the issuing CA that signs was never certified, and the one before it was.
    Lacking,
}

impl ToCertify {
    fn new(step: Step, authority: &Authority, now: OffsetDateTime) -> Self {
        let hierarchy = authority.hierarchy();
        let endorsed = hierarchy.endorsed(now);
        let chain = match endorsed.is_some_and(|(_, it)| now > it.validity.not_after) {
            _ if hierarchy.lacks_endorsement(now) => OthersChain::Lacking,
            true => OthersChain::Ended,
            false => OthersChain::Served,
        };
        Self { step, chain }
    }
}

impl Outcome {
    /// `home` names the authority in a next step, as [`crate::args::Home::flag`] has it.
    pub(super) fn of(
        report: &Report,
        authority: &Authority,
        home: &str,
        now: OffsetDateTime,
    ) -> Self {
        let installed = report.installed.iter().map(Line::installed);
        let handed_over = report.handed_over.iter();
        let renewed =
            installed.chain(handed_over.map(|(place, issued)| Line::renewed(place, issued)));
        let waiting = report.waiting.iter();
        let places = renewed
            .chain(report.refreshed.iter().map(Line::refreshed))
            .chain(report.taken_up.iter().map(Line::taken_up))
            .chain(report.not_enforced.iter().map(Line::not_enforced))
            .chain(waiting.map(|known| Line::known("waiting", known)))
            .chain(place::locked(report.locked.as_ref()))
            .chain(report.gone.iter().map(|seen| Line::gone(seen, home)))
            .chain(report.failed.iter().map(Line::failed));
        let step = report.succession.as_ref().map(|(step, _)| *step);
        let mut outcome = Self {
            places: places.collect(),
            elsewhere: report.elsewhere.iter().map(Elsewhere::of).collect(),
            lost: Lost::of(&report.lost),
            given_up: report
                .given_up
                .as_ref()
                .map(|it| it.path.to_string_lossy().into_owned()),
            given_up_key: report.given_up.as_ref().and_then(|it| it.key.clone()),
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
            published_revocations: report.published_revocations,
            is_wrong_passphrase: is_wrong_passphrase(&report.problem, &report.locked),
            hint: report.locked.as_ref().and_then(how_to_open),
            is_refused: matches!(
                report.problem,
                Some((
                    _,
                    SuccessionProblem::Failed(SuccessionError::Underway { .. })
                ))
            ),
            home: home.to_owned(),
            ..Self::nothing(authority, now)
        };
        outcome.warn_of_servers_left_behind(authority);
        outcome.step(step, ["renewed", "replaced"]);
        let newest = authority.hierarchy().newest_root();
        if step == Some(Step::Root) && newest.is_some_and(|root| root.cross.is_none()) {
            outcome.root = "replaced";
        }
        if let Some((step, problem)) = &report.problem {
            outcome.tell(*step, problem, authority, now);
        }
        outcome
    }

    /// Why this step was not taken; or, where it was, why it is not done with it.
    fn tell(
        &mut self,
        step: Step,
        problem: &SuccessionProblem,
        authority: &Authority,
        now: OffsetDateTime,
    ) {
        let was_taken = self.issuing_ca != "not-due";
        let (what, reason) = match problem {
            SuccessionProblem::PassphraseNeeded => ("passphrase-needed", None),
            SuccessionProblem::IssuingPassphraseNeeded(error) => {
                ("passphrase-needed", Some(error.to_string()))
            }
            SuccessionProblem::TokenNeeded(error) => ("token-needed", Some(error.to_string())),
            SuccessionProblem::EndorsementNeeded(error) => {
                self.to_certify = Some(ToCertify::new(step, authority, now));
                ("endorsement-needed", Some(error.to_string()))
            }
            SuccessionProblem::Failed(error) => {
                let hint = error.hint().or_else(|| match error {
                    SuccessionError::Authority(error)
                        if error.needs_passphrase() && error.secret().is_none() =>
                    {
                        Some(WRONG_PASSPHRASE.to_owned())
                    }
                    _ => None,
                });
                let hint = hint.map(|hint| format!(". {hint}"));
                (
                    "failed",
                    Some(format!("{error}{}", hint.unwrap_or_default())),
                )
            }
        };
        match step {
            Step::Issuing if was_taken => self.endorsement_needed = reason,
            Step::Root => (self.root, self.root_reason) = (what, reason),
            _ => (self.issuing_ca, self.issuing_ca_reason) = (what, reason),
        }
    }

    /// What the end of a change of roots did, which this word says.
    pub(super) fn of_root_change(
        what: &'static str,
        report: &Report,
        authority: &Authority,
        home: &str,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            root: what,
            ..Self::of(report, authority, home, now)
        }
    }

    /// `home` as in [`Outcome::of`].
    pub(super) fn of_plan(
        plan: &Plan,
        authority: &Authority,
        home: &str,
        now: OffsetDateTime,
    ) -> Self {
        let lines = |outcome, places: &[KnownPlace]| -> Vec<Line> {
            let lines = places.iter().map(|known| Line::known(outcome, known));
            lines.collect()
        };
        let places = lines("would-renew", &plan.renew).into_iter();
        let places = places
            .chain(lines("would-refresh", &plan.refresh))
            .chain(plan.take_up.iter().map(Line::would_take_up))
            .chain(lines("waiting", &plan.waiting))
            .chain(place::locked(plan.locked.as_ref()))
            .chain(plan.gone.iter().map(|seen| Line::gone(seen, home)))
            .chain(plan.failed.iter().map(Line::failed));
        let mut outcome = Self {
            dry_run: true,
            places: places.collect(),
            elsewhere: plan.elsewhere.iter().map(Elsewhere::of).collect(),
            lost: Lost::of(&plan.lost),
            is_wrong_passphrase: is_wrong_passphrase(&plan.problem, &plan.locked),
            hint: plan.locked.as_ref().and_then(how_to_open),
            home: home.to_owned(),
            ..Self::nothing(authority, now)
        };
        outcome.step(plan.succession, ["would-renew", "would-replace"]);
        if plan.succession == Some(Step::Root) && authority.hierarchy().roots(now).next().is_none()
        {
            outcome.root = "would-replace";
        }
        if let Some((step, problem)) = &plan.problem {
            outcome.tell(*step, problem, authority, now);
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
            given_up_key: None,
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
            published_revocations: false,
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
    /// due. A folder that was moved away, or holds somebody else's certificate, is as somebody wanted it.
    pub(super) fn exit(&self) -> Exit {
        let is = |outcome| self.places.iter().any(|line| line.outcome == outcome);
        let ca_is = |outcome| [self.root, self.issuing_ca].contains(&outcome);
        let done = ["renewed", "refreshed", "taken-up"];
        let planned = ["would-renew", "would-refresh", "would-take-up"];
        let ca_done = ["renewed", "replaced", "finished", "undone"];
        let ca_planned = ["would-renew", "would-replace"];
        let something_done = done.into_iter().chain(planned).any(is)
            || ca_done.into_iter().chain(ca_planned).any(ca_is)
            || !self.ended.is_empty();
        let failed = is("failed")
            || ca_is("failed")
            || self.is_wrong_passphrase
            || !self.stopped.is_empty()
            || !self.problems.is_empty();
        let is_spoilt = |line: &Line| line.outcome == "changed" && line.reason.is_some();
        let unfinished = is("waiting")
            || self.places.iter().any(is_spoilt)
            || is("missing")
            || is("not-enforced")
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

type Problem = Option<(Step, SuccessionProblem)>;
type Locked = (Vec<KnownPlace>, AuthorityError);

fn how_to_open((_, error): &Locked) -> Option<String> {
    match error.secret() {
        Some(secret) => secret.hint.clone(),
        None => error
            .needs_passphrase()
            .then(|| WRONG_PASSPHRASE.to_owned()),
    }
}

fn is_wrong_passphrase(problem: &Problem, locked: &Option<Locked>) -> bool {
    let of_a_step = match problem {
        Some((_, SuccessionProblem::Failed(SuccessionError::Authority(error)))) => Some(error),
        _ => None,
    };
    let of_places = locked.as_ref().map(|(_, error)| error);
    let is_missing =
        |error: &&AuthorityError| error.secret().is_some_and(|secret| secret.is_missing);
    let mut given = of_a_step.into_iter().chain(of_places);
    given.any(|error| error.needs_passphrase() && !is_missing(&error))
}

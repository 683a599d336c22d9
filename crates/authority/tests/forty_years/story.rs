//! Forty years of one authority: what happens on each day, and what must hold on it.

use std::fmt::Write as _;

use pgpki_authority::NoServers;
use pgpki_authority::rotation::{Request, Step, SuccessionProblem};
use pgpki_core::profile::Profile;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::chance::Chance;
use crate::judges::{self, Webpki};
use crate::material::{Made, Material};
use crate::world::{Actor, Obedient, World};

const START: OffsetDateTime = datetime!(2026-01-01 03:17 UTC);
const DAYS: i64 = 40 * 365;

/// A clock that is off by more than this is noticed within a day.
const MUCH: Duration = Duration::days(60);

pub(crate) struct Story {
    seed: u64,
    chance: Chance,
    world: World,
    webpki: Webpki,
    day: i64,
    now: OffsetDateTime,
    /// How far the clock may jump.
    far: &'static [Duration],
    /// How far the clock is off.
    off: Duration,
    /// Whether cron has run since the clock last jumped.
    is_settled: bool,
    clock_is_off_until: i64,
    cron_is_off_until: i64,
    /// The day on which somebody comes with the passphrase.
    passphrase_on: Option<i64>,
    plot: Plot,
    log: Vec<String>,
    pub(crate) told: Told,
}

/// The days on which somebody does something rare.
struct Plot {
    compromised: i64,
    root_undo: (i64, i64),
    carol_moves: i64,
    carol_returns: i64,
    server_dies: i64,
}

/// Why a judgement was excused, and how often: no plan could have prevented it.
#[derive(Debug, Default)]
pub(crate) struct Excused {
    /// By this clock what is used does not count, and nor does any CA that could sign another.
    nobody_signs: usize,
    /// By this clock what is used does not count, and cron has not run since the clock jumped.
    before_cron: usize,
    /// It was made by another clock, and a copy of what cron has made since is on its way.
    on_its_way: usize,
}

#[derive(Clone, Copy)]
enum Excuse {
    NobodySigns,
    BeforeCron,
    OnItsWay,
}

impl Excused {
    pub(crate) fn total(&self) -> usize {
        self.nobody_signs + self.before_cron + self.on_its_way
    }

    fn count(&mut self, excuse: Excuse) {
        *match excuse {
            Excuse::NobodySigns => &mut self.nobody_signs,
            Excuse::BeforeCron => &mut self.before_cron,
            Excuse::OnItsWay => &mut self.on_its_way,
        } += 1;
    }
}

/// What a story has told, to see that it was one.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) asked: usize,
    pub(crate) judged: usize,
    pub(crate) excused: Excused,
    pub(crate) compared: usize,
    pub(crate) by_openssl: usize,
    pub(crate) refused: usize,
    pub(crate) jumps: usize,
    pub(crate) roots: usize,
    pub(crate) issuing: usize,
    pub(crate) finished: usize,
    pub(crate) latest_passphrase: i64,
}

impl Story {
    pub(crate) fn begin(seed: u64, is_encrypted: bool, far: &'static [Duration]) -> Self {
        let mut chance = Chance::new(seed);
        let undo = chance.from(400..=11_000);
        let carol_moves = chance.from(300..=9_000);
        let plot = Plot {
            compromised: chance.from(400..=12_000),
            root_undo: (undo, undo + chance.from(20..=300)),
            carol_moves,
            carol_returns: carol_moves + chance.from(10..=600),
            server_dies: chance.from(300..=12_000),
        };
        let mut world = World::new(is_encrypted, START);
        for name in ["replica", "report"] {
            world.issue(name, Profile::Server, START);
            world.add(name, Profile::Server, true);
        }
        for (name, is_elsewhere) in [("alice", false), ("bob", true), ("carol", true)] {
            world.issue(name, Profile::Client, START);
            world.add(name, Profile::Client, is_elsewhere);
        }
        Self {
            seed,
            chance,
            world,
            webpki: Webpki::default(),
            day: 0,
            now: START,
            far,
            off: Duration::ZERO,
            is_settled: true,
            clock_is_off_until: 0,
            cron_is_off_until: 0,
            passphrase_on: None,
            plot,
            log: Vec::new(),
            told: Told::default(),
        }
    }

    pub(crate) fn tell(&mut self) {
        self.look_around();
        while self.day < DAYS {
            self.day += 1;
            let before = self.now;
            self.time_passes();
            // Before cron: all that has happened since the last look, to the second.
            let since = if self.is_settled { before } else { self.now };
            self.judge_all(since);
            if self.day >= self.cron_is_off_until {
                self.cron();
                self.judge_all(self.now);
            }
            if self.off.is_zero() && self.is_settled {
                let events = self.log.len();
                self.something_happens();
                if self.log.len() > events {
                    self.look_around();
                    self.compare();
                }
            }
            self.hand_out();
            self.judge_all(self.now);
            if self.day % 150 == 0 {
                self.ask_openssl();
            }
            if self.cron_is_off_until <= self.day && self.chance.once_in(60) {
                self.cron_is_off_until = self.day + self.chance.from(7..=35);
            }
        }
        self.told.asked = self.webpki.asked;
    }

    /// The clock goes on, and sometimes it jumps.
    fn time_passes(&mut self) {
        let off = match self.off.is_zero() {
            true if self.day > 500 && self.chance.once_in(250) => self.jump(),
            true => Duration::ZERO,
            false if self.day >= self.clock_is_off_until => Duration::ZERO,
            false => self.off,
        };
        if off != self.off {
            self.say(format!("the clock is off by {off}"));
            self.told.jumps += 1;
            self.off = off;
            self.is_settled = false;
        }
        let second = self.chance.from(0..=3600);
        self.now = START + Duration::days(self.day) + Duration::seconds(second) + self.off;
    }

    fn jump(&mut self) -> Duration {
        let last = i64::try_from(self.far.len()).unwrap() - 1;
        let how_far = self.far[usize::try_from(self.chance.from(0..=last)).unwrap()];
        let days = match how_far > MUCH {
            true => 1,
            false => self.chance.from(1..=5),
        };
        self.clock_is_off_until = self.day + days;
        // It is cron that a wrong clock misleads.
        self.cron_is_off_until = self.day;
        if self.chance.once_in(2) {
            how_far
        } else {
            -how_far
        }
    }

    fn cron(&mut self) {
        let comes = self.passphrase_on.is_some_and(|day| day <= self.day);
        let with_passphrase = comes && self.off == Duration::ZERO;
        let report = self.world.rotate(None, with_passphrase, self.now);
        if with_passphrase {
            self.passphrase_on = None;
        }
        if let Some((step, issued)) = &report.succession {
            self.say(format!("{step:?}: {}", issued.common_name));
            match step {
                Step::Root => self.told.roots += 1,
                _ => self.told.issuing += 1,
            }
        }
        match &report.problem {
            Some((_, SuccessionProblem::PassphraseNeeded)) if self.passphrase_on.is_none() => {
                let late = self.chance.from(0..=300);
                self.told.latest_passphrase = self.told.latest_passphrase.max(late);
                self.say(format!(
                    "the passphrase is needed, and comes in {late} days"
                ));
                self.passphrase_on = Some(self.day + late);
            }
            Some((_, SuccessionProblem::PassphraseNeeded)) | None => {}
            Some(problem) => panic!("{problem:?}\n{}", self.state()),
        }
        for (place, error) in &report.failed {
            assert!(
                self.nobody_signs(),
                "{}: {error}\n{}",
                place.path.display(),
                self.state()
            );
        }
        self.is_settled = true;
        let has_failed = !report.failed.is_empty();
        if report.renewed().next().is_some()
            || !report.refreshed.is_empty()
            || report.succession.is_some()
        {
            self.look_around();
        }
        if report.renewed().next().is_some() || !report.refreshed.is_empty() {
            let plan = self
                .world
                .open()
                .plan(&Request::default(), &mut NoServers, self.now)
                .unwrap();
            let is_done = report.problem.is_some()
                || (plan.renew.is_empty() && plan.refresh.is_empty() && plan.succession.is_none());
            assert!(is_done, "cron would go on: {plan:?}\n{}", self.state());
        }
        if !has_failed {
            self.compare();
        }
    }

    /// Whether no issuing CA counts by this clock: it is far behind, and there is nobody with the passphrase.
    fn nobody_signs(&self) -> bool {
        self.world.hierarchy.signers(self.now).next().is_none()
    }

    fn something_happens(&mut self) {
        let now = self.now;
        let with_passphrase = true;
        if self.chance.once_in(400) {
            self.revoke();
        }
        if self.chance.once_in(500) {
            self.say("issue-server replica");
            self.world.issue("replica", Profile::Server, now);
        }
        if self.chance.once_in(500) {
            self.say("issue-client bob");
            self.world.issue("bob", Profile::Client, now);
        }
        if self.day == self.plot.carol_moves {
            self.say("carol's folder is moved away");
            self.world.move_away("carol");
        }
        if self.day == self.plot.carol_returns {
            self.say("carol gets a new one");
            self.world.issue("carol", Profile::Client, now);
            let carol = self.world.actor("carol");
            (carol.has, carol.is_cut_off, carol.is_revoked) = (None, false, false);
        }
        if self.day == self.plot.server_dies {
            self.say("the server report is gone for ever");
            self.world.move_away("report");
            self.world.actor("report").has = None;
        }
        // A clock that is wrong on the very day puts it off.
        if self.day >= self.plot.compromised {
            self.plot.compromised = i64::MAX;
            self.say("rotate --issuing --compromised");
            let report = self
                .world
                .rotate(Some(Step::Compromised), with_passphrase, now);
            assert!(report.problem.is_none() && !report.lost.is_empty());
            for actor in &mut self.world.actors {
                actor.is_revoked = actor.has.is_some();
            }
        }
        if self.day >= self.plot.root_undo.0 && self.roots() == 1 {
            self.plot.root_undo.0 = i64::MAX;
            self.plot.root_undo.1 = self.plot.root_undo.1.max(self.day + 20);
            self.say("rotate --root");
            let report = self.world.rotate(Some(Step::Root), with_passphrase, now);
            assert!(report.problem.is_none(), "{:?}", report.problem);
        }
        if self.day >= self.plot.root_undo.1 && self.plot.root_undo.0 == i64::MAX {
            self.plot.root_undo.1 = i64::MAX;
            self.say("rotate --root --undo");
            let report = self.world.open().undo(&mut Obedient, now, &|_| {}).unwrap();
            assert!(report.failed.is_empty());
        }
        if self.day % 30 == 0 && self.seed.is_multiple_of(2) && self.roots() == 2 {
            self.finish_if_nobody_is_left();
        }
    }

    fn roots(&self) -> usize {
        self.world.hierarchy.roots(self.now).count()
    }

    fn finish_if_nobody_is_left(&mut self) {
        let mut authority = self.world.open();
        if self.plot.root_undo.1 < i64::MAX && self.plot.root_undo.0 == i64::MAX {
            return;
        }
        if authority
            .dependents(&mut Obedient, self.now)
            .unwrap()
            .is_empty()
        {
            authority.finish(&mut Obedient, self.now, &|_| {}).unwrap();
            drop(authority);
            self.told.finished += 1;
            self.say("rotate --root --finish");
        }
    }

    fn revoke(&mut self) {
        let name = if self.chance.once_in(2) {
            "alice"
        } else {
            "bob"
        };
        self.say(format!("revoke {name}"));
        let mut authority = self.world.open();
        let leaves = authority
            .ledger()
            .leaves_of(&name.parse().unwrap(), self.now)
            .unwrap();
        authority
            .revoke(leaves, None, false, &mut Obedient, self.now)
            .unwrap();
        drop(authority);
        self.world.actor(name).is_revoked = true;
        self.world.look_around(self.made());
        self.world.hand_out(self.day, || 45);
        self.world.actor(name).is_revoked = true;
        self.judge_all(self.now);
        self.world.issue(name, Profile::Client, self.now);
    }

    fn made(&self) -> Made {
        Made {
            at: self.now,
            off: self.off,
        }
    }

    fn look_around(&mut self) {
        self.world.look_around(self.made());
        self.hand_out();
    }

    fn hand_out(&mut self) {
        let chance = &mut self.chance;
        self.world.hand_out(self.day, || chance.from(0..=45));
    }

    /// Every server and every client, at every instant since `since` at which it could make a difference.
    fn judge_all(&mut self, since: OffsetDateTime) {
        let mut wrong = Vec::new();
        let actors = &self.world.actors;
        for server in actors.iter().filter(|it| it.profile == Profile::Server) {
            let Some(serves) = &server.has else { continue };
            for client in actors.iter().filter(|it| it.profile == Profile::Client) {
                let Some(has) = &client.has else { continue };
                let turns = [serves, has].map(|it| it.turns_between(since, self.now));
                for at in turns.into_iter().flatten().chain([&self.now]) {
                    let verdict = self.webpki.accept(serves, has, *at);
                    self.told.judged += 1;
                    let is_over = client.is_cut_off && *at > has.leaf.not_after;
                    let must_fail = client.is_revoked && server.name == "db";
                    match verdict {
                        Ok(()) if must_fail => wrong.push(format!(
                            "{} was revoked, and {} lets it in at {at}",
                            client.name, server.name
                        )),
                        Err(_) if must_fail => self.told.refused += 1,
                        Err(_) if is_over || client.is_revoked || server.is_revoked => {}
                        Err(why) => {
                            let excuse = self.excuse(server, *at).or(self.excuse(client, *at));
                            match excuse {
                                Some(excuse) => self.told.excused.count(excuse),
                                None => wrong.push(format!(
                                    "{} and {} at {at}: {why}",
                                    server.name, client.name
                                )),
                            }
                        }
                        Ok(()) => {}
                    }
                }
            }
            if server.name == "db" && self.is_settled {
                wrong.extend(self.one_root_is_enough(serves));
            }
        }
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), self.state());
    }

    /// A client that knows only one of the roots, whichever it is, accepts the server.
    fn one_root_is_enough(&self, serves: &Material) -> Vec<String> {
        let mut wrong = Vec::new();
        if serves.roots.len() < 2 || self.nobody_signs() {
            return wrong;
        }
        for (index, root) in serves.roots.iter().enumerate() {
            if self.now > root.validity.not_after || (index == 0 && !self.newest_root_signs()) {
                continue;
            }
            if let Err(why) = judges::serves(serves, std::slice::from_ref(root), self.now) {
                wrong.push(format!(
                    "a client that knows only root {index} of root.crt refuses db: {why}"
                ));
            }
        }
        wrong
    }

    /// Whether servers come from the newest root. One of a clock that was ahead begins when its time comes, beside an
    /// issuing CA that was made since under the root before it; nobody knows the newer one alone.
    fn newest_root_signs(&self) -> bool {
        let hierarchy = &self.world.hierarchy;
        let newest = hierarchy.roots(self.now).next().map(|root| root.id);
        let signer = hierarchy.server_signer(self.now);
        signer.is_some_and(|ca| ca.parent == newest)
    }

    /// Why somebody may be refused after a jump, or refuse others. Whatever is here cron has mended, if it has run and
    /// somebody could sign; what is elsewhere waits for a copy as well.
    fn excuse(&self, actor: &Actor, at: OffsetDateTime) -> Option<Excuse> {
        let has = actor.has.as_ref()?;
        let is_outside = has.is_outside(at);
        if is_outside && !self.off.is_zero() && self.nobody_signs() {
            return Some(Excuse::NobodySigns);
        }
        if has.made.off == self.off {
            return None;
        }
        match self.is_settled {
            false => is_outside.then_some(Excuse::BeforeCron),
            true => {
                let is_coming = actor.is_elsewhere && !actor.is_cut_off && actor.is_behind();
                is_coming.then_some(Excuse::OnItsWay)
            }
        }
    }

    /// What servers have been given is what is due at this moment: every root, chain and CRL, and no other.
    fn compare(&mut self) {
        let authority = self.world.open();
        let hierarchy = authority.hierarchy();
        let now = self.now;
        for actor in &self.world.actors {
            let Some(made) = actor.made.as_ref().filter(|_| !actor.is_cut_off) else {
                continue;
            };
            if actor.profile != Profile::Server {
                continue;
            }
            let roots = made.roots.iter().map(|root| root.der.as_ref());
            let due = hierarchy.roots(now).map(|root| &*root.certificate);
            assert!(roots.eq(due), "{}: roots\n{}", actor.name, self.state());
            let bridges = made.bridges.iter().map(AsRef::as_ref);
            let are_due = bridges.eq(hierarchy.bridges(now));
            assert!(are_due, "{}: bridges\n{}", actor.name, self.state());
            let chain: Vec<&[u8]> = made.chain[1..].iter().map(AsRef::as_ref).collect();
            let mut cas = hierarchy.cas();
            let issuer = cas.find(|ca| ca.certificate == chain[0]).unwrap();
            let due = hierarchy.chain(issuer.id, Profile::Server, now);
            assert_eq!(chain, due, "{}: chain\n{}", actor.name, self.state());
            let mut crls: Vec<_> = made.crls.iter().map(|it| (&*it.number, it.from)).collect();
            let due = hierarchy.covered(now);
            let due: Vec<_> = due
                .map(|ca| (ca.crl_number.to_string(), ca.crl_from))
                .collect();
            let mut due: Vec<_> = due
                .iter()
                .map(|(number, from)| (&**number, *from))
                .collect();
            crls.sort_unstable();
            due.sort_unstable();
            assert_eq!(crls, due, "{}: CRLs\n{}", actor.name, self.state());
            self.told.compared += 1;
        }
    }

    fn ask_openssl(&mut self) {
        let actors = &self.world.actors;
        let scratch = self.world.dir.path();
        for server in actors.iter().filter(|it| it.profile == Profile::Server) {
            for client in actors.iter().filter(|it| it.profile == Profile::Client) {
                let (Some(serves), Some(has)) = (&server.has, &client.has) else {
                    continue;
                };
                let webpki = self.webpki.accept(serves, has, self.now);
                let openssl = judges::openssl(serves, has, self.now, scratch);
                self.told.by_openssl += 1;
                assert_eq!(
                    webpki.is_ok(),
                    openssl.is_ok(),
                    "{} and {}: webpki says {webpki:?}, OpenSSL {openssl:?}\n{}",
                    server.name,
                    client.name,
                    self.state()
                );
            }
        }
    }

    fn say(&mut self, what: impl Into<String>) {
        self.log
            .push(format!("day {} ({}): {}", self.day, self.now, what.into()));
    }

    fn state(&self) -> String {
        let mut text = format!(
            "seed {}, day {}, {} (off by {})\n",
            self.seed, self.day, self.now, self.off
        );
        for ca in self.world.hierarchy.cas() {
            let validity = ca.facts.validity;
            let _ = writeln!(
                text,
                "  {:?} {} {:?} under {:?}: {} to {}, CRL from {}",
                ca.id,
                ca.profile,
                ca.state,
                ca.parent,
                validity.not_before,
                validity.not_after,
                ca.crl_from
            );
        }
        for actor in &self.world.actors {
            let Some(has) = &actor.has else { continue };
            let _ = writeln!(
                text,
                "  {}: {} to {}, made {} (off by {}), chain of {}, {} roots, {} CRLs{}",
                actor.name,
                has.leaf.not_before,
                has.leaf.not_after,
                has.made.at,
                has.made.off,
                has.chain.len(),
                has.roots.len(),
                has.crls.len(),
                if actor.is_revoked { ", revoked" } else { "" }
            );
        }
        let skip = self.log.len().saturating_sub(25);
        for line in &self.log[skip..] {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}

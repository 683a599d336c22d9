//! The rules as properties, and their boundaries to the second. Whatever is planned is done at once, on paper.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use pgpki_core::key::KeyAlgorithm;
use pgpki_core::name::Organization;
use pgpki_core::validity::Days;
use pgpki_fs::Owner;
use proptest::prelude::*;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::format::Format;

pub(super) const START: OffsetDateTime = datetime!(2026-01-01 03:17 UTC);

pub(super) fn settings(root: u32, issuing: u32, leaf: u32) -> Settings {
    let [root, issuing, leaf] = [root, issuing, leaf].map(|days| Days::new(days).unwrap());
    Settings {
        root,
        issuing,
        leaf,
        ..Settings::new("pki", KeyAlgorithm::P256, Organization::default())
    }
}

/// An authority of which nothing but the dates exists.
#[derive(Clone)]
pub(super) struct Paper {
    settings: Settings,
    hierarchy: Hierarchy,
    places: Vec<KnownPlace>,
    /// What was handed over stays in use until its end.
    handed_over: Vec<KnownPlace>,
    serials: u128,
}

impl Paper {
    /// A server here, one elsewhere, and two clients.
    pub(super) fn new(settings: Settings) -> Self {
        let mut paper = Self {
            hierarchy: Hierarchy::new(Vec::new()).after(Step::Root, &settings, START),
            settings,
            places: Vec::new(),
            handed_over: Vec::new(),
            serials: 0,
        };
        for (name, kind, is_server) in [
            ("tls", PlaceKind::Installation, true),
            ("out/replica", PlaceKind::Folder, true),
            ("out/alice", PlaceKind::Folder, false),
            ("out/bob", PlaceKind::Folder, false),
        ] {
            let place = Place {
                path: PathBuf::from(name),
                kind,
                holder: match is_server {
                    true => Holder::Server(vec!["db.example.com".parse().unwrap()]),
                    false => Holder::Client("alice".parse().unwrap()),
                },
                algorithm: KeyAlgorithm::P256,
                days: None,
                formats: vec![Format::Libpq],
                owner: Owner { uid: 0, gid: 0 },
                passphrase_file: None,
            };
            let signer = paper.hierarchy.server_signer(START).unwrap().clone();
            let known = paper.sign(place, &signer, START);
            paper.places.push(known);
        }
        paper
    }

    fn sign(&mut self, place: Place, signer: &KnownCa, now: OffsetDateTime) -> KnownPlace {
        self.serials += 1;
        let end = signer.facts.validity.not_after;
        KnownPlace {
            place,
            serial: Serial::from_bytes(self.serials.to_be_bytes()),
            issuer: signer.id,
            validity: Validity::starting(now, self.settings.leaf).cut_to(end).0,
        }
    }

    fn servers(&self, now: OffsetDateTime) -> Vec<(Serial, CaId)> {
        let servers = self.places.iter().chain(&self.handed_over);
        let servers = servers.filter(|it| {
            it.place.holder.profile() == Profile::Server && it.validity.not_after >= now
        });
        servers.map(|it| (it.serial, it.issuer)).collect()
    }

    fn plan(
        &self,
        request: &Request,
        has_key: bool,
        now: OffsetDateTime,
    ) -> (Option<Step>, Plan, Hierarchy) {
        let step = succession(&self.hierarchy, &self.settings, request, now).filter(|_| has_key);
        let hierarchy = match step {
            Some(step) => self.hierarchy.after(step, &self.settings, now),
            None => self.hierarchy.clone(),
        };
        let seen = self.places.iter().map(|known| Seen {
            known: known.clone(),
            holds: Holds::Expected,
        });
        let plan = plan(
            seen.collect(),
            &self.servers(now),
            &hierarchy,
            &self.settings,
            request,
            now,
        );
        (step, plan, hierarchy)
    }

    /// Does what is planned, as `rotate` does; returns the plan.
    pub(super) fn rotate(
        &mut self,
        request: &Request,
        has_key: bool,
        now: OffsetDateTime,
    ) -> (Option<Step>, Plan) {
        let (step, plan, hierarchy) = self.plan(request, has_key, now);
        self.hierarchy = hierarchy;
        for profile in [Profile::Server, Profile::Client] {
            let servers = self.servers(now).into_iter().map(|(_, issuer)| issuer);
            let signer = match profile {
                Profile::Client => self.hierarchy.client_signer(servers, now),
                _ => self.hierarchy.server_signer(now),
            };
            let signer = signer.unwrap().clone();
            for index in 0..self.places.len() {
                let known = self.places[index].clone();
                if known.place.holder.profile() == profile && plan.renew.contains(&known) {
                    if known.place.kind == PlaceKind::Folder {
                        self.handed_over.push(known.clone());
                    }
                    self.places[index] = self.sign(known.place, &signer, now);
                }
            }
        }
        (step, plan)
    }

    pub(super) fn root(&self, now: OffsetDateTime) -> Validity {
        self.hierarchy.roots(now).next().unwrap().facts.validity
    }
}

fn lifetimes() -> impl Strategy<Value = Settings> {
    let days = || prop_oneof![1_u32..40, 40_u32..4000];
    (days(), days(), days()).prop_map(|(root, issuing, leaf)| settings(root, issuing, leaf))
}

proptest! {
    /// Whatever the lifetimes, and whenever somebody runs it, with the root's key or without.
    #[test]
    fn what_is_due_and_gains_is_renewed_and_nothing_else(
        settings in lifetimes(),
        runs in prop::collection::vec((0_i64..40_000_000, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut paper = Paper::new(settings);
        let mut now = START;
        for (seconds, is_daily, has_key) in runs {
            now += Duration::seconds(if is_daily { seconds % 86_400 } else { seconds });
            let request = Request::default();
            let before = paper.clone();
            let (_, plan) = paper.rotate(&request, has_key, now);
            let server_signer = paper.hierarchy.server_signer(now).unwrap();
            for known in &before.places {
                let is_server = known.place.holder.profile() == Profile::Server;
                let is_due = Within::Third.is_due(known.validity, now)
                    || (is_server && known.issuer != server_signer.id);
                let is_renewed = plan.renew.contains(known);
                prop_assert!(is_due || !is_renewed, "not due: {known:?} at {now}");
                prop_assert_eq!(is_due && !is_renewed, plan.waiting.contains(known));
                let counts = paper.hierarchy.signers(now).next().is_some();
                if plan.waiting.contains(known) && counts {
                    let issuer = before.hierarchy.ca(known.issuer).unwrap();
                    prop_assert_eq!(known.validity.not_after, issuer.facts.validity.not_after, "it could have gained: {:?} at {}", known, now);
                }
            }
            for known in &paper.places {
                let issuer = paper.hierarchy.ca(known.issuer).unwrap();
                prop_assert!(known.validity.not_after <= issuer.facts.validity.not_after);
            }
            let (step, again, _) = paper.plan(&request, has_key, now);
            let counts = paper.hierarchy.signers(now).next().is_some();
            prop_assert!(step.is_none() && (again.renew.is_empty() || !counts), "{step:?} {again:?} at {now}");
        }
    }

    /// Nobody comes with the root's key until all is over: no leaf is made every day.
    #[test]
    fn no_daily_wear_towards_the_end_of_a_ca(settings in lifetimes()) {
        let mut paper = Paper::new(settings);
        let end = paper.hierarchy.server_signer(START).unwrap().facts.validity.not_after;
        let mut now = START;
        let leaf = i64::from(paper.settings.leaf.get());
        let mut renewals = 0;
        while now < end {
            renewals += paper.rotate(&Request::default(), false, now).1.renew.len();
            now += Duration::DAY;
        }
        // Each place once in two thirds of a lifetime, and once more where the end is cut.
        let days = (end - START).whole_days();
        let allowed = 4 * (days * 3 / (leaf * 2) + 2);
        prop_assert!(i64::try_from(renewals).unwrap() <= allowed, "{renewals} in {days} days of {leaf}");
    }
}

#[test]
fn the_root_to_the_second() {
    let mut paper = Paper::new(settings(3650, 1825, 365));
    let due = Within::Third.due_from(paper.root(START));
    let request = Request::default();
    // Its issuing CAs until then.
    let mut now = START;
    while now < due - Duration::DAY {
        paper.rotate(&request, true, now);
        now += Duration::DAY;
    }
    paper.rotate(&request, true, due - Duration::SECOND);
    let step = |now| succession(&paper.hierarchy, &paper.settings, &request, now);
    assert_eq!(step(due - Duration::SECOND), None);
    assert_eq!(step(due), Some(Step::Root));
    assert_eq!(step(due + Duration::SECOND), Some(Step::Root));
    // A longer look ahead hastens issuing CAs, not roots.
    let early = Request {
        within: Within::Duration(Duration::days(3000)),
        ..request
    };
    let step = succession(
        &paper.hierarchy,
        &paper.settings,
        &early,
        due - Duration::SECOND,
    );
    assert_eq!(step, Some(Step::Issuing));
}

#[test]
fn the_issuing_ca_to_the_second() {
    let paper = Paper::new(settings(3650, 1825, 365));
    let issuing = paper.hierarchy.server_signer(START).unwrap().facts.validity;
    let due = Within::Third.due_from(issuing);
    let step = |request: &Request, now| succession(&paper.hierarchy, &paper.settings, request, now);
    let request = Request::default();
    assert_eq!(step(&request, due - Duration::SECOND), None);
    assert_eq!(step(&request, due), Some(Step::Issuing));
    // A shorter look ahead does not leave less than a third.
    let late = Request {
        within: Within::Duration(Duration::DAY),
        ..request
    };
    assert_eq!(step(&late, due - Duration::SECOND), None);
    assert_eq!(step(&late, due), Some(Step::Issuing));
}

#[test]
fn a_leaf_to_the_second() {
    let paper = Paper::new(settings(3650, 1825, 365));
    let due = Within::Third.due_from(paper.places[0].validity);
    let planned = |now| paper.plan(&Request::default(), true, now).1.renew.len();
    assert_eq!(planned(due - Duration::SECOND), 0);
    assert_eq!(planned(due), 4);
    let early = paper.places[0].validity.not_before - Duration::SECOND;
    assert_eq!(planned(early + Duration::SECOND), 0);
}

#[test]
fn a_root_whose_time_is_over_gets_a_successor_only_from_a_person() {
    let paper = Paper::new(settings(3650, 1825, 365));
    let root = paper.root(START);
    let step = |now| succession(&paper.hierarchy, &paper.settings, &Request::default(), now);
    assert_eq!(step(root.not_after + Duration::SECOND), None);
    // A clock that is behind all there is changes nothing.
    assert_eq!(step(root.not_before - Duration::SECOND), None);
}

#[test]
fn a_root_that_nobody_retired_does_not_keep_the_next_one_from_its_successor() {
    let mut paper = Paper::new(settings(3650, 1825, 365));
    let asked = Request {
        succession: Some(Step::Root),
        ..Request::default()
    };
    let mut now = START + Duration::DAY;
    assert_eq!(paper.rotate(&asked, true, now).0, Some(Step::Root));
    assert!(!paper.hierarchy.is_settled(now));
    let newest = paper.root(now);
    let due = Within::Third.due_from(newest);
    while now < due - Duration::DAY {
        now += Duration::DAY;
        let (step, _) = paper.rotate(&Request::default(), true, now);
        assert_ne!(step, Some(Step::Root), "{now}");
    }
    assert!(paper.hierarchy.roots(due).count() == 2 && paper.hierarchy.is_settled(due));
    assert_eq!(
        paper.rotate(&Request::default(), true, due).0,
        Some(Step::Root)
    );
}

#[test]
fn a_root_of_a_clock_that_was_ahead_is_never_trusted_once_another_was_made() {
    let mut paper = Paper::new(settings(3650, 1825, 365));
    let ahead = START + Duration::days(2600);
    assert_eq!(
        paper.rotate(&Request::default(), true, ahead).0,
        Some(Step::Root)
    );
    let of_the_future = paper.root(ahead);
    let due = Within::Third.due_from(paper.root(START));
    assert_eq!(
        paper.rotate(&Request::default(), true, due).0,
        Some(Step::Root)
    );
    let roots: Vec<_> = paper
        .hierarchy
        .roots(ahead)
        .map(|root| root.facts.validity)
        .collect();
    assert_eq!(roots.len(), 2);
    assert!(!roots.contains(&of_the_future));
}

#[test]
fn who_signs_for_clients() {
    let settings = settings(3650, 1825, 365);
    let later = START + Duration::days(1217);
    let hierarchy = Hierarchy::new(Vec::new()).after(Step::Root, &settings, START);
    let hierarchy = hierarchy.after(Step::Issuing, &settings, later);
    let hierarchy = hierarchy.after(Step::Issuing, &settings, later);
    let cas: Vec<KnownCa> = hierarchy.cas().cloned().collect();
    let (one, second, last) = (cas[1].clone(), cas[2].id, cas[3].id);
    let first = one.id;
    let signer = |servers: &[CaId], now| {
        let servers = servers.iter().copied();
        hierarchy.client_signer(servers, now).unwrap().id
    };
    assert_eq!(signer(&[], later), last);
    assert_eq!(signer(&[last], later), last);
    assert_eq!(signer(&[last, second], later), second);
    assert_eq!(signer(&[last, first], later), first);

    // Five months before its end, the first signs no more.
    let validity = one.facts.validity;
    let closing = validity.not_after - validity.length() / 12;
    assert_eq!(signer(&[first], closing - Duration::SECOND), first);
    assert_eq!(signer(&[first], closing), last);

    // Servers of a CA that was revoked have to be handed something in any case.
    let mut cas = cas;
    cas[1].state = CaState::Revoked;
    let hierarchy = Hierarchy::new(cas);
    let signer = hierarchy.client_signer([first, second], later);
    assert_eq!(signer.unwrap().id, second);
}

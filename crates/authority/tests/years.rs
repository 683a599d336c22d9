//! Years of cron, with a clock that is an argument: real files and a real ledger, no server.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgpki_authority::format::Format;
use pgpki_authority::ledger::{Place, PlaceKind};
use pgpki_authority::rotation::{Report, Request, Step, SuccessionProblem};
use pgpki_authority::settings::Settings;
use pgpki_authority::{
    Authority, Founding, GivenSecrets, NoPassphrases, NoServers, OnFailure, Secrets,
};
use pgpki_core::bundle::{Bundle, ChainEnd};
use pgpki_core::document::Document;
use pgpki_core::due::{Phase, Within};
use pgpki_core::finding::Severity;
use pgpki_core::issue::Holder;
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::name::Organization;
use pgpki_core::validity::Days;
use pgpki_fs::{Installation, Owner, Shelf};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

const START: OffsetDateTime = datetime!(2026-01-01 03:17 UTC);
const PASSPHRASE: &[u8] = b"kept in a drawer";

/// An authority with an installation and one client's folder.
struct World {
    dir: TempDir,
}

fn secrets(root: Option<&[u8]>) -> Arc<dyn Secrets> {
    Arc::new(GivenSecrets {
        root: root.map(|passphrase| Zeroizing::new(passphrase.to_vec())),
        issuing: None,
    })
}

impl World {
    fn new(passphrase: Option<&[u8]>) -> Self {
        Self::with(passphrase, |_| {})
    }

    fn with(passphrase: Option<&[u8]>, change: impl FnOnce(&mut Settings)) -> Self {
        let world = Self {
            dir: TempDir::new().unwrap(),
        };
        let name = "db.example.com";
        let mut settings = Settings::new(name, KeyAlgorithm::P256, Organization::default());
        change(&mut settings);
        let founding = Founding {
            settings,
            root_passphrase: passphrase,
            issuing_passphrase: None,
            hardware: pgpki_authority::Hardware::default(),
        };
        let (home, authority) = Authority::found(&world.home(), &founding, START).unwrap();
        drop(authority);
        home.commit().unwrap();
        let mut authority = Authority::open(&world.home()).unwrap();
        let place = world.place("tls", PlaceKind::Installation);
        let (installation, _created) = Installation::prepare(&place.path, place.owner).unwrap();
        authority
            .install(&place, &installation, &mut NoServers, START)
            .unwrap();
        world.hand_over("alice", START);
        world
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn place(&self, name: &str, kind: PlaceKind) -> Place {
        let (path, holder) = match kind {
            PlaceKind::Installation => {
                let hosts = vec!["db.example.com".parse().unwrap()];
                (self.dir.path().join(name), Holder::Server(hosts))
            }
            PlaceKind::Folder => {
                let path = self.dir.path().join("out").join(name);
                (path, Holder::Client(name.parse().unwrap()))
            }
        };
        Place {
            path,
            kind,
            holder,
            algorithm: KeyAlgorithm::P256,
            days: None,
            formats: vec![Format::Libpq],
            owner: Owner::caller(),
            passphrase_file: None,
        }
    }

    fn hand_over(&self, role: &str, now: OffsetDateTime) {
        let mut authority = Authority::open(&self.home()).unwrap();
        let place = self.place(role, PlaceKind::Folder);
        let (shelf, _created) = Shelf::prepare(&self.dir.path().join("out")).unwrap();
        let done = authority
            .hand_over(
                &[place],
                &shelf,
                OnFailure::Stop,
                &NoPassphrases,
                now,
                &|_| {},
            )
            .unwrap();
        assert!(done.failed.is_empty());
    }

    fn rotate(&self, passphrase: Option<&[u8]>, now: OffsetDateTime) -> Report {
        self.rotate_with(None, passphrase, now)
    }

    /// A new root, as a person asks for one.
    fn rotate_root(&self, passphrase: Option<&[u8]>, now: OffsetDateTime) -> Report {
        self.rotate_with(Some(Step::Root), passphrase, now)
    }

    fn rotate_with(
        &self,
        succession: Option<Step>,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Report {
        let request = Request {
            succession,
            ..Request::default()
        };
        let mut authority = Authority::open(&self.home()).unwrap();
        authority.use_secrets(&secrets(passphrase));
        let report = authority
            .rotate(&request, &mut NoServers, now, &|_| {})
            .unwrap();
        assert!(report.failed.is_empty(), "{report:?}");
        report
    }

    fn folder(&self, name: &str) -> Bundle {
        bundle(&self.dir.path().join("out").join(name))
    }

    fn server(&self) -> Bundle {
        bundle(&self.dir.path().join("tls/current"))
    }

    /// The server takes the client's certificate, and the client the server's: now, by time, chain
    /// and revocation lists.
    fn works(&self, now: OffsetDateTime) {
        self.chains_hold(now, |judged, leaf| {
            let errors: Vec<_> = judged
                .findings(now, Within::Duration(Duration::ZERO))
                .into_iter()
                .filter(|found| found.finding.severity == Severity::Error)
                // There is no key among these files.
                .filter(|found| {
                    !["key-missing", "certificate-missing"].contains(&found.finding.code)
                })
                .collect();
            assert!(errors.is_empty(), "{leaf} at {now}: {errors:?}");
        });
    }

    /// The same by time and chain alone: roots and cross-certificates beside them may be over.
    fn chains_hold(&self, now: OffsetDateTime, also: impl Fn(&Bundle, &str)) {
        let server = documents(&self.dir.path().join("tls/current"));
        let client = documents(&self.dir.path().join("out/alice"));
        for (leaf, other) in [("server.crt", "root.crt"), ("postgresql.crt", "root.crt")] {
            let (own, trust) = match leaf {
                "server.crt" => (&server, &client),
                _ => (&client, &server),
            };
            let mut members: Vec<_> = trust
                .iter()
                .filter(|(name, _)| name == other || name == "root.crl")
                .cloned()
                .collect();
            members.extend(own.iter().filter(|(name, _)| name == leaf).cloned());
            let judged = Bundle::new(members);
            for chain in judged.chains() {
                assert_eq!(chain.end, ChainEnd::Root, "{leaf} at {now}");
                let phase = Phase::at(chain.leaf.validity, Within::Third, now);
                assert!(
                    matches!(phase, Phase::Valid | Phase::Due),
                    "{leaf} is {phase:?} at {now}"
                );
                for link in &chain.links {
                    assert!(chain.leaf.validity.not_after <= link.certificate.validity.not_after);
                }
            }
            also(&judged, leaf);
        }
    }
}

fn documents(folder: &Path) -> Vec<(String, Option<Document>)> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let document = Document::read(&std::fs::read(entry.path()).unwrap()).unwrap();
            (entry.file_name().into_string().unwrap(), Some(document))
        })
        .collect()
}

fn bundle(folder: &Path) -> Bundle {
    Bundle::new(documents(folder))
}

/// When a bundle's leaf ends.
fn end(bundle: &Bundle) -> OffsetDateTime {
    bundle.chains()[0].leaf.validity.not_after
}

#[test]
fn nine_years_of_cron_without_a_gap() {
    let world = World::new(None);
    let mut issuing_cas = 0;
    let mut renewals = 0;
    let mut now = START;
    // The root itself is due after two thirds of its ten years.
    while now < START + Duration::days(9 * 365) {
        let report = world.rotate(None, now);
        issuing_cas += usize::from(report.succession.is_some());
        renewals += report.renewed().count();
        world.works(now);
        // Cron is not always there.
        now += Duration::days(if now.day().is_multiple_of(2) { 1 } else { 20 });
        world.works(now);
    }
    // One every forty months; the second comes with the new root.
    assert_eq!(issuing_cas, 2);
    assert!(
        (24..40).contains(&renewals),
        "{renewals} renewals of two places in nine years"
    );
}

#[test]
fn a_day_on_which_nothing_is_due_changes_nothing() {
    let world = World::new(None);
    let before = (end(&world.server()), end(&world.folder("alice")));
    let report = world.rotate(None, START + Duration::days(200));
    assert!(report.renewed().next().is_none() && report.succession.is_none());
    assert_eq!(before, (end(&world.server()), end(&world.folder("alice"))));
}

#[test]
fn without_the_passphrase_everything_else_is_done() {
    let world = World::new(Some(PASSPHRASE));
    // Two thirds of five years.
    let due = START + Duration::days(1217);
    let report = world.rotate(None, due);
    assert!(matches!(
        report.problem,
        Some((_, SuccessionProblem::PassphraseNeeded))
    ));
    assert_eq!(
        report.renewed().count(),
        2,
        "both leaves have expired long ago"
    );
    world.works(due);

    // Towards the end of the issuing CA, leaves are cut to its end, once, and then wait.
    let near = START + Duration::days(1600);
    assert_eq!(world.rotate(None, near).renewed().count(), 2);
    let ca_end = START + Duration::days(1825);
    assert_eq!(end(&world.server()), ca_end);
    let nearer = world.rotate(None, START + Duration::days(1800));
    assert!(nearer.renewed().next().is_none());
    assert_eq!(nearer.waiting.len(), 2);

    // A wrong one is told, and keeps nothing else from being done.
    let wrong = world.rotate(Some(b"guessed"), START + Duration::days(1801));
    let Some((_, SuccessionProblem::Failed(error))) = wrong.problem else {
        panic!("{:?}", wrong.problem);
    };
    assert!(error.to_string().contains("the passphrase does not open"));

    let late = START + Duration::days(1802);
    let report = world.rotate(Some(PASSPHRASE), late);
    assert!(report.succession.is_some());
    assert_eq!(report.renewed().count(), 2);
    world.works(late);
    world.works(late + Duration::days(300));
}

#[test]
fn a_new_issuing_ca_reaches_the_server_before_any_client() {
    let world = World::new(None);
    let now = START + Duration::days(1217);
    // Fresh leaves, so that nothing but the CA is due.
    world.rotate(None, now - Duration::days(10));
    let report = world.rotate(None, now);
    assert!(report.succession.is_some());
    let renewed: Vec<_> = report.renewed().map(|place| place.kind).collect();
    assert_eq!(renewed, [PlaceKind::Installation]);
    let crls = documents(&world.dir.path().join("tls/current"))
        .into_iter()
        .filter_map(|(_, document)| Some(document?.crls().count()))
        .sum::<usize>();
    assert_eq!(crls, 3, "of the root and both issuing CAs");
    world.hand_over("alice", now);
    world.works(now);
}

#[test]
fn what_a_place_really_holds_decides() {
    let world = World::new(None);
    let now = START + Duration::days(1);
    let out = world.dir.path().join("out");
    let tls = world.dir.path().join("tls");

    // An older certificate of the same role, as after a run that was killed before it published.
    let copy = world.dir.path().join("copy");
    std::fs::rename(out.join("alice"), &copy).unwrap();
    world.hand_over("alice", now);
    std::fs::remove_dir_all(out.join("alice")).unwrap();
    std::fs::rename(&copy, out.join("alice")).unwrap();
    assert_eq!(world.rotate(None, now).renewed().count(), 1);
    assert!(world.rotate(None, now).renewed().next().is_none());

    // A server without its current generation.
    std::fs::remove_file(tls.join("current")).unwrap();
    assert_eq!(world.rotate(None, now).renewed().count(), 1);

    // A folder that holds somebody else's certificate, or nothing, is left alone.
    let due = START + Duration::days(300);
    let stranger = World::new(None);
    std::fs::remove_dir_all(out.join("alice")).unwrap();
    std::fs::rename(stranger.dir.path().join("out/alice"), out.join("alice")).unwrap();
    let ours = std::fs::read(out.join("alice/postgresql.crt")).unwrap();
    let report = world.rotate(None, due);
    assert_eq!(report.gone.len(), 1);
    assert_eq!(
        std::fs::read(out.join("alice/postgresql.crt")).unwrap(),
        ours
    );
    std::fs::remove_dir_all(out.join("alice")).unwrap();
    assert_eq!(world.rotate(None, due).gone.len(), 1);
    assert!(!out.join("alice").exists());

    // Once its certificate has expired, nobody needs to hear of it any more.
    assert!(
        world
            .rotate(None, START + Duration::days(400))
            .gone
            .is_empty()
    );
}

#[test]
fn counting_in_the_ledger_agrees_with_the_rule() {
    let world = World::new(None);
    let authority = Authority::open(&world.home()).unwrap();
    let places = authority.ledger().places().unwrap();
    let alice = places
        .iter()
        .find(|known| known.place.kind == PlaceKind::Folder)
        .unwrap();
    let due = Within::Third.due_from(alice.validity);
    let due_clients = |now| {
        let counts = authority.ledger().counts(now).unwrap();
        let clients = counts
            .iter()
            .find(|count| count.profile.as_str() == "client")
            .unwrap();
        (clients.valid, clients.due, clients.expired)
    };
    assert_eq!(due_clients(due - Duration::SECOND), (1, 0, 0));
    assert_eq!(due_clients(due), (0, 1, 0));
    assert_eq!(due_clients(alice.validity.not_after), (0, 1, 0));
    assert_eq!(
        due_clients(alice.validity.not_after + Duration::SECOND),
        (0, 0, 1)
    );
}

#[test]
fn a_server_that_is_gone_is_reported_until_its_certificate_ends_and_not_made_again() {
    let world = World::new(None);
    let tls = world.dir.path().join("tls");
    std::fs::remove_dir_all(&tls).unwrap();
    for day in [0, 300, 364] {
        let report = world.rotate(None, START + Duration::days(day));
        assert_eq!(report.gone.len(), 1, "{day}");
    }
    let report = world.rotate(None, START + Duration::days(366));
    assert!(report.gone.is_empty());
    assert!(!tls.exists());
}

#[test]
fn cron_was_off_until_everything_had_expired() {
    let world = World::new(None);
    let now = START + Duration::days(6 * 365);
    let report = world.rotate(None, now);
    assert!(report.succession.is_some());
    assert_eq!(report.renewed().count(), 2);
    world.works(now);
}

#[test]
fn a_clock_that_was_ahead_is_mended_when_it_is_right_again() {
    let world = World::new(None);
    let ahead = START + Duration::days(1300);
    assert!(world.rotate(None, ahead).succession.is_some());
    let right = START + Duration::days(1);
    // The CA that has not begun yet is passed over: the one before it still counts.
    assert!(world.rotate(None, right).succession.is_none());
    world.works(right);
    assert!(world.rotate(None, right).renewed().next().is_none());
}

#[test]
fn an_installation_that_lacks_a_file_is_mended() {
    let world = World::new(None);
    std::fs::remove_file(world.dir.path().join("tls/current/server.key")).unwrap();
    assert_eq!(world.rotate(None, START).renewed().count(), 1);
    world.works(START);
}

#[test]
fn cron_was_off_until_the_root_had_ended() {
    let world = World::new(None);
    let now = START + Duration::days(11 * 365);
    let report = world.rotate(None, now);
    assert!(report.succession.is_none() && report.renewed().next().is_none());
    assert_eq!(report.waiting.len(), 2);
    let report = world.rotate_root(None, now);
    assert!(matches!(report.succession, Some((Step::Root, _))));
    assert_eq!(report.renewed().count(), 2);
    world.works(now);

    let world = World::new(Some(PASSPHRASE));
    let report = world.rotate_root(None, now);
    let Some((Step::Root, SuccessionProblem::PassphraseNeeded)) = report.problem else {
        panic!("{:?}", report.problem);
    };
    assert!(matches!(
        world.rotate_root(Some(PASSPHRASE), now).succession,
        Some((Step::Root, _))
    ));
    world.works(now);
}

#[test]
fn a_root_and_an_issuing_ca_are_renewed_on_the_second() {
    let world = World::new(None);
    let third = |days: i64| {
        let length = Duration::days(days) + Duration::minutes(5);
        START + Duration::days(days) - length / 3
    };
    let step = |now| world.rotate(None, now).succession.map(|(step, _)| step);
    let issuing = third(1825);
    assert_eq!(step(issuing - Duration::SECOND), None);
    assert_eq!(step(issuing), Some(Step::Issuing));
    // The next one is due seconds before the root, and comes with the new root otherwise.
    let root = third(3650);
    assert_eq!(step(root - Duration::SECOND), Some(Step::Issuing));
    assert_eq!(step(root - Duration::SECOND), None);
    assert_eq!(step(root), Some(Step::Root));
    assert_eq!(step(root + Duration::SECOND), None);
    world.works(root + Duration::SECOND);
}

#[test]
fn a_crl_of_a_clock_that_was_ahead_is_signed_again_to_the_second() {
    let world = World::new(None);
    let ahead = START + Duration::days(2);
    let mut authority = Authority::open(&world.home()).unwrap();
    let leaves = authority
        .ledger()
        .leaves_of(&"alice".parse().unwrap(), START);
    authority
        .revoke(leaves.unwrap(), None, false, &mut NoServers, ahead)
        .unwrap();
    drop(authority);
    // It counts from five minutes before it was signed.
    let counts = ahead - Duration::minutes(5);
    assert!(world.rotate(None, counts).refreshed.is_empty());
    assert_eq!(
        world
            .rotate(None, counts - Duration::SECOND)
            .refreshed
            .len(),
        1
    );
    assert!(
        world
            .rotate(None, counts - Duration::SECOND)
            .refreshed
            .is_empty()
    );
}

#[test]
fn a_roots_crl_of_a_clock_that_was_ahead_waits_for_the_passphrase() {
    let world = World::new(Some(PASSPHRASE));
    let ahead = START + Duration::days(2);
    let request = Request {
        succession: Some(Step::Compromised),
        ..Request::default()
    };
    let mut authority = Authority::open(&world.home()).unwrap();
    authority.use_secrets(&secrets(Some(PASSPHRASE)));
    let report = authority
        .rotate(&request, &mut NoServers, ahead, &|_| {})
        .unwrap();
    assert!(report.problem.is_none());
    drop(authority);
    // The issuing CA has not begun either, and a new one needs the passphrase too.
    let counts = ahead - Duration::minutes(5);
    assert!(world.rotate(None, counts).early.is_empty());
    let mut authority = Authority::open(&world.home()).unwrap();
    let now = counts - Duration::SECOND;
    let report = authority.rotate(&Request::default(), &mut NoServers, now, &|_| {});
    let early = report.unwrap().early;
    assert!(early.len() == 1 && early[0].contains("clock"), "{early:?}");
    drop(authority);
    world.rotate(Some(PASSPHRASE), now);
    assert!(world.rotate(None, now).early.is_empty());
    world.works(now);
}

#[test]
fn a_leaf_never_outlives_its_issuer_whatever_the_lifetimes() {
    for (root, issuing, leaf) in [
        (3650, 1825, 3650),
        (365, 1825, 365),
        (30, 30, 30),
        (3650, 1825, 1),
        (1, 1, 1),
    ] {
        let [root, issuing, leaf] = [root, issuing, leaf].map(|days| Days::new(days).unwrap());
        let world = World::with(None, |settings| {
            (settings.root, settings.issuing, settings.leaf) = (root, issuing, leaf);
        });
        let shortest = root.min(issuing).min(leaf);
        // Thrice within a leaf's lifetime is enough for all of them.
        let step = Duration::days(shortest.get().into()) / 6;
        let mut now = START;
        for _ in 0..60 {
            world.rotate(None, now);
            world.chains_hold(now, |_, _| {});
            now += step;
            world.chains_hold(now, |_, _| {});
        }
    }
}

#[test]
fn a_clock_that_was_decades_ahead_does_no_lasting_harm() {
    let world = World::new(None);
    // Everything has ended by then, and the new root is tied to nothing.
    let ahead = START + Duration::days(20 * 365);
    let report = world.rotate_root(None, ahead);
    assert!(matches!(report.succession, Some((Step::Root, _))));
    let mut now = START + Duration::days(1);
    assert!(world.rotate(None, now).succession.is_none());
    world.works(now);
    while now < ahead + Duration::days(5 * 365) {
        world.rotate(None, now);
        world.chains_hold(now, |_, _| {});
        now += Duration::days(60);
        world.chains_hold(now, |_, _| {});
    }
    // When its time came, nobody took it for a root.
    let authority = Authority::open(&world.home()).unwrap();
    let mut roots = authority.hierarchy().roots(now);
    assert!(roots.all(|root| !root.facts.common_name.ends_with("root CA 2")));
}

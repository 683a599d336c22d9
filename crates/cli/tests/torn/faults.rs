//! Every call to a filesystem failed in turn, failed from there on, and killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fixture::{Fixture, on_every_core, said};
use crate::state::{Broken, State, ended_well, ensure, next_rotation_puts_it_right};
use crate::strace::{Call, Fault, failing_from, record, with_fault};
use crate::tree::Tree;

/// What a user has put into the folder of alice.
const USERS_FILE: &str = "pg_service.conf";

/// A fixture to be spoiled, put back and spoiled again.
struct Workshop {
    fixture: Fixture,
    prepared: Tree,
    processor: usize,
    /// How often the call that was to fail did not come.
    missed: Arc<AtomicUsize>,
}

/// What came of a run with a fault.
struct Ran<'a> {
    fault: &'a Fault,
    /// `None` if it was killed.
    status: Option<i32>,
    said: String,
}

impl Workshop {
    fn new(processor: usize, prepare: impl Fn(&Fixture)) -> Self {
        let fixture = Fixture::new();
        prepare(&fixture);
        Self {
            prepared: fixture.tree(),
            fixture,
            processor,
            missed: Arc::default(),
        }
    }

    /// Puts everything back, runs the program with a fault, and checks what is left.
    fn case(
        &self,
        fault: &Fault,
        args: &[&str],
        check: impl Fn(&Self, &Ran<'_>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.prepared.restore(self.fixture.root());
        let (output, has_struck) = with_fault(&self.fixture, self.processor, fault, args);
        if !has_struck {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        let result = (|| {
            let status = match fault {
                Fault::Kills(_) if has_struck => None,
                _ => Some(ended_well(&output)?),
            };
            check(
                self,
                &Ran {
                    fault,
                    status,
                    said: said(&output),
                },
            )
        })();
        result.map_err(|why| {
            format!(
                "* {}\n  {why}\n  it said: {}\n{}",
                fault.describe(),
                said(&output).trim_end(),
                self.fixture.tree().listing()
            )
        })
    }

    fn before(&self) -> State {
        State(self.prepared.clone())
    }
}

/// Every way to spoil a run that made these calls.
///
/// A kill at a call that only syncs leaves what a kill at the next one that changes something
/// leaves, so there are none. Where a run says what it has done, it has done it: failing and
/// killing that is left to `the_report_goes_nowhere`.
fn faults(calls: &[Call]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        if call.writes_a_report() {
            continue;
        }
        faults.push(Fault::Fails(call.clone()));
        if call.changes() {
            faults.push(failing_from(calls, index));
            if !call.only_syncs() {
                faults.push(Fault::Kills(call.clone()));
            }
        }
    }
    faults
}

fn run_cases(
    prepare: impl Fn(&Fixture) + Sync,
    args: &[&str],
    check: impl Fn(&Workshop, &Ran<'_>) -> Result<(), Broken> + Sync,
) {
    crate::need_root();
    let recorded = Workshop::new(0, &prepare);
    let faults = faults(&record(&recorded.fixture, args));
    eprintln!("{} cases of {args:?}", faults.len());
    let missed = Arc::default();
    on_every_core(
        &faults,
        |processor| Workshop {
            missed: Arc::clone(&missed),
            ..Workshop::new(processor, &prepare)
        },
        |workshop, fault| workshop.case(fault, args, &check),
    );
    // Serial numbers are random, and with them how many pages the ledger's indexes touch.
    let missed = missed.load(Ordering::Relaxed);
    let all = faults.len();
    assert!(missed * 50 < all, "{missed} of {all} faults never struck");
}

/// An installation and two client folders that have been rotated often enough for the next rotation
/// to remove old generations.
fn well_worn(fixture: &Fixture) {
    fixture.init();
    fixture.pgpki("issue-client alice bob --out out");
    for _ in 0..2 {
        fixture.pgpki("rotate --force");
    }
    let of_alices = fixture.path("out/alice").join(USERS_FILE);
    std::fs::write(&of_alices, "[db]\n").unwrap();
    std::fs::set_permissions(
        &of_alices,
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
}

#[test]
fn a_rotation_is_done_or_not_whatever_fails() {
    run_cases(well_worn, &["rotate", "--force"], |workshop, ran| {
        let (before, now) = (workshop.before(), State::of(&workshop.fixture));
        let renewed = [
            now.installation_is_whole(&before)?,
            now.folder_is_whole("alice", &before)?,
            now.folder_is_whole("bob", &before)?,
        ];
        ensure!(
            ran.status != Some(0) || renewed == [true; 3],
            "it ended with 0, but renewed {renewed:?}"
        );
        now.is_closed(&workshop.fixture)?;
        now.is_recorded(&workshop.fixture)?;
        next_rotation_puts_it_right(&workshop.fixture, &["alice", "bob"])?;
        let after = State::of(&workshop.fixture);
        ensure!(
            after.0.0.keys().any(|path| path.ends_with(USERS_FILE)),
            "{USERS_FILE} of alice's is gone for good"
        );
        // Where it could not be moved along, it stays with the former files, and the run says so.
        ensure!(
            after.has_users_file("alice", USERS_FILE) || ran.said.contains("\nleft"),
            "nobody has said that alice's {USERS_FILE} stayed behind: {:?}",
            after.0.0.keys().find(|path| path.ends_with(USERS_FILE))
        );
        Ok(())
    });
}

#[test]
fn a_client_is_issued_or_not_whatever_fails() {
    let issued = |fixture: &Fixture| {
        fixture.init();
        fixture.pgpki("issue-client alice --out out");
    };
    let args = ["issue-client", "carol", "dave", "--out", "out"];
    run_cases(issued, &args, |workshop, ran| {
        let (fixture, before) = (&workshop.fixture, workshop.before());
        let now = State::of(fixture);
        let made = [
            now.folder_is_whole("carol", &before)?,
            now.folder_is_whole("dave", &before)?,
        ];
        ensure!(
            ran.status != Some(0) || made == [true; 2],
            "it ended with 0, but made {made:?}"
        );
        ensure!(
            !now.installation_is_whole(&before)?,
            "the installation has changed"
        );
        ensure!(
            !now.folder_is_whole("alice", &before)?,
            "alice's folder has changed"
        );
        now.is_closed(fixture)?;
        now.is_recorded(fixture)?;
        // Whoever is told that it failed tries again.
        let again = fixture.command(args).output().unwrap();
        ensure!(ended_well(&again)? == 0, "trying again: {}", said(&again));
        next_rotation_puts_it_right(fixture, &["alice", "carol", "dave"])
    });
}

#[test]
fn a_shelf_is_made_or_not_whatever_fails() {
    let args = ["issue-client", "carol", "--out", "hand/over"];
    run_cases(Fixture::init, &args, |workshop, ran| {
        let (fixture, before) = (&workshop.fixture, workshop.before());
        let now = State::of(fixture);
        let made = now.0.below("hand/over/carol");
        ensure!(
            ran.status != Some(0) || made.0.len() == 3,
            "it ended with 0, but made nothing"
        );
        if matches!((ran.status, ran.fault), (Some(1..), Fault::Fails(_))) && made.0.is_empty() {
            let left = now.0.below("hand");
            ensure!(
                left.files().next().is_none(),
                "it failed, and left:\n{}",
                left.listing()
            );
        }
        ensure!(
            !now.installation_is_whole(&before)?,
            "the installation has changed"
        );
        now.is_recorded(fixture)?;
        let again = fixture.command(args).output().unwrap();
        ensure!(ended_well(&again)? == 0, "trying again: {}", said(&again));
        next_rotation_puts_it_right(fixture, &[])
    });
}

#[test]
fn an_authority_is_founded_or_not_whatever_fails() {
    // The line depends on who runs the server, not on the fixture.
    let line = Fixture::new().init_line();
    let args: Vec<&str> = line.split(' ').collect();
    run_cases(
        |_| {},
        &args,
        |workshop, ran| {
            let fixture = &workshop.fixture;
            let now = State::of(fixture);
            now.is_closed(fixture)?;
            let is_founded = fixture.path("home").exists();
            match (ran.status, ran.fault) {
                (Some(0), _) => ensure!(is_founded, "it ended with 0, and made no home"),
                (Some(_), Fault::Fails(_)) => {
                    ensure!(now.0.0.is_empty(), "it failed, and left something behind");
                }
                // Killed, or unable to remove anything any more.
                _ => {}
            }
            if is_founded {
                now.is_recorded(fixture)?;
            } else {
                let again = fixture.command(&args).output().unwrap();
                ensure!(ended_well(&again)? == 0, "trying again: {}", said(&again));
            }
            next_rotation_puts_it_right(fixture, &[])
        },
    );
}

/// What was done is done, and the message says that it is only the report that is missing.
#[test]
fn the_report_goes_nowhere() {
    crate::need_root();
    let fixture = Fixture::new();
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let run = |line: &str| {
        let output = fixture
            .command(line.split(' '))
            .stdout(full())
            .output()
            .unwrap();
        let text = said(&output);
        assert_ne!(ended_well(&output).unwrap(), 0, "{text}");
        assert!(text.contains("cannot write the report"), "{text}");
    };
    run(&fixture.init_line());
    run("issue-client alice --out out");
    let before = State::of(&fixture);
    run("rotate --force");
    let after = State::of(&fixture);
    assert!(after.installation_is_whole(&before).unwrap());
    assert!(after.folder_is_whole("alice", &before).unwrap());
    after.is_recorded(&fixture).unwrap();
    after.has_no_leftovers().unwrap();
}

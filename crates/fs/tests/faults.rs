//! Killed at any system call, or with any of them failing, a run leaves the whole old set or the
//! whole new one. strace(1) does the killing: each scenario is run once for each of its calls.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use pgpki_fs::{Installation, NewFile, Owner, PrivateDir, Shelf};

/// Tells the test, when it runs itself again, which scenario to play.
const SCENARIO: &str = "PGPKI_FAULTS_TEST_SCENARIO";

/// And where.
const PLACE: &str = "PGPKI_FAULTS_TEST_PLACE";

/// The calls that change something: between two of them, it does not matter when a run is killed.
const CHANGES: [&str; 11] = [
    "mkdirat",
    "openat",
    "write",
    "fchmod",
    "fchown",
    "fsync",
    "syncfs",
    "renameat",
    "renameat2",
    "symlinkat",
    "unlinkat",
];

/// The calls that something is decided by.
const QUESTIONS: [&str; 3] = ["newfstatat,fstat", "getdents64", "readlinkat"];

/// More than any scenario has of one call, so that a loop that does not end is noticed.
const MOST_CALLS: u32 = 200;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Error,
    Kill,
}

fn main() {
    let scenarios = [
        an_installation_is_old_or_new(),
        a_folder_is_old_or_new_and_a_users_file_is_never_lost(),
        a_folder_where_others_may_write_is_old_or_new_as_well(),
        a_home_is_there_whole_or_not_at_all(),
        a_setting_is_old_or_new(),
    ];
    if let (Some(name), Some(place)) = (std::env::var_os(SCENARIO), std::env::var_os(PLACE)) {
        let scenario = scenarios
            .iter()
            .find(|scenario| name == scenario.name)
            .unwrap();
        return (scenario.change)(place.as_ref());
    }
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs strace, and CI must not skip it"
        );
        return eprintln!("skipped: needs strace");
    }
    std::thread::scope(|scope| {
        for scenario in &scenarios {
            scope.spawn(|| scenario.run());
        }
    });
}

fn files(mark: &str) -> [NewFile<'_>; 2] {
    [
        NewFile {
            name: "a.key",
            mode: 0o600,
            bytes: mark.as_bytes(),
        },
        NewFile {
            name: "a.crt",
            mode: 0o640,
            bytes: mark.as_bytes(),
        },
    ]
}

/// Which of two whole sets a directory has. Panics if it is a mixture.
fn whole_set(path: &Path) -> String {
    let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
    assert_eq!(read("a.key"), read("a.crt"), "torn");
    read("a.key")
}

/// No key is open to others, however far the run came.
fn check_keys(path: &Path) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let seen = entry.metadata().unwrap();
        if seen.is_dir() {
            check_keys(&entry.path());
        } else if entry.file_name().as_encoded_bytes().ends_with(b".key") {
            assert_eq!(
                seen.permissions().mode() & 0o077,
                0,
                "{}",
                entry.path().display()
            );
        }
    }
}

/// One change, made in a directory where `prepare` made the old state.
struct Scenario {
    name: &'static str,
    prepare: fn(&Path),
    change: fn(&Path),
    /// What is there now: `old` or `new`, and panics if it is neither.
    state: fn(&Path) -> String,
    /// Whether a run that says it failed has changed nothing. Otherwise the change may be there, and
    /// only not on disk.
    is_undone: bool,
    /// What must hold after the change failed, and after the leftovers of a killed one are swept.
    clean: fn(&Path),
}

impl Scenario {
    fn run(&self) {
        let (mut olds, mut news) = (0, 0);
        for (fault, all_calls) in [
            (Fault::Error, &CHANGES[..]),
            (Fault::Error, &QUESTIONS[..]),
            (Fault::Kill, &CHANGES[..]),
        ] {
            for calls in all_calls {
                let last = (1..=MOST_CALLS).find(|&nth| match self.play(fault, calls, nth) {
                    Some(state) if state == "old" => {
                        olds += 1;
                        false
                    }
                    Some(_) => {
                        news += 1;
                        false
                    }
                    None => true,
                });
                assert!(last.is_some(), "{calls} without end");
            }
        }
        println!(
            "{}: {olds} faults left the old state, {news} the new one",
            self.name
        );
        assert!(
            olds > 10 && news > 0,
            "the faults struck in no interesting place"
        );
    }

    /// The state after one fault; nothing if there was no such call for it to strike.
    fn play(&self, fault: Fault, calls: &str, nth: u32) -> Option<String> {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        (self.prepare)(&place);
        let output = self.trace(&place, fault, calls, nth);
        let trace = String::from_utf8_lossy(&output.stderr);
        let context = format!("{} {fault:?} {calls} {nth}\n{trace}", self.name);
        let state = std::panic::catch_unwind(|| {
            let state = (self.state)(&place);
            check_keys(&place);
            if fault == Fault::Error && !output.status.success() {
                assert!(
                    !self.is_undone || state == "old",
                    "it failed, and changed something"
                );
                (self.clean)(&place);
            }
            self.recover(&place);
            state
        });
        let state = state.unwrap_or_else(|_| panic!("{context}"));
        if output.status.success() {
            assert_eq!(state, "new", "{context}");
        }
        let has_struck = trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL");
        has_struck.then_some(state)
    }

    /// The next run finds nothing that stops it.
    fn recover(&self, place: &Path) {
        (self.change)(place);
        assert_eq!((self.state)(place), "new");
        (self.clean)(place);
        check_keys(place);
    }

    fn trace(&self, place: &Path, fault: Fault, calls: &str, nth: u32) -> Output {
        let how = match fault {
            Fault::Error => "error=EIO",
            Fault::Kill => "signal=KILL",
        };
        Command::new("strace")
            .arg(format!("--trace={calls}"))
            .arg(format!("--inject={calls}:{how}:when={nth}"))
            .arg(std::env::current_exe().unwrap())
            .env(SCENARIO, self.name)
            .env(PLACE, place)
            .output()
            .unwrap()
    }
}

fn an_installation_is_old_or_new() -> Scenario {
    fn publish(place: &Path, mark: &str) {
        let (installation, _) = Installation::prepare(&place.join("tls"), Owner::caller()).unwrap();
        let _ = installation.sweep().unwrap();
        let synced = installation.stage(&files(mark)).unwrap().sync().unwrap();
        installation.publish(synced).unwrap();
    }
    Scenario {
        name: "an_installation_is_old_or_new",
        is_undone: true,
        prepare: |place| publish(place, "old"),
        change: |place| publish(place, "new"),
        state: |place| whole_set(&place.join("tls/current")),
        clean: |place| {
            let installation = Installation::open(&place.join("tls"), Owner::caller()).unwrap();
            let generations = installation.generations().unwrap();
            let live = installation.current().unwrap();
            if whole_set(&place.join("tls/current")) == "old" {
                assert_eq!(generations, [1], "a generation that is not live stayed");
            }
            assert_eq!(live, generations.last().copied());
            assert_eq!(
                fs::read_dir(place.join("tls")).unwrap().count(),
                generations.len() + 1
            );
        },
    }
}

fn a_folder_is_old_or_new_and_a_users_file_is_never_lost() -> Scenario {
    fn publish(place: &Path, mark: &str) {
        let shelf = Shelf::open(place).unwrap();
        let _ = shelf.sweep().unwrap();
        let synced = shelf
            .stage(&files(mark), Owner::caller())
            .unwrap()
            .sync()
            .unwrap();
        let _ = shelf.publish(synced, OsStr::new("alice"), true).unwrap();
        shelf.settle().unwrap();
    }
    fn find_notes(path: &Path) -> usize {
        let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
        entries
            .map(|entry| match entry.file_type().unwrap().is_dir() {
                true => find_notes(&entry.path()),
                false => usize::from(entry.file_name() == "notes.txt"),
            })
            .sum()
    }
    Scenario {
        name: "a_folder_is_old_or_new_and_a_users_file_is_never_lost",
        is_undone: false,
        prepare: |place| {
            publish(place, "old");
            fs::write(place.join("alice/notes.txt"), "mine").unwrap();
        },
        change: |place| publish(place, "new"),
        state: |place| {
            assert_eq!(find_notes(place), 1, "a user's file is lost");
            whole_set(&place.join("alice"))
        },
        clean: |place| {
            for above in [place.to_owned(), place.join(".pgpki")] {
                for entry in fs::read_dir(above).into_iter().flatten() {
                    let name = entry.unwrap().file_name();
                    assert!(name == "alice" || name == ".pgpki", "{name:?} stayed");
                }
            }
        },
    }
}

fn a_folder_where_others_may_write_is_old_or_new_as_well() -> Scenario {
    Scenario {
        name: "a_folder_where_others_may_write_is_old_or_new_as_well",
        prepare: |place| {
            fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
            (a_folder_is_old_or_new_and_a_users_file_is_never_lost().prepare)(place);
        },
        ..a_folder_is_old_or_new_and_a_users_file_is_never_lost()
    }
}

fn a_home_is_there_whole_or_not_at_all() -> Scenario {
    fn make(place: &Path) {
        if place.join("home").exists() {
            return;
        }
        let new = PrivateDir::stage_new(&place.join("home")).unwrap();
        new.dir()
            .create_subdir("root")
            .unwrap()
            .write_new("a.key", 0o600, b"new")
            .unwrap();
        new.dir().write_new("a.crt", 0o600, b"new").unwrap();
        new.commit().unwrap();
    }
    Scenario {
        name: "a_home_is_there_whole_or_not_at_all",
        is_undone: true,
        prepare: |_| {},
        change: make,
        state: |place| {
            let home = place.join("home");
            if !home.exists() {
                return "old".into();
            }
            let read = |name: &str| fs::read_to_string(home.join(name)).unwrap();
            assert_eq!(read("root/a.key"), read("a.crt"));
            read("a.crt")
        },
        clean: |place| {
            let left: Vec<_> = fs::read_dir(place)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert!(left.is_empty() || left == ["home"], "{left:?}");
        },
    }
}

fn a_setting_is_old_or_new() -> Scenario {
    fn write(place: &Path, mark: &str) {
        let home = PrivateDir::open(&place.join("home")).unwrap();
        let _ = home.sweep().unwrap();
        home.replace("pgpki.toml", 0o600, mark.as_bytes()).unwrap();
    }
    Scenario {
        name: "a_setting_is_old_or_new",
        is_undone: false,
        prepare: |place| {
            PrivateDir::stage_new(&place.join("home"))
                .unwrap()
                .commit()
                .unwrap();
            write(place, "old");
        },
        change: |place| write(place, "new"),
        state: |place| fs::read_to_string(place.join("home/pgpki.toml")).unwrap(),
        clean: |place| assert_eq!(fs::read_dir(place.join("home")).unwrap().count(), 1),
    }
}

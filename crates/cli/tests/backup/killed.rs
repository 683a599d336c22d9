//! Killed at any moment: the whole file or none, the whole home or none, and the next run clears up.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgpki_testing::Scene;

use crate::fixture::{back_up, is_sound, lose_home, names, opened, restore, scene, sealed};

const KILLS: u64 = 60;

/// Printed with every failure.
const SEED: u64 = 0x5eed_bac0_cafe_f00d;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn up_to(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        limit.mul_f64((z ^ (z >> 31)) as f64 / u64::MAX as f64)
    }
}

/// Kills a command after a while, unless it was faster. Whether it was killed.
fn killed(command: &mut Command, begun: impl Fn() -> bool, after: Duration) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun() && child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        // As often as the machine can: what is waited for may last a millisecond.
        std::thread::yield_now();
    }
    // The moment itself is what is tested.
    sleep(after);
    let _ = child.kill();
    !child.wait().unwrap().success()
}

fn drafts(scene: &Scene) -> Vec<String> {
    let mut names = names(&scene.path(""));
    names.retain(|name| name.starts_with('.'));
    names
}

#[test]
fn a_backup_is_whole_or_not_there() {
    let scene = scene();
    let roles: Vec<String> = (0..2000).map(|number| format!("role{number}\n")).collect();
    fs::write(scene.path("roles"), roles.concat()).unwrap();
    scene.pgpki("issue-client --from roles --out out");
    let old = fs::read(back_up(&scene, "pki.age")).unwrap();
    let mut random = Random(SEED);
    let (mut stopped, mut replaced, mut left) = (0, 0, 0);
    for kill in 0..20 {
        let line = ["backup", "--passphrase-file", "pass", "--force", "pki.age"];
        fs::write(scene.path("pki.age"), &old).unwrap();
        let after = random.up_to(Duration::from_millis(15));
        let begun = || !drafts(&scene).is_empty();
        for draft in drafts(&scene) {
            fs::remove_file(scene.path(draft)).unwrap();
        }
        let was_killed = killed(&mut scene.command(line), begun, after);
        let now = fs::read(scene.path("pki.age")).unwrap();
        let context = format!("seed {SEED:#x}, kill {kill}, after {after:?}");
        stopped += u64::from(was_killed);
        left += drafts(&scene).len();
        if now != old {
            replaced += 1;
            assert_eq!(now.len(), old.len(), "{context}");
            opened(&now);
        }
    }
    eprintln!("{stopped} killed, {left} drafts left, {replaced} replaced");
    assert!(
        stopped > 4 && left > 2,
        "{stopped} killed, {left} drafts left"
    );
    fs::write(scene.path(".pgpki-output-0123456789abcdef"), "half").unwrap();
    scene.pgpki("backup --passphrase-file pass --force pki.age");
    assert_eq!(drafts(&scene), [""; 0], "what killed runs left");
}

#[test]
fn a_home_is_whole_or_not_there() {
    let scene = scene();
    let roles: Vec<String> = (0..2000).map(|number| format!("role{number}\n")).collect();
    fs::write(scene.path("roles"), roles.concat()).unwrap();
    scene.pgpki("issue-client --from roles --out out");
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    // What is slow about a passphrase is over before anything is made.
    fs::write(scene.path("quick.age"), sealed(&opened(&backup))).unwrap();
    lose_home(&scene);
    fs::remove_dir_all(scene.path("out")).unwrap();
    let started = Instant::now();
    restore(&scene, "quick.age");
    let mut whole = started.elapsed();
    lose_home(&scene);
    let mut random = Random(SEED);
    let mut stopped = 0;
    for kill in 0..KILLS {
        let line = ["restore", "--passphrase-file", "pass", "quick.age"];
        let after = random.up_to(whole);
        let was_killed = killed(&mut scene.command(line), || true, after);
        stopped += u64::from(was_killed);
        whole = match was_killed {
            true => whole.mul_f64(1.05),
            false => whole.mul_f64(0.9),
        };
        if scene.home().exists() {
            eprintln!("seed {SEED:#x}, kill {kill}, after {after:?}");
            is_sound(&scene.home());
            lose_home(&scene);
        }
    }
    eprintln!("{stopped} of {KILLS} were killed");
    assert!(stopped > KILLS / 4, "{stopped} killed");
    restore(&scene, "quick.age");
    is_sound(&scene.home());
    assert_eq!(drafts(&scene), [""; 0], "what killed runs left");
}

/// Killed at the very step that gives a name, before and after it.
#[test]
fn at_the_rename() {
    let scene = scene();
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    fs::write(scene.path("quick.age"), sealed(&opened(&backup))).unwrap();
    lose_home(&scene);
    let mut last = false;
    for step in 1..40 {
        let ours = scene.command(["restore", "--passphrase-file", "pass", "quick.age"]);
        let mut strace = Command::new("strace");
        strace
            .args([
                "-f",
                "-o",
                "/dev/null",
                "-e",
                "trace=renameat2,fsync,mkdirat",
            ])
            .args([
                "-e",
                &format!("inject=renameat2,fsync,mkdirat:signal=KILL:when={step}"),
            ])
            .arg(ours.get_program())
            .args(ours.get_args())
            .current_dir(scene.path(""))
            .env("PGPKI_HOME", scene.home());
        let output = strace.output().unwrap();
        if scene.home().exists() {
            is_sound(&scene.home());
            assert_eq!(scene.pgpki("rotate"), "");
            lose_home(&scene);
        }
        if output.status.success() {
            last = true;
            break;
        }
    }
    assert!(last, "a restore takes more steps than that");
    restore(&scene, "quick.age");
    is_sound(&scene.home());
    assert_eq!(drafts(&scene), [""; 0], "what killed runs left");
}

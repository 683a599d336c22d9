//! What comes back is what was there, for pgpki and for age(1) and tar(1) alike.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgpki_testing::{Scene, await_that, run};

use crate::fixture::{
    PASSPHRASE, back_up, is_sound, ledger, lose_home, names, opened, restore, scene, secret, unpack,
};

/// Everything below a directory: paths, kinds, modes, owners, contents.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(root) {
        let path = root.join(&name);
        let seen = path.symlink_metadata().unwrap();
        let what = match seen.is_symlink() {
            true => format!("{:?}", fs::read_link(&path).unwrap()),
            false if seen.is_dir() => "directory".to_owned(),
            false => format!("{:?}", fs::read(&path).unwrap()),
        };
        let mode = seen.mode();
        found.push(format!("{name} {mode:o} {} {what}", seen.uid()));
        if seen.is_dir() {
            found.extend(tree(&path).into_iter().map(|line| format!("{name}/{line}")));
        }
    }
    found
}

/// What a restored home has as it was: all but the numbers of CRLs, which go on years later.
fn restored(home: &Path) -> Vec<String> {
    let mut found = tree(home);
    found.retain(|line| !line.starts_with("ledger.db "));
    let ledger = ledger(home);
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    for table in rows(&ledger, tables) {
        let columns = format!(
            "SELECT group_concat('quote(' || name || ')', '||') FROM pragma_table_info('{table}')
             WHERE name <> 'crl_number'"
        );
        let columns = rows(&ledger, &columns).remove(0);
        found.extend(rows(
            &ledger,
            &format!("SELECT {columns} FROM {table} ORDER BY 1"),
        ));
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

fn rows(ledger: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = ledger.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_home_comes_back_to_the_last_byte() {
    let scene = scene();
    scene.pgpki("rotate --issuing");
    let (before, kept) = (tree(&scene.home()), restored(&scene.home()));
    let backup = back_up(&scene, "pki.age");
    assert_eq!(tree(&scene.home()), before, "a backup has changed the home");
    let seen = backup.metadata().unwrap();
    assert_eq!(seen.permissions().mode() & 0o7777, 0o600);
    lose_home(&scene);
    let report = restore(&scene, "pki.age");
    assert_eq!(restored(&scene.home()), kept);
    assert_eq!(scene.home().metadata().unwrap().mode() & 0o7777, 0o700);
    assert!(report.contains("ledger     7 certificates"), "{report}");
    assert_eq!(
        names(&scene.path("")),
        ["home", "out", "pass", "pki.age", "tls"]
    );
    // Nothing is due, and nothing is missing.
    assert_eq!(scene.pgpki("rotate"), "");
    scene.pgpki("issue-client carol --out out");
}

#[test]
fn an_encrypted_root_key_comes_back_encrypted() {
    let scene = crate::fixture::empty();
    secret(&scene.path("root-pass"), "root");
    let line = "init localhost --root-passphrase-file root-pass --install tls --owner 0:0";
    scene.pgpki(line);
    let key = scene.home().join("root/current/ca.key");
    let before = fs::read_to_string(&key).unwrap();
    assert!(before.contains("ENCRYPTED"));
    back_up(&scene, "pki.age");
    lose_home(&scene);
    restore(&scene, "pki.age");
    assert_eq!(fs::read_to_string(&key).unwrap(), before);
    scene.pgpki("rotate --issuing --root-passphrase-file root-pass");
}

#[test]
fn no_key_is_in_it_in_the_clear() {
    let scene = scene();
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    let contains =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
    let clear = opened(&backup);
    for text in ["PRIVATE KEY", "CERTIFICATE", "SQLite format", "alice"] {
        assert!(contains(&clear, text), "{text} is not in the archive");
        assert!(!contains(&backup, text), "{text} is in the backup");
    }
}

/// Runs a command line on a terminal, at which somebody types the passphrase after each of these
/// prompts.
fn typed(scene: &Scene, line: &str, prompts: &[&str]) -> String {
    // Outside the scene, in which nothing is to be left.
    let screen = tempfile::NamedTempFile::new().unwrap();
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", line])
        .arg(screen.path())
        .current_dir(scene.path(""))
        .env("SHELL", "/bin/sh")
        .env("PGPKI_HOME", scene.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    let shown =
        || String::from_utf8_lossy(&fs::read(screen.path()).unwrap_or_default()).into_owned();
    for prompt in prompts {
        await_that(prompt, Duration::from_secs(60), || shown().contains(prompt));
        writeln!(keyboard, "{PASSPHRASE}").unwrap();
    }
    let status = script.wait().unwrap();
    assert!(status.success(), "{line}: {}", shown());
    shown()
}

#[test]
fn a_person_is_asked_for_the_passphrase() {
    let scene = scene();
    let program = env!("CARGO_BIN_EXE_pgpki");
    let prompts = ["Passphrase for the backup", "The same again"];
    let screen = typed(&scene, &format!("'{program}' backup pki.age"), &prompts);
    assert!(!screen.contains(PASSPHRASE), "{screen}");
    lose_home(&scene);
    let prompts = ["Passphrase of the backup"];
    typed(&scene, &format!("'{program}' restore pki.age"), &prompts);
    is_sound(&scene.home());
}

#[test]
fn age_and_tar_make_the_home_without_pgpki() {
    let scene = scene();
    scene.pgpki("rotate --issuing");
    back_up(&scene, "pki.age");
    let mut before = tree(&scene.home());
    // Empty, and made again when it is needed.
    before.retain(|line| !line.starts_with("ledger.db-journal "));
    lose_home(&scene);
    typed(&scene, "age -d -o pki.tar pki.age", &["Enter passphrase"]);
    fs::create_dir(scene.home()).unwrap();
    fs::set_permissions(scene.home(), PermissionsExt::from_mode(0o700)).unwrap();
    run(Command::new("tar")
        .args(["--extract", "--file", "pki.tar", "--directory", "home"])
        .current_dir(scene.path("")));
    assert_eq!(tree(&scene.home()), before);
    assert_eq!(scene.pgpki("rotate"), "");
}

#[test]
fn what_age_has_encrypted_again_is_restored() {
    let scene = scene();
    let backup = back_up(&scene, "pki.age");
    fs::write(scene.path("pki.tar"), opened(&fs::read(backup).unwrap())).unwrap();
    let prompts = ["Enter passphrase", "Confirm passphrase"];
    typed(&scene, "age -p -o again.age pki.tar", &prompts);
    lose_home(&scene);
    restore(&scene, "again.age");
    is_sound(&scene.home());
}

#[test]
fn through_pipes() {
    let scene = scene();
    let mut backup = scene.command(["backup", "--passphrase-file", "pass", "-"]);
    let output = run(backup.stdout(Stdio::piped()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!("{} bytes", output.stdout.len())),
        "{said}"
    );
    fs::write(scene.path("pki.age"), &output.stdout).unwrap();
    let home = scene.path("elsewhere").display().to_string();
    let mut restore = scene.command(["restore", "--passphrase-file", "pass", "--home", &home, "-"]);
    run(restore.stdin(File::open(scene.path("pki.age")).unwrap()));
    is_sound(Path::new(&home));
    assert_eq!(restored(Path::new(&home)), restored(&scene.home()));
    assert_eq!(
        names(&scene.home()),
        [
            "issuing",
            "ledger.db",
            "ledger.db-journal",
            "pgpki.toml",
            "root"
        ],
    );
}

#[test]
fn a_killed_transaction_is_rolled_back_first() {
    let scene = scene();
    // Killed at the end of a transaction, when the journal is about to be emptied.
    let mut issue = Command::new("strace");
    let ours = scene.command(["issue-client", "carol", "--out", "out"]);
    issue
        .args(["-f", "-o", "/dev/null", "-e", "trace=ftruncate"])
        .args(["-e", "inject=ftruncate:signal=KILL:when=1"])
        .arg(ours.get_program())
        .args(ours.get_args())
        .current_dir(scene.path(""))
        .env("PGPKI_HOME", scene.home());
    let _ = issue.output().unwrap();
    let journal = scene.home().join("ledger.db-journal");
    let length = fs::metadata(journal).unwrap().len();
    assert!(length > 0, "there is no journal to be rolled back");
    let backup = back_up(&scene, "pki.age");
    let home = scene.path("unpacked");
    unpack(&opened(&fs::read(backup).unwrap()), &home);
    is_sound(&home);
}

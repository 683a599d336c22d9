//! What cannot be written to, read from, or opened: refused, with nothing made and nothing changed.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use age::secrecy::ExposeSecret;
use pgpki_testing::Scene;

use crate::fixture::{
    BAD_INPUT, DONE, FAILED, PASSPHRASE, REFUSED, USAGE, back_up, empty, ends, lose_home, names,
    opened, restore, scene, sealed, sealed_with, secret,
};

/// What stands in the scene, and how: for whatever must not change.
fn standing(scene: &Scene) -> Vec<(String, u64, Option<Vec<u8>>)> {
    let look = |name: String| {
        let path = scene.path(&name);
        let seen = path.symlink_metadata().unwrap();
        let bytes = seen.is_file().then(|| fs::read(&path).unwrap());
        (name, seen.len(), bytes)
    };
    names(&scene.path("")).into_iter().map(look).collect()
}

#[track_caller]
fn refuses(scene: &Scene, status: i32, line: &str, says: &[&str]) {
    let before = standing(scene);
    let said = scene.fails(status, line);
    for words in says {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert_eq!(standing(scene), before, "{line}: {said}");
}

#[test]
fn what_is_no_free_name_for_a_backup() {
    let scene = scene();
    fs::write(scene.path("there"), "something").unwrap();
    symlink("there", scene.path("link")).unwrap();
    symlink("nowhere", scene.path("dangling")).unwrap();
    fs::create_dir(scene.path("directory")).unwrap();
    nix::unistd::mkfifo(&scene.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, says) in [
        ("there", "already exists"),
        ("link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("directory", "is a directory"),
        ("fifo", "is a FIFO"),
        ("/dev/null", "is a device"),
        ("home/pki.age", "inside the authority's own directory"),
        (
            "home/root/../pki.age",
            "inside the authority's own directory",
        ),
    ] {
        let line = format!("backup --passphrase-file pass {name}");
        refuses(&scene, REFUSED, &line, &[says]);
        if name != "there" {
            refuses(&scene, REFUSED, &format!("{line} --force"), &[says]);
        }
    }
    for name in ["missing/pki.age", "directory/", "there/pki.age"] {
        let line = format!("backup --passphrase-file pass {name}");
        refuses(&scene, BAD_INPUT, &line, &["pgpki: "]);
    }
    assert_eq!(names(&scene.path("directory")), [""; 0]);
    refuses(
        &scene,
        REFUSED,
        "backup --passphrase-file pass there",
        &["--force"],
    );
    scene.pgpki("backup --passphrase-file pass there --force");
    lose_home(&scene);
    restore(&scene, "there");
}

#[test]
fn a_passphrase_is_named_or_asked_for() {
    let scene = scene();
    for line in ["backup pki.age", "backup -"] {
        refuses(&scene, USAGE, line, &["--passphrase-file"]);
    }
    secret(&scene.path("empty"), "");
    let line = "backup --passphrase-file empty pki.age";
    refuses(
        &scene,
        BAD_INPUT,
        line,
        &["the first line of empty is empty"],
    );
    fs::write(scene.path("binary"), b"\xff\xfe").unwrap();
    let line = "backup --passphrase-file binary pki.age";
    refuses(&scene, BAD_INPUT, line, &["UTF-8"]);
    back_up(&scene, "pki.age");
    lose_home(&scene);
    for line in ["restore pki.age", "restore -"] {
        refuses(&scene, USAGE, line, &["--passphrase-file"]);
    }
    secret(&scene.path("other"), "incorrect horse");
    let line = "restore --passphrase-file other pki.age";
    refuses(
        &scene,
        BAD_INPUT,
        line,
        &["pki.age: the passphrase does not open it"],
    );
}

#[test]
fn no_backup_goes_to_a_terminal() {
    let scene = scene();
    let program = env!("CARGO_BIN_EXE_pgpki");
    let line = format!("'{program}' backup --passphrase-file pass -");
    let mut script = std::process::Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(scene.path(""))
        .env("PGPKI_HOME", scene.home())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null());
    let (status, said) = ends(&mut script);
    assert_eq!(status, Some(USAGE), "{said}");
    assert!(said.contains("no text for a terminal"), "{said}");
}

#[test]
fn a_reader_that_goes_has_no_backup() {
    let scene = scene();
    // More than a pipe holds, so that it is felt.
    scene.pgpki(&format!("issue-client {} --out out", roles(40)));
    let line = format!(
        "set -o pipefail; '{}' backup --passphrase-file pass - | head -c 100 >/dev/null",
        env!("CARGO_BIN_EXE_pgpki")
    );
    let mut shell = std::process::Command::new("bash");
    shell
        .args(["-c", &line])
        .current_dir(scene.path(""))
        .env("PGPKI_HOME", scene.home());
    let (status, said) = ends(&mut shell);
    assert_eq!(status, Some(FAILED), "{said}");
    assert!(said.contains("Broken pipe"), "{said}");
}

fn roles(number: usize) -> String {
    let roles: Vec<String> = (0..number).map(|number| format!("role{number}")).collect();
    roles.join(" ")
}

#[test]
fn where_a_home_is_none_is_made() {
    let scene = scene();
    back_up(&scene, "pki.age");
    let line = "restore --passphrase-file pass pki.age";
    refuses(
        &scene,
        REFUSED,
        line,
        &["already exists", "It is as it was"],
    );
    fs::write(scene.path("file"), "").unwrap();
    fs::create_dir(scene.path("empty")).unwrap();
    for name in ["file", "empty"] {
        let line = format!("{line} --home {name}");
        refuses(&scene, REFUSED, &line, &["already exists"]);
    }
}

#[test]
fn what_is_no_backup() {
    let scene = scene();
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    let archive = opened(&backup);
    lose_home(&scene);
    let key = age::x25519::Identity::generate();
    assert!(key.to_string().expose_secret().starts_with("AGE-"));
    let for_a_key = {
        let recipient = key.to_public();
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
        let mut out = Vec::new();
        let mut writer = encryptor.wrap_output(&mut out).unwrap();
        writer.write_all(&archive).unwrap();
        writer.finish().unwrap();
        out
    };
    let much_work = {
        let header = String::from_utf8_lossy(&backup[..200]).into_owned();
        let at = header.find(" 18\n").unwrap();
        let mut bytes = backup.clone();
        bytes[at + 1..at + 3].copy_from_slice(b"30");
        bytes
    };
    let long_header = {
        let mut bytes = b"age-encryption.org/v1\n-> scrypt ".to_vec();
        bytes.resize(300_000_000, b'a');
        bytes
    };
    for (bytes, says) in [
        (Vec::new(), "it is not a backup"),
        (b"age-encryption.org/v1\n".to_vec(), "it is not a backup"),
        (archive.clone(), "it is not a backup"),
        (vec![0; 100_000], "it is not a backup"),
        (b"\n--- \n".to_vec(), "it is not a backup"),
        (for_a_key, "for a key, not for a passphrase"),
        (much_work, "4096 times the work"),
        (long_header, "it is not a backup"),
        (sealed(b""), "there is no pgpki.toml in it"),
        (sealed(&[b'x'; 5000]), "it is damaged"),
    ] {
        fs::write(scene.path("wrong"), bytes).unwrap();
        let line = "restore --passphrase-file pass wrong";
        refuses(&scene, BAD_INPUT, line, &["wrong: ", says]);
    }
    let line = "restore --passphrase-file pass missing";
    refuses(&scene, BAD_INPUT, line, &["missing does not exist"]);
    let line = "restore --passphrase-file pass tls";
    refuses(&scene, BAD_INPUT, line, &["is a directory, not a file"]);
    nix::unistd::mkfifo(&scene.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let line = "restore --passphrase-file pass fifo";
    refuses(&scene, BAD_INPUT, line, &["is a FIFO, not a file"]);
}

#[test]
fn cut_off_or_changed_anywhere() {
    let scene = scene();
    let archive = opened(&fs::read(back_up(&scene, "pki.age")).unwrap());
    lose_home(&scene);
    let sealed = sealed(&archive);
    let line = "restore --passphrase-file pass wrong";
    let piece = sealed.len() / 60;
    let ends: Vec<usize> = (1..sealed.len())
        .step_by(piece)
        .chain([sealed.len() - 1])
        .collect();
    for end in &ends {
        fs::write(scene.path("wrong"), &sealed[..*end]).unwrap();
        refuses(&scene, BAD_INPUT, line, &["wrong: "]);
    }
    for at in &ends {
        let mut changed = sealed.clone();
        changed[*at] ^= 1;
        fs::write(scene.path("wrong"), &changed).unwrap();
        refuses(&scene, BAD_INPUT, line, &["wrong: "]);
    }
    // Whole pieces of 64 KiB that are missing at the end leave nothing damaged but the end.
    let mut longer = sealed.clone();
    longer.extend([0; 100]);
    fs::write(scene.path("wrong"), &longer).unwrap();
    refuses(&scene, BAD_INPUT, line, &["wrong: "]);
    fs::write(scene.path("wrong"), &sealed).unwrap();
    restore(&scene, "wrong");
}

#[test]
fn the_work_of_a_passphrase_is_bounded_and_not_little() {
    let scene = scene();
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    let header = String::from_utf8_lossy(&backup[..200]).into_owned();
    assert!(header.contains(" 18\n"), "{header}");
    let archive = opened(&backup);
    lose_home(&scene);
    for (factor, status) in [(19, DONE), (21, BAD_INPUT)] {
        let sealed = sealed_with(&archive, factor);
        File::create(scene.path("other"))
            .unwrap()
            .write_all(&sealed)
            .unwrap();
        let home = format!("home{factor}");
        let line = [
            "restore",
            "--passphrase-file",
            "pass",
            "--home",
            &home,
            "other",
        ];
        let (ended, said) = ends(&mut scene.command(line));
        assert_eq!(ended, Some(status), "{said}");
    }
}

#[test]
fn a_damaged_home_is_not_backed_up() {
    let scene = scene();
    let path = scene.home().join("ledger.db");
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    // The header of a page in the middle.
    damaged[5 * 4096..5 * 4096 + 12].fill(0x55);
    fs::write(&path, &damaged).unwrap();
    refuses(
        &scene,
        BAD_INPUT,
        "backup --passphrase-file pass pki.age",
        &["is damaged"],
    );
    fs::write(&path, &whole).unwrap();
    fs::remove_dir_all(scene.home().join("root/g0001")).unwrap();
    refuses(
        &scene,
        BAD_INPUT,
        "backup --passphrase-file pass pki.age",
        &["root"],
    );
    let nobody = empty();
    refuses(
        &nobody,
        BAD_INPUT,
        "backup --passphrase-file pass pki.age",
        &["no authority here"],
    );
}

#[test]
fn neither_message_nor_process_shows_the_passphrase() {
    let scene = scene();
    let mut backup = scene.command(["backup", "--passphrase-file", "pass", "pki.age"]);
    let (status, said) = ends(&mut backup);
    assert_eq!(status, Some(DONE));
    assert!(!said.contains(PASSPHRASE));
    for line in [
        "backup --passphrase x pki.age",
        "restore --passphrase x pki.age",
    ] {
        refuses(&scene, USAGE, line, &["--passphrase"]);
    }
}

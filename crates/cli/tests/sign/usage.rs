//! What the flags mean, and what is in the way.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Stdio;

use pgpki_testing::{openssl, run};

use crate::stage::{BAD_INPUT, REFUSED, Stage, USAGE, names, said, text};

#[test]
fn command_lines_that_are_refused() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    for args in [
        &[][..],
        &["--role", "a", "--host", "b"],
        &["--role", "a", "--trust-request"],
        &["--role", "a", "--role", "b"],
        &["--role", "a", "--days", "0"],
        &["--role", "a", "--days", "-1"],
    ] {
        let output = stage.signing(&request, args).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{}", said(&output));
    }
    let other = stage.request(&["bob"]);
    for args in [["--role", "alice"], ["--host", "db"]] {
        let mut sign = stage.signing(&request, &args);
        let message = stage.unchanged(USAGE, sign.arg(&other));
        assert!(message.contains("--trust-request"), "{message}");
    }
    for args in [["--role", ""], ["--role", "a/b"], ["--host", "a b"]] {
        stage.unchanged(BAD_INPUT, &mut stage.signing(&request, &args));
    }
    let long = format!("{0}.{0}.example.com", "x".repeat(40));
    stage.unchanged(BAD_INPUT, &mut stage.signing(&request, &["--host", &long]));
    for line in [
        "request",
        "request alice --host db",
        "request alice bob",
        "request alice --key-algorithm p521",
    ] {
        stage.scene.fails(USAGE, line);
    }
    for line in ["request a/b", "request --host a..b", "request .pgpki"] {
        let args: Vec<&str> = line.split(' ').collect();
        stage.unchanged(BAD_INPUT, &mut stage.scene.command(args));
    }
}

#[test]
fn what_is_there_stays() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let role = ["--role", "alice"];
    let first = stage.sign(&request, &role);
    assert!(!first.contains("already had"), "{first}");
    let mut again = stage
        .scene
        .command(["sign", "--out", "again", "--role", "alice"]);
    let again = run(again.arg(&request)).stdout;
    let again = String::from_utf8(again).unwrap();
    assert!(again.contains("alice already had a certificate"), "{again}");
    let message = stage.refuses(REFUSED, &request, &role);
    assert!(message.contains("is there already"), "{message}");
    fs::remove_dir_all(stage.path("signed")).unwrap();

    fs::create_dir(stage.path("signed")).unwrap();
    fs::write(stage.path("signed/alice"), "a file").unwrap();
    stage.refuses(REFUSED, &request, &role);
    fs::remove_file(stage.path("signed/alice")).unwrap();
    symlink(stage.path("requests"), stage.path("signed/alice")).unwrap();
    stage.refuses(REFUSED, &request, &role);
    fs::remove_file(stage.path("signed/alice")).unwrap();
    // An empty folder is as good as none.
    fs::create_dir(stage.path("signed/alice")).unwrap();
    stage.sign(&request, &role);
    assert_eq!(
        names(&stage.path("signed/alice")),
        ["postgresql.crt", "root.crt"]
    );

    fs::write(stage.path("file"), "").unwrap();
    let mut into_a_file = stage
        .scene
        .command(["sign", "--out", "file", "--role", "bob"]);
    let output = into_a_file.arg(&request).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(3..=5)),
        "{}",
        said(&output)
    );
}

/// A rotation would put a key and a certificate of its own there.
#[test]
fn a_folder_that_rotate_renews_is_refused() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    stage.scene.pgpki("issue-client alice --out signed");
    let message = stage.refuses(REFUSED, &request, &["--role", "alice"]);
    assert!(
        message.contains("the credential of role alice"),
        "{message}"
    );
    // Also when it was moved away: the ledger waits for it there.
    fs::rename(stage.path("signed/alice"), stage.path("moved")).unwrap();
    stage.refuses(REFUSED, &request, &["--role", "alice"]);
    stage
        .scene
        .pgpki("issue-server db.example.com --out signed/db");
    stage.refuses(REFUSED, &request, &["--host", "db"]);
}

/// And the other way round: what was signed is not taken for a folder to be renewed.
#[test]
fn a_signed_folder_is_not_issued_into() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    stage.sign(&request, &["--role", "alice"]);
    let mut issue = stage
        .scene
        .command(["issue-client", "alice", "--out", "signed"]);
    stage.unchanged(REFUSED, &mut issue);
}

#[test]
fn modes_and_names() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let mode = |path: &str| stage.path(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("requests/alice"), 0o700);
    assert_eq!(mode("requests/alice/postgresql.key"), 0o600);
    assert_eq!(mode("requests/alice/postgresql.csr"), 0o644);
    assert_eq!(
        names(&stage.path("requests/alice")),
        ["postgresql.csr", "postgresql.key"]
    );
    stage.sign(&request, &["--role", "alice"]);
    assert_eq!(mode("signed/alice"), 0o700);
    assert_eq!(mode("signed/alice/postgresql.crt"), 0o644);
    assert_eq!(names(&stage.path("signed")), ["alice"]);
    assert_eq!(names(&stage.path("requests")), ["alice"]);

    let request = stage.request(&["--host", "*.db.example.com"]);
    assert!(
        request.ends_with("_.db.example.com/server.csr"),
        "{request:?}"
    );
    let key = request.with_file_name("server.key");
    assert_eq!(key.metadata().unwrap().mode() & 0o7777, 0o600);
    // A key that is there stays.
    let before = fs::read(&key).unwrap();
    let args = ["request", "--out", "requests", "--host", "*.db.example.com"];
    let message = stage.unchanged(REFUSED, &mut stage.scene.command(args));
    assert!(message.contains("is there already"), "{message}");
    assert!(!message.contains("authority"), "there is none: {message}");
    assert_eq!(fs::read(key).unwrap(), before);
}

#[test]
fn days() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let lasts = |role: &str, seconds: u32| {
        let file = stage.path(format!("signed/{role}/postgresql.crt"));
        let args = [
            "x509",
            "-noout",
            "-checkend",
            &seconds.to_string(),
            "-in",
            text(&file),
        ];
        std::process::Command::new("openssl")
            .args(args)
            .output()
            .unwrap()
            .status
            .success()
    };
    const DAY: u32 = 86_400;
    stage.sign(&request, &["--role", "usual"]);
    assert!(lasts("usual", 360 * DAY) && !lasts("usual", 370 * DAY));
    stage.sign(&request, &["--role", "short", "--days", "3"]);
    assert!(lasts("short", 2 * DAY) && !lasts("short", 4 * DAY));
    let output = stage.sign(&request, &["--role", "long", "--days", "3000"]);
    assert!(output.contains("cut to "), "{output}");
    let chain = fs::read_to_string(stage.path("signed/long/postgresql.crt")).unwrap();
    let (_, issuing) = chain.split_at(chain.rfind("-----BEGIN").unwrap());
    let end = |pem: &str| {
        fs::write(stage.path("one"), pem).unwrap();
        openssl([
            "x509",
            "-noout",
            "-enddate",
            "-in",
            text(&stage.path("one")),
        ])
        .stdout
    };
    assert_eq!(end(issuing), end(&chain));
}

/// The settings' subject, not the request's.
#[test]
fn the_organization_is_the_authoritys() {
    let stage = Stage::with("--organization Ours --country DE");
    let dir = stage.path("requests");
    let key = crate::makers::openssl_key(&dir, "theirs", &["-algorithm", "ED25519"]);
    let subject = ["-subj", "/C=US/O=Theirs/OU=x/CN=mallory"];
    let request = crate::makers::openssl_request(&dir, "theirs", &key, &subject);
    stage.sign(&request, &["--role", "alice"]);
    let file = stage.path("signed/alice/postgresql.crt");
    let args = [
        "x509",
        "-noout",
        "-subject",
        "-nameopt",
        "RFC2253",
        "-in",
        text(&file),
    ];
    let subject = String::from_utf8(openssl(args).stdout).unwrap();
    assert_eq!(subject.trim_end(), "subject=CN=alice,O=Ours,C=DE");
}

/// Two at once take turns, and the second sees what the first has made.
#[test]
fn two_at_once() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    let spawn = |out: &str| {
        let mut sign = stage
            .scene
            .command(["sign", "--role", "alice", "--out", out]);
        sign.arg(&request)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let runs: Vec<_> = (0..4).map(|_| spawn("signed")).collect();
    let mut codes: Vec<_> = runs
        .into_iter()
        .map(|run| run.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, REFUSED, REFUSED, REFUSED]);
    assert_eq!(stage.issued_to("alice").len(), 1);
    assert_eq!(
        names(&stage.path("signed/alice")),
        ["postgresql.crt", "root.crt"]
    );

    let runs: Vec<_> = (0..4).map(|n| spawn(&format!("out{n}"))).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(stage.issued_to("alice").len(), 5);
    assert_eq!(names(&stage.path("signed")), ["alice"]);
}

/// A reader that has seen enough is no failure, and a report that cannot be written before signing is one.
#[test]
fn nobody_reads_what_is_printed() {
    let stage = Stage::new();
    let (alice, bob) = (stage.request(&["alice"]), stage.request(&["bob"]));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut sign = stage.signing(&alice, &["--trust-request"]);
    let output = sign.arg(&bob).stdout(Stdio::from(writer)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(output.stderr, b"");
    assert_eq!(names(&stage.path("signed")), ["alice", "bob"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let carol = stage.request(&["carol"]);
    let before = stage.state();
    let mut sign = stage.signing(&carol, &["--trust-request"]);
    let output = sign.stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(stage.state() == before);
}

/// What cannot be written leaves nothing, on disk or among what counts.
#[test]
fn a_directory_that_cannot_be_written() {
    let stage = Stage::new();
    let request = stage.request(&["alice"]);
    fs::create_dir(stage.path("signed")).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let sign = stage.signing(&request, &["--role", "alice"]);
    let mut strace = std::process::Command::new("strace");
    strace.args(["-f", "-q", "-o"]).arg(log.path());
    // The last step: everything is made, and does not get its name.
    strace.args([
        "-e",
        "trace=renameat,renameat2",
        "-e",
        "inject=renameat,renameat2:error=EIO",
    ]);
    strace.arg(sign.get_program()).args(sign.get_args());
    strace
        .current_dir(stage.path(""))
        .env("PGPKI_HOME", stage.scene.home());
    let output = strace.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(names(&stage.path("signed")).is_empty());
    let listed = stage.issued_to("alice");
    assert!(
        listed.iter().all(|it| it["status"] == "replaced"),
        "{listed:?}"
    );
    run(&mut stage.signing(&request, &["--role", "alice"]));
}

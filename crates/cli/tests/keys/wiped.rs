//! What a process still has of keys and passphrases in its memory when it ends, where a core dump or the swap would have it too.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc::PTRACE_EVENT_EXIT;
use nix::sys::ptrace::{self, Options};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, mkfifo};
use pgpki_testing::{Owner, run};

use crate::stage::{DONE, PASSPHRASES, Stage};

/// Both CAs' keys encrypted.
fn encrypted(more: &[&str]) -> Stage {
    let passphrases = [
        "--root-passphrase-file",
        "other",
        "--issuing-passphrase-file",
        "right",
    ];
    Stage::with(&[&passphrases[..], more].concat())
}

#[test]
fn an_authority_is_made() {
    let stage = Stage::empty();
    let owner = Owner::of_new_clusters().unwrap();
    let line = format!(
        "init localhost --install tls --owner {}:{} --issuing-passphrase-file right --root-passphrase-command",
        owner.uid, owner.gid
    );
    let memory = at_the_end(&stage, &line, "cat other");
    let [right, other] = ["right", "other"].map(|name| stage.scene.path(name));
    memory.has_nothing_of(&[
        pieces(&stage.key("root", 1), Some(&other)),
        pieces(&stage.key("issuing", 1), Some(&right)),
        pieces(&stage.scene.tls().join("current/server.key"), None),
    ]);
}

#[test]
fn a_client_is_issued() {
    issued(&encrypted(&[]));
}

#[test]
fn a_client_is_issued_with_rsa() {
    issued(&encrypted(&["--key-algorithm", "rsa2048"]));
}

#[track_caller]
fn issued(stage: &Stage) {
    let issuing = pieces(&stage.key("issuing", 1), Some(&stage.scene.path("right")));
    let line = "issue-client alice --out clients --format libpq,pkcs12 --new-passphrase-file wrong --issuing-passphrase-command";
    let memory = at_the_end(stage, line, "cat right");
    let folder = stage.scene.path("clients/alice");
    let own = pieces(&folder.join("postgresql.key"), None);
    memory.has_nothing_of(&[issuing, own]);
}

#[test]
fn the_issuing_ca_is_renewed() {
    let stage = encrypted(&[]);
    let line = "rotate --issuing --issuing-passphrase-file right --root-passphrase-command";
    let memory = at_the_end(&stage, line, "cat other");
    let [right, other] = ["right", "other"].map(|name| stage.scene.path(name));
    memory.has_nothing_of(&[
        pieces(&stage.key("root", 1), Some(&other)),
        pieces(&stage.key("issuing", 1), Some(&right)),
        pieces(&stage.key("issuing", 2), Some(&right)),
        pieces(&stage.scene.tls().join("current/server.key"), None),
    ]);
}

#[test]
fn keys_get_another_passphrase() {
    let stage = encrypted(&[]);
    let key = pieces(&stage.key("issuing", 1), Some(&stage.scene.path("right")));
    let line = "key change-passphrase issuing --new-passphrase-file wrong --passphrase-command";
    let memory = at_the_end(&stage, line, "cat right");
    memory.has_nothing_of(&[key]);
}

#[test]
fn files_are_written_and_read() {
    let stage = encrypted(&[]);
    let issue = "issue-client alice --out clients --issuing-passphrase-file right";
    stage.ends(DONE, &issue.split(' ').collect::<Vec<_>>());
    let own = [pieces(
        &stage.scene.path("clients/alice/postgresql.key"),
        None,
    )];
    for (line, last) in [
        (
            "export clients/alice --format pkcs12,jdbc,pem --out exported --new-passphrase-file",
            "wrong",
        ),
        ("inspect exported/postgresql.p12 --passphrase-file", "wrong"),
        ("inspect", "clients/alice"),
        (
            "convert exported/postgresql.p12 --out converted.pem --passphrase-file wrong --to",
            "pem",
        ),
        (
            "convert clients/alice/postgresql.key --to pkcs8 --out sealed.pem --new-passphrase-file",
            "wrong",
        ),
        (
            "convert sealed.pem --out opened.der --passphrase-file wrong --to",
            "der",
        ),
        ("backup home.age --passphrase-file", "wrong"),
    ] {
        at_the_end(&stage, line, last).has_nothing_of(&own);
    }
}

/// What a process could write to, and so have left something in.
struct Memory(Vec<u8>);

impl Memory {
    #[track_caller]
    fn has_nothing_of(&self, keys: &[Vec<Vec<u8>>]) {
        for (name, passphrase) in PASSPHRASES {
            assert!(!self.finds(passphrase.as_bytes()), "the passphrase {name}");
        }
        for (key, pieces) in keys.iter().enumerate() {
            for piece in pieces {
                // As in a file, and as in the limbs of a big number.
                let limbs: Vec<u8> = piece.iter().rev().copied().collect();
                assert!(!self.finds(piece) && !self.finds(&limbs), "key {key}");
            }
        }
    }

    fn finds(&self, octets: &[u8]) -> bool {
        self.0.windows(octets.len()).any(|window| window == octets)
    }
}

/// The memory at the end of the program with this command line and one more argument.
#[expect(clippy::zombie_processes, reason = "waitpid has it")]
fn at_the_end(stage: &Stage, line: &str, last: &str) -> Memory {
    let fifo = stage.scene.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let words: Vec<&str> = line.split(' ').chain([last]).collect();
    let program = stage.command(&words);
    // Waits until it is watched.
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r _ < fifo; exec \"$0\" \"$@\""]);
    shell.arg(program.get_program()).args(program.get_args());
    shell.current_dir(program.get_current_dir().unwrap());
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap());
    }
    let child = shell.spawn().unwrap();
    let process = Pid::from_raw(child.id().try_into().unwrap());
    ptrace::seize(process, Options::PTRACE_O_TRACEEXIT).unwrap();
    // To read as well: so it opens although the shell is not there yet, or never will be.
    let mut pipe = File::options().read(true).write(true).open(&fifo).unwrap();
    pipe.write_all(b"go on\n").unwrap();
    loop {
        match waitpid(process, None).unwrap() {
            WaitStatus::Stopped(_, signal) => ptrace::cont(process, signal).unwrap(),
            WaitStatus::PtraceEvent(_, _, PTRACE_EVENT_EXIT) => break,
            other => panic!("{other:?}"),
        }
    }
    let memory = writable(process);
    assert!(memory.finds(b"PGPKI_HOME="), "this is not its memory");
    ptrace::cont(process, None).unwrap();
    fs::remove_file(fifo).unwrap();
    let ended = waitpid(process, None).unwrap();
    assert_eq!(ended, WaitStatus::Exited(process, 0), "{line}");
    memory
}

/// Most pages have nothing in them, and take long to search.
const PAGE: usize = 4096;

fn writable(process: Pid) -> Memory {
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut found = Vec::new();
    for map in maps.lines().filter(|map| map.contains(" rw")) {
        let (from, to) = map.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut octets = vec![0; usize::try_from(to - from).unwrap()];
        memory.read_exact_at(&mut octets, from).unwrap();
        let used = octets
            .chunks(PAGE)
            .filter(|page| page.iter().any(|octet| *octet != 0));
        found.extend(used.flatten());
    }
    Memory(found)
}

/// Long enough that nothing else is the same by chance.
const PIECE: usize = 16;

/// Pieces of what is private in a key's file, as OpenSSL reads it.
fn pieces(key: &Path, passphrase: Option<&PathBuf>) -> Vec<Vec<u8>> {
    let mut pkey = Command::new("openssl");
    pkey.args(["pkey", "-outform", "DER", "-traditional", "-in"]);
    pkey.arg(key);
    if let Some(file) = passphrase {
        pkey.arg("-passin").arg(format!("file:{}", file.display()));
    }
    let der = run(&mut pkey).stdout;
    let private = match der.starts_with(&EC) {
        true => &der[EC.len()..][..2 * PIECE],
        false => &der[RSA_PUBLIC..],
    };
    let pieces = private.chunks_exact(PIECE);
    // All of a P-256 key, and some of each number of an RSA key.
    let step = (private.len() / PIECE).div_ceil(8);
    pieces.step_by(step).map(<[u8]>::to_vec).collect()
}

/// What an ECPrivateKey (RFC 5915) of P-256 has before its 32 octets.
const EC: [u8; 7] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// What an RSAPrivateKey (RFC 8017 appendix A.1.2) of 2048 bits has before its private exponent: version, modulus and 65537.
const RSA_PUBLIC: usize = 4 + 3 + (4 + 257) + 5;

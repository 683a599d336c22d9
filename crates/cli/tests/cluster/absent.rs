//! Servers that do not answer within the patience of a run. Each takes it twice: for what is new,
//! and for what was put back. So they wait side by side.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use pgpki_testing::{Shutdown, await_that, replace, run};

use crate::fixture::{EVERYTHING, Files, Stage, the_server};

/// Twice the patience of a run, and what a busy machine adds.
const LONGEST: Duration = Duration::from_secs(75);

#[test]
fn silence_is_no_proof() {
    thread::scope(|scope| {
        scope.spawn(a_postmaster_that_is_stopped);
        scope.spawn(a_stranger_on_its_port);
        scope.spawn(a_server_that_ends_meanwhile);
        scope.spawn(a_configuration_that_the_server_ignores);
    });
}

fn a_postmaster_that_is_stopped() {
    let stage = Stage::configured(&EVERYTHING);
    let before = stage.installed_leaf();
    let postmaster = stage.postmaster();
    kill(postmaster, Signal::SIGSTOP).unwrap();
    thread::scope(|scope| {
        // It cannot be asked whether it would take other rules.
        scope.spawn(|| {
            let said = stage.refuses(5, &["--client-certs", "alice"]);
            assert!(said.contains("no answer within"), "{said}");
        });
        let began = Instant::now();
        let report = stage.rotate(6, &["--force"]);
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
        let reason = the_server(&report)["reason"].as_str().unwrap();
        assert!(
            reason.contains("g0001 was put back, which is not proven either"),
            "{reason}"
        );
    });
    assert_eq!(stage.installed_leaf(), before);
    kill(postmaster, Signal::SIGCONT).unwrap();
    await_that("it serves what is installed", LONGEST, || stage.is_served());
    stage.is_sound_with("g0001");
    stage.rotate(0, &["--force"]);
    stage.serves_what_is_installed();
}

/// The server has not got the first of its addresses, which another program had before it.
fn a_stranger_on_its_port() {
    let mut stage = Stage::configured(&EVERYTHING);
    let before = stage.installed_leaf();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    let conf = std::fs::read_to_string(stage.conf()).unwrap();
    let conf = conf.replace(
        "listen_addresses = '127.0.0.1, ::1'",
        "listen_addresses = '*'",
    );
    replace(stage.conf(), conf);
    let stranger = TcpListener::bind(("0.0.0.0", stage.cluster.port())).unwrap();
    thread::spawn(move || {
        for stream in stranger.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    run(&mut stage.pg_ctl(&["-w", "start"]));
    let report = stage.rotate(6, &["--force"]);
    let reason = the_server(&report)["reason"].as_str().unwrap();
    let address = format!("127.0.0.1:{}", stage.cluster.port());
    assert!(reason.contains(&address), "{reason}");
    assert!(reason.contains("this is not PostgreSQL"), "{reason}");
    assert_eq!(stage.installed_leaf(), before);
    assert_eq!(stage.current(), "g0001");
}

fn a_server_that_ends_meanwhile() {
    let mut stage = Stage::configured(&EVERYTHING);
    let before = stage.installed_leaf();
    let postmaster = stage.postmaster();
    kill(postmaster, Signal::SIGSTOP).unwrap();
    thread::scope(|scope| {
        let rotation = scope.spawn(|| stage.scene.command(["rotate", "--force"]).output().unwrap());
        await_that("the new generation is live", LONGEST, || {
            stage.current() == "g0002"
        });
        // It is told to end, and to reload on the way.
        kill(postmaster, Signal::SIGQUIT).unwrap();
        kill(postmaster, Signal::SIGCONT).unwrap();
        let output = rotation.join().unwrap();
        match output.status.code() {
            Some(0) => assert_eq!(stage.current(), "g0002"),
            Some(6) => assert_eq!(stage.installed_leaf(), before),
            _ => panic!("{output:?}"),
        }
    });
    stage.cluster.stop(Shutdown::Immediate).unwrap();
    stage.cluster.start().unwrap();
    stage.is_sound_with(&stage.current());
}

/// A parameter that the server does not know makes it ignore the whole file, which shows only once
/// it reloads.
fn a_configuration_that_the_server_ignores() {
    let stage = Stage::new();
    let text = std::fs::read_to_string(stage.conf()).unwrap();
    replace(stage.conf(), format!("{text}no_such_parameter = 1\n"));
    let before = Files::of(&stage.cluster);
    let output = stage.command(&EVERYTHING).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(3 | 4 | 6)),
        "{output:?}"
    );
    assert!(said.contains("no_such_parameter"), "{said}");
    before.assert_unchanged(&stage.cluster);
    assert_eq!(stage.cluster.sql("show ssl"), "off");
}

//! Files that want to stall whoever opens them, or to take him apart.

use std::fs;
use std::time::{Duration, Instant};

use pgpki_testing::Scene;

use crate::fixture::{BAD_INPUT, openssl, refuses, with_credential};

/// Far more than any of this takes, and far less than what the files ask for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replaces bytes in a file by as many others; how often they stood there.
fn replace(scene: &Scene, name: &str, from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(scene.path(name)).unwrap();
    let mut places = Vec::new();
    for place in 0..bytes.len() - from.len() {
        if bytes[place..].starts_with(from) {
            places.push(place);
        }
    }
    for place in &places {
        bytes[*place..*place + to.len()].copy_from_slice(to);
    }
    fs::write(scene.path(name), bytes).unwrap();
    places.len()
}

fn refused_soon(scene: &Scene, name: &str) -> String {
    let begin = Instant::now();
    let said = refuses(
        scene,
        BAD_INPUT,
        &format!("convert {name} --passphrase-file pass --to pem --out x"),
    );
    let inspected = scene.command(["inspect", name, "--passphrase-file", "pass"]);
    let mut inspected = inspected;
    let output = inspected.output().unwrap();
    assert!(
        output.status.code().is_some_and(|code| code < 70),
        "{output:?}"
    );
    assert!(begin.elapsed() < PATIENCE, "{name}: {:?}", begin.elapsed());
    said
}

/// Two thousand million rounds, wherever a count stands.
#[test]
fn iteration_counts() {
    // The least INTEGER of four bytes, and one: it stands nowhere else, and openssl has it soon.
    const HONEST: [u8; 6] = [0x02, 0x04, 0x00, 0x80, 0x00, 0x01];
    const HOSTILE: [u8; 6] = [0x02, 0x04, 0x7f, 0xff, 0xff, 0xff];
    let scene = with_credential("p256");
    let export = "pkcs12 -export -in alice.crt -inkey alice.key -passout file:pass";
    for (line, count) in [
        (format!("{export} -iter 8388609 -nomac -out f"), 1),
        (format!("{export} -iter 8388609 -nomac -legacy -out f"), 1),
        ("pkcs8 -topk8 -in alice.key -outform DER -passout file:pass -iter 8388609 -out f".to_owned(), 1),
        ("pkcs8 -topk8 -in alice.key -outform DER -passout file:pass -iter 8388609 -v1 PBE-SHA1-3DES -out f".to_owned(), 1),
    ] {
        openssl(&scene, &line);
        assert_eq!(replace(&scene, "f", &HONEST, &HOSTILE), count, "{line}");
        let said = refused_soon(&scene, "f");
        assert!(said.contains("costs more work than a file may"), "{line}: {said}");
    }
}

/// The MAC comes first, and has a count of its own.
#[test]
fn iteration_count_of_the_mac() {
    let scene = with_credential("p256");
    openssl(
        &scene,
        "pkcs12 -export -in alice.crt -inkey alice.key -passout file:pass -out f",
    );
    let mut bytes = fs::read(scene.path("f")).unwrap();
    // It ends with 2,048 rounds, and `MacData` is short enough for a length of one byte.
    assert!(bytes.ends_with(&[0x02, 0x02, 0x08, 0x00]));
    bytes.truncate(bytes.len() - 4);
    bytes.extend([0x02, 0x04, 0x7f, 0xff, 0xff, 0xff]);
    let mac_data = bytes.len() - 2 - 2 - 0x41;
    assert_eq!(bytes[mac_data..mac_data + 4], [0x30, 0x41, 0x30, 0x31]);
    bytes[mac_data + 1] += 2;
    let [0x30, 0x82, high, low, ..] = bytes[..] else {
        panic!("a long container");
    };
    let [high, low] = (u16::from_be_bytes([high, low]) + 2).to_be_bytes();
    (bytes[2], bytes[3]) = (high, low);
    fs::write(scene.path("f"), bytes).unwrap();
    let said = refused_soon(&scene, "f");
    assert!(said.contains("costs more work than a file may"), "{said}");
}

/// A few rounds each, and a great many of them.
#[test]
fn many_locked_keys() {
    let scene = with_credential("p256");
    openssl(
        &scene,
        "pkcs8 -topk8 -in alice.key -passout file:pass -iter 400000 -out one",
    );
    let one = fs::read_to_string(scene.path("one")).unwrap();
    fs::write(scene.path("many"), one.repeat(5000)).unwrap();
    let said = refused_soon(&scene, "many");
    assert!(said.contains("costs more work than a file may"), "{said}");
}

/// Memory and time that scrypt asks for.
#[test]
fn scrypt_that_fills_the_memory() {
    // N = 16384, r = 8, p = 1.
    const HONEST: [u8; 10] = [0x02, 0x02, 0x40, 0x00, 0x02, 0x01, 0x08, 0x02, 0x01, 0x01];
    let scene = with_credential("p256");
    for (n, r, p) in [([0x40, 0x00], 0x7f, 0x7f), ([0x40, 0x00], 0x08, 0x7f)] {
        openssl(
            &scene,
            "pkcs8 -topk8 -in alice.key -outform DER -passout file:pass -scrypt -out f",
        );
        let hostile = [&[0x02, 0x02], &n[..], &[0x02, 0x01, r, 0x02, 0x01, p]].concat();
        assert_eq!(replace(&scene, "f", &HONEST, &hostile), 1);
        let said = refused_soon(&scene, "f");
        assert!(said.contains("costs more work than a file may"), "{said}");
    }
    // N is no power of two: 32767, and 0 with r = 128 and p = 1.
    for hostile in [
        [2, 2, 0x7f, 0xff, 2, 1, 8, 2, 1, 1],
        [2, 1, 0, 2, 2, 0, 0x80, 2, 1, 1],
    ] {
        openssl(
            &scene,
            "pkcs8 -topk8 -in alice.key -outform DER -passout file:pass -scrypt -out f",
        );
        assert_eq!(replace(&scene, "f", &HONEST, &hostile), 1);
        let said = refused_soon(&scene, "f");
        assert!(said.contains("is not supported here"), "{said}");
    }
}

/// Every cut and many changes of a container and of a key: never more than a line.
#[test]
fn damage_everywhere() {
    let scene = with_credential("p256");
    openssl(
        &scene,
        "pkcs12 -export -in alice.crt -inkey alice.key -passout file:pass -iter 1 -out f.p12",
    );
    openssl(
        &scene,
        "pkcs8 -topk8 -in alice.key -outform DER -passout file:pass -iter 1 -out f.key",
    );
    for name in ["f.p12", "f.key"] {
        let sound = fs::read(scene.path(name)).unwrap();
        for place in (0..sound.len()).step_by(29) {
            fs::write(scene.path("x"), &sound[..place]).unwrap();
            let said = refuses(
                &scene,
                BAD_INPUT,
                "convert x --passphrase-file pass --to pem --out y",
            );
            assert!(said.lines().count() <= 2, "{said}");
            let mut changed = sound.clone();
            changed[place] ^= 0x55;
            fs::write(scene.path("x"), &changed).unwrap();
            let line = "convert x --passphrase-file pass --to pem --out -";
            let output = scene.command(line.split(' ')).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // A change in a friendly name of a key that has no MAC is none.
            let ended = matches!(output.status.code(), Some(0 | BAD_INPUT));
            assert!(ended, "{name} {place}: {said}");
            assert!(said.lines().count() <= 2, "{said}");
        }
    }
}

//! `issue-client --from`: lists that are none.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::refusal::{Refusal, enormous, fifo, none, scene_with_authority};

const BAD_INPUT: i32 = 4;

#[test]
fn lists_that_are_none() {
    type Case<'a> = (&'a str, fn(&Path), &'a [&'a str]);
    let cases: [Case<'_>; 12] = [
        ("missing", |_| {}, &["missing"]),
        ("empty", |path| fs::write(path, "").unwrap(), &["no role"]),
        (
            "blank",
            |path| fs::write(path, "\n\n\n").unwrap(),
            &["no role"],
        ),
        (
            "directory",
            |path| fs::create_dir(path).unwrap(),
            &["directory"],
        ),
        ("fifo", fifo, &["fifo"]),
        ("enormous", enormous, &["enormous", "larger"]),
        (
            "binary",
            |path| fs::write(path, b"al\xffice\n").unwrap(),
            &["binary", "UTF-8"],
        ),
        (
            "slash",
            |path| fs::write(path, "alice\nbob\na/b\n").unwrap(),
            &["line 3", "\"a/b\""],
        ),
        (
            "dots",
            |path| fs::write(path, "\nalice\n\n..\n").unwrap(),
            &["line 4", "\"..\""],
        ),
        (
            "zero",
            |path| fs::write(path, "alice\nb\0b\n").unwrap(),
            &["line 2", "zero"],
        ),
        (
            "bom",
            |path| fs::write(path, "\u{feff}a/b\n").unwrap(),
            &["line 1"],
        ),
        (
            "long",
            |path| fs::write(path, format!("alice\n{}\n", "x".repeat(64))).unwrap(),
            &["line 2", "63 bytes"],
        ),
    ];
    let scene = scene_with_authority();
    let mut problems = Vec::new();
    for (name, arrange, says) in cases {
        arrange(&scene.path(name));
        let alone = &["issue-client", "--from", name, "--out", "clients"][..];
        // Good roles beside a bad list get nothing either.
        let beside = &["issue-client", "carol", "--from", name, "--out", "clients"];
        let is_just_empty = says.contains(&"no role");
        for args in [alone, beside]
            .into_iter()
            .take(if is_just_empty { 1 } else { 2 })
        {
            let refusal = Refusal {
                args,
                status: BAD_INPUT,
                says,
            };
            problems.extend(refusal.problem(&scene, Stdio::null()));
        }
    }
    none(problems);
}

#[test]
fn the_same_on_standard_input() {
    let scene = scene_with_authority();
    fs::write(scene.path("slash"), "alice\na/b\n").unwrap();
    fs::write(scene.path("binary"), b"\xff\xfe").unwrap();
    enormous(&scene.path("enormous"));
    let open = |name: &str| Stdio::from(File::open(scene.path(name)).unwrap());
    let cases: [(Stdio, &[&str]); 4] = [
        (Stdio::null(), &["no role"]),
        (open("slash"), &["line 2", "\"a/b\""]),
        (open("binary"), &["standard input", "UTF-8"]),
        (open("enormous"), &["standard input", "larger"]),
    ];
    let problems = cases.into_iter().filter_map(|(input, says)| {
        let refusal = Refusal {
            args: &["issue-client", "--from", "-", "--out", "clients"],
            status: BAD_INPUT,
            says,
        };
        refusal.problem(&scene, input)
    });
    none(problems);
}

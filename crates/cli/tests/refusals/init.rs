//! `init` where something is in its way: it leaves nothing behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use crate::refusal::{Refusal, empty_scene, fifo, is_root, refuses, scene_with_authority};

const REFUSED: i32 = 3;
const BAD_INPUT: i32 = 4;
const FAILED: i32 = 5;

const INIT: [&str; 5] = [
    "init",
    "localhost",
    "--no-root-passphrase",
    "--install",
    "tls",
];

#[test]
fn a_home_that_exists_stays_as_it_is() {
    let scene = scene_with_authority();
    let home = scene.home();
    let says = [home.to_str().unwrap(), "already exists"];
    for install in ["tls", "tls2"] {
        let args = [
            "init",
            "localhost",
            "--no-root-passphrase",
            "--install",
            install,
        ];
        refuses(
            &scene,
            &Refusal {
                args: &args,
                status: REFUSED,
                says: &says,
            },
        );
    }
}

#[test]
fn whatever_stands_where_the_home_is_to_be_stays() {
    let arrangements: [fn(&std::path::Path); 4] = [
        |home| fs::create_dir(home).unwrap(),
        |home| fs::write(home, "mine").unwrap(),
        fifo,
        |home| symlink("/proc", home).unwrap(),
    ];
    for arrange in arrangements {
        let scene = empty_scene();
        arrange(&scene.home());
        let refusal = Refusal {
            args: &INIT,
            status: REFUSED,
            says: &["already exists"],
        };
        refuses(&scene, &refusal);
    }
}

#[test]
fn home_and_installation_are_apart() {
    let scene = empty_scene();
    let cases = [
        ("tls/home", "tls"),
        ("home", "home/tls"),
        ("same", "same"),
        ("deep/er/home", "deep"),
    ];
    for (home, install) in cases {
        let args = [
            "init",
            "localhost",
            "--no-root-passphrase",
            "--home",
            home,
            "--install",
            install,
        ];
        refuses(
            &scene,
            &Refusal {
                args: &args,
                status: REFUSED,
                says: &["inside one another"],
            },
        );
    }
}

#[test]
fn a_failure_removes_the_directories_that_were_made_on_the_way() {
    let scene = empty_scene();
    // Nobody can make a directory in /proc, root least of all.
    let cases = [
        ["a/b/home", "/proc/pgpki/tls"],
        ["/proc/pgpki/home", "x/y/tls"],
    ];
    for [home, install] in cases {
        let args = [
            "init",
            "localhost",
            "--no-root-passphrase",
            "--home",
            home,
            "--install",
            install,
        ];
        refuses(
            &scene,
            &Refusal {
                args: &args,
                status: FAILED,
                says: &["/proc"],
            },
        );
    }
    assert_eq!(fs::read_dir(scene.path("")).unwrap().count(), 0);
}

#[test]
fn an_installation_of_another_authority_is_left_alone() {
    let scene = scene_with_authority();
    let tls = scene.tls();
    let args = [
        &[
            "init",
            "localhost",
            "--no-root-passphrase",
            "--home",
            "second/home",
        ][..],
        &["--install", "tls"],
    ]
    .concat();
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let args = [&args[..], &["--owner", &owner]].concat();
    refuses(
        &scene,
        &Refusal {
            args: &args,
            status: REFUSED,
            says: &[tls.to_str().unwrap(), "another authority", "--install"],
        },
    );
}

#[test]
fn an_installation_directory_of_somebody_else() {
    if !is_root() {
        // Only root can give directories away; the same check is made with a mode below.
        return;
    }
    let scene = empty_scene();
    fs::create_dir(scene.tls()).unwrap();
    chown(scene.tls(), Some(65534), Some(65534)).unwrap();
    let tls = scene.tls();
    refuses(
        &scene,
        &Refusal {
            args: &[&INIT[..], &["--owner", "root"]].concat(),
            status: REFUSED,
            says: &[tls.to_str().unwrap(), "belongs to"],
        },
    );
}

#[test]
fn an_installation_directory_that_others_may_write_to() {
    let scene = empty_scene();
    fs::create_dir(scene.tls()).unwrap();
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    owner.take(&scene.tls()).unwrap();
    fs::set_permissions(scene.tls(), PermissionsExt::from_mode(0o777)).unwrap();
    let tls = scene.tls();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    refuses(
        &scene,
        &Refusal {
            args: &[&INIT[..], &["--owner", &owner]].concat(),
            status: REFUSED,
            says: &[tls.to_str().unwrap(), "chmod"],
        },
    );
}

#[test]
fn an_installation_that_is_no_directory() {
    let arrangements: [fn(&std::path::Path); 2] = [|tls| fs::write(tls, "mine").unwrap(), fifo];
    for arrange in arrangements {
        let scene = empty_scene();
        arrange(&scene.tls());
        let tls = scene.tls();
        refuses(
            &scene,
            &Refusal {
                args: &INIT,
                status: BAD_INPUT,
                says: &[tls.to_str().unwrap()],
            },
        );
    }
}

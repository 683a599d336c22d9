//! Homes and folders that are not what they should be.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use pgpki_testing::Scene;

use crate::refusal::{Refusal, fifo, is_root, refuses, scene_with_authority};

const REFUSED: i32 = 3;
const BAD_INPUT: i32 = 4;

const EVERY_COMMAND: [&[&str]; 5] = [
    &["issue-client", "bob", "--out", "others"],
    &["issue-server", "db", "--out", "node"],
    &["rotate", "--force"],
    &["rotate", "--dry-run"],
    &["inspect"],
];

#[test]
fn a_home_that_others_can_enter() {
    for mode in [0o750, 0o701, 0o777, 0o770, 0o1777] {
        let scene = scene_with_authority();
        fs::set_permissions(scene.home(), PermissionsExt::from_mode(mode)).unwrap();
        let home = scene.home();
        let says = [home.to_str().unwrap(), "chmod"];
        for args in EVERY_COMMAND {
            refuses(
                &scene,
                &Refusal {
                    args,
                    status: REFUSED,
                    says: &says,
                },
            );
        }
    }
}

#[test]
fn a_home_of_somebody_else() {
    if !is_root() {
        // Only root can give directories away.
        return;
    }
    let scene = scene_with_authority();
    chown(scene.home(), Some(65534), Some(65534)).unwrap();
    let home = scene.home();
    let says = [home.to_str().unwrap(), "belongs to", "chown"];
    for args in EVERY_COMMAND {
        refuses(
            &scene,
            &Refusal {
                args,
                status: REFUSED,
                says: &says,
            },
        );
    }
}

#[test]
fn a_home_that_is_no_directory() {
    for arrange in [
        (|home: &Path| fs::write(home, "mine").unwrap()) as fn(&Path),
        fifo,
    ] {
        let scene = crate::refusal::empty_scene();
        arrange(&scene.home());
        let home = scene.home();
        let says = [home.to_str().unwrap()];
        for args in EVERY_COMMAND {
            refuses(
                &scene,
                &Refusal {
                    args,
                    status: BAD_INPUT,
                    says: &says,
                },
            );
        }
    }
}

#[test]
fn a_folder_in_the_way() {
    type Arrange = fn(&Scene, &Path);
    let cases: [(Arrange, i32); 6] = [
        (
            |_, folder| {
                fs::create_dir(folder).unwrap();
                fs::write(folder.join("diary"), "mine").unwrap();
            },
            REFUSED,
        ),
        (|_, folder| fs::write(folder, "mine").unwrap(), REFUSED),
        (
            |scene, folder| {
                fs::create_dir(scene.path("elsewhere")).unwrap();
                symlink(scene.path("elsewhere"), folder).unwrap();
            },
            REFUSED,
        ),
        (|_, folder| symlink("nowhere", folder).unwrap(), REFUSED),
        (|_, folder| fifo(folder), REFUSED),
        (
            // Another role's.
            |scene, _| {
                scene.pgpki("issue-server alice --out clients/alice");
            },
            REFUSED,
        ),
    ];
    for (arrange, status) in cases {
        let scene = scene_with_authority();
        fs::create_dir(scene.path("clients")).unwrap();
        let folder = scene.path("clients/alice");
        arrange(&scene, &folder);
        // Nobody gets anything, and bob, who could have, is not recorded either.
        refuses(
            &scene,
            &Refusal {
                args: &["issue-client", "bob", "alice", "--out", "clients"],
                status,
                says: &["clients/alice", "Move it away"],
            },
        );
    }
}

#[test]
fn an_out_that_is_no_directory() {
    let cases: [fn(&Path); 2] = [|out| fs::write(out, "mine").unwrap(), fifo];
    for arrange in cases {
        let scene = scene_with_authority();
        arrange(&scene.path("clients"));
        for out in ["clients", "clients/below"] {
            refuses(
                &scene,
                &Refusal {
                    args: &["issue-client", "alice", "--out", out],
                    status: BAD_INPUT,
                    says: &["clients"],
                },
            );
        }
    }
}

#[test]
fn a_folder_that_another_authority_has_made() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients");
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let line = "init localhost --no-root-passphrase --home home2 --install tls2 --owner";
    scene.pgpki(&format!("{line} {owner}"));
    refuses(
        &scene,
        &Refusal {
            args: &[
                "issue-client",
                "alice",
                "--home",
                "home2",
                "--out",
                "clients",
            ],
            status: REFUSED,
            says: &["clients/alice", "did not make it"],
        },
    );
}

#[test]
fn an_installation_of_another_servers() {
    let scene = scene_with_authority();
    let tls = scene.tls();
    let owner = pgpki_testing::Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let line = "init localhost --no-root-passphrase --home home2 --install tls2 --owner";
    scene.pgpki(&format!("{line} {owner}"));
    let args = [
        "issue-server",
        "db2",
        "--home",
        "home2",
        "--install",
        "tls",
        "--owner",
        &owner,
    ];
    refuses(
        &scene,
        &Refusal {
            args: &args,
            status: REFUSED,
            says: &[tls.to_str().unwrap(), "another authority"],
        },
    );
}

//! Archives that somebody made who knows the passphrase: nothing but a home comes out of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pgpki_testing::Scene;
use tar::{Builder, EntryType, Header};

use crate::fixture::{
    BAD_INPUT, back_up, is_sound, lose_home, names, opened, restore, scene, sealed,
};

/// One thing in an archive.
#[derive(Clone, Debug)]
struct Item {
    name: Vec<u8>,
    kind: EntryType,
    link: Vec<u8>,
    bytes: Vec<u8>,
    /// What the header says, where that is not the length of `bytes`.
    size: Option<u64>,
}

impl Item {
    fn new(name: &str, kind: EntryType, link: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            kind,
            link: link.into(),
            bytes: bytes.into(),
            size: None,
        }
    }

    fn file(name: &str, bytes: &[u8]) -> Self {
        Self::new(name, EntryType::Regular, "", bytes)
    }

    fn link(name: &str, to: &str) -> Self {
        Self::new(name, EntryType::Symlink, to, b"")
    }
}

fn items(archive: &[u8]) -> Vec<Item> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            Item {
                name: entry.path_bytes().into_owned(),
                kind: entry.header().entry_type(),
                link: entry.link_name_bytes().unwrap_or_default().into_owned(),
                bytes,
                size: None,
            }
        })
        .collect()
}

fn archive(items: &[Item]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for item in items {
        let mut header = Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..item.name.len()].copy_from_slice(&item.name);
        fields.linkname[..item.link.len()].copy_from_slice(&item.link);
        header.set_entry_type(item.kind);
        header.set_mode(0o6777);
        header.set_uid(65534);
        header.set_gid(65534);
        header.set_size(item.size.unwrap_or(item.bytes.len() as u64));
        header.set_cksum();
        builder.append(&header, &*item.bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A scene that has lost its home, and what was in the backup.
fn lost() -> (Scene, Vec<Item>) {
    let scene = scene();
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    lose_home(&scene);
    fs::remove_file(scene.path("pki.age")).unwrap();
    (scene, items(&opened(&backup)))
}

#[track_caller]
fn refuses(scene: &Scene, items: &[Item], what: &str) {
    fs::write(scene.path("crafted"), sealed(&archive(items))).unwrap();
    let said = scene.fails(BAD_INPUT, "restore --passphrase-file pass crafted");
    assert!(said.contains("crafted: "), "{what}: {said}");
    let left = names(&scene.path(""));
    assert_eq!(left, ["crafted", "out", "pass", "tls"], "{what}: {said}");
}

#[test]
fn names_that_no_home_has() {
    let (scene, whole) = lost();
    let long = "root/".to_owned() + &"x".repeat(90);
    for name in [
        "../escaped",
        "/tmp/escaped",
        "./pgpki.toml",
        "root/../../escaped",
        "root/g0001/../ca.key",
        "root/g0001/extra",
        "root/g1/ca.key",
        "root//current",
        "ledger.db-journal",
        "ledger.db-wal",
        ".hidden",
        "tls/current/server.key",
        "pgpki.toml/",
        "root/g0001/ca.key\n",
        "",
        &long,
    ] {
        let mut items = whole.clone();
        items.insert(1, Item::file(name, b"x"));
        refuses(&scene, &items, name);
    }
}

#[test]
fn kinds_that_nothing_has() {
    let (scene, whole) = lost();
    let kinds = [
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ];
    for kind in kinds {
        for place in 0..whole.len() {
            if kind == whole[place].kind {
                continue;
            }
            let mut items = whole.clone();
            items[place].kind = kind;
            items[place].link = b"../out/alice/postgresql.crt".to_vec();
            if !matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
                items[place].bytes.clear();
            }
            refuses(&scene, &items, &format!("{kind:?} at {place}"));
        }
    }
    for link in [
        "/etc",
        "../../etc",
        "g0001/../..",
        "g0001/",
        "g0002",
        "current",
        "",
        "g1",
    ] {
        let mut items = whole.clone();
        items.retain(|item| item.name != b"root/current");
        items.push(Item::link("root/current", link));
        refuses(&scene, &items, link);
    }
    let mut items = whole.clone();
    items.insert(0, Item::link("root", "/tmp"));
    refuses(&scene, &items, "a link for a directory");
}

#[test]
fn too_much_too_little_and_twice() {
    let (scene, whole) = lost();
    for place in 0..whole.len() {
        let mut items = whole.clone();
        items.push(whole[place].clone());
        refuses(&scene, &items, &format!("{place} twice"));
    }
    let find = |name: &[u8]| whole.iter().position(|item| item.name == name).unwrap();
    for name in [
        "pgpki.toml",
        "ledger.db",
        "root/",
        "root/g0001/ca.crt",
        "issuing/g0001/ca.key",
    ] {
        let mut items = whole.clone();
        let place = find(name.as_bytes());
        match name {
            // Without the rest of it as well; a file in it makes the directory.
            "root/" => items.retain(|item| !item.name.starts_with(b"root/")),
            _ => drop(items.remove(place)),
        }
        refuses(&scene, &items, &format!("no {name}"));
    }
    for (name, size) in [
        ("pgpki.toml", (1 << 20) + 1),
        ("root/g0001/ca.key", (1 << 16) + 1),
    ] {
        let mut items = whole.clone();
        items[find(name.as_bytes())].bytes = vec![b'x'; size];
        refuses(&scene, &items, &format!("a large {name}"));
    }
    for size in [1 << 40, u64::MAX / 2] {
        for name in ["pgpki.toml", "ledger.db", "root/g0001/ca.key"] {
            let mut items = whole.clone();
            items[find(name.as_bytes())].size = Some(size);
            refuses(&scene, &items, &format!("{name} says {size}"));
        }
    }
    let many: Vec<Item> = (1..20_000)
        .map(|number| {
            let name = format!("root/g{number:04}/");
            Item::new(&name, EntryType::Directory, "", b"")
        })
        .collect();
    refuses(&scene, &many, "twenty thousand generations");
}

#[test]
fn parts_that_do_not_belong_together() {
    let (scene, whole) = lost();
    let (other_scene, other) = lost();
    drop(other_scene);
    for name in [
        "ledger.db",
        "root/g0001/ca.crt",
        "root/g0001/ca.key",
        "issuing/g0001/ca.crt",
        "issuing/g0001/ca.key",
    ] {
        let place = whole
            .iter()
            .position(|item| item.name == name.as_bytes())
            .unwrap();
        let mut items = whole.clone();
        items[place].bytes = other[place].bytes.clone();
        refuses(&scene, &items, &format!("another authority's {name}"));
        items[place].bytes = b"garbage".to_vec();
        refuses(&scene, &items, &format!("garbage for {name}"));
    }
    let place = whole
        .iter()
        .position(|item| item.name == b"ledger.db")
        .unwrap();
    let mut items = whole.clone();
    items[place].bytes[5 * 4096..5 * 4096 + 12].fill(0x55);
    refuses(&scene, &items, "a damaged ledger");
}

#[test]
fn modes_and_owners_are_ours_and_order_does_not_matter() {
    let (scene, whole) = lost();
    let mut items = whole;
    items.reverse();
    fs::write(scene.path("crafted"), sealed(&archive(&items))).unwrap();
    restore(&scene, "crafted");
    is_sound(&scene.home());
    for path in ["", "root", "root/g0001", "issuing/g0001"] {
        let mode = scene
            .home()
            .join(path)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o700, "{path}");
    }
    for path in ["pgpki.toml", "ledger.db"] {
        let mode = scene
            .home()
            .join(path)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600, "{path}");
    }
    assert_eq!(scene.pgpki("rotate"), "");
}

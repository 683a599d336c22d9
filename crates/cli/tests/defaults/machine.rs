//! A machine of which nothing is real but the programs: `/var/lib`, `/etc/ssl` and `/root` are
//! directories of the scene, for one command at a time.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use pgpki_testing::{Scene, run, startable_copy};

/// Mounts the scene's directories over the machine's, in this namespace only, and becomes the
/// command.
const ENTER: &str = "\
for place in var/lib etc/ssl root; do mount --bind \"$0/$place\" \"/$place\" || exit 99; done
exec \"$@\"";

/// A machine of its own for one test.
pub(crate) struct Machine {
    scene: Scene,
    program: PathBuf,
}

impl Machine {
    pub(crate) fn new() -> Self {
        crate::need_root();
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        for (place, mode) in [("var/lib", 0o755), ("etc/ssl", 0o755), ("root", 0o700)] {
            let path = scene.path(place);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        // Where no mount hides it.
        let program = startable_copy(env!("CARGO_BIN_EXE_pgpki"), &scene.path(""));
        Self { scene, program }
    }

    /// Where something of the machine is, seen from outside.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.scene.path(absolute.trim_start_matches('/'))
    }

    /// Any program, as root of the machine.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            // Clusters that run elsewhere on this machine are none of this one's.
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", ENTER])
            .arg(self.scene.path(""))
            .args(args)
            .current_dir("/")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/root")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// `pgpki` with a command line that is split at spaces.
    pub(crate) fn pgpki(&self, line: &str) -> Command {
        let program = self.program.as_os_str();
        self.command([program].into_iter().chain(line.split(' ').map(OsStr::new)))
    }

    /// The same by a clock that says `when`.
    pub(crate) fn pgpki_at(&self, when: &str, line: &str) -> Command {
        let faketime = ["faketime", "-f", when].map(OsStr::new);
        let program = self.program.as_os_str();
        let line = line.split(' ').map(OsStr::new);
        self.command(faketime.into_iter().chain([program]).chain(line))
    }

    /// Runs it; it must succeed.
    #[track_caller]
    pub(crate) fn says(&self, line: &str) -> String {
        text(run(&mut self.pgpki(line)))
    }
}

pub(crate) fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

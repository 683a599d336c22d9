//! `[[reload]] unit = …`, and `rotate` as a unit that is given credentials, with the real thing: a systemd of its own, system
//! manager and process 1 of its namespaces, with `/run`, `/dev`, `/sys`, `/etc/systemd` and `/var/lib/systemd` of its own
//! and a control group of its own, so that the machine's systemd, where there is one, never hears of it.
//!
//! It needs root, for the mounts; anybody else gets a failure, not a skip.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pgpki_testing::{Scene, run};

use crate::{POOLER, current, settings};

/// Lives outside of systemd's namespaces, until the test drops its end of the standard input or
/// dies; then everything that was started goes, and the control group with it.
///
/// `$1` is the scene, `$2` and `$3` what becomes systemd.
const KEEPER: &str = r#"
set -eu
mount -t cgroup2 cgroup2 "$1/cgroup"
mine=$(sed -n 's/^0:://p' /proc/self/cgroup)
group="$1/cgroup$mine/pgpki-test-$$"
mkdir "$group"
setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount --uts --ipc \
    sh -c "$3" sh "$1" "$group" "$2" < /dev/null &
read -r _ || true
echo 1 > "$group/cgroup.kill"
wait
find "$group" -depth -type d -exec rmdir {} +
"#;

/// Goes into its control group, which it sees as the root of all, and says by which number it is
/// known outside. `$1` is the scene, `$2` the control group, `$3` what is next.
const CONFINED: &str = r#"
set -eu
echo 0 > "$2/cgroup.procs"
read -r number _ < /proc/self/stat
echo "$number" > "$1/first-process"
exec unshare --cgroup sh -c "$3" sh "$1"
"#;

/// Puts everything that systemd writes to out of the machine's reach, and becomes systemd. `$1` is
/// the scene.
const FIRST_PROCESS: &str = r#"
set -eu
mount -t proc proc /proc
cd "$1"
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mount --rbind dev /dev
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /etc/systemd
mount -t tmpfs -o mode=755 tmpfs /var/lib/systemd
mount --bind /sys /sys
mount -o remount,bind,ro /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mkdir /run/lock
# Within these namespaces alone: by a mount that others see, a unit has its credentials.
mount --make-rshared /
export container=pgpki-test SYSTEMD_UNIT_PATH="$1/units"
for program in /lib/systemd/systemd /usr/lib/systemd/systemd; do
    test ! -x "$program" || exec setpriv \
        --bounding-set -sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog \
        "$program" --system --unit=test.target --log-target=null --show-status=no
done
echo 'no systemd' >&2
exit 1
"#;

/// How long a machine that is busy may take to start systemd, and a unit.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what is awaited.
const PAUSE: Duration = Duration::from_millis(20);

/// A systemd, and a pooler that is a unit of it and serves what is installed in the scene.
struct Systemd {
    scene: Scene,
    keeper: Child,
    /// What ends the keeper when it is dropped.
    until: Option<ChildStdin>,
    first_process: String,
}

impl Systemd {
    /// With the pooler as `unit`, which reloads like this, and has these arguments.
    fn start(unit: &str, reloading: &str, arguments: &str) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test starts a systemd in namespaces of its own: run it as root, as CI does"
        );
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        write_units(&scene, unit, reloading, arguments);
        for directory in ["cgroup", "dev"] {
            fs::create_dir(scene.path(directory)).unwrap();
        }
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", KEEPER, "sh"])
            .arg(scene.path(""))
            .args([FIRST_PROCESS, CONFINED])
            .stdin(Stdio::piped())
            .stderr(fs::File::create(scene.path("keeper.log")).unwrap())
            .spawn()
            .unwrap();
        let mut systemd = Self {
            until: keeper.stdin.take(),
            first_process: String::new(),
            scene,
            keeper,
        };
        let port = systemd.awaited("port");
        systemd.first_process = systemd.awaited("first-process");
        let entry = format!("unit = {unit:?}\nprove = \"127.0.0.1:{port}\"");
        settings(&systemd.scene, &entry);
        systemd
    }

    /// The first line of a file of the scene, as soon as it is there.
    #[track_caller]
    fn awaited(&self, name: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.scene.path(name)).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                return line.to_owned();
            }
            let log = || fs::read_to_string(self.scene.path("keeper.log")).unwrap();
            assert!(Instant::now() < deadline, "no {name}: {}", log());
            thread::sleep(PAUSE);
        }
    }

    /// The same command where this systemd is the one that there is.
    fn elsewhere(&self, command: &Command) -> Command {
        let mut elsewhere = Command::new("nsenter");
        elsewhere
            .args(["--mount", "--pid", "--target", &self.first_process])
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            elsewhere.env(name, value.unwrap_or_default());
        }
        elsewhere
    }

    fn rotate(&self) -> Output {
        let rotate = self.scene.command(["rotate", "--force"]);
        self.elsewhere(&rotate).output().unwrap()
    }

    /// A rotation that has to be put back, for this reason.
    #[track_caller]
    fn refuses(&self, why: &str) -> String {
        let output = self.rotate();
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains(why), "{report}");
        assert_eq!(current(&self.scene), "g0001", "{report}");
        report
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        drop(self.until.take());
        let _ = self.keeper.wait();
    }
}

/// The pooler as a unit, which writes its port where the test reads it, and a target that starts
/// nothing else.
fn write_units(scene: &Scene, unit: &str, reloading: &str, arguments: &str) {
    let units = scene.path("units");
    fs::create_dir(&units).unwrap();
    let program = scene.path("pooler.py");
    fs::write(&program, POOLER).unwrap();
    let alone = "[Unit]\nDefaultDependencies=no\n";
    let target = format!("{alone}Wants={unit}\n");
    fs::write(units.join("test.target"), target).unwrap();
    let service = format!(
        "{alone}[Service]\nEnvironment=PATH={}\nExecStart=/usr/bin/env python3 {} {} {arguments}\n\
         StandardOutput=file:{}\nStandardError=null\n{reloading}\n",
        std::env::var("PATH").unwrap(),
        program.display(),
        scene.tls().join("current").display(),
        scene.path("port").display(),
    );
    fs::write(units.join(unit), service).unwrap();
}

/// As PgBouncer's own unit has it.
const BY_SIGNAL: &str = "ExecReload=/bin/kill -HUP $MAINPID";

#[test]
fn a_unit_is_reloaded_by_systemctl_and_proven() {
    let systemd = Systemd::start("pgbouncer.service", BY_SIGNAL, "");
    let output = systemd.rotate();
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        report.contains("pgbouncer.service at 127.0.0.1:"),
        "{report}"
    );
    assert_eq!(current(&systemd.scene), "g0002");
}

/// systemd's names may begin with a hyphen, as `-.mount` does.
#[test]
fn a_unit_is_not_an_option() {
    let systemd = Systemd::start("--force.service", BY_SIGNAL, "");
    let output = systemd.rotate();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(current(&systemd.scene), "g0002");
}

#[test]
fn a_unit_that_is_reloaded_in_vain_has_the_old_one_back() {
    let systemd = Systemd::start("pgbouncer.service", BY_SIGNAL, "deaf");
    let report = systemd.refuses("another certificate is served");
    assert!(
        report.contains("g0001 was put back, and is served"),
        "{report}"
    );
}

#[test]
fn a_unit_that_cannot_be_reloaded_has_the_old_one_back() {
    for reloading in ["ExecReload=false", "# It has no ExecReload."] {
        let systemd = Systemd::start("pgbouncer.service", reloading, "");
        systemd.refuses("pgbouncer.service could not be told to reload: it ended with exit status");
    }
}

/// It is asked for the old one as well, which nobody serves.
#[test]
fn a_unit_that_does_not_run_or_does_not_exist_has_the_old_one_back() {
    let systemd = Systemd::start("pgbouncer.service", BY_SIGNAL, "");
    let stop = ["systemctl", "stop", "pgbouncer.service"];
    run(&mut systemd.elsewhere(Command::new(stop[0]).args(&stop[1..])));
    systemd.refuses("pgbouncer.service could not be told to reload: it ended with exit status: 1");
    fs::remove_file(systemd.scene.path("units/pgbouncer.service")).unwrap();
    run(&mut systemd.elsewhere(Command::new("systemctl").arg("daemon-reload")));
    systemd.refuses("pgbouncer.service could not be told to reload: it ended with exit status: 5");
}

/// As `docs/keys.md` names it.
const CREDENTIAL: &str = "pgpki.issuing-passphrase";

/// `rotate` as cron's unit, which gets the passphrase of the issuing key as a credential: plain, or encrypted with a key of
/// this machine's.
#[test]
fn a_unit_has_the_passphrase_as_a_credential() {
    let systemd = Systemd::start("pgbouncer.service", BY_SIGNAL, "");
    let scene = &systemd.scene;
    let at = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    fs::write(at("passphrase"), "correct horse\n").unwrap();
    fs::set_permissions(at("passphrase"), PermissionsExt::from_mode(0o600)).unwrap();
    scene.pgpki("key encrypt issuing --new-passphrase-file passphrase");
    let mut seal = Command::new("systemd-creds");
    seal.args(["encrypt", "--with-key=host", "--name", CREDENTIAL]);
    seal.args([at("passphrase"), at("sealed")]);
    run(&mut systemd.elsewhere(&seal));
    let sealed = fs::read(at("sealed")).unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"correct"));

    let rotates = |line: &str| {
        write_rotation(scene, line);
        let mut reload = Command::new("systemctl");
        run(&mut systemd.elsewhere(reload.arg("daemon-reload")));
        let mut start = Command::new("systemctl");
        let mut start = systemd.elsewhere(start.args(["start", "rotate.service"]));
        start.output().unwrap().status.success()
    };
    assert!(!rotates(""));
    let log = || fs::read_to_string(at("rotate.log")).unwrap();
    assert!(log().contains("pgpki.issuing-passphrase"), "{}", log());
    assert_eq!(current(scene), "g0001");
    for (directive, file, generation) in [
        ("LoadCredential", "passphrase", "g0002"),
        ("LoadCredentialEncrypted", "sealed", "g0003"),
    ] {
        let line = format!("{directive}={CREDENTIAL}:{}", at(file));
        assert!(rotates(&line), "{line}: {}", log());
        assert_eq!(current(scene), generation, "{}", log());
    }
    assert!(!log().contains("correct horse"));
}

/// `pgpki rotate` as a unit with one more line, which says what it does to `rotate.log`.
fn write_rotation(scene: &Scene, line: &str) {
    let rotate = scene.command(["rotate", "--force"]);
    let values = rotate.get_envs();
    let values = values.filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    let values: String = values
        .map(|(name, value)| format!("Environment=\"{name}={value}\"\n"))
        .collect();
    let text = format!(
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\n{values}\
         ExecStart={} rotate --force\nStandardOutput=append:{log}\nStandardError=append:{log}\n{line}\n",
        env!("CARGO_BIN_EXE_pgpki"),
        log = scene.path("rotate.log").display(),
    );
    fs::write(scene.path("units/rotate.service"), text).unwrap();
}

//! A token, as its owner knows it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Scene, run};

/// Where Debian puts it.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

pub(crate) const PIN: &str = "271828";

/// SoftHSM with its files in a scene.
pub(crate) struct SoftHsm {
    directory: PathBuf,
}

impl SoftHsm {
    pub(crate) fn new(scene: &Scene) -> Self {
        let directory = scene.path("softhsm");
        fs::create_dir_all(directory.join("tokens")).unwrap();
        let this = Self { directory };
        let tokens = this.directory.join("tokens");
        let settings = format!("directories.tokendir = {}\n", tokens.display());
        fs::write(this.settings(), settings).unwrap();
        this
    }

    /// What SoftHSM reads, by its environment variable.
    pub(crate) fn settings(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    /// Makes a token with a label, whose PIN is [`PIN`]. Returns its serial number.
    pub(crate) fn make_token(&self, label: &str) -> String {
        let before = self.serials();
        let mut make = self.tool("softhsm2-util");
        make.args(["--init-token", "--free", "--label", label]);
        run(make.args(["--pin", PIN, "--so-pin", "31415926"]));
        let mut new = self.serials().into_iter();
        new.rfind(|serial| !before.contains(serial)).unwrap()
    }

    fn serials(&self) -> Vec<String> {
        let slots = run(self.tool("softhsm2-util").arg("--show-slots"));
        let text = String::from_utf8(slots.stdout).unwrap();
        let serials = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "Serial number").then(|| value.trim().to_owned())
        });
        serials.filter(|serial| !serial.is_empty()).collect()
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("SOFTHSM2_CONF", self.settings())
            .env("LC_ALL", "C");
        command
    }

    /// OpenSC's tool, logged in to the only token.
    pub(crate) fn pkcs11_tool(&self, args: &[&str]) -> String {
        let mut tool = self.tool("pkcs11-tool");
        tool.args(["--module", MODULE, "--login", "--pin", PIN]);
        let output = run(tool.args(args));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The private keys in the only token: each label, with all that pkcs11-tool says of it.
    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        let text = self.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
        let keys = text.split("Private Key Object").skip(1);
        let named = keys.map(|key| {
            let label = key
                .lines()
                .find_map(|line| line.trim().strip_prefix("label:"));
            (label.unwrap_or_default().trim().to_owned(), key.to_owned())
        });
        named.collect()
    }

    /// The tokens are pulled out.
    pub(crate) fn pull_out(&self) {
        fs::rename(self.directory.join("tokens"), self.directory.join("drawer")).unwrap();
        fs::create_dir(self.directory.join("tokens")).unwrap();
    }

    /// And plugged in again.
    pub(crate) fn plug_in(&self) {
        fs::remove_dir(self.directory.join("tokens")).unwrap();
        fs::rename(self.directory.join("drawer"), self.directory.join("tokens")).unwrap();
    }
}

/// A module that is SoftHSM until it has signed `signatures` times, and then like `accident` has it: `removed` or
/// `garbage`. From failing_module.c.
pub(crate) fn failing_module(scene: &Scene) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hardware/failing_module.c");
    let module = scene.path("failing_module.so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).arg(&module);
    run(compile.arg(source).arg("-ldl"));
    module
}

/// A file with a PIN in it, for its owner alone.
pub(crate) fn pin_file(scene: &Scene, name: &str, pin: &str) -> PathBuf {
    let file = scene.path(name);
    fs::write(&file, format!("{pin}\n")).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    file
}

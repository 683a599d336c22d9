//! One run of `pgpki inspect`, and its JSON compared with what `docs/json.md` has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use pgpki_testing::Scene;
use serde_json::Value;

/// Far above what any file needs, and below a gigabyte.
const MEMORY: &str = "--as=400000000";

/// Longer than any inspection takes, so that one that hangs ends as a failure.
const SECONDS: &str = "30";

pub(crate) fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

pub(crate) fn scene_with_authority() -> Scene {
    let scene = scene();
    scene.init("");
    scene
}

/// How a run ended, and what it said.
pub(crate) struct Report {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Report {
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("panicked"), "{command:?}\n{stderr}");
        Self {
            status: output.status.code(),
            stdout: output.stdout,
            stderr,
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The text, of a run that ended with `status` and had nothing to complain of.
    #[track_caller]
    pub(crate) fn text_with(&self, status: i32) -> String {
        let text = self.text();
        assert_eq!(self.status, Some(status), "{text}\n{}", self.stderr);
        assert_eq!(self.stderr, "", "{text}");
        text
    }

    #[track_caller]
    pub(crate) fn json_with(&self, status: i32) -> Value {
        let text = self.text_with(status);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(value["version"], 1, "{text}");
        value
    }
}

/// `pgpki inspect` with these arguments, under limits of memory and time.
pub(crate) fn inspect(scene: &Scene, args: &[&str]) -> Report {
    Report::of(&mut limited(&scene.command(["inspect"].iter().chain(args))))
}

/// The same by another clock.
pub(crate) fn inspect_at(scene: &Scene, when: &str, args: &[&str]) -> Report {
    Report::of(&mut scene.command_at(when, ["inspect"].iter().chain(args)))
}

/// The same command with limits on memory and time.
pub(crate) fn limited(inner: &Command) -> Command {
    let mut command = Command::new("timeout");
    command
        .args([SECONDS, "prlimit", MEMORY])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    if let Some(dir) = inner.get_current_dir() {
        command.current_dir(dir);
    }
    command
}

/// The elements of a list in a report.
#[track_caller]
pub(crate) fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name]
        .as_array()
        .unwrap_or_else(|| panic!("no list {name} in {report}"))
}

/// What each element of a list has in a field of text.
#[track_caller]
pub(crate) fn texts<'a>(report: &'a Value, name: &str, field: &str) -> Vec<&'a str> {
    let text = |value: &'a Value| value[field].as_str();
    let elements = list(report, name).iter();
    elements.map(|value| text(value).unwrap()).collect()
}

/// The codes of the findings, each once.
pub(crate) fn codes(report: &Value) -> Vec<&str> {
    let mut codes = texts(report, "findings", "code");
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Checks that an object has these fields and no others, but for those that may be left out.
#[track_caller]
pub(crate) fn has_fields(object: &Value, fields: &[&str], optional: &[&str]) {
    let object = object.as_object().unwrap();
    for field in fields {
        assert!(object.contains_key(*field), "no {field} in {object:?}");
    }
    for field in object.keys().map(String::as_str) {
        assert!(
            fields.contains(&field) || optional.contains(&field),
            "{field} is not documented: {object:?}"
        );
    }
}

/// Checks that a finding has the documented fields, and says something in each.
#[track_caller]
pub(crate) fn check_findings(report: &Value) {
    for finding in list(report, "findings") {
        let fields = ["code", "severity", "message", "hint"];
        has_fields(finding, &fields, &["file"]);
        for field in fields {
            assert_ne!(finding[field].as_str().unwrap(), "", "{finding}");
        }
        let severity = finding["severity"].as_str().unwrap();
        assert!(["info", "warning", "error"].contains(&severity));
    }
}

/// RFC 3339, in UTC.
#[track_caller]
pub(crate) fn check_time(value: &Value) {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    OffsetDateTime::parse(text, &Rfc3339).unwrap();
}

/// Writes a file that is nobody else's business.
pub(crate) fn secret(scene: &Scene, name: &str, content: impl AsRef<[u8]>) {
    let path = scene.path(name);
    fs::write(&path, content).unwrap();
    set_mode(scene, name, 0o600);
}

pub(crate) fn set_mode(scene: &Scene, name: &str, mode: u32) {
    fs::set_permissions(scene.path(name), PermissionsExt::from_mode(mode)).unwrap();
}

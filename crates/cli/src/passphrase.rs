//! Where passphrases come from: a file, a command, a person at a terminal. Never an argument, which every
//! user of the machine can see, nor a variable, which every child inherits.

mod command;
mod silence;
mod sources;

use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pgpki_core::document::printable;
use zeroize::Zeroizing;

use self::command::from_command;
use self::silence::Silence;
pub(crate) use self::sources::LocalSecrets;
use self::sources::unattended;
use crate::args::{Formats, NewIssuingPassphrase, NewPassphrase, OutputPassphrase};
use crate::exit::{Exit, Failure};

/// More than any passphrase has, in bytes.
const MAX_BYTES: u64 = 4096;

/// OpenSSL has room for so many, and so have PostgreSQL and libpq: a buffer of 1024 bytes (`PEM_BUFSIZE`, pem.h), the last of
/// which is zero.
const MAX_NEW: usize = 1023;

/// A passphrase. Wiped from memory when it is dropped.
pub(crate) type Passphrase = Zeroizing<Vec<u8>>;

/// The passphrase of a new root key; `None` where there is to be none.
pub(crate) fn for_new_root(args: &NewPassphrase) -> Result<Option<Passphrase>, Failure> {
    if args.no_root_passphrase {
        return Ok(None);
    }
    let (file, command) = (&args.root_passphrase_file, &args.root_passphrase_command);
    if let Some(named) = unattended("root", file.as_deref(), command.as_deref()) {
        return usable(named?, "the root key").map(Some);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "the root key needs a passphrase, and there is no terminal to ask for it",
        )
        .hint("Give --root-passphrase-file FILE, or --no-root-passphrase to leave the key open"));
    }
    ask_twice(
        "Passphrase for the root key (needed again in years; keep it): ",
        "--no-root-passphrase leaves the root key unencrypted, if that is meant",
    )
    .and_then(|typed| usable(typed, "the root key"))
    .map(Some)
}

/// What the first issuing CA's key is encrypted with; `None` where nobody has said that it should be.
pub(crate) fn for_new_issuing(args: &NewIssuingPassphrase) -> Result<Option<Passphrase>, Failure> {
    let file = args.issuing_passphrase_file.as_deref().map(from_file);
    let command = args.issuing_passphrase_command.as_deref().map(from_command);
    let given = file.or(command).transpose()?;
    given.map(|it| usable(it, "the issuing key")).transpose()
}

/// Where that comes from, for whoever must be told that it is wrong.
pub(crate) fn origin_of_new_issuing(args: &NewIssuingPassphrase) -> String {
    let file = args.issuing_passphrase_file.as_deref();
    let command = args.issuing_passphrase_command.as_deref();
    sources::named(file, command, "--issuing-passphrase").unwrap_or_default()
}

/// What a key can be encrypted with, so that other programs open it as well.
fn usable(new: Passphrase, what: &str) -> Result<Passphrase, Failure> {
    let why = match new.as_slice() {
        it if it.contains(&0) => "has a zero byte in it",
        it if it.len() > MAX_NEW => "is longer than 1023 bytes",
        _ => return Ok(new),
    };
    let message = format!("the passphrase for {what} {why}: OpenSSL would not take it");
    Err(Failure::new(Exit::BadInput, message).hint("Nothing was changed. Choose another one"))
}

/// What a backup is to be encrypted with.
pub(crate) fn for_backup(file: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return from_file(file);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "a backup needs a passphrase, and there is no terminal to ask for it",
        )
        .hint("Give --passphrase-file FILE"));
    }
    ask_twice(
        "Passphrase for the backup (nothing else opens it; keep it): ",
        "Nobody else could be kept from the keys in it",
    )
}

/// What a backup was encrypted with.
pub(crate) fn of_backup(file: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return from_file(file);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "this needs the backup's passphrase, and there is no terminal to ask for it",
        )
        .hint("Give --passphrase-file FILE"));
    }
    ask("Passphrase of the backup: ")
}

/// A passphrase for something that is being made.
pub(crate) struct New {
    secret: Passphrase,
    generated: bool,
}

impl New {
    /// What to encrypt with.
    pub(crate) fn secret(&self) -> &Passphrase {
        &self.secret
    }

    /// The same as text; `None` where it is none.
    pub(crate) fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.secret).ok()
    }

    /// Shows a passphrase that was generated, on standard error, which is a person's even where
    /// what was made goes to standard output. One that a person chose is not shown.
    ///
    /// To be called when everything is made but has no name yet: a passphrase that could not be
    /// shown must not be the only one that opens a file.
    pub(crate) fn show(&self, what: &str) -> Result<(), Failure> {
        if !self.generated {
            return Ok(());
        }
        let mut text = Zeroizing::new(format!("Passphrase of {}: ", printable(what)).into_bytes());
        text.reserve_exact(self.secret.len() + 1);
        text.extend_from_slice(&self.secret);
        text.push(b'\n');
        let mut out = io::stderr().lock();
        let shown = out.write_all(&text).and_then(|()| out.flush());
        shown.map_err(|error| {
            let message = format!("cannot show the passphrase on standard error: {error}");
            Failure::new(Exit::Failed, message).hint("Nothing was made")
        })
    }
}

/// A new passphrase for `what`, such as "alice.p12": from a file, generated, or asked for. Nothing
/// is shown yet: see [`New::show`].
pub(crate) fn new(args: &OutputPassphrase, what: &str) -> Result<New, Failure> {
    if args.generate_passphrase {
        return generated();
    }
    let secret = match &args.new_passphrase_file {
        Some(file) => from_file(file)?,
        None if io::stdin().is_terminal() => ask_twice(
            &format!("New passphrase for {}: ", printable(what)),
            "--generate-passphrase makes one",
        )?,
        None => {
            let message =
                format!("{what} needs a passphrase, and there is no terminal to ask for it");
            return Err(Failure::new(Exit::Usage, message)
                .hint("Give --new-passphrase-file FILE, or --generate-passphrase"));
        }
    };
    Ok(New {
        secret: usable(secret, what)?,
        generated: false,
    })
}

impl Formats {
    /// Whether one of the formats needs a passphrase.
    ///
    /// # Errors
    /// None does, and one was given: the key would lie open where somebody thinks that it is encrypted.
    pub(crate) fn is_sealed(&self) -> Result<bool, Failure> {
        let is_sealed = self.chosen().iter().any(|format| format.needs_passphrase());
        if !is_sealed && self.passphrase.is_given() {
            let message =
                "a passphrase is for --format pkcs12: nothing else that was asked for is encrypted";
            return Err(Failure::new(Exit::Usage, message).hint(
                "Add --format pkcs12, or leave --new-passphrase-file and --generate-passphrase out",
            ));
        }
        Ok(is_sealed)
    }
}

/// A new passphrase for PKCS#12 containers, which take no other than printable ASCII.
pub(crate) fn for_pkcs12(args: &OutputPassphrase) -> Result<New, Failure> {
    let new = new(args, "the PKCS#12 file")?;
    pgpki_core::pkcs12::check_passphrase(new.secret())
        .map_err(|error| Failure::new(Exit::BadInput, error))?;
    Ok(new)
}

/// A passphrase that nobody has to think of: 140 random bits, in groups that can be typed.
pub(crate) fn generated() -> Result<New, Failure> {
    let text =
        pgpki_core::passphrase::generate().map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(New {
        secret: Zeroizing::new(text.as_bytes().to_vec()),
        generated: true,
    })
}

/// What opens `path`, which is encrypted.
pub(crate) fn of_input(path: &Path, file: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return from_file(file);
    }
    let path = path.display();
    if !io::stdin().is_terminal() {
        let message =
            format!("{path} is encrypted, and there is no terminal to ask for its passphrase");
        return Err(Failure::new(Exit::Usage, message).hint("Give --passphrase-file FILE"));
    }
    ask(&format!("Passphrase of {}: ", printable(&path.to_string())))
}

fn ask_twice(prompt: &str, if_empty: &str) -> Result<Passphrase, Failure> {
    let first = ask(prompt)?;
    if first.is_empty() {
        return Err(Failure::new(Exit::BadInput, "the passphrase is empty").hint(if_empty));
    }
    let second = ask("The same again: ")?;
    if first != second {
        return Err(Failure::new(Exit::BadInput, "the two passphrases differ"));
    }
    Ok(first)
}

/// Asks a person for a passphrase, without an echo.
pub(crate) fn ask(prompt: &str) -> Result<Passphrase, Failure> {
    let _silence = Silence::begin();
    match rpassword::prompt_password(prompt) {
        Ok(text) => Ok(Zeroizing::new(text.into_bytes())),
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("cannot read a passphrase from the terminal: {error}"),
        )),
    }
}

/// The first line of a file.
pub(crate) fn from_file(path: &Path) -> Result<Passphrase, Failure> {
    let bytes = Zeroizing::new(pgpki_fs::read_bounded(path, MAX_BYTES)?);
    warn_if_open(path);
    first_line(&bytes).ok_or_else(|| {
        let message = format!("the first line of {} is empty", path.display());
        Failure::new(Exit::BadInput, message).hint("It must hold the passphrase")
    })
}

/// The first line, unless it is empty.
fn first_line(bytes: &[u8]) -> Option<Passphrase> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (!line.is_empty()).then(|| Zeroizing::new(line.to_vec()))
}

fn warn_if_open(path: &Path) {
    let mode = path
        .metadata()
        .map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(
            io::stderr(),
            "pgpki: warning: {path} is a secret that others can read: its mode is {mode:04o}\n       \
             chmod 0600 {word}",
            path = path.display(),
            word = pgpki_fs::shell_word(path),
        );
    }
}

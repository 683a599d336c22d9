//! The tokens that this machine reaches: which library, which PIN, and one login to each.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgpki_authority::requested::key_in_token;
use pgpki_authority::{Hardware, Placed, Tokens};
use pgpki_core::ca_key::{Blame, TokenError, TokenKey};
use pgpki_core::document::printable;
use pgpki_core::key::KeyAlgorithm;
use pgpki_fs::shell_word;
use pgpki_pkcs11::{Key, Module, PinSource, Token, Uri, named_module, proxy_module};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, Passphrase};

/// Names the library, where neither an argument nor the URI does.
const MODULE_VARIABLE: &str = "PGPKI_PKCS11_MODULE";

/// Reaches the tokens of this machine, each once: there is no second try with a PIN that was wrong.
pub(crate) struct LocalTokens {
    args: args::Token,
    reached: Mutex<Reached>,
}

#[derive(Default)]
struct Reached {
    /// By the file that they are in.
    modules: BTreeMap<PathBuf, Module>,
    /// By a URI that means one token: logged in, or what came of trying.
    tokens: BTreeMap<String, Result<Token, TokenError>>,
}

impl LocalTokens {
    /// What the arguments say of tokens, and of the keys of new CAs. Nothing is asked yet.
    ///
    /// # Errors
    /// A text is not the URI of a key.
    pub(crate) fn hardware(
        args: &args::Token,
        root: Option<&str>,
        issuing: Option<&str>,
    ) -> Result<Hardware, Failure> {
        Self::hardware_if(args, root, issuing, |_, _| Ok(()))
    }

    /// The same, and each URI means one token, which is open now, and one key in it or none yet: what is wrong with one
    /// of them is known before a key is made for the other.
    ///
    /// # Errors
    /// One of the two cannot be used.
    pub(crate) fn hardware_at_hand(
        args: &args::Token,
        root: Option<&str>,
        issuing: Option<&str>,
    ) -> Result<Hardware, Failure> {
        Self::hardware_if(args, root, issuing, |tokens, uri| {
            let token = tokens.token(uri)?;
            token.find_key(uri)?;
            Ok(())
        })
    }

    fn hardware_if(
        args: &args::Token,
        root: Option<&str>,
        issuing: Option<&str>,
        check: impl Fn(&Self, &Uri) -> Result<(), TokenError>,
    ) -> Result<Hardware, Failure> {
        let tokens = Self {
            args: args.clone(),
            reached: Mutex::default(),
        };
        let named = [("--root-key", root), ("--issuing-key", issuing)];
        let named = named
            .into_iter()
            .filter_map(|(flag, text)| text.map(|text| uri_of(flag, text)));
        for uri in named.collect::<Result<Vec<_>, _>>()? {
            check(&tokens, &uri)?;
        }
        Ok(Hardware {
            tokens: Arc::new(tokens),
            root: root.map(str::to_owned),
            issuing: issuing.map(str::to_owned),
        })
    }

    /// The token that a URI means, logged in.
    fn token(&self, uri: &Uri) -> Result<Token, TokenError> {
        let mut reached = self.reached();
        let path = self.module_path(uri)?;
        let module = match reached.modules.get(&path) {
            Some(module) => module.clone(),
            None => {
                let module = Module::open(&path)?;
                reached.modules.insert(path, module.clone());
                module
            }
        };
        let token = module.token(uri)?;
        let name = token.uri().to_string();
        if let Some(known) = reached.tokens.get(&name) {
            return known.clone();
        }
        let opened = self.log_in(&token, uri).map(|()| token);
        reached.tokens.insert(name, opened.clone());
        opened
    }

    fn reached(&self) -> MutexGuard<'_, Reached> {
        // What is in it is whole, whoever has panicked meanwhile.
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn module_path(&self, uri: &Uri) -> Result<PathBuf, TokenError> {
        if let Some(path) = self.args.pkcs11_module.as_ref() {
            // The URI that is kept has it, and is read in other directories.
            return pgpki_fs::canonical(path).map_err(|error| input(error.to_string(), None));
        }
        if let Some(path) = &uri.module_path {
            return Ok(path.clone());
        }
        if let Some(name) = &uri.module_name {
            return Ok(named_module(name)?);
        }
        let variable = std::env::var_os(MODULE_VARIABLE).filter(|path| !path.is_empty());
        if let Some(path) = variable {
            let path = pgpki_fs::canonical(Path::new(&path));
            return path.map_err(|error| input(format!("{MODULE_VARIABLE}: {error}"), None));
        }
        proxy_module().ok_or_else(|| pgpki_pkcs11::Error::ModuleNotNamed.into())
    }

    fn log_in(&self, token: &Token, uri: &Uri) -> Result<(), TokenError> {
        if !token.needs_login() {
            return Ok(());
        }
        if token.has_pin_pad() {
            tell(&format!("{token} waits for its PIN at its own keys"));
            return Ok(token.log_in(None, false)?);
        }
        let in_uri = uri.pin_source.as_ref().map(|PinSource::File(path)| path);
        match self.args.pin_file.as_ref().or(in_uri) {
            Some(file) => {
                let pin = passphrase::from_file(file).map_err(of_failure)?;
                Ok(token.log_in(Some(&pin), true)?)
            }
            None => Ok(token.log_in(Some(&ask(token)?), false)?),
        }
    }

    fn placed(&self, key: Key, like: &Uri) -> Placed {
        let mut uri = key.uri();
        uri.pin_source.clone_from(&like.pin_source);
        Placed {
            uri: uri.to_string(),
            key: Box::new(key),
        }
    }

    fn make(&self, token: &Token, uri: &Uri, algorithm: KeyAlgorithm) -> Result<Key, TokenError> {
        let key = token.make_key(uri, algorithm)?;
        tell(&format!("made the {algorithm} key {key}"));
        Ok(key)
    }
}

impl Tokens for LocalTokens {
    fn key(&self, uri: &str) -> Result<Box<dyn TokenKey>, TokenError> {
        let uri = parse(uri)?;
        Ok(Box::new(self.token(&uri)?.key(&uri)?))
    }

    fn key_for_new_ca(&self, uri: &str, algorithm: KeyAlgorithm) -> Result<Placed, TokenError> {
        let uri = parse(uri)?;
        let token = self.token(&uri)?;
        let key = match token.find_key(&uri)? {
            Some(key) => {
                tell(&format!("use the key {key}, which is there already"));
                if !key.is_guarded()? {
                    tell(&format!(
                        "warning: {key} can be read out of the token, and may have been: \
                         it is not both sensitive and unextractable"
                    ));
                }
                key
            }
            None => self.make(&token, &uri, algorithm)?,
        };
        Ok(self.placed(key, &uri))
    }

    fn make_beside(
        &self,
        uri: &str,
        algorithm: KeyAlgorithm,
        label: &str,
    ) -> Result<Placed, TokenError> {
        let like = parse(uri)?;
        let token = self.token(&like)?;
        let mut new = Uri::default();
        new.object = Some(label.to_owned());
        let key = self.make(&token, &new, algorithm)?;
        Ok(self.placed(key, &like))
    }
}

fn uri_of(flag: &str, text: &str) -> Result<Uri, Failure> {
    let parsed = text.parse::<Uri>();
    parsed.map_err(|error| {
        Failure::new(Exit::BadInput, format!("{flag}: {error}"))
            .hint("A key in a token is named like this: 'pkcs11:token=vault;object=root'")
    })
}

fn parse(uri: &str) -> Result<Uri, TokenError> {
    let parsed = uri.parse::<Uri>();
    parsed.map_err(|error| input(format!("it is no URI of a key in a token: {error}"), None))
}

fn input(what: String, hint: Option<String>) -> TokenError {
    TokenError {
        what,
        hint,
        blame: Blame::Input,
    }
}

fn of_failure(failure: Failure) -> TokenError {
    input(failure.message, Some("It must hold the PIN".to_owned()))
}

fn ask(token: &Token) -> Result<Passphrase, TokenError> {
    if !io::stdin().is_terminal() {
        return Err(TokenError {
            what: format!("{token} needs its PIN, and there is no terminal to ask for it"),
            hint: Some("Give --pin-file FILE, or pin-source=file:/path in the URI".to_owned()),
            blame: Blame::Missing,
        });
    }
    let prompt = format!("PIN of {}: ", printable(&token.to_string()));
    passphrase::ask(&prompt).map_err(of_failure)
}

/// What gives up a request that waits in a directory.
pub(crate) fn removal(waiting: &Path) -> String {
    let mut text = format!("rm -r {}", shell_word(waiting));
    if let Some(uri) = key_in_token(waiting) {
        text = format!("{text}\n{}", left_there(&uri));
    }
    text
}

/// That a key which came to nothing stays in its token, and what removes it there, both halves.
pub(crate) fn left_there(uri: &str) -> String {
    let parsed = uri.parse::<Uri>().ok();
    let module = parsed.and_then(|uri| uri.module_path);
    let module = module.map(|path| format!(" --provider {}", shell_word(path)));
    let object = uri.split('?').next().unwrap_or(uri);
    let object = object.replace(";type=private", "");
    format!(
        "Its key stays in the token, where nothing uses it. To remove it:\n\
         p11tool{} --login --delete {}",
        module.unwrap_or_default(),
        shell_word(object)
    )
}

/// What happens in a token is told at once: whatever fails after it, a key that was made stays there.
fn tell(what: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "pgpki: {}", printable(what));
}

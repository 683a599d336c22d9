//! A CA of somebody else's that certifies an issuing CA: its files, or the token with its key.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pgpki_authority::ledger::Endorsement;
use pgpki_authority::{Endorser, Endorsing};
use pgpki_core::ca_key::CaKey;
use pgpki_core::document::printable;
use pgpki_core::endorsement::{EndorsementError, IssuerChain};
use pgpki_core::issue::IssueError;
use pgpki_core::key::KeyError;
use pgpki_core::key::PrivateKey;
use pgpki_core::material::MaterialError;
use pgpki_core::name_constraints::Permitted;
use pgpki_fs::{IoError, NewPrivateDir, Output, shell_word};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::passphrase;
use crate::show::{self, FAINT, STRONG};
use crate::tokens::LocalTokens;

/// More than any chain or key takes, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How the URI of a key begins (RFC 7512 section 2.3).
const URI_SCHEME: &str = "pkcs11:";

/// Who certifies the next issuing CA, if the arguments name somebody. Its key is opened here, and so its owner may be asked.
///
/// # Errors
/// The chain or the key cannot be used, or they do not belong together.
pub(crate) fn named(
    args: &args::Issuer,
    token: &args::Token,
    now: OffsetDateTime,
) -> Result<Option<Endorsing>, Failure> {
    let (Some(certificate), Some(key)) = (&args.issuer_cert, &args.issuer_key) else {
        if args.issuer_cert.is_some() {
            let message = "--issuer-cert names a CA, and its key is missing: --issuer-key";
            return Err(Failure::new(Exit::Usage, message).hint(
                "Give --issuer-key FILE, or a pkcs11: URI. Without its key, write a request for that CA:\n\
                 --request-issuing FILE",
            ));
        }
        return Ok(None);
    };
    let chains = IssuerChain::read(&read(certificate)?, now);
    let chains = chains.map_err(|error| endorsement(certificate, &error))?;
    let key = open_key(key, args.issuer_passphrase_file.as_deref(), token)?;
    let endorser = Endorser::new(chains, key).map_err(|error| {
        let path = certificate.display();
        match error {
            IssueError::KeyMismatch(_) => {
                Failure::new(Exit::BadInput, format!("{path}: {error}: nothing was made")).hint(
                    "--issuer-cert has the CA's own certificate first, and --issuer-key its key",
                )
            }
            error => Failure::new(Exit::Refused, format!("{path}: {error}"))
                .hint(format!("Nothing was made. {SIGNER}")),
        }
    })?;
    Ok(Some(Endorsing::By(Box::new(endorser))))
}

/// Who has certified an issuing CA, until when that counts, and which root clients are handed for it: whoever could put
/// another one into the file on its way is found out by nothing but that.
pub(crate) fn report(endorsement: &Endorsement, out: &mut impl Write) -> io::Result<()> {
    let issuer = printable(&endorsement.issuer());
    let until = show::date(endorsement.validity.not_after);
    writeln!(out, "             certified by {issuer}  until {until}")?;
    let (root, fingerprint) = endorsement.root();
    let root = printable(&root);
    writeln!(
        out,
        "             clients trust {root}, if this is its SHA-256:\n             {fingerprint}"
    )
}

/// Where a request is to be written: absolute, and nothing is there.
pub(crate) fn new_file(file: &Path) -> Result<PathBuf, Failure> {
    let full = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (Some(above), Some(name)) = (full.parent(), full.file_name()) else {
        let message = format!("{} is not the path of a file", file.display());
        return Err(Failure::new(Exit::BadInput, message));
    };
    let path = pgpki_fs::canonical(above)?.join(name);
    Output::check(&path, false)?;
    Ok(path)
}

/// Keeps the key of a request, and then gives the request its name: both, or neither.
pub(crate) fn hand_over(file: &Path, request: &str, key: NewPrivateDir) -> Result<(), Failure> {
    let mut output = Output::create(file, false)?.for_everybody();
    output
        .write_all(request.as_bytes())
        .map_err(|source| IoError {
            operation: "write",
            path: file.to_owned(),
            source,
        })?;
    let waiting = key.commit()?;
    output.commit().map_err(|error| {
        // If this fails as well, the request is told of at the next try.
        let _ = waiting.remove();
        error.into()
    })
}

/// What whoever runs the other CA is asked for.
pub(crate) struct Ask<'a> {
    pub(crate) file: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) permitted: &'a Permitted,
    /// Where the key is.
    pub(crate) key: &'a Path,
}

impl Ask<'_> {
    /// What the request is, and how it is signed.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let shown = printable(&self.file.to_string_lossy());
        let file = printable(&shell_word(self.file));
        writeln!(out, "{STRONG}Request{STRONG:#}    {shown}")?;
        writeln!(out, "  for        {}", printable(self.name))?;
        writeln!(out, "  asks for   CA:TRUE, pathlen:0, keyCertSign, cRLSign")?;
        for name in self.permitted.dns() {
            writeln!(out, "             only DNS names in {name}")?;
        }
        for network in self.permitted.ip() {
            writeln!(out, "             only addresses in {network}")?;
        }
        writeln!(
            out,
            "  key        {}",
            printable(&self.key.to_string_lossy())
        )?;
        writeln!(
            out,
            "\nHave the company's CA sign it as a subordinate CA, with these extensions and the subject as it is.\n\
             {FAINT}# OpenSSL{FAINT:#}\n\
             openssl x509 -req -in {file} -copy_extensions copyall -days 1825 -CA ca.pem -CAkey ca.key -out issuing.pem\n\
             {FAINT}# Active Directory Certificate Services{FAINT:#}\n\
             certreq -submit -attrib \"CertificateTemplate:SubCA\" {shown} issuing.pem"
        )
    }
}

/// A file with certificates.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(pgpki_fs::read_bounded(path, MAX_FILE)?)
}

/// What a CA that certifies ours has to be, in words for whoever runs it.
const SIGNER: &str = "The CA that signs needs CA:TRUE, no pathlen or one that leaves room for one more CA, and keyCertSign, \
    and no old algorithm\nis in its chain: docs/existing-ca.md";

/// What our issuing CA has to be.
const SIGNED: &str = "Ask the company for: CA:TRUE, pathlen:0, keyCertSign, cRLSign; docs/existing-ca.md says the rest";

/// What is wrong with the chain of somebody else's CA.
pub(crate) fn endorsement(path: &Path, error: &EndorsementError) -> Failure {
    unusable(path, error, "Nothing was made.", SIGNER)
}

/// What is wrong with what somebody else's CA made of a request.
pub(crate) fn answer(path: &Path, error: &EndorsementError) -> Failure {
    let waits = "Nothing was made, and the request still waits.";
    unusable(path, error, waits, SIGNED)
}

/// Whatever stands against the answer, it may be taken again.
pub(crate) fn still_waits(failure: Failure) -> Failure {
    let before = failure.hint.clone().map(|hint| format!("{hint}\n"));
    failure.hint(before.unwrap_or_default() + "The request still waits for its answer")
}

fn unusable(path: &Path, error: &EndorsementError, done: &str, ask: &str) -> Failure {
    let exit = match error.is_refusal() {
        true => Exit::Refused,
        false => Exit::BadInput,
    };
    let failure = Failure::new(exit, format!("{}: {error}", path.display()));
    failure.hint(match error {
        EndorsementError::IssuerMissing { .. } | EndorsementError::Circle(_) => format!(
            "{done} Put the certificates up to the root, which signs itself, into one file: --issuer-cert"
        ),
        EndorsementError::PathLength { .. } => {
            format!("{done} The issuing CA is one more CA below it: have another CA certify it")
        }
        EndorsementError::OtherIssuer { .. } => format!(
            "{done} Put the certificate of that CA that it names into the file: openssl x509 -noout -ext authorityKeyIdentifier\n\
             shows which one it is"
        ),
        EndorsementError::DemandsPolicy(_) => {
            format!("{done} Have a CA without that demand certify it")
        }
        EndorsementError::OtherKey(_) => format!(
            "{done} Its certificate has to be for the request that was written, and the key in it"
        ),
        EndorsementError::Read(_)
        | EndorsementError::NoCertificate
        | EndorsementError::TooMany(_) => {
            format!("{done} It takes certificates: PEM, DER or PKCS#7")
        }
        EndorsementError::NotValid { .. } => {
            format!("{done} If this machine's clock is right, ask the company for one that counts now")
        }
        _ => format!("{done} {ask}"),
    })
}

fn open_key(
    named: &str,
    passphrase_file: Option<&Path>,
    token: &args::Token,
) -> Result<CaKey, Failure> {
    if named.starts_with(URI_SCHEME) {
        return Ok(LocalTokens::hardware(token, None, None)?
            .tokens
            .key(named)?
            .into());
    }
    let path = Path::new(named);
    let bytes = Zeroizing::new(pgpki_fs::read_bounded(path, MAX_FILE)?);
    let opened = match PrivateKey::read(&bytes, None) {
        Err(MaterialError::PassphraseNeeded(_)) => {
            let secret = passphrase::of_input(path, passphrase_file);
            let secret = secret.map_err(|failure| match failure.exit {
                Exit::Usage => failure.hint("Give --issuer-passphrase-file FILE"),
                _ => failure,
            })?;
            PrivateKey::read(&bytes, Some(&secret))
        }
        opened => opened,
    };
    let opened = opened.map_err(|error| {
        let hint = match error {
            MaterialError::Key {
                source: KeyError::Unsupported,
                ..
            } => {
                "Nothing was made. Have the company's own tools sign with it: --request-issuing FILE in place of --issuer-key"
            }
            _ => "Nothing was made",
        };
        Failure::new(Exit::BadInput, format!("{}: {error}", path.display())).hint(hint)
    })?;
    Ok(opened.into())
}

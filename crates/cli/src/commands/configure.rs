//! `pgpki configure`: make a cluster use an installation, and prove that it does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pgpki_authority::ledger::PlaceKind;
use pgpki_core::document::printable;
use pgpki_fs::{Installation, Owner, Text};
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::conf::marked;
use pgpki_postgres::configure::{
    self, Applied, Authentication, Change, ClientCerts, ConfigureError, Earlier, Judgement, Wishes,
};
use pgpki_postgres::reload::{self, Proof};

use crate::args::{Configure, Rules};
use crate::exit::{Exit, Failure};
use crate::servers;
use crate::show::{FAINT, GOOD, STRONG, WARNING};

/// The role name that stands for every role, as in `pg_hba.conf`.
const ALL: &str = "all";

/// Where `init` installs if nothing else is said.
const USUAL_INSTALLATION: &str = "/etc/ssl/postgres";

const NO_INSTALLATION: &str = "Nothing was changed. Name the one that is there with --install DIR: pgpki inspect lists them;\n\
     pgpki init makes the first, pgpki issue-server HOST… --install DIR another";

pub(crate) fn run(args: &Configure) -> Result<Exit, Failure> {
    args.home.refuse_waiting()?;
    let cluster = args.which.find()?;
    let out = &mut anstream::stdout().lock();
    let installation = match args.remove {
        true => None,
        false => {
            let path = installation(args, &cluster)?;
            Some((open(&path, &cluster)?, path))
        }
    };
    let changes = match &installation {
        None => configure::plan_removal(&cluster)?,
        Some((_, path)) => {
            let passphrase_file = passphrase_file(args, path)?;
            plan(&cluster, path, passphrase_file.as_deref(), &args.rules)?
        }
    };
    if changes.is_empty() {
        let already = match args.remove {
            true => "has no lines of pgpki's.",
            false => "is configured like that already.",
        };
        writeln!(out, "{} {already}", cluster.name())?;
    }
    if args.dry_run {
        for change in &changes {
            write!(out, "{}", printable_lines(&change.diff()))?;
        }
        return Ok(Exit::Done);
    }
    let done = match &installation {
        None => remove(&cluster, &changes, !args.no_reload)?,
        Some((installation, _)) => {
            let done = carry_out(&cluster, &changes, installation, !args.no_reload)?;
            remember(args, &cluster);
            done
        }
    };
    report(&cluster, &changes, &done, out)?;
    if let Some((_, path)) = &installation {
        let wishes = wishes(path, None, &args.rules)?;
        for rule in configure::earlier(&cluster, &wishes)? {
            tell_earlier(&rule, out)?;
        }
    }
    Ok(Exit::Done)
}

fn tell_earlier(rule: &Earlier, out: &mut impl Write) -> io::Result<()> {
    let file = printable(&rule.file.to_string_lossy());
    writeln!(
        out,
        "  {WARNING}before{WARNING:#}     {file}:{}: {} is tried before pgpki's rules, and lets in whom they refuse; \
         move it below them, or delete it",
        rule.line, rule.rule
    )
}

fn open(path: &Path, cluster: &Cluster) -> Result<Installation, Failure> {
    Installation::open(path, cluster.owner).map_err(|error| {
        let failure = Failure::from(error);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => failure.hint(NO_INSTALLATION),
            _ => failure,
        }
    })
}

/// The installation that was named, or the one that is meant. Whoever configures a cluster need not have the authority.
fn installation(args: &Configure, cluster: &Cluster) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.install {
        return Ok(pgpki_fs::canonical(path)?);
    }
    let usual = pgpki_fs::canonical(Path::new(USUAL_INSTALLATION))?;
    let Ok(authority) = args.home.open() else {
        return Ok(usual);
    };
    let places = authority.ledger().places()?.into_iter();
    let known: Vec<PathBuf> = places
        .map(|known| known.place)
        .filter(|place| place.kind == PlaceKind::Installation)
        .map(|place| place.path)
        .collect();
    let used = known.iter().find(|path| cluster.uses(path));
    match (used, known.as_slice()) {
        (Some(path), _) | (None, [path]) => Ok(path.clone()),
        _ if known.contains(&usual) => Ok(usual),
        _ => Err(undecided(&known)),
    }
}

/// What is in the usual place may be another authority's, which none of this one's clients would take.
fn undecided(known: &[PathBuf]) -> Failure {
    let message = match known {
        [] => "the authority has no installation on this machine".to_owned(),
        _ => {
            let known = known.iter().map(|path| path.to_string_lossy());
            let known: Vec<_> = known.map(|path| printable(&path)).collect();
            format!(
                "the authority has several installations, and the cluster uses none of them: {}",
                known.join(", ")
            )
        }
    };
    Failure::new(Exit::Usage, message).hint(NO_INSTALLATION)
}

/// So that a rotation finds the cluster when it does not run. It finds it without that while it
/// does, and whoever configures a cluster need not have the authority.
fn remember(args: &Configure, cluster: &Cluster) {
    if let Ok(mut authority) = args.home.open_alone() {
        let _ = authority.remember_clusters([&*cluster.data_directory]);
    }
}

/// The file with the passphrase of the server's key: as it was named, or as the authority has it. Whoever configures a
/// cluster need not have the authority.
fn passphrase_file(args: &Configure, installation: &Path) -> Result<Option<PathBuf>, Failure> {
    if let Some(file) = &args.server_key_passphrase {
        return Ok(Some(pgpki_fs::canonical(file)?));
    }
    let known = args.home.open().ok().and_then(|authority| {
        let known = authority.ledger().place(installation);
        known.ok().flatten()
    });
    Ok(known.and_then(|known| known.place.passphrase_file))
}

/// What is to change so that `cluster` uses the installation, whose key may be encrypted.
pub(super) fn plan(
    cluster: &Cluster,
    installation: &Path,
    passphrase_file: Option<&Path>,
    rules: &Rules,
) -> Result<Vec<Change>, Failure> {
    let wishes = wishes(installation, passphrase_file, rules)?;
    warn_of_groups(&rules.client_certs);
    configure::plan(cluster, &wishes).map_err(|error| match &error {
        ConfigureError::Managed(managed) => {
            let instead = managed.instead(&wishes);
            Failure::from(error).hint(instead)
        }
        _ => error.into(),
    })
}

fn wishes(
    installation: &Path,
    passphrase_file: Option<&Path>,
    rules: &Rules,
) -> Result<Wishes, Failure> {
    Ok(Wishes {
        installation: installation.to_owned(),
        passphrase_file: passphrase_file.map(Path::to_owned),
        require_tls: rules.require_tls,
        client_certs: client_certs(&rules.client_certs)?,
        authentication: match rules.with_password {
            true => Authentication::CertificateAndPassword,
            false => Authentication::Certificate,
        },
    })
}

fn client_certs(named: &[String]) -> Result<ClientCerts, Failure> {
    Ok(match named {
        [] => ClientCerts::AsBefore,
        names if names.iter().any(|name| name == ALL) => ClientCerts::All,
        names => {
            let roles: Result<Vec<_>, _> = names.iter().map(|name| name.parse()).collect();
            ClientCerts::Roles(roles?)
        }
    })
}

fn warn_of_groups(named: &[String]) {
    if named.iter().any(|name| name == ALL) {
        return;
    }
    for name in named.iter().filter(|name| name.starts_with('+')) {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(
            io::stderr(),
            "pgpki: warning: {:?} is the name of a role here, and does not stand for the members of one: name each of them",
            printable(name)
        );
    }
}

/// What became of it.
pub(super) enum Done {
    /// The server serves what is installed.
    Proven(Proof),
    /// It was not asked, and why.
    NotProven(String),
}

/// Writes the files, lets the server judge them, reloads it, and proves that it serves what is
/// installed. If anything of that fails, the files are as they were, and the server is told so.
pub(super) fn carry_out(
    cluster: &Cluster,
    changes: &[Change],
    installation: &Installation,
    reload: bool,
) -> Result<Done, Failure> {
    let chain = servers::installed_chain(installation)
        .map_err(|reason| Failure::new(Exit::BadInput, reason))?;
    refuse_if_unreadable(cluster, installation.owner())?;
    let applied = Applied::write(cluster, changes)?;
    let postmaster = match (reload, applied.judgement) {
        (false, _) => return Ok(Done::NotProven("not reloaded, as asked".to_owned())),
        (true, Judgement::NotRunning) => return Ok(Done::NotProven("not running".to_owned())),
        (true, Judgement::Accepted) => cluster.postmaster()?,
    };
    let Some(postmaster) = postmaster else {
        return Ok(Done::NotProven("not running".to_owned()));
    };
    let proof = reload::reload_and_prove(&postmaster, cluster.major, &chain, reload::PATIENCE);
    let why = match proof {
        Ok(proof) if proof.kept.is_empty() => return Ok(Done::Proven(proof)),
        Ok(proof) => format!(
            "the server did not load all of it; it logged: {}",
            proof.kept.join("; ")
        ),
        Err(error) if error.is_silence() => return Ok(Done::NotProven(error.to_string())),
        Err(error) => error.to_string(),
    };
    applied.undo(&why)?;
    let after = match postmaster.reload() {
        Ok(()) => "the files are as before, and the server was told".to_owned(),
        Err(error) => format!("the files are as before, but {error}"),
    };
    let message = format!("{}: {why}; {after}", cluster.name());
    Err(Failure::new(Exit::PutBack, message)
        .hint("Put right what the server complains of and run it again"))
}

/// The key is the installation's owner's, and PostgreSQL takes one of its own user or of root.
fn refuse_if_unreadable(cluster: &Cluster, owner: Owner) -> Result<(), Failure> {
    if owner.uid == cluster.owner.uid {
        return Ok(());
    }
    let message = format!(
        "the installed files belong to {owner}, and {} runs as {}",
        cluster.name(),
        cluster.owner
    );
    Err(Failure::new(Exit::Refused, message).hint(
        "Make an installation for that user: pgpki issue-server … --install DIR --owner USER",
    ))
}

fn remove(cluster: &Cluster, changes: &[Change], reload: bool) -> Result<Done, Failure> {
    let applied = Applied::write(cluster, changes)?;
    match (reload, applied.judgement) {
        (false, _) => Ok(Done::NotProven("not reloaded, as asked".to_owned())),
        (true, Judgement::NotRunning) => Ok(Done::NotProven("not running".to_owned())),
        (true, Judgement::Accepted) => {
            if let Some(postmaster) = cluster.postmaster()? {
                postmaster.reload().map_err(|error| {
                    let hint = error.hint();
                    let failure = Failure::new(Exit::Findings, &error);
                    match hint {
                        Some(hint) => failure.hint(hint),
                        None => failure,
                    }
                })?;
            }
            Ok(Done::NotProven(
                "reloaded without pgpki's lines: without TLS, unless its own settings turn it on"
                    .to_owned(),
            ))
        }
    }
}

pub(super) fn report(
    cluster: &Cluster,
    changes: &[Change],
    done: &Done,
    out: &mut impl Write,
) -> io::Result<()> {
    let name = printable(&cluster.name());
    writeln!(
        out,
        "{STRONG}Cluster{STRONG:#}    {name}, PostgreSQL {}",
        cluster.major
    )?;
    for change in changes {
        let verb = match (&change.before, &change.after) {
            (None, _) => "written",
            (_, None) => "removed",
            _ => "changed",
        };
        let path = printable(&change.path.to_string_lossy());
        writeln!(out, "  {verb:<11}{path}")?;
    }
    for rule in dropped_rules(changes, &cluster.hba_file) {
        writeln!(out, "  {WARNING}dropped{WARNING:#}    {}", printable(&rule))?;
    }
    match done {
        Done::Proven(proof) => {
            let direct = match proof.direct {
                true => ", and with sslnegotiation=direct",
                false => "",
            };
            writeln!(
                out,
                "  {GOOD}proven{GOOD:#}     {} serves what is installed{direct}",
                proof.endpoint
            )
        }
        Done::NotProven(why) => writeln!(out, "  {FAINT}not proven{FAINT:#} {why}"),
    }
}

/// The rules of a former run that this one does not have: nobody should lose one unawares.
fn dropped_rules(changes: &[Change], hba_file: &Path) -> Vec<String> {
    let Ok(hba_file) = pgpki_fs::canonical(hba_file) else {
        return Vec::new();
    };
    let change = changes.iter().find(|change| change.path == hba_file);
    let Some((Some(before), Some(after))) = change.map(|it| (&it.before, &it.after)) else {
        return Vec::new();
    };
    let block = |text: &Text| marked::find(&text.bytes).ok().flatten();
    let lines = |found: Option<marked::Found>| {
        found.map_or_else(Vec::new, |found| found.block.lines().to_vec())
    };
    let after = lines(block(after));
    lines(block(before))
        .into_iter()
        .filter(|line| !after.is_empty() && !after.contains(line))
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

/// A diff for a terminal: its lines, with nothing else in them that a terminal would act upon.
fn printable_lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => format!("{}\n", printable(line)),
            None => printable(line).to_string(),
        })
        .collect()
}

impl From<ConfigureError> for Failure {
    fn from(error: ConfigureError) -> Self {
        let exit = match &error {
            ConfigureError::Managed(_)
            | ConfigureError::Shadowed { .. }
            | ConfigureError::Foreign { .. }
            | ConfigureError::NotOurs { .. }
            | ConfigureError::Block { .. }
            | ConfigureError::Md5Passwords(_)
            | ConfigureError::Rejected(_) => Exit::Refused,
            ConfigureError::Faulty(_)
            | ConfigureError::BadRule { .. }
            | ConfigureError::NoRules { .. }
            | ConfigureError::Missing { .. }
            | ConfigureError::Path(_) => Exit::BadInput,
            ConfigureError::Stuck { .. } => Exit::Findings,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

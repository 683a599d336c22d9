//! `pgpki init`: the authority, the server's credential, and the lines that make PostgreSQL use it.

mod requested;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use pgpki_authority::format::Format;
use pgpki_authority::ledger::{Place, PlaceKind};
use pgpki_authority::requested::waiting_for;
use pgpki_authority::settings::Settings;
use pgpki_authority::{
    Authority, AuthorityError, Endorsing, Founding, GivenSecrets, Hardware, Installed, KeyPlace,
    Secrets,
};
use pgpki_core::document::printable;
use pgpki_core::issue::Holder;
use pgpki_core::name::{Host, Organization};
use pgpki_core::name_constraints::Permitted;
use pgpki_core::profile::Profile;
use pgpki_fs::{Installation, PrivateDir, shell_word};
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::configure::Change;
use time::OffsetDateTime;

use super::server::KeyPassphrase;
use super::{configure, server};
use crate::Clock;
use crate::args::Init;
use crate::exit::{Exit, Failure};
use crate::issuer;
use crate::passphrase::{self, Passphrase};
use crate::show::{self, STRONG};
use crate::tokens::LocalTokens;

/// What is to be made.
struct Told {
    home: PathBuf,
    settings: Settings,
    place: Place,
    /// Whether nobody has named a host.
    is_named_by_machine: bool,
    /// The cluster that is to use it.
    cluster: Option<Cluster>,
}

/// What the flags mean.
struct Plan {
    home: PathBuf,
    settings: Settings,
    passphrase: Option<Passphrase>,
    issuing_passphrase: Option<Passphrase>,
    hardware: Hardware,
    place: Place,
    /// Whether nobody has named a host.
    is_named_by_machine: bool,
    /// The cluster that is to use it, and what that takes.
    cluster: Option<Configuring>,
}

impl Plan {
    /// What opens the key that signs.
    fn secrets(&self) -> Arc<dyn Secrets> {
        Arc::new(GivenSecrets {
            root: None,
            issuing: self.issuing_passphrase.clone(),
        })
    }
}

struct Configuring {
    cluster: Cluster,
    changes: Vec<Change>,
    reload: bool,
}

/// What has been made.
struct Made {
    installed: Installed,
    configured: Option<configure::Done>,
}

pub(crate) fn run(args: &Init, clock: Clock) -> Result<Exit, Failure> {
    if let Some(file) = &args.requested.request_issuing {
        return requested::request(args, file);
    }
    if let Some(file) = &args.requested.install_issuing {
        return requested::install(args, file, clock);
    }
    let plan = plan(args, told(args)?, true)?;
    let endorsing = issuer::named(&args.issuer, &args.token, clock())?;
    let is_endorsed = endorsing.is_some();
    let made = carry_out(&plan, endorsing, clock())?;
    let mut out = anstream::stdout().lock();
    report(&plan, &made, &mut out)?;
    if is_endorsed {
        writeln!(
            out,
            "\nThe key of --issuer-key has signed once, and is not kept: the next issuing CA needs it again."
        )?;
    }
    Ok(Exit::Done)
}

/// Does all of it, or nothing.
fn carry_out(
    plan: &Plan,
    endorsing: Option<Endorsing>,
    now: OffsetDateTime,
) -> Result<Made, Failure> {
    let (installation, created) = Installation::prepare(&plan.place.path, plan.place.owner)?;
    let made = server::refuse_if_in_use(&installation).and_then(|()| {
        let key = KeyPassphrase::prepare(&plan.place, &plan.home)?;
        key.undo(make(plan, endorsing, &installation, now))
    });
    server::undo(made, created)
}

/// Checks everything that can be wrong with what is to be made.
fn told(args: &Init) -> Result<Told, Failure> {
    let hosts = match args.hosts.as_slice() {
        [] => vec![this_machine()?],
        given => server::hosts(given)?,
    };
    let organization = Organization {
        country: args.country.clone(),
        state: args.state.clone(),
        locality: args.locality.clone(),
        organization: args.organization.clone(),
        organizational_unit: args.organizational_unit.clone(),
    };
    organization.check()?;
    let home = args.home.path()?;
    if home.symlink_metadata().is_ok() {
        let message = format!("{} already exists", home.display());
        return Err(Failure::new(Exit::Refused, message).hint(format!(
            "It is as it was. pgpki inspect --home {} shows what is in it; --home names another place",
            shell_word(&home)
        )));
    }
    let waiting = waiting_for(&home);
    if waiting.symlink_metadata().is_ok() {
        return Err(AuthorityError::Waiting { home, waiting }.into());
    }
    let holder = Holder::Server(hosts);
    let name = holder.common_name()?;
    let cluster = args.configure.find()?;
    let owner = match (&args.owner, &cluster) {
        (None, Some(cluster)) => cluster.owner,
        (named, _) => server::owner(named.as_deref())?,
    };
    let place = Place {
        path: pgpki_fs::canonical(&args.install)?,
        kind: PlaceKind::Installation,
        holder,
        algorithm: args.key_algorithm,
        days: args.days,
        formats: vec![Format::Libpq],
        owner,
        passphrase_file: args.server_key.file()?,
    };
    if place.path.starts_with(&home) || home.starts_with(&place.path) {
        let message = "the authority and the installation cannot be inside one another";
        return Err(Failure::new(Exit::Refused, message)
            .hint("The server's user may enter the one, and must not enter the other"));
    }
    Ok(Told {
        settings: Settings {
            permitted: Permitted::new(&args.permit.permit_dns, &args.permit.permit_ip)?,
            ..Settings::new(&name, args.key_algorithm, organization)
        },
        home,
        place,
        is_named_by_machine: args.hosts.is_empty(),
        cluster,
    })
}

/// Adds what is needed for making it, and asks for the passphrase last.
fn plan(args: &Init, told: Told, needs_root: bool) -> Result<Plan, Failure> {
    let Told {
        home,
        settings,
        place,
        is_named_by_machine,
        cluster,
    } = told;
    let (root, issuing) = (
        args.keys.root_key.as_deref(),
        args.keys.issuing_key.as_deref(),
    );
    let hardware = LocalTokens::hardware_at_hand(&args.token, root, issuing)?;
    let configuring = |cluster: Cluster| {
        let passphrase_file = place.passphrase_file.as_deref();
        let rules = &args.configure.rules;
        let changes = configure::plan(&cluster, &place.path, passphrase_file, rules)?;
        Ok::<_, Failure>(Configuring {
            cluster,
            changes,
            reload: !args.configure.no_reload,
        })
    };
    Ok(Plan {
        cluster: cluster.map(configuring).transpose()?,
        home,
        settings,
        hardware,
        passphrase: match args.keys.root_key {
            None if needs_root => passphrase::for_new_root(&args.passphrase)?,
            _ => None,
        },
        issuing_passphrase: passphrase::for_new_issuing(&args.issuing_passphrase)?,
        place,
        is_named_by_machine,
    })
}

/// Makes everything under other names first; then the home gets its name, then the server's files
/// get theirs, and the cluster is told. If one of the last steps fails, all of it goes again.
fn make(
    plan: &Plan,
    endorsing: Option<Endorsing>,
    installation: &Installation,
    now: OffsetDateTime,
) -> Result<Made, Failure> {
    let founding = Founding {
        settings: plan.settings.clone(),
        root_passphrase: plan.passphrase.as_ref().map(|bytes| bytes.as_slice()),
        issuing_passphrase: plan
            .issuing_passphrase
            .as_ref()
            .map(|bytes| bytes.as_slice()),
        hardware: plan.hardware.clone(),
    };
    let (staged, mut authority) = Authority::found_under(&plan.home, &founding, endorsing, now)?;
    authority.use_secrets(&plan.secrets());
    let ready = authority.make_ready(&plan.place, installation, now)?;
    // The ledger is open under the name that is about to change.
    drop(authority);
    // Locked until the server's files are published: a rotation would take them for leftovers.
    let (home, _lock) = staged.commit_locked()?;
    let made = ready
        .publish(installation)
        .map_err(Failure::from)
        .and_then(|installed| have_it_used(plan, installation, installed));
    made.or_else(|failure| remove(home, failure))
}

fn have_it_used(
    plan: &Plan,
    installation: &Installation,
    installed: Installed,
) -> Result<Made, Failure> {
    let configured = plan.cluster.as_ref().map(|configuring| {
        let Configuring {
            cluster,
            changes,
            reload,
        } = configuring;
        configure::carry_out(cluster, changes, installation, *reload)
    });
    let configured = configured.transpose().and_then(|done| {
        if let Some(Configuring { cluster, .. }) = &plan.cluster {
            // The caller holds the lock.
            let mut authority = Authority::open(&plan.home)?;
            authority.remember_clusters([&*cluster.data_directory])?;
        }
        Ok(done)
    });
    match configured {
        Ok(configured) => Ok(Made {
            installed,
            configured,
        }),
        Err(failure) => {
            match installation.withdraw(installed.live.generation.unwrap_or_default()) {
                Ok(()) => Err(failure),
                Err(error) => Err(failure.hint(format!("{error}"))),
            }
        }
    }
}

fn remove(home: PrivateDir, failure: Failure) -> Result<Made, Failure> {
    let path = home.path().to_owned();
    match home.remove() {
        Ok(()) => Err(failure),
        Err(error) => {
            let hint = format!("{error}\nRemove it yourself: rm -r {}", shell_word(&path));
            Err(failure.hint(hint))
        }
    }
}

/// The full name of this machine, as its resolver knows it.
fn this_machine() -> Result<Host, Failure> {
    let unknown = |why: String| {
        Failure::new(
            Exit::BadInput,
            format!("this machine's full name is not known: {why}"),
        )
        .hint("Name the hosts under which clients reach the server: pgpki init db.example.com")
    };
    let name = nix::unistd::gethostname()
        .map_err(|error| unknown(error.to_string()))?
        .to_string_lossy()
        .into_owned();
    let hints = dns_lookup::AddrInfoHints {
        flags: nix::libc::AI_CANONNAME,
        ..dns_lookup::AddrInfoHints::default()
    };
    let full = dns_lookup::getaddrinfo(Some(&name), None, Some(hints))
        .ok()
        .and_then(|answers| {
            answers
                .filter_map(Result::ok)
                .find_map(|answer| answer.canonname)
        });
    let full = full.unwrap_or(name);
    full.parse().map_err(|error| unknown(format!("{error}")))
}

fn report(plan: &Plan, made: &Made, out: &mut impl Write) -> io::Result<()> {
    let authority = Authority::open(&plan.home);
    let installed = &made.installed;
    let issued = &installed.issued;
    writeln!(out, "{STRONG}Authority{STRONG:#}  {}", plan.home.display())?;
    // What has been made stands, even where it could not be read back.
    if let Ok(authority) = &authority {
        for ca in authority.hierarchy().cas() {
            let (kind, note) = match (ca.profile, authority.key_place(ca)) {
                (Profile::Root, Ok(KeyPlace::Token(_))) => ("root", "  key in a token"),
                (Profile::Root, Ok(KeyPlace::Encrypted)) => ("root", "  key encrypted"),
                (Profile::Root, _) => ("root", "  key not encrypted"),
                (_, Ok(KeyPlace::Token(_))) => ("issuing CA", "  key in a token"),
                (_, Ok(KeyPlace::Encrypted)) => ("issuing CA", "  key encrypted"),
                _ => ("issuing CA", ""),
            };
            let until = show::date(ca.facts.validity.not_after);
            let name = printable(&ca.facts.common_name);
            writeln!(out, "  {kind:<11}{name}  until {until}{note}")?;
            if let Some(endorsement) = &ca.endorsement {
                issuer::report(endorsement, out)?;
            }
        }
    }
    let until = show::date(issued.validity.not_after);
    let names = show::holder(&plan.place.holder);
    writeln!(out, "{STRONG}Server{STRONG:#}     {names}  until {until}")?;
    if let Some(note) = server::cut_note(issued) {
        writeln!(out, "  {note}")?;
    }
    if plan.is_named_by_machine {
        writeln!(
            out,
            "  that is this machine's name; clients that use another one will refuse it"
        )?;
    }
    let path = plan.place.path.display();
    writeln!(
        out,
        "  installed  {path}/current -> g{:04}",
        installed.live.generation.unwrap_or_default()
    )?;
    match (&plan.cluster, &made.configured) {
        (Some(configuring), Some(done)) => {
            configure::report(&configuring.cluster, &configuring.changes, done, out)
        }
        _ => {
            let passphrase_file = plan.place.passphrase_file.as_deref();
            server::configuration(&plan.place.path, passphrase_file, out)
        }
    }
}

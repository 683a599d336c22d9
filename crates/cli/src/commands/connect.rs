//! `pgpki connect`: what to paste, so that a program connects with a role's certificate.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pgpki_authority::Authority;
use pgpki_authority::ledger::{KnownPlace, PlaceKind};
use pgpki_core::document::printable;
use pgpki_core::issue::Holder;
use pgpki_core::name::{Host, Role};
use pgpki_postgres::cluster::Cluster;

use crate::args::{ALL, Connect};
use crate::connect::{DRIVERS, Driver, File, Target};
use crate::exit::{Exit, Failure};
use crate::show::{FAINT, STRONG};

/// PostgreSQL's own default.
const USUAL_PORT: u16 = 5432;

pub(crate) fn run(args: &Connect) -> Result<Exit, Failure> {
    let target = target(args)?;
    let mut out = anstream::stdout().lock();
    match args.drivers.as_slice() {
        [] => overview(&target, &mut out)?,
        [name] if name != ALL => one(name, &target, &mut out)?,
        names => several(names, &target, &mut out)?,
    }
    Ok(Exit::Done)
}

fn target(args: &Connect) -> Result<Target, Failure> {
    let role: Role = args.role.parse()?;
    let host: Option<Host> = args.host.as_deref().map(str::parse).transpose()?;
    if args.dbname.is_empty() {
        return Err(Failure::new(Exit::Usage, "the database's name is empty"));
    }
    let authority = match (&host, &args.folder) {
        // Nothing is missing without one but the port.
        (Some(_), Some(_)) => authority(args).ok().flatten(),
        _ => authority(args)?,
    };
    let places = match &authority {
        Some(authority) => authority.ledger().places()?,
        None => Vec::new(),
    };
    let host = match host {
        Some(host) => host,
        None => server(&places)?,
    };
    if host.to_string().starts_with('*') {
        let message = format!("{host} is a pattern, and no name that a client can connect to");
        return Err(Failure::new(Exit::BadInput, message).hint("Name the server with --host"));
    }
    let folder = match &args.folder {
        Some(folder) => absolute(folder)?,
        None => folder(&role, &places)?,
    };
    let named = args.host.is_some().then_some(&host);
    let port = args.port.or_else(|| port_here(&authority?, &places, named));
    Ok(Target {
        role,
        host,
        port: port.unwrap_or(USUAL_PORT),
        dbname: args.dbname.clone(),
        folder,
    })
}

/// The authority, if there is one: on most clients' machines there is none, and none is needed. One
/// that was named has to be there.
fn authority(args: &Connect) -> Result<Option<Authority>, Failure> {
    let is_there = || args.home.path().is_ok_and(|home| home.exists());
    match args.home.home.is_some() || is_there() {
        true => args.home.open().map(Some),
        false => Ok(None),
    }
}

/// The first name of the server, where there is no doubt which.
fn server(places: &[KnownPlace]) -> Result<Host, Failure> {
    // What is installed on this machine is its own server; what was carried away, another one.
    let mut names = first_names(installed(places));
    if names.is_empty() {
        let folders = places.iter();
        names = first_names(folders.filter(|it| it.place.kind == PlaceKind::Folder));
    }
    let hint = "Name it with --host, by a name or address that its certificate has";
    match names.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(Failure::new(
            Exit::Usage,
            "it is not known which server to connect to: there is no authority here that has issued one's certificate",
        )
        .hint(hint)),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = format!("there are several servers: {}", names.join(", "));
            Err(Failure::new(Exit::Usage, message).hint(hint))
        }
    }
}

fn first_names<'a>(places: impl Iterator<Item = &'a KnownPlace>) -> Vec<&'a Host> {
    let mut names: Vec<&Host> = places
        .filter_map(|it| first_name(&it.place.holder))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The installations that are still there.
fn installed(places: &[KnownPlace]) -> impl Iterator<Item = &KnownPlace> {
    let is_gone = |path: &Path| matches!(path.try_exists(), Ok(false));
    places
        .iter()
        .filter(move |it| it.place.kind == PlaceKind::Installation && !is_gone(&it.place.path))
}

/// The port of the one cluster on this machine that was seen to use an installation: one with this name, where the server
/// was named.
fn port_here(authority: &Authority, places: &[KnownPlace], named: Option<&Host>) -> Option<u16> {
    let directories = authority.ledger().clusters().ok()?;
    let clusters = directories
        .iter()
        .filter_map(|it| Cluster::at(Path::new(it)).ok());
    let uses_one = |cluster: &Cluster| {
        let has_name = |it: &&KnownPlace| match &it.place.holder {
            Holder::Server(hosts) => named.is_none_or(|named| hosts.contains(named)),
            Holder::Client(_) => false,
        };
        let mut places = installed(places).filter(has_name);
        places.any(|it| cluster.uses(&it.place.path))
    };
    let port = |cluster: Cluster| cluster.port().unwrap_or(USUAL_PORT);
    let mut ports: Vec<u16> = clusters.filter(uses_one).map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    match ports.as_slice() {
        [port] => Some(*port),
        _ => None,
    }
}

/// The first of a server's names that a client can connect to.
fn first_name(holder: &Holder) -> Option<&Host> {
    match holder {
        Holder::Server(hosts) => hosts.iter().find(|it| !it.to_string().starts_with('*')),
        Holder::Client(_) => None,
    }
}

/// The role's newest folder, or where libpq looks by itself.
fn folder(role: &Role, places: &[KnownPlace]) -> Result<String, Failure> {
    let of_role = places.iter().filter(|it| {
        let holds = matches!(&it.place.holder, Holder::Client(holder) if holder == role);
        holds && it.place.kind == PlaceKind::Folder
    });
    let newest = of_role.max_by_key(|it| it.validity.not_before);
    let home = || env::var_os("HOME").map(PathBuf::from);
    match (newest, home().filter(|home| home.is_absolute())) {
        (Some(known), _) => text(&known.place.path),
        (None, Some(home)) => text(&home.join(".postgresql")),
        (None, None) => Err(Failure::new(
            Exit::Usage,
            "HOME is not set, and so there is no ~/.postgresql",
        )
        .hint("Name the folder with the role's files: --folder DIR")),
    }
}

fn absolute(folder: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(folder).map_err(|error| {
        let folder = folder.display();
        Failure::new(Exit::BadInput, format!("{folder:?} is no folder: {error}"))
    })?;
    text(&absolute)
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        let path = path.display();
        Failure::new(Exit::BadInput, format!("the path {path} is not UTF-8 text"))
            .hint("Put the folder where it is, and name it with --folder")
    })
}

/// Without `--for`: what a person at a terminal uses, and what else there is.
fn overview(target: &Target, out: &mut impl Write) -> Result<(), Failure> {
    let (psql, uri) = (snippet(DRIVERS[0], target)?, snippet(DRIVERS[1], target)?);
    write!(out, "{psql}\n{uri}")?;
    writeln!(out, "\n{FAINT}For a program, --for:{FAINT:#}")?;
    for driver in DRIVERS {
        let (name, what) = (driver.name, driver.what);
        writeln!(out, "  {name:<18}  {FAINT}{what}{FAINT:#}")?;
    }
    missing(target, &[DRIVERS[0]]);
    Ok(())
}

/// The snippet and nothing else, so that it can go into a file.
fn one(name: &str, target: &Target, out: &mut impl Write) -> Result<(), Failure> {
    let Some(driver) = Driver::named(name) else {
        return Ok(());
    };
    out.write_all(snippet(driver, target)?.as_bytes())?;
    missing(target, &[driver]);
    Ok(())
}

fn several(names: &[String], target: &Target, out: &mut impl Write) -> Result<(), Failure> {
    let every = names.iter().any(|name| name == ALL);
    let named = |driver: &&'static Driver| {
        let is_it = |name: &String| Driver::named(name).is_some_and(|it| it.name == driver.name);
        every || names.iter().any(is_it)
    };
    let drivers: Vec<&Driver> = DRIVERS.into_iter().filter(named).collect();
    for (place, driver) in drivers.iter().enumerate() {
        let text = match snippet(driver, target) {
            Ok(text) => text,
            // Of all of them, one cannot be written: the others can.
            Err(failure) if every => format!("{}\n", printable(&failure.message)),
            Err(failure) => return Err(failure),
        };
        let between = if place == 0 { "" } else { "\n" };
        let (name, what) = (driver.name, driver.what);
        writeln!(
            out,
            "{between}{STRONG}=== {name}{STRONG:#}  {FAINT}{what}{FAINT:#}"
        )?;
        out.write_all(text.as_bytes())?;
    }
    missing(target, &drivers);
    Ok(())
}

fn snippet(driver: &Driver, target: &Target) -> Result<String, Failure> {
    driver.snippet(target).map_err(|error| {
        let name = driver.name;
        Failure::new(Exit::BadInput, format!("for {name}: {error}"))
            .hint("Nothing was printed. If it is the folder, a link to it under another name will do: --folder LINK")
    })
}

/// Says of the files that are named and not there how to come by them. It may be another machine
/// that has them.
fn missing(target: &Target, drivers: &[&Driver]) {
    let mut said: Vec<File> = Vec::new();
    for file in drivers.iter().flat_map(|driver| driver.files) {
        let path = target.file(*file);
        if said.contains(file) || Path::new(&path).exists() {
            continue;
        }
        said.push(*file);
        // Nothing can be done about a closed standard error.
        let _ = writeln!(
            io::stderr(),
            "pgpki: {} is missing: made by {}",
            printable(&path),
            printable(&target.made_by(*file))
        );
    }
}

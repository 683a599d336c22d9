//! What `init` and `issue-server` have in common: a server's names, and who owns its files.

use pgpki_core::issue::Issued;
use pgpki_core::name::Host;
use pgpki_fs::{Created, Installation, Owner};

use crate::exit::{Exit, Failure};
use crate::show;

/// Debian's and RHEL's packages, and the official image, run the server as this user.
const SERVER_USER: &str = "postgres";

/// The hosts in the order given; one that is named twice counts once.
pub(crate) fn hosts(given: &[String]) -> Result<Vec<Host>, Failure> {
    let mut hosts = Vec::new();
    for name in given {
        let host: Host = name.parse()?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Who owns an installation: as named, or the server's user for root, or the caller.
pub(crate) fn owner(named: Option<&str>) -> Result<Owner, Failure> {
    let caller = Owner::caller();
    match named {
        None if caller.uid != 0 => Ok(caller),
        None => Owner::parse(SERVER_USER).map_err(|error| {
            Failure::from(error).hint(
                "Install PostgreSQL first, or name the user that it runs as: --owner USER[:GROUP]",
            )
        }),
        Some(text) => {
            let owner = Owner::parse(text)?;
            if caller.uid != 0 && owner.uid != caller.uid {
                let message = format!("only root can give files to {owner}");
                return Err(
                    Failure::new(Exit::Refused, message).hint("Run as root, or leave out --owner")
                );
            }
            Ok(owner)
        }
    }
}

/// Refuses a directory in which somebody else's generations live.
pub(crate) fn refuse_if_in_use(installation: &Installation) -> Result<(), Failure> {
    let in_use = installation.current()?.is_some() || !installation.generations()?.is_empty();
    if !in_use {
        return Ok(());
    }
    let message = format!(
        "{} is an installation of another authority",
        installation.path().display()
    );
    Err(Failure::new(Exit::Refused, message)
        .hint("Name another directory with --install, or move that one away"))
}

/// Undoes what was made for an installation that came to nothing.
pub(crate) fn undo<T>(result: Result<T, Failure>, created: Created) -> Result<T, Failure> {
    result.inspect_err(|_| {
        // What is in use by now stays; there is nothing else to be done about it.
        let _ = created.undo();
    })
}

/// Says so if a certificate does not last as long as was asked for.
pub(crate) fn cut_note(issued: &Issued) -> Option<String> {
    issued.cut_to_issuer.then(|| {
        format!(
            "cut to {}, when the CA that signed it ends",
            show::date(issued.validity.not_after)
        )
    })
}

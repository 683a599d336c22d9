//! What `init` and `issue-server` have in common: a server's names, who owns its files, and what
//! PostgreSQL is to be told of them.

mod key_passphrase;

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::ledger::KnownPlace;
use pgpki_core::issue::{Holder, Issued};
use pgpki_core::name::Host;
use pgpki_fs::{Created, Installation, Owner, shell_word};
use pgpki_postgres::conf::quote::setting_line;
use pgpki_postgres::configure::about_passphrase;

pub(crate) use self::key_passphrase::KeyPassphrase;
use crate::exit::{Exit, Failure};
use crate::show::{self, FAINT};

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

/// What to do about an installation that is gone; `home` as [`crate::args::Home::flag`] has it.
pub(crate) fn install_again(known: &KnownPlace, home: &str) -> String {
    let KnownPlace { place, serial, .. } = known;
    let hosts = match &place.holder {
        Holder::Server(hosts) => hosts
            .iter()
            .map(|host| format!(" {}", shell_word(host.to_string())))
            .collect(),
        Holder::Client(_) => String::new(),
    };
    format!(
        "pgpki issue-server{hosts} --install {}{home} makes another; if there is no such server any more, say so: pgpki revoke {serial}{home}",
        shell_word(&place.path)
    )
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

/// Refuses a certificate that lacks a name which the one in its place has: clients that use that
/// name would be locked out at the next reload.
pub(crate) fn refuse_if_names_go(known: &KnownPlace, hosts: &[Host]) -> Result<(), Failure> {
    let Holder::Server(before) = &known.place.holder else {
        return Ok(());
    };
    let gone: Vec<String> = before
        .iter()
        .filter(|host| !hosts.contains(host))
        .map(Host::to_string)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} serves {}, and the new certificate would not",
        known.place.path.display(),
        gone.join(", ")
    );
    Err(Failure::new(Exit::Refused, message)
        .hint("Name those hosts too, choose another directory, or give --drop-names"))
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
            "cut to {}, when a CA above it ends",
            show::date(issued.validity.not_after)
        )
    })
}

/// The lines for `postgresql.conf` and `pg_hba.conf`, to be copied as they are. `passphrase_file` has the passphrase of the
/// server's key, if that is encrypted.
pub(crate) fn configuration(
    installation: &Path,
    passphrase_file: Option<&Path>,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "\nPut these lines into PostgreSQL's configuration, then reload it.\n"
    )?;
    let current = installation.join("current");
    let file = |name: &str| quoted(&current.join(name));
    writeln!(out, "{FAINT}# postgresql.conf{FAINT:#}")?;
    writeln!(out, "ssl = on")?;
    writeln!(out, "ssl_cert_file = {}", file("server.crt"))?;
    writeln!(out, "ssl_key_file = {}", file("server.key"))?;
    writeln!(out, "ssl_ca_file = {}", file("root.crt"))?;
    writeln!(out, "ssl_crl_file = {}", file("root.crl"))?;
    writeln!(out, "ssl_min_protocol_version = 'TLSv1.2'")?;
    passphrase_lines(passphrase_file, out)?;
    writeln!(out)?;
    writeln!(
        out,
        "{FAINT}# pg_hba.conf: above every other line that begins with \"host\", because the first \
         match wins{FAINT:#}"
    )?;
    writeln!(out, "hostnossl  all          all  all  reject")?;
    writeln!(out, "hostnossl  replication  all  all  reject")?;
    writeln!(out, "hostssl    all          all  all  cert")?;
    writeln!(out, "hostssl    replication  all  all  cert")?;
    writeln!(
        out,
        "{FAINT}# while not every client has a certificate: scram-sha-256 instead of cert{FAINT:#}"
    )?;
    writeln!(
        out,
        "{FAINT}# for a password beside the certificate: scram-sha-256 clientcert=verify-full \
         instead of cert{FAINT:#}"
    )
}

/// The lines for `postgresql.conf` with which a server opens its key.
pub(crate) fn passphrase_lines(file: Option<&Path>, out: &mut impl Write) -> io::Result<()> {
    for (name, value) in file.into_iter().flat_map(about_passphrase) {
        // A path has no zero byte, which is all that could not be written.
        let line = setting_line(name, &value).unwrap_or_default();
        writeln!(out, "{}", String::from_utf8_lossy(&line))?;
    }
    Ok(())
}

/// A string in `postgresql.conf`, where a backslash escapes and a quote is doubled.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

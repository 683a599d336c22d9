//! The report of a rotation for people.

use std::io::{self, IsTerminal as _, Write};

use pgpki_authority::Authority;
use pgpki_authority::ledger::PlaceKind;
use pgpki_authority::rotation::Request;
use pgpki_core::document::printable;
use pgpki_core::profile::Profile;
use time::OffsetDateTime;

use super::certify;
use super::outcome::{Foreign, Line, Lost, OthersChain, Outcome, ToCertify};
use crate::exit::Failure;
use crate::show::{self, BAD, GOOD, STRONG, WARNING};
use crate::tokens;

/// How many of those who must be handed a new certificate, and of folders that were moved away, are named; the rest is counted.
const NAMED: usize = 50;

pub(super) fn print(
    outcome: &Outcome,
    authority: &Authority,
    request: &Request,
    now: OffsetDateTime,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if outcome.is_quiet() {
        // cron mails whatever is printed, and there is nothing to tell.
        if io::stdout().is_terminal() || outcome.dry_run {
            nothing_due(authority, request, now, out)?;
        }
        return Ok(());
    }
    root(outcome, out)?;
    issuing_ca(outcome, out)?;
    given_up(outcome, out)?;
    unendorsed(outcome, out)?;
    places(&outcome.places, out)?;
    locked(outcome, out)?;
    elsewhere(outcome, out)?;
    lost(outcome, out)?;
    others(outcome, out)?;
    sessions(outcome, out)?;
    if outcome.swept > 0 {
        writeln!(
            out,
            "removed {} of runs that were killed; an issue-client among them has to be run again",
            show::count(outcome.swept, "leftover")
        )?;
    }
    for left in &outcome.left {
        writeln!(out, "{WARNING}left{WARNING:#}  {}", printable(left))?;
    }
    for stopped in &outcome.stopped {
        writeln!(out, "{BAD}stopped{BAD:#}  {}", printable(stopped))?;
    }
    if outcome.published_revocations {
        writeln!(
            out,
            "\nIf a pgpki revoke was cut short before this, whoever it was about may still have a session: run it again"
        )?;
    }
    if outcome.places.iter().any(|line| line.not_proven.is_some()) {
        writeln!(
            out,
            "\nA server that was not asked uses the new certificate once it starts or reloads: pg_ctl reload, or\nSELECT pg_reload_conf()"
        )?;
    }
    Ok(())
}

fn root(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let end = day(&outcome.root_not_after);
    match outcome.root {
        "renewed" => writeln!(
            out,
            "{GOOD}renewed{GOOD:#}  the root, until {end}; the old one has signed it, and both are trusted.\n         \
             Who still depends on the old one: pgpki rotate --root --finish --dry-run"
        ),
        "replaced" => writeln!(
            out,
            "{WARNING}replaced{WARNING:#}  the root, until {end}. The one before has ended and could not sign it, so nobody\n          \
             trusts it yet: hand everybody the new root.crt, and every role its new folder"
        ),
        "would-replace" => writeln!(
            out,
            "would replace  the root, which ended {end} and cannot sign the new one: everybody must be handed root.crt"
        ),
        "finished" => writeln!(
            out,
            "{GOOD}finished{GOOD:#}  the old root is retired; only the new one is trusted, until {end}"
        ),
        "undone" => writeln!(
            out,
            "{GOOD}undone{GOOD:#}  the old root signs again, and only it is trusted, until {end}"
        ),
        "would-renew" => writeln!(out, "would renew  the root, which ends {end}"),
        "passphrase-needed" if outcome.root_reason.is_some() => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the root ends {end}, and everything under it.\n     \
             A new one comes with an issuing CA, whose key is to be encrypted as the one before:\n     {}",
            printable(outcome.root_reason.as_deref().unwrap_or_default())
        ),
        "passphrase-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the root ends {end}, and everything under it.\n     \
             A new one needs its key's passphrase, long before that:\n     \
             pgpki rotate --root-passphrase-file FILE"
        ),
        "token-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the root ends {end}, and everything under it.\n     \
             A new one needs the token with its key, long before that: pgpki rotate --pin-file FILE\n     {}",
            printable(outcome.root_reason.as_deref().unwrap_or_default())
        ),
        "endorsement-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the root ends {end}, and everything under it.\n     \
             A new one comes with an issuing CA, which has to be certified like this one:\n     {}",
            printable(outcome.root_reason.as_deref().unwrap_or_default())
        )
        .and_then(|()| to_certify(outcome, out)),
        "failed" => {
            let reason = outcome.root_reason.as_deref().unwrap_or_default();
            let reason = printable(reason);
            writeln!(
                out,
                "{BAD}failed{BAD:#}  a new root; this one ends {end}: {reason}"
            )
        }
        _ => Ok(()),
    }
}

fn elsewhere(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    for leaf in outcome.elsewhere.iter().take(NAMED) {
        let (profile, name, end) = (leaf.profile, printable(&leaf.name), show::date(leaf.end));
        writeln!(
            out,
            "{WARNING}elsewhere{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}, and its key is not here: whoever has it needs another one, with pgpki sign or issue-{profile}"
        )?;
    }
    match outcome.elsewhere.len().checked_sub(NAMED) {
        Some(more @ 1..) => writeln!(out, "  … and {more} more; --json names all"),
        _ => Ok(()),
    }
}

fn lost(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    if outcome.lost.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{}",
        match outcome.issuing_ca {
            "would-replace" =>
                "Nobody would accept these any more; whoever has one would have to be handed a new one:",
            _ => "Nobody accepts these any more; whoever has one must be handed a new one:",
        }
    )?;
    for Lost {
        profile,
        name,
        renewed,
    } in outcome.lost.iter().take(NAMED)
    {
        let name = printable(name);
        let renewed: Vec<String> = renewed.iter().map(|path| printable(path)).collect();
        match renewed.is_empty() {
            true if outcome.issuing_ca == "would-replace" => {
                writeln!(out, "  {profile} {STRONG}{name}{STRONG:#}")?;
            }
            true => writeln!(
                out,
                "  {profile} {STRONG}{name}{STRONG:#}  where the old one went is not known: issue another one"
            )?,
            false => writeln!(
                out,
                "  {profile} {STRONG}{name}{STRONG:#}  {}",
                renewed.join(", ")
            )?,
        }
    }
    if let Some(more @ 1..) = outcome.lost.len().checked_sub(NAMED) {
        writeln!(out, "  … and {more} more; --json names all")?;
    }
    let is_waiting = |lost: &Lost| lost.renewed.is_empty();
    if !outcome.dry_run && outcome.lost.iter().any(is_waiting) {
        writeln!(
            out,
            "Who has no new one is named each time, until one was issued: pgpki issue-client, issue-server;\n\
             or nobody waits for one: pgpki revoke ROLE, or SERIAL for a server"
        )?;
    }
    Ok(())
}

fn others(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    for Foreign {
        serial,
        issuer,
        not_after,
    } in &outcome.others_must_revoke
    {
        let (issuer, end) = (printable(issuer), day(not_after));
        writeln!(
            out,
            "{WARNING}revoke{WARNING:#}  The company must revoke what {STRONG}{issuer}{STRONG:#} has certified with serial {serial}, until {end}:\n        \
             whoever trusts the company takes a server of the thief's for one of yours, until he hears of that"
        )?;
    }
    Ok(())
}

fn sessions(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    for session in &outcome.ended {
        let (role, server) = (printable(&session.role), printable(&session.server));
        let pid = session.pid;
        writeln!(
            out,
            "{GOOD}ended{GOOD:#}  a session of {STRONG}{role}{STRONG:#} on {server}, process {pid}"
        )?;
    }
    for problem in &outcome.problems {
        writeln!(
            out,
            "{BAD}sessions{BAD:#}  of the revoked CA may go on: {}",
            printable(problem)
        )?;
    }
    Ok(())
}

fn issuing_ca(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let end = day(outcome.end_of_issuing_ca());
    match outcome.issuing_ca {
        "renewed" => writeln!(out, "{GOOD}renewed{GOOD:#}  the issuing CA, until {end}"),
        "replaced" => writeln!(
            out,
            "{GOOD}replaced{GOOD:#}  the issuing CA, until {end}; those before it are revoked"
        ),
        "would-renew" => writeln!(out, "would renew  the issuing CA, which ends {end}"),
        "would-replace" => writeln!(
            out,
            "would replace  the issuing CA, and revoke it with all that it has signed"
        ),
        "passphrase-needed" if outcome.issuing_ca_reason.is_some() => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the issuing CA ends {end}, and everything it signs with it.\n     \
             The new one's key is to be encrypted as this one's:\n     {}",
            printable(outcome.issuing_ca_reason.as_deref().unwrap_or_default())
        ),
        "passphrase-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the issuing CA ends {end}, and everything it signs with it.\n     \
             Renewing it needs the root key's passphrase before that:\n     \
             pgpki rotate --root-passphrase-file FILE"
        ),
        "token-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  the issuing CA ends {end}, and everything it signs with it.\n     \
             Renewing it needs the token with the root key before that: pgpki rotate --pin-file FILE\n     {}",
            printable(outcome.issuing_ca_reason.as_deref().unwrap_or_default())
        ),
        "endorsement-needed" => writeln!(
            out,
            "{WARNING}due{WARNING:#}  {}.\n     {}",
            printable(outcome.issuing_ca_reason.as_deref().unwrap_or_default()),
            match outcome.to_certify.map(|it| it.chain) {
                Some(OthersChain::Ended) =>
                    "Since then servers have the chain to your own root: clients that know only the company's refuse them.",
                Some(OthersChain::Lacking) =>
                    "The one that signs now was not: servers have the chain to your own root, and clients that know only the company's refuse them.",
                Some(OthersChain::Served) | None =>
                    "Once that has ended, clients that know only the company's root refuse your servers.",
            }
        )
        .and_then(|()| to_certify(outcome, out)),
        "failed" => {
            let reason = outcome.issuing_ca_reason.as_deref().unwrap_or_default();
            writeln!(
                out,
                "{BAD}failed{BAD:#}  the issuing CA, which ends {end}: {reason}"
            )
        }
        _ => Ok(()),
    }
}

/// A request whose key lay beside the one that was stolen.
fn given_up(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Some(path) = &outcome.given_up else {
        return Ok(());
    };
    writeln!(
        out,
        "{WARNING}given up{WARNING:#}  the request for the next issuing CA in {}: its key lay beside the stolen one.\n     \
         An answer to it must not be used; if the company has signed it, the company must revoke that as well.\n     \
         Make another one: pgpki rotate --request-issuing FILE{}",
        printable(path),
        outcome.home
    )?;
    let Some(uri) = &outcome.given_up_key else {
        return Ok(());
    };
    for line in tokens::left_there(uri).lines() {
        writeln!(out, "     {}", printable(line))?;
    }
    Ok(())
}

/// In place of a key that was stolen there is an issuing CA that the company has not certified.
fn unendorsed(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Some(reason) = &outcome.endorsement_needed else {
        return Ok(());
    };
    let (has, refuse) = match outcome.dry_run {
        true => ("would have", "would refuse"),
        false => ("have", "refuse"),
    };
    writeln!(
        out,
        "{WARNING}endorsement-needed{WARNING:#}  {}.\n     \
         Servers {has} the chain to your own root: clients that know only the company's {refuse} them until then.",
        printable(reason)
    )?;
    to_certify(outcome, out)
}

/// What has the company certify the next issuing CA.
fn to_certify(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Some(ToCertify { step, .. }) = outcome.to_certify else {
        return Ok(());
    };
    writeln!(out, "     {}", certify::with_key(step, &outcome.home))?;
    writeln!(out, "     or without the company's key:")?;
    for line in certify::with_request(step, &outcome.home).lines() {
        writeln!(out, "     {line}")?;
    }
    Ok(())
}

/// The date of an RFC 3339 time; the rest is for programs.
fn day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}

/// What was moved away comes first, and not all of it: folders are there to be handed over, and what failed stands at the end.
fn places(lines: &[Line], out: &mut impl Write) -> io::Result<()> {
    let (moved, others): (Vec<&Line>, Vec<&Line>) =
        lines.iter().partition(|line| line.outcome == "moved-away");
    for line in moved.iter().take(NAMED) {
        place(line, out)?;
    }
    if let Some(more @ 1..) = moved.len().checked_sub(NAMED) {
        writeln!(out, "  … and {more} more moved away; --json names all")?;
    }
    for line in others {
        place(line, out)?;
    }
    Ok(())
}

fn place(line: &Line, out: &mut impl Write) -> io::Result<()> {
    let Line { profile, name, .. } = line;
    let path = printable(&line.path);
    let end = day(line.not_after.as_deref().unwrap_or("never"));
    match line.outcome {
        "renewed" => {
            let cut = match line.cut_to_issuer {
                true => ", when a CA above it ends",
                false => "",
            };
            let generation = line
                .generation
                .map(|n| format!("/current -> g{n:04}"))
                .unwrap_or_default();
            writeln!(
                out,
                "{GOOD}renewed{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  until {end}{cut}  {path}{generation}"
            )?;
            proof(line, out)
        }
        "refreshed" => {
            let generation = line
                .generation
                .map(|n| format!("/current -> g{n:04}"))
                .unwrap_or_default();
            writeln!(
                out,
                "{GOOD}refreshed{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  roots, chain and CRLs  {path}{generation}"
            )?;
            proof(line, out)
        }
        "would-refresh" => writeln!(
            out,
            "would refresh  {profile} {STRONG}{name}{STRONG:#}  roots, chain and CRLs  {path}"
        ),
        "would-take-up" => writeln!(
            out,
            "would reload  {profile} {STRONG}{name}{STRONG:#}  {path}: {}",
            printable(line.reason.as_deref().unwrap_or_default())
        ),
        "taken-up" => {
            writeln!(
                out,
                "{GOOD}taken up{GOOD:#}  {profile} {STRONG}{name}{STRONG:#}  until {end}  {path}: the server served something else"
            )?;
            proof(line, out)
        }
        "would-renew" => writeln!(
            out,
            "would renew  {profile} {STRONG}{name}{STRONG:#}  ends {end}  {path}"
        ),
        "waiting" => writeln!(
            out,
            "{WARNING}waiting{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}, and a new one would not last longer  {path}"
        ),
        "passphrase-needed" => {
            writeln!(
                out,
                "{WARNING}due{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}, and was not renewed  {path}"
            )?;
            hint(line, out)
        }
        "moved-away" => writeln!(
            out,
            "{WARNING}moved away{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}; {path} is not there any more: issue another one where it is needed"
        ),
        "sealed" => writeln!(
            out,
            "{WARNING}left alone{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}  {path} has a PKCS#12 file, and only a person knows its passphrase: issue it again"
        ),
        "changed" => {
            let why = match &line.reason {
                Some(reason) => format!(": {}", printable(reason)),
                None => " does not hold the certificate that was put there".to_owned(),
            };
            writeln!(
                out,
                "{WARNING}left alone{WARNING:#}  {profile} {STRONG}{name}{STRONG:#}  ends {end}  {path}{why}"
            )?;
            hint(line, out)
        }
        outcome => {
            let reason = line.reason.as_deref().unwrap_or_default();
            // Some errors begin with the place that they are about.
            let reason = reason
                .strip_prefix(&format!("{}: ", line.path))
                .unwrap_or(reason);
            let reason = printable(reason);
            let outcome = match outcome {
                "put-back" => "put back",
                "not-enforced" => "not enforced",
                other => other,
            };
            writeln!(
                out,
                "{BAD}{outcome}{BAD:#}  {profile} {STRONG}{name}{STRONG:#}  {path}: {reason}"
            )?;
            hint(line, out)
        }
    }
}

fn hint(line: &Line, out: &mut impl Write) -> io::Result<()> {
    match &line.hint {
        Some(hint) => writeln!(out, "        {}", printable(hint)),
        None => Ok(()),
    }
}

/// Once, however many wait for it.
fn locked(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let mut places = outcome.places.iter();
    let Some(first) = places.find(|line| line.outcome == "passphrase-needed") else {
        return Ok(());
    };
    let reason = first.reason.as_deref().unwrap_or_default();
    writeln!(
        out,
        "     It has to be renewed before that. {}",
        printable(reason)
    )?;
    for line in outcome.hint.iter().flat_map(|hint| hint.lines()) {
        writeln!(out, "     {}", printable(line))?;
    }
    Ok(())
}

/// What is known of the server that the place belongs to, or has to be done there.
fn proof(line: &Line, out: &mut impl Write) -> io::Result<()> {
    if [line.kind, line.profile] == [PlaceKind::Folder.as_str(), Profile::Server.as_str()] {
        return writeln!(out, "         take it to that server, and reload it there");
    }
    if !line.proven.is_empty() {
        let servers = printable(&line.proven.join(", "));
        writeln!(out, "         served by {servers}")?;
    }
    match &line.not_proven {
        Some(why) => writeln!(out, "         not proven: {}", printable(why)),
        None => Ok(()),
    }
}

fn nothing_due(
    authority: &Authority,
    request: &Request,
    now: OffsetDateTime,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let places = authority.ledger().places()?;
    let revoked = authority.ledger().revoked_in_places()?;
    let next = places
        .iter()
        .filter(|known| revoked.binary_search(&known.serial).is_err())
        .map(|known| (known, request.within.due_from(known.validity)))
        // What is gone was due before, and is no longer anybody's concern.
        .filter(|(_, due)| *due > now)
        .min_by_key(|(_, due)| *due);
    match next {
        Some((known, due)) => writeln!(
            out,
            "Nothing is due. The next is {} {}, from {} on.",
            known.place.holder.profile(),
            show::holder(&known.place.holder),
            show::date(due)
        )?,
        None => writeln!(out, "Nothing is due.")?,
    }
    Ok(())
}

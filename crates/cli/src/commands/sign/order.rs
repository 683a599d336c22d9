//! What is to be signed, and for whom: every request is read before any is signed.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pgpki_authority::{Order, SignError};
use pgpki_core::document::printable;
use pgpki_core::issue::Holder;
use pgpki_core::name::Role;
use pgpki_core::request::{Request, RequestError};

use super::super::server;
use super::report;
use crate::args::Sign;
use crate::exit::{Exit, Failure};

/// The largest request that is read, in bytes: one with an RSA key of 8192 bits takes three thousand.
const MAX_REQUEST: u64 = 1 << 16;

/// A request, and what is to become of it.
pub(super) struct Wanted {
    pub(super) file: PathBuf,
    pub(super) request: Request,
    pub(super) order: Order,
}

impl Wanted {
    /// The role that it is for, if it is for one.
    pub(super) fn role(&self) -> Option<&Role> {
        match &self.order.holder {
            Holder::Client(role) => Some(role),
            Holder::Server(_) => None,
        }
    }

    /// Why it was not signed, with the file that it came from.
    pub(super) fn failure(&self, error: SignError) -> Failure {
        let failure = Failure::from(error);
        let message = format!("{}: {}", shown(&self.file), failure.message);
        Failure { message, ..failure }
    }
}

pub(super) fn all(args: &Sign) -> Result<Vec<Wanted>, Failure> {
    let named = match (&args.role, args.hosts.as_slice()) {
        (Some(role), _) => Some(Holder::Client(role.parse()?)),
        (None, []) => None,
        (None, hosts) => Some(Holder::Server(server::hosts(hosts)?)),
    };
    if named.is_some() && args.requests.len() > 1 {
        let message = "several requests cannot all be for the same holder";
        return Err(Failure::new(Exit::Usage, message)
            .hint("Sign them one by one, or take the names from them: --trust-request"));
    }
    let mut folders = HashSet::new();
    let mut all = Vec::new();
    for path in &args.requests {
        let wanted = one(path, named.as_ref(), args)?;
        if !folders.insert(wanted.order.folder.clone()) {
            let message = format!(
                "{}: another of these requests is for {} as well",
                shown(path),
                wanted.order.holder
            );
            return Err(Failure::new(Exit::BadInput, message).hint("Nothing was signed"));
        }
        all.push(wanted);
    }
    Ok(all)
}

fn one(path: &Path, named: Option<&Holder>, args: &Sign) -> Result<Wanted, Failure> {
    let at = |error: RequestError| refused(path, &error);
    let request = Request::read(&pgpki_fs::read_bounded(path, MAX_REQUEST)?).map_err(at)?;
    let holder = match named {
        Some(holder) => holder.clone(),
        None => request.holder().map_err(at)?,
    };
    holder.common_name()?;
    let order = Order {
        key: request.key().clone(),
        days: args.days,
        folder: folder(&holder),
        holder,
    };
    Ok(Wanted {
        file: path.to_owned(),
        request,
        order,
    })
}

fn refused(path: &Path, error: &RequestError) -> Failure {
    let message = format!("{}: {}", shown(path), report::shortened(&error.to_string()));
    Failure::new(Exit::BadInput, message).hint(match error {
        RequestError::Unreadable(_) | RequestError::NotARequest(_) => {
            "Nothing was signed. A request (PKCS#10) is made where the key is to stay: pgpki request ROLE, or openssl req -new"
        }
        _ if error.is_about_names() => {
            "Nothing was signed. Say for whom it is: --role ROLE, or --host HOST"
        }
        _ => "Nothing was signed",
    })
}

/// The name of a holder's folder. A wildcard is written with an underscore, which shells leave alone.
pub(crate) fn folder(holder: &Holder) -> OsString {
    match holder {
        Holder::Client(role) => role.as_str().into(),
        Holder::Server(hosts) => {
            let first = hosts.first().map(ToString::to_string).unwrap_or_default();
            first.replace('*', "_").into()
        }
    }
}

pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

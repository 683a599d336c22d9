//! The servers that use an installation, as a delivery sees them: what they made of a new generation,
//! and the way back to the one before.

use pgpki_fs::Installation;

/// What servers made of a new generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// The servers that were seen to serve it.
    pub proven: Vec<String>,
    /// What could not be asked, and why.
    pub unasked: Vec<String>,
}

impl TakenUp {
    /// Nobody was asked, for this reason.
    pub fn nobody(why: impl Into<String>) -> Self {
        Self {
            proven: Vec::new(),
            unasked: vec![why.into()],
        }
    }
}

/// Whoever has servers use what is installed, and looks whether they do.
pub trait Servers {
    /// The installation has another live generation: has the servers that use it take it up.
    ///
    /// # Errors
    /// A server was asked, and does not serve it; the text says which and why.
    fn take_up(&mut self, installation: &Installation) -> Result<TakenUp, String>;

    /// Looks whether the servers that use the installation serve its live generation, and changes
    /// nothing.
    ///
    /// # Errors
    /// One serves something else, or does not answer; the text says which and why.
    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String>;
}

/// Leaves the servers as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoServers;

impl Servers for NoServers {
    fn take_up(&mut self, _installation: &Installation) -> Result<TakenUp, String> {
        Ok(TakenUp::nobody("no server was asked"))
    }

    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.take_up(installation)
    }
}

/// Makes the generation that was live before live again, and says how it stands then.
pub(crate) fn put_back(
    installation: &Installation,
    (before, new): (Option<u32>, u32),
    servers: &mut dyn Servers,
) -> String {
    let Some(before) = before else {
        return match installation.withdraw(new) {
            Ok(()) => "there was none before, and it was taken out again".to_owned(),
            Err(error) => format!("there was none before, and it could not be taken out: {error}"),
        };
    };
    if let Err(error) = installation.point_to(before) {
        return format!("and g{before:04} could not be put back: {error}");
    }
    match servers.take_up(installation) {
        Ok(taken_up) if taken_up.proven.is_empty() => {
            format!("g{before:04} was put back; {}", taken_up.unasked.join(", "))
        }
        Ok(_) => format!("g{before:04} was put back, and is served"),
        Err(why) => format!("g{before:04} was put back, which is not proven either: {why}"),
    }
}

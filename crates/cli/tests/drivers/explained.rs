//! Each client is refused, and doctor explains what it says.

use std::thread;

use pgpki_testing::{Client, Connection, Scene};
use serde_json::Value;

/// What doctor calls texts that do not tell the cause.
const HIDING: [&str; 2] = ["driver-hides-refusal", "driver-hides-cause"];

/// What has to come of a connection, whichever client it is.
pub(crate) struct Expected {
    usual: Outcome,
    others: Vec<(Client, Outcome)>,
    /// What may be said besides, of texts that tell less.
    besides: Vec<(Client, &'static str)>,
    may_hide: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// The client is in.
    Accepted,
    /// This entry explains what the client says, and no other one does.
    Refused(&'static str),
}

use Outcome::{Accepted, Refused};

impl Expected {
    /// This entry explains what every client says.
    pub(crate) fn of(entry: &'static str) -> Self {
        Self {
            usual: Refused(entry),
            others: Vec::new(),
            besides: Vec::new(),
            may_hide: false,
        }
    }

    /// From some clients, another one.
    pub(crate) fn but(mut self, clients: &[Client], entry: &'static str) -> Self {
        let others = clients.iter().map(|it| (*it, Refused(entry)));
        self.others.extend(others);
        self
    }

    /// Some clients do not mind.
    pub(crate) fn except(mut self, clients: &[Client]) -> Self {
        let others = clients.iter().map(|it| (*it, Accepted));
        self.others.extend(others);
        self
    }

    /// Some of the texts of one client tell less, and are explained by this entry.
    pub(crate) fn besides(mut self, client: Client, entry: &'static str) -> Self {
        self.besides.push((client, entry));
        self
    }

    /// It may be that nothing a client says tells the cause, and doctor says that.
    pub(crate) fn or_hidden(self) -> Self {
        Self {
            may_hide: true,
            ..self
        }
    }

    fn from(&self, client: Client) -> Outcome {
        let other = self.others.iter().find(|(it, _)| *it == client);
        other.map_or(self.usual, |(_, outcome)| *outcome)
    }
}

/// Has every client connect, and doctor explain each text that its refusal comes in.
#[track_caller]
pub(crate) fn refused(connection: &Connection, expected: &Expected) {
    refused_of(&Client::ALL, connection, expected);
}

/// [`refused`] for some clients.
#[track_caller]
pub(crate) fn refused_of(clients: &[Client], connection: &Connection, expected: &Expected) {
    let one = |client: Client| wrong(client, connection, expected);
    let wrong: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = clients.iter().map(|it| scope.spawn(|| one(*it))).collect();
        let results = running.into_iter().map(|it| it.join().unwrap());
        results.flatten().collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with what comes of a connection.
fn wrong(client: Client, connection: &Connection, expected: &Expected) -> Option<String> {
    let outcome = expected.from(client);
    match (client.connect(connection), outcome) {
        (Ok(_), Accepted) => None,
        (Err(refusal), Refused(entry)) => {
            let found: Vec<_> = refusal.texts.iter().map(|text| names(text)).collect();
            let is_told = |names: &Vec<String>| names.first().is_some_and(|it| it == entry);
            let is_right = |name: &String| {
                let is_besides = |(it, other): &(Client, &str)| *it == client && other == name;
                name == entry
                    || HIDING.contains(&name.as_str())
                    || expected.besides.iter().any(is_besides)
            };
            let all_are_right = found
                .iter()
                .all(|it| !it.is_empty() && it.iter().all(is_right));
            let is_told = expected.may_hide || found.iter().any(is_told);
            (!all_are_right || !is_told)
                .then(|| format!("{client}: {found:?}, not {entry}, explain\n{refusal}\n"))
        }
        (came, _) => Some(format!("{client}: {came:?}, not {outcome:?}\n")),
    }
}

/// What doctor calls the errors in a text.
pub(crate) fn names(text: &str) -> Vec<String> {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    let arguments = ["doctor", "--json", "--explain", text];
    let output = scene.command(arguments).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {output:?}\n{text}"));
    let explanations = report["explanations"].as_array().unwrap();
    let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
    explanations.iter().map(name).collect()
}

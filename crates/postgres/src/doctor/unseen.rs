//! What could not be looked at, and what was therefore not found wrong.

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;
use pgpki_core::key_file::FileKind;

use super::Located;
use super::facts::{
    Absent, Facts, FileSeen, NotRead, NotServed, PassphraseFile, PassphraseState, State, Unseen,
};

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let mut seen = List::default();
    match &facts.state {
        State::Up(_) => {}
        State::Unknown(unseen) => seen.not("the server's process", unseen),
        State::Down => seen.findings.push(Finding::info(
            "not-running",
            "the server does not run: only its files were looked at",
            "Start it and run doctor again, to see what it serves and which roles there are.",
        )),
    }
    if let Err(unseen) = &facts.rules {
        seen.not("pg_hba.conf", unseen);
    }
    if let Err(unseen) = &facts.issued {
        seen.not("what the authority has issued", unseen);
    }
    if let Some(Err(NotServed::NotAsked(unseen))) = &facts.served {
        seen.not("what is served", unseen);
    }
    if let Some(Err(unseen)) = &facts.log {
        seen.not("the server's log", unseen);
    }
    if let Some(Err(unseen)) = &facts.files.crl_dir {
        seen.not("ssl_crl_dir", unseen);
    }
    for file in facts.files.all() {
        seen.file(file);
    }
    if let Some(PassphraseFile {
        state: PassphraseState::Unknown(unseen),
        ..
    }) = facts.passphrase_file()
    {
        seen.not("the file with the key's passphrase", unseen);
    }
    seen.revocation(facts);
    seen.questions(facts);
    seen.findings.into_iter().map(Located::from).collect()
}

#[derive(Default)]
struct List {
    findings: Vec<Finding>,
}

impl List {
    fn not(&mut self, what: &str, unseen: &Unseen) {
        self.findings.push(Finding::info(
            "not-looked-at",
            format!("{what} was not looked at: {}", printable(&unseen.why)),
            &unseen.hint,
        ));
    }

    /// That a file is missing, or is none, is for the judges of files to say.
    fn file(&mut self, file: &FileSeen) {
        let is_file = file
            .status
            .as_ref()
            .is_ok_and(|status| status.kind == FileKind::Regular);
        let why = match (&file.status, &file.content) {
            (Err(Absent::Unknown(why)), _) => why,
            (_, Err(NotRead::Closed(why))) if is_file => why,
            _ => return,
        };
        let unseen = Unseen {
            why: why.clone(),
            hint: "Run it as root, or as the cluster's own user.".to_owned(),
        };
        self.not(file.parameter, &unseen);
    }

    fn revocation(&mut self, facts: &Facts) {
        let is_served = matches!(facts.served, Some(Ok(_)));
        if is_served && facts.to_refuse().is_some() && facts.refuses_revoked.is_none() {
            let unseen = Unseen {
                why: "nobody came with a certificate that the CRLs list, and was refused for that"
                    .to_owned(),
                hint: "That takes the issuing key, as it is on this machine: pgpki revoke, of a role that was revoked before, \
                       comes with one where the key is encrypted or in a token."
                    .to_owned(),
            };
            self.not("whether revoked clients are refused", &unseen);
        }
    }

    fn questions(&mut self, facts: &Facts) {
        let answers = match &facts.answers {
            None => return,
            Some(Err(unseen)) => return self.not("what the server uses, and its roles,", unseen),
            Some(Ok(answers)) => answers,
        };
        let mut not = |what, error: Option<&Unseen>| {
            if let Some(unseen) = error {
                self.not(what, unseen);
            }
        };
        not("pg_settings", answers.settings.as_ref().err());
        not("pg_file_settings", answers.file_errors.as_ref().err());
        not("pg_hba_file_rules", answers.hba_errors.as_ref().err());
        not("pg_conf_load_time()", answers.loaded.as_ref().err());
        not("pg_roles", answers.roles.as_ref().err());
        not(
            "which passwords are MD5 (pg_authid)",
            answers.md5.as_ref().err(),
        );
        not("pg_auth_members", answers.members.as_ref().err());
    }
}

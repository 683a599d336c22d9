//! The authority, and those who use what it makes: servers and clients here, which read its folders, and servers and
//! clients elsewhere, to whom copies are taken, late.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgpki_authority::format::Format;
use pgpki_authority::ledger::{Place, PlaceKind};
use pgpki_authority::rotation::{Report, Request, Step};
use pgpki_authority::settings::Settings;
use pgpki_authority::{
    Authority, Founding, GivenSecrets, Hierarchy, NoPassphrases, OnFailure, Secrets, Servers,
    Sessions, TakenUp, Tried,
};
use pgpki_core::issue::Holder;
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::name::Organization;
use pgpki_core::profile::Profile;
use pgpki_fs::{Installation, Owner, Shelf};
use tempfile::TempDir;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::material::{Made, Material};

pub(crate) const PASSPHRASE: &[u8] = b"kept in a drawer";

/// Servers that take up what they are given, and have no sessions.
pub(crate) struct Obedient;

impl Servers for Obedient {
    fn take_up(&mut self, _: &Installation) -> Result<TakenUp, String> {
        Ok(TakenUp::nobody("a story has no server"))
    }

    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.take_up(installation)
    }

    fn try_revoked(&mut self, _: &Installation, _: &[u8], _: &[u8]) -> Tried {
        Tried::default()
    }

    fn sessions(&mut self, _: &Path) -> Sessions {
        Sessions::default()
    }

    fn end(&mut self, _: &[pgpki_authority::Session]) -> Result<(), String> {
        Ok(())
    }
}

/// Somebody who uses a credential.
pub(crate) struct Actor {
    pub(crate) name: &'static str,
    pub(crate) profile: Profile,
    /// Whether it is a copy that is used, and not the folder itself.
    pub(crate) is_elsewhere: bool,
    /// What was made last.
    pub(crate) made: Option<Material>,
    /// What is used; nothing before the first copy, or after the last.
    pub(crate) has: Option<Material>,
    /// The day on which the next copy is going to be taken.
    pub(crate) copies_on: Option<i64>,
    /// What is used was revoked, by itself or with its CA.
    pub(crate) is_revoked: bool,
    /// No more copies: the folder was moved away, or the server is gone.
    pub(crate) is_cut_off: bool,
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) is_encrypted: bool,
    pub(crate) actors: Vec<Actor>,
    /// The CAs as they were when something last changed.
    pub(crate) hierarchy: Hierarchy,
    /// The installation comes first, then folders of servers, then those of clients.
    server: PathBuf,
}

impl Actor {
    /// Whether something newer was made for it than what it uses.
    pub(crate) fn is_behind(&self) -> bool {
        let ids = [&self.made, &self.has].map(|it| it.as_ref().map(|it| it.id));
        ids[0] != ids[1]
    }
}

impl World {
    pub(crate) fn new(is_encrypted: bool, now: OffsetDateTime) -> Self {
        // Memory, where there is some: forty years of waiting for disks would show nothing more.
        let memory = Path::new("/dev/shm");
        let dir = match memory.is_dir() {
            true => TempDir::new_in(memory).unwrap(),
            false => TempDir::new().unwrap(),
        };
        let founding = Founding {
            settings: Settings::new(
                "db.example.com",
                KeyAlgorithm::P256,
                Organization::default(),
            ),
            root_passphrase: is_encrypted.then_some(PASSPHRASE),
            issuing_passphrase: None,
            hardware: pgpki_authority::Hardware::default(),
        };
        let server = dir.path().join("tls");
        let world = Self {
            dir,
            is_encrypted,
            actors: Vec::new(),
            hierarchy: Hierarchy::new(Vec::new()),
            server,
        };
        let (home, authority) = Authority::found(&world.home(), &founding, now).unwrap();
        drop(authority);
        home.commit().unwrap();
        let place = world.place("db", Profile::Server);
        let (installation, _created) = Installation::prepare(&place.path, place.owner).unwrap();
        let mut authority = world.open();
        authority
            .install(&place, &installation, &mut Obedient, now)
            .unwrap();
        drop(authority);
        let mut world = world;
        world.add("db", Profile::Server, false);
        world
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn open(&self) -> Authority {
        Authority::open_alone(&self.home(), std::time::Duration::ZERO, |_| {}).unwrap()
    }

    pub(crate) fn add(&mut self, name: &'static str, profile: Profile, is_elsewhere: bool) {
        self.actors.push(Actor {
            name,
            profile,
            is_elsewhere,
            made: None,
            has: None,
            copies_on: None,
            is_revoked: false,
            is_cut_off: false,
        });
    }

    pub(crate) fn actor(&mut self, name: &str) -> &mut Actor {
        self.actors.iter_mut().find(|it| it.name == name).unwrap()
    }

    fn folder(&self, name: &str) -> PathBuf {
        match name {
            "db" => self.server.join("current"),
            name => self.dir.path().join("out").join(name),
        }
    }

    fn place(&self, name: &str, profile: Profile) -> Place {
        let (path, kind) = match name {
            "db" => (self.server.clone(), PlaceKind::Installation),
            name => (self.folder(name), PlaceKind::Folder),
        };
        let holder = match profile {
            Profile::Client => Holder::Client(name.parse().unwrap()),
            _ => Holder::Server(vec![format!("{name}.example.com").parse().unwrap()]),
        };
        Place {
            path,
            kind,
            holder,
            algorithm: KeyAlgorithm::P256,
            days: None,
            formats: vec![Format::Libpq],
            owner: Owner::caller(),
            passphrase_file: None,
        }
    }

    /// `issue-client`, `issue-server --out`.
    pub(crate) fn issue(&mut self, name: &'static str, profile: Profile, now: OffsetDateTime) {
        let place = self.place(name, profile);
        let (shelf, _created) = Shelf::prepare(&self.dir.path().join("out")).unwrap();
        let done = self
            .open()
            .hand_over(
                &[place],
                &shelf,
                OnFailure::Stop,
                &NoPassphrases,
                now,
                &|_| {},
            )
            .unwrap();
        assert_eq!(done.done.len(), 1);
    }

    /// `rotate`, by cron or by somebody who knows the passphrase.
    pub(crate) fn rotate(
        &self,
        step: Option<Step>,
        with_passphrase: bool,
        now: OffsetDateTime,
    ) -> Report {
        let request = Request {
            succession: step,
            ..Request::default()
        };
        let is_known = with_passphrase && self.is_encrypted;
        let secrets: Arc<dyn Secrets> = Arc::new(GivenSecrets {
            root: is_known.then(|| Zeroizing::new(PASSPHRASE.to_vec())),
            issuing: None,
        });
        let mut authority = self.open();
        authority.use_secrets(&secrets);
        let report = authority
            .rotate(&request, &mut Obedient, now, &|_| {})
            .unwrap();
        authority.told(&report).unwrap();
        report
    }

    /// A folder goes to whoever uses it, and nothing stays behind.
    pub(crate) fn move_away(&mut self, name: &str) {
        let away = self.dir.path().join(format!("{name} is not here"));
        let _ = fs::remove_dir_all(&away);
        fs::rename(self.folder(name), away).unwrap();
        self.actor(name).is_cut_off = true;
    }

    /// Looks at what was made.
    pub(crate) fn look_around(&mut self, made: Made) {
        self.hierarchy = self.open().hierarchy().clone();
        let folders: Vec<PathBuf> = self.actors.iter().map(|it| self.folder(it.name)).collect();
        for (actor, folder) in self.actors.iter_mut().zip(folders) {
            if !actor.is_cut_off {
                let before = actor.made.take();
                actor.made = Material::read_if_new(&folder, actor.profile, made, before);
            }
        }
    }

    /// Those who are here use at once what was made for them; for those elsewhere `lag` says in how many days
    /// somebody takes a copy there.
    pub(crate) fn hand_out(&mut self, day: i64, mut lag: impl FnMut() -> i64) {
        for actor in self.actors.iter_mut().filter(|it| !it.is_cut_off) {
            if actor.made.is_none() || !actor.is_behind() {
                continue;
            }
            let copies_on = match actor.is_elsewhere && actor.has.is_some() {
                true => *actor.copies_on.get_or_insert_with(|| day + lag()),
                false => day,
            };
            if copies_on <= day {
                actor.copies_on = None;
                actor.has = actor.made.clone();
                actor.is_revoked = false;
            }
        }
    }
}

//! Random histories of a vault, and former rows that are put back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use valetkey::connections::{Budget, ConnectionFilter, Settings};
use valetkey::internals::vault::{
    AuditChain, AuditLog as _, Found, GrantStore as _, Housekeeping as _, Of, TokenQuery,
};
use valetkey::model::{Connection, ConnectionId, Scopes, Status};
use valetkey::testing::ManualClock;
use valetkey::vault::AuditReport;
use valetkey::{ActingUser, Clock as _, ConsentOptions, UserId};

use crate::database_writer::full;
use crate::database_writer::rows::Random;
use crate::database_writer::world::{ACME, Host, operator, person, scratch, tenant};

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// A vault with a past.
pub(crate) struct History {
    _directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
    copies: Vec<PathBuf>,
    pub(crate) host: Host,
    random: Random,
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let directory = scratch();
        let path = directory.path().join("vault.db");
        let mut settings = Settings::default();
        settings.use_retention = Some(Duration::from_secs(3_600));
        settings.change_retention = Some(Duration::from_secs(24 * 3_600));
        settings.quarantine = Duration::from_secs(12 * 3_600);
        let host = Host::with(&path, ManualClock::START, settings).unwrap();
        Self {
            _directory: directory,
            path,
            copies: Vec::new(),
            host,
            random: Random::new(seed),
        }
    }

    fn walk(seed: u64, steps: usize) -> Self {
        let mut history = Self::new(seed);
        for step in 0..steps {
            history.step();
            if step % 8 == 7 {
                let copy = history.path.with_extension(format!("{step}"));
                history.host.vault.backup(&copy).unwrap();
                let report = verify(&history.host);
                assert!(report.is_intact(), "history {seed}: a false alarm: {report:?}");
                history.copies.push(copy);
            }
        }
        history
    }

    /// Runs one action of a user, an operator or upkeep. Failures of the action are not tested
    /// here.
    fn step(&mut self) {
        let name = NAMES[self.random.below(NAMES.len())];
        let who = person((ACME, name));
        match self.random.below(16) {
            0..=2 => self.connect(&who, name),
            3 => {
                let account = format!("{name}joint");
                self.host
                    .connect(&who, "notes", &account, ConsentOptions::default().also("mail"));
            }
            4 => {
                let account = if self.random.below(2) == 0 {
                    "teamone"
                } else {
                    "teamtwo"
                };
                self.host.connect_workspace(ACME, "mail", account);
            }
            5..=6 => {
                if let Some(connection) = self.any() {
                    let options = ConsentOptions::default().reconnect_any_account(connection.id);
                    if let Some(user) = connection.owner.user() {
                        let owner = ActingUser::authenticated(tenant(ACME), user.clone()).unwrap();
                        self.host.connect(
                            &owner,
                            connection.provider.as_str(),
                            &format!("{user}again{}", self.random.below(1_000_000)),
                            options,
                        );
                    }
                }
            }
            7..=9 => {
                if let Some(connection) = self.any() {
                    let _ = self.host.connections.refresh(&operator(ACME), connection.id);
                }
            }
            10..=11 => {
                if let Some(connection) = self.any() {
                    self.host
                        .connections
                        .revoke(&operator(ACME), connection.id)
                        .unwrap();
                }
            }
            12 => {
                let user = UserId::new(if self.random.below(8) == 0 { "olga" } else { name }).unwrap();
                self.host.connections.forget_user(&operator(ACME), &user).unwrap();
            }
            13 => {
                if let Some(connection) = self.any() {
                    self.host
                        .connections
                        .set_default(&operator(ACME), connection.id)
                        .unwrap();
                }
            }
            14 => {
                for service in ["notes", "mail"] {
                    let _ = self.host.resolver.resolve(&who, service);
                }
            }
            _ => {
                self.host.clock.advance(Duration::from_secs(3_600 * 7));
                self.host.connections.maintain(Budget::default()).unwrap();
            }
        }
    }

    fn connect(&mut self, who: &ActingUser, name: &str) {
        let account = match self.random.below(4) {
            0 => "refused".to_owned(),
            nth => format!("{name}{nth}"),
        };
        self.host
            .connect(who, "notes", &account, ConsentOptions::default());
    }

    fn any(&mut self) -> Option<Connection> {
        let listed = self
            .host
            .connections
            .list(&operator(ACME), &ConnectionFilter::default());
        let mut listed = listed.unwrap();
        let at = self.random.below(listed.len());
        (!listed.is_empty()).then(|| listed.swap_remove(at))
    }
}

pub(crate) fn verify(host: &Host) -> AuditReport {
    let chain = AuditChain::Tenant(tenant(ACME));
    host.vault.verify_chain(&chain, &mut |_, _| {}).unwrap()
}

/// The state of a connection's tokens: the generation, the status and the access token. Two grants
/// can have the same generation. `Err`: it cannot be read, or its token does not open.
type Standing = Result<(u64, &'static str, Option<String>), ()>;

/// Returns the state of every connection of the file.
fn standings(path: &Path, now: valetkey::Timestamp) -> BTreeMap<ConnectionId, Standing> {
    let host = Host::open(path, now).unwrap();
    let db = rusqlite::Connection::open(path).unwrap();
    let mut ids = db
        .prepare("SELECT uuid FROM connections WHERE tenant = (SELECT id FROM tenants WHERE name = ?)")
        .unwrap();
    let ids = ids.query_map([ACME], |row| row.get::<_, [u8; 16]>(0)).unwrap();
    ids.map(|id| ConnectionId::from_bytes(id.unwrap()))
        .map(|id| (id, standing(&host, id)))
        .collect()
}

fn standing(host: &Host, id: ConnectionId) -> Standing {
    let connection = host
        .vault
        .connection(&tenant(ACME), id)
        .map_err(drop)?
        .ok_or(())?;
    let word = match connection.status {
        Status::Active => "active",
        Status::NeedsConsent(_) => "needs consent",
        _ => "revoked",
    };
    let mut token = None;
    if connection.status == Status::Active {
        let found = host
            .vault
            .find_token(&TokenQuery {
                tenant: &tenant(ACME),
                of: Of::Id(id),
                scopes: &Scopes::default(),
            })
            .map_err(drop)?;
        if let Found::One(stored) = found {
            token = stored.access_token.map(|token| token.expose_secret().to_owned());
        }
    }
    Ok((connection.generation, word, token))
}

/// The rows that a writer puts back from an older copy: the row of a connection, with or without
/// its grant and tokens, or a deletion if the row did not exist yet.
pub(crate) const PUT_BACK: [&[&str]; 4] = [
    &["INSERT OR REPLACE INTO connections SELECT * FROM old.connections WHERE tenant = ?1 AND uuid = ?2"],
    &[
        "INSERT OR REPLACE INTO connections SELECT * FROM old.connections WHERE tenant = ?1 AND uuid = ?2",
        "INSERT OR REPLACE INTO grants SELECT g.* FROM old.grants g JOIN old.connections c
            ON c.tenant = g.tenant AND c.grant_id = g.uuid WHERE c.tenant = ?1 AND c.uuid = ?2",
    ],
    &[
        "INSERT OR REPLACE INTO connections SELECT * FROM old.connections WHERE tenant = ?1 AND uuid = ?2",
        "INSERT OR REPLACE INTO grants SELECT g.* FROM old.grants g JOIN old.connections c
            ON c.tenant = g.tenant AND c.grant_id = g.uuid WHERE c.tenant = ?1 AND c.uuid = ?2",
        "INSERT OR REPLACE INTO secrets SELECT s.* FROM old.secrets s JOIN old.grants g ON g.slot = s.slot
            JOIN old.connections c ON c.tenant = g.tenant AND c.grant_id = g.uuid
            WHERE c.tenant = ?1 AND c.uuid = ?2",
    ],
    &["DELETE FROM connections WHERE tenant = ?1 AND uuid = ?2"],
];

/// Puts rows back in a copy of the file. Returns whether anything was changed.
pub(crate) fn put_back(path: &Path, older: &Path, id: ConnectionId, statements: &[&str]) -> bool {
    let mut db = crate::database_writer::edit::writer(path);
    db.execute("ATTACH ? AS old", [older.to_str().unwrap()]).unwrap();
    let number: i64 = db
        .query_row("SELECT id FROM tenants WHERE name = ?", [ACME], |row| row.get(0))
        .unwrap();
    let transaction = db.transaction().unwrap();
    for sql in statements {
        if transaction
            .execute(sql, rusqlite::params![number, id.as_bytes()])
            .is_err()
        {
            return false;
        }
    }
    transaction.commit().unwrap();
    true
}

#[test]
fn promise_31_a_row_that_is_put_back_is_named_and_no_other() {
    let (histories, steps) = if full() { (60, 160) } else { (3, 64) };
    let (mut tried, mut named) = (0, BTreeMap::<&str, usize>::new());
    for seed in 0..histories {
        let history = History::walk(seed, steps);
        let report = verify(&history.host);
        assert!(report.is_intact(), "history {seed}: a false alarm: {report:?}");
        let now = history.host.clock.now();
        let base = history.path.with_extension("base");
        history.host.vault.backup(&base).unwrap();
        let before = standings(&base, now);
        for older in &history.copies {
            let past = standings(older, now);
            let ids: BTreeSet<_> = past.keys().chain(before.keys()).copied().collect();
            for id in ids {
                for statements in PUT_BACK {
                    let directory = scratch();
                    let path = directory.path().join("vault.db");
                    std::fs::copy(&base, &path).unwrap();
                    if !put_back(&path, older, id, statements) {
                        continue;
                    }
                    let after = standings(&path, now);
                    let all: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
                    let changed: Vec<_> = all
                        .into_iter()
                        .filter(|id| before.get(id) != after.get(id))
                        .collect();
                    for id in &changed {
                        let word = match (before.get(id), after.get(id)) {
                            (None, _) => "a forgotten row",
                            (_, None) => "a deleted row",
                            (Some(Ok((_, "revoked", _))), Some(Ok((_, "active", _)))) => "active again",
                            (Some(Ok((new, ..))), Some(Ok((old, ..)))) if old < new => "an older generation",
                            _ => "other",
                        };
                        *named.entry(word).or_default() += 1;
                    }
                    let host = Host::open(&path, now).unwrap();
                    let chain = AuditChain::Tenant(tenant(ACME));
                    let Ok(report) = host.vault.verify_chain(&chain, &mut |_, _| {}) else {
                        // A row that the audit does not contain and that cannot be read.
                        assert_eq!(
                            after.get(&id),
                            Some(&Err(())),
                            "history {seed}: {id} by {statements:?}"
                        );
                        assert!(
                            !before.contains_key(&id),
                            "history {seed}: {id} by {statements:?}"
                        );
                        *named.entry("not verified").or_default() += 1;
                        continue;
                    };
                    assert_eq!(report.first_broken, None, "history {seed}");
                    assert_eq!(
                        report.out_of_date, changed,
                        "history {seed}: {id} by {statements:?}"
                    );
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} edits of {histories} histories, named: {named:?}");
    for word in [
        "a forgotten row",
        "a deleted row",
        "active again",
        "an older generation",
    ] {
        assert!(named.contains_key(word), "{word} never happened: {named:?}");
    }
}

/// A revoked connection that is put back shows the newer generation of the grant that other
/// connections continued to use.
#[test]
fn promise_31_a_connection_that_left_its_grant_cannot_come_back() {
    let mut history = History::new(0);
    let carol = person((ACME, "carol"));
    let options = ConsentOptions::default().also("mail");
    let notes = history.host.connect(&carol, "notes", "carla", options);
    let older = history.path.with_extension("older");
    history.host.vault.backup(&older).unwrap();
    history.host.connections.revoke(&carol, notes.id).unwrap();
    let mail = history.any().unwrap();
    history.host.connections.refresh(&carol, mail.id).unwrap();
    assert!(verify(&history.host).is_intact());
    assert!(put_back(&history.path, &older, notes.id, PUT_BACK[0]));
    assert!(
        history.host.resolver.resolve(&carol, "notes").is_ok(),
        "nothing was put back"
    );
    assert_eq!(verify(&history.host).out_of_date, [notes.id]);
}

/// The workspace connection outlives the operator who consented to it.
#[test]
fn promise_31_a_workspace_connection_is_compared_after_its_operator_is_forgotten() {
    let history = History::new(0);
    let mail = history.host.connect_workspace(ACME, "mail", "team");
    let older = history.path.with_extension("older");
    history.host.vault.backup(&older).unwrap();
    let olga = UserId::new("olga").unwrap();
    history
        .host
        .connections
        .forget_user(&operator(ACME), &olga)
        .unwrap();
    assert!(verify(&history.host).is_intact());
    history.host.connections.revoke(&operator(ACME), mail.id).unwrap();
    assert!(verify(&history.host).is_intact());
    assert!(put_back(&history.path, &older, mail.id, PUT_BACK[2]));
    assert_eq!(verify(&history.host).out_of_date, [mail.id]);
}

#[test]
fn promise_31_no_alarm_is_raised_while_four_threads_write() {
    let history = History::new(31);
    let host = &history.host;
    for name in NAMES {
        host.connect(
            &person((ACME, name)),
            "notes",
            name,
            ConsentOptions::default().also("mail"),
        );
    }
    let done = AtomicBool::new(false);
    let rounds = if full() { 400 } else { 25 };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|nth| {
                scope.spawn(move || {
                    let mut random = Random::new(nth);
                    let name = NAMES[usize::try_from(nth).unwrap()];
                    let who = person((ACME, name));
                    for round in 0..rounds {
                        let filter = ConnectionFilter::default();
                        let mine = host.connections.list(&who, &filter).unwrap();
                        let own = mine.iter().find(|connection| connection.owner.user().is_some());
                        match (random.below(5), own) {
                            (0, _) | (_, None) => {
                                let options = ConsentOptions::default().also("mail");
                                host.connect(&who, "notes", &format!("{name}{}", round % 3), options);
                            }
                            (1, Some(own)) => drop(host.connections.revoke(&who, own.id).unwrap()),
                            (2, Some(_)) if round % 5 == 0 => {
                                let user = who.user();
                                host.connections.forget_user(&operator(ACME), user).unwrap();
                            }
                            (_, Some(own)) => drop(host.connections.refresh(&who, own.id)),
                        }
                    }
                })
            })
            .collect();
        let verifier = scope.spawn(|| {
            let mut verified = 0;
            while !done.load(Ordering::Relaxed) {
                let report = verify(host);
                assert!(report.is_intact(), "a false alarm: {report:?}");
                verified += 1;
            }
            verified
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        println!("verified {} times meanwhile", verifier.join().unwrap());
    });
    assert!(verify(host).is_intact());
}

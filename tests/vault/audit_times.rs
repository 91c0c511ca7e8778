//! Entries of every kind have the time of the host's clock, which is years ahead of the system's
//! here.

#![cfg(feature = "sqlite")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use valetkey::ConsentOptions;
use valetkey::connections::Budget;
use valetkey::internals::vault::{
    DefinitionContent, DefinitionKey, DefinitionKind, DefinitionStore as _, Expected, NewDefinition,
    PutDefinitions, RemoveDefinitions,
};
use valetkey::model::Timestamp;
use valetkey::testing::sandbox::Refusal;
use valetkey::testing::{Fault, ManualClock};
use valetkey::vault::{AuditKind, MasterKey, MasterKeys, SealedVault, SqliteVault, Transfer};

use crate::support::world::{World, operator, person, tenant};

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns the times of all entries of all chains that are in the file now.
fn entries(path: &Path) -> Vec<(String, Timestamp)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut entries = db.prepare("SELECT kind, at FROM audit").unwrap();
    entries
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(|entry| entry.map(|(kind, at)| (kind, Timestamp::from_unix_millis(at))))
        .map(Result::unwrap)
        .collect()
}

struct Host {
    world: World,
    file: std::path::PathBuf,
    seen: BTreeMap<String, BTreeSet<Timestamp>>,
}

impl Host {
    /// Runs an action, then advances the clock. Every new entry must have the time of the action.
    fn step(&mut self, act: impl FnOnce(&World)) {
        let before = now(&self.world);
        act(&self.world);
        let after = now(&self.world);
        for (kind, at) in entries(&self.file) {
            let times = self.seen.entry(kind.clone()).or_default();
            if !times.contains(&at) {
                assert!(
                    before <= at && at <= after,
                    "{kind} at {at}, not from {before} to {after}"
                );
                times.insert(at);
            }
        }
        self.world.clock.advance(HOUR);
    }
}

fn now(world: &World) -> Timestamp {
    valetkey::Clock::now(&world.clock)
}

fn upkeep(world: &World) {
    let _ = world.connections.maintain(Budget::default()).unwrap();
}

const KEY: DefinitionKey<'static> = DefinitionKey {
    kind: DefinitionKind::Client,
    name: "sandbox",
};

fn define(vault: &SqliteVault, document: &str, now: Timestamp) {
    let content = DefinitionContent {
        document: document.as_bytes().to_vec(),
        secrets: Vec::new(),
    };
    let definitions = [NewDefinition {
        key: KEY,
        expected: Expected::Anything,
        content: &content,
    }];
    let put = PutDefinitions {
        tenant: &tenant(),
        definitions: &definitions,
        by: None,
        now,
    };
    vault.put_definitions(&put).unwrap();
}

fn remove(vault: &SqliteVault, now: Timestamp) {
    let remove = RemoveDefinitions {
        tenant: &tenant(),
        keys: &[KEY],
        expected: Expected::Anything,
        unless_connected: None,
        by: None,
        now,
    };
    vault.remove_definitions(&remove).unwrap();
}

#[test]
fn every_kind_of_entry_is_dated_by_the_hosts_clock() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vault.db");
    let keys = [(); 2].map(|()| MasterKey::generate().unwrap().to_base64());
    let [old, new] = keys.each_ref().map(|key| || MasterKey::from_base64(key).unwrap());
    let vault = Arc::new(SqliteVault::open(&file, MasterKeys::new(old(), [new()])).unwrap());
    let mut host = Host {
        world: World::over(Arc::clone(&vault)),
        file: file.clone(),
        seen: BTreeMap::new(),
    };
    let (alice, bob) = (person("alice"), person("bob"));

    host.step(|world| {
        let consent = world.start(&alice, ConsentOptions::default());
        let denied = world.sandbox.deny(consent.authorization_url());
        world.complete(&alice, &denied, &consent).unwrap_err();
    });
    host.step(|world| {
        let consent = world.start(&alice, ConsentOptions::default());
        let callback = world.sandbox.approve(consent.authorization_url(), "ada");
        world.http.on("/token").next(Fault::InterruptedAfterSend);
        world.complete(&alice, &callback, &consent).unwrap_err();
    });
    let mut connected = None;
    host.step(|world| connected = Some(world.connect(&alice, "ada").id));
    let connection = connected.unwrap();
    host.step(|world| world.connections.set_default(&alice, connection).unwrap());
    host.step(|world| drop(world.connections.refresh(&alice, connection).unwrap()));
    host.step(|world| {
        world.resolver.resolve(&alice, "notes").unwrap();
        upkeep(world);
    });
    host.step(|world| {
        world.sandbox.revoke_at_server("ada");
        world.connections.refresh(&alice, connection).unwrap_err();
    });
    host.world.clock.advance(HOUR * 24 * 60);
    host.step(upkeep);
    host.step(|world| {
        world.sandbox.adjust(|it| it.issues_refresh_tokens = false);
        world.connect(&bob, "grace");
        world.sandbox.adjust(|it| it.issues_refresh_tokens = true);
    });
    host.step(|world| {
        world.resolver.resolve(&bob, "notes").unwrap_err();
    });
    host.step(|world| {
        let connection = world.connect(&bob, "grace");
        world
            .sandbox
            .adjust(|it| it.revocation_outage = Some(Refusal::JsonWith(503)));
        world.connections.revoke(&bob, connection.id).unwrap();
    });
    host.world.sandbox.adjust(|it| it.revocation_outage = None);
    host.step(upkeep);
    let acme = tenant();
    host.step(|world| drop(vault.rotate_data_key(&acme, now(world)).unwrap()));
    for document in ["{}", "[]"] {
        host.step(|world| define(&vault, document, now(world)));
    }
    host.step(|world| remove(&vault, now(world)));
    host.step(|world| {
        let bob = valetkey::UserId::new("bob").unwrap();
        world.connections.forget_user(&operator(), &bob).unwrap();
    });
    host.step(|world| {
        let both = SqliteVault::open(&file, MasterKeys::new(new(), [old()])).unwrap();
        assert!(both.rotate_master_key(100, now(world)).unwrap().done > 0);
    });
    host.step(|world| drop(world.connections.forget_tenant(&operator()).unwrap()));
    host.step(|world| {
        let target = SealedVault::in_memory();
        let transfer = Transfer::new(&*vault, &target).clock(world.clock.clone());
        transfer.run(|_| {}).unwrap();
    });

    let seen: BTreeSet<_> = host.seen.keys().map(String::as_str).collect();
    // Only a key service destroys keys: `erased_by_keys` has one.
    let kinds = AuditKind::ALL.into_iter();
    let expected: BTreeSet<_> = kinds
        .filter(|kind| *kind != AuditKind::MasterKeyDestroyed)
        .map(AuditKind::as_str)
        .collect();
    assert_eq!(seen, expected);
    assert!(host.seen.values().flatten().all(|at| *at >= ManualClock::START));
}

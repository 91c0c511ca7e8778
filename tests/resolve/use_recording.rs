//! The use of a token is written by upkeep, not by the caller that waits for the token.

use valetkey::connections::{AuditPage, Budget, Settings};
use valetkey::vault::{AuditKind, MasterKey, SealedVault};
use valetkey::{ActingUser, Connections, Resolver};

use crate::support::counting::CountingStore;
use crate::support::world::person;

/// The maximum number of uses kept in memory before a `resolve` writes some of them.
const BOUND: usize = 8_192;

struct Host {
    store: CountingStore,
    resolver: Resolver,
    connections: Connections,
    alice: ActingUser,
}

impl Host {
    fn new(settings: Settings) -> Self {
        let store = CountingStore::default();
        let vault = SealedVault::open(store.clone(), MasterKey::generate().unwrap()).unwrap();
        let host = valetkey::testing::Host::builder()
            .vault(vault)
            .connections(|_, builder| builder.settings(settings))
            .build()
            .unwrap();
        let alice = person("alice");
        host.connect(&alice, "notes");
        Self {
            store,
            resolver: host.resolver,
            connections: host.connections,
            alice,
        }
    }

    /// Calls `peek` in a separate turn. Returns whether there was a token.
    fn peek(&self) -> bool {
        let turn = self.resolver.turn(self.alice.clone());
        turn.peek("notes").unwrap().is_some()
    }

    fn resolve(&self) {
        let turn = self.resolver.turn(self.alice.clone());
        turn.resolve("notes").unwrap();
    }

    /// Returns the number of uses in the audit.
    fn audited(&self) -> usize {
        let mut page = AuditPage::default();
        let mut found = 0;
        loop {
            let entries = self.connections.audit(&self.alice, &page).unwrap();
            let Some(last) = entries.last() else { return found };
            page.after = last.number;
            found += entries
                .iter()
                .filter(|entry| entry.kind == AuditKind::TokenUsed)
                .count();
        }
    }
}

#[test]
fn peek_writes_nothing_however_uses_are_audited() {
    let batched = Settings::default();
    for (settings, is_strict) in [
        (batched.no_use_audit(), false),
        (batched, false),
        (batched.strict_use_audit(), true),
    ] {
        let host = Host::new(settings);
        let writes = host.store.writes();
        for _ in 0..BOUND {
            assert!(host.peek(), "{settings:?}");
        }
        // Every use is recorded even without room: `resolve` must first make some.
        assert!(!host.peek(), "{settings:?}");
        assert_eq!(host.store.writes(), writes, "{settings:?}");
        assert_eq!(host.audited(), 0, "{settings:?}");
        if is_strict {
            host.connections.maintain(Budget::default()).unwrap();
        } else {
            host.resolve();
        }
        assert!(host.peek(), "{settings:?}");
    }
}

#[test]
fn resolve_writes_nothing_until_the_bound_and_then_one_batch() {
    let host = Host::new(Settings::default());
    let writes = host.store.writes();
    for _ in 1..BOUND {
        host.resolve();
    }
    assert_eq!((host.store.writes(), host.audited()), (writes, 0));
    host.resolve();
    assert_eq!(host.store.writes(), writes + 1);
    let batch = host.audited();
    assert!((1..BOUND / 4).contains(&batch), "{batch} uses in one transaction");
    for _ in 1..batch {
        host.resolve();
    }
    assert_eq!(host.store.writes(), writes + 1);
}

#[test]
fn upkeep_and_the_last_handle_write_what_was_gathered_in_batches() {
    let mut host = Host::new(Settings::default());
    for _ in 0..3_000 {
        host.resolve();
    }
    let upkeep = host.connections.maintain(Budget::default().refreshes(0)).unwrap();
    assert_eq!((upkeep.uses_recorded, host.audited()), (3_000, 3_000));
    for _ in 0..10 {
        assert!(host.peek());
    }
    let writes = host.store.writes();
    let other = Host::new(Settings::default());
    (host.resolver, host.connections) = (other.resolver, other.connections);
    assert_eq!(host.store.writes(), writes + 1);
}

#[test]
fn strict_audit_writes_each_resolve_at_once_and_each_peek_with_upkeep() {
    let host = Host::new(Settings::default().strict_use_audit());
    host.resolve();
    host.resolve();
    assert_eq!(host.audited(), 2);
    assert!(host.peek());
    assert_eq!(host.audited(), 2);
    let upkeep = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.uses_recorded, host.audited()), (1, 3));
}

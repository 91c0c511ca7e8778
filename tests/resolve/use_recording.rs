//! When the use of a token is written: by upkeep, not by the caller who waits for the token.

use valetkey::connections::{AuditPage, Budget, Settings, UseAudit};
use valetkey::vault::{AuditKind, MasterKey, SealedVault};
use valetkey::{ActingUser, Connections, Resolver};

use crate::support::counting::CountingStore;
use crate::support::world::person;

/// How many uses wait at most before a `resolve` writes some of them.
const BOUND: usize = 8_192;

struct Host {
    store: CountingStore,
    resolver: Resolver,
    connections: Connections,
    alice: ActingUser,
}

impl Host {
    fn new(use_audit: UseAudit) -> Self {
        let store = CountingStore::default();
        let vault = SealedVault::open(store.clone(), MasterKey::generate().unwrap()).unwrap();
        let mut settings = Settings::default();
        settings.use_audit = use_audit;
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

    /// Calls `peek` in a turn of its own. Returns whether there was a token.
    fn peek(&self) -> bool {
        let turn = self.resolver.turn(self.alice.clone());
        turn.peek("notes").unwrap().is_some()
    }

    fn resolve(&self) {
        let turn = self.resolver.turn(self.alice.clone());
        turn.resolve("notes").unwrap();
    }

    /// How many uses the audit holds.
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
    for use_audit in [UseAudit::Off, UseAudit::Batched, UseAudit::Strict] {
        let host = Host::new(use_audit);
        let writes = host.store.writes();
        for _ in 0..BOUND {
            assert!(host.peek(), "{use_audit:?}");
        }
        // No use goes unrecorded for want of room: `resolve` must make some first.
        assert!(!host.peek(), "{use_audit:?}");
        assert_eq!(host.store.writes(), writes, "{use_audit:?}");
        assert_eq!(host.audited(), 0, "{use_audit:?}");
        if use_audit == UseAudit::Strict {
            host.connections.maintain(Budget::default()).unwrap();
        } else {
            host.resolve();
        }
        assert!(host.peek(), "{use_audit:?}");
    }
}

#[test]
fn resolve_writes_nothing_until_the_bound_and_then_one_batch() {
    let host = Host::new(UseAudit::Batched);
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
    let mut host = Host::new(UseAudit::Batched);
    for _ in 0..3_000 {
        host.resolve();
    }
    let upkeep = host.connections.maintain(Budget::default().refreshes(0)).unwrap();
    assert_eq!((upkeep.uses_recorded, host.audited()), (3_000, 3_000));
    for _ in 0..10 {
        assert!(host.peek());
    }
    let writes = host.store.writes();
    let other = Host::new(UseAudit::Batched);
    (host.resolver, host.connections) = (other.resolver, other.connections);
    assert_eq!(host.store.writes(), writes + 1);
}

#[test]
fn strict_audit_writes_each_resolve_at_once_and_each_peek_with_upkeep() {
    let host = Host::new(UseAudit::Strict);
    host.resolve();
    host.resolve();
    assert_eq!(host.audited(), 2);
    assert!(host.peek());
    assert_eq!(host.audited(), 2);
    let upkeep = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.uses_recorded, host.audited()), (1, 3));
}

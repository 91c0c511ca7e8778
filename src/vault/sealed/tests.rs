//! Data keys that are replaced while they are in use.

use std::sync::Arc;

use crate::model::{
    Connection, ConnectionId, Grant, GrantId, IssuedBy, Owner, ProviderId, Scopes, ServerId, TenantId,
    Timestamp, UserId,
};
use crate::secret::AccessToken;
use crate::vault::envelope::MasterKey;
use crate::vault::sealed::keyring::AUDIT_KEYS;
use crate::vault::tables::Tables as _;
use crate::vault::{
    AuditChain, AuditFilter, AuditLog as _, Found, GrantStore as _, MemoryStore, NewGrant, Of, SealedVault,
    StateHash, StoreOutcome, TokenQuery, Tokens,
};

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn store(vault: &SealedVault<Arc<MemoryStore>>, number: u8) {
    let now = Timestamp::from_unix_millis(1_000);
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client-1",
    );
    let owner = Owner::Personal(UserId::new(format!("user-{number}")).unwrap());
    let provider = ProviderId::new("gmail").unwrap();
    let grant = Grant::new(
        GrantId::from_bytes([number; 16]),
        tenant(),
        owner,
        provider,
        issued_by,
        now,
    );
    let stored = vault.store_grant(&NewGrant {
        consent: &StateHash::from_bytes([0; 32]),
        grant: &grant,
        tokens: &Tokens {
            access_token: AccessToken::new(format!("access-{number}")),
            refresh_token: Some(crate::secret::RefreshToken::new("refresh")),
            id_token: None,
        },
        connections: &[Connection::new(ConnectionId::from_bytes([number; 16]), &grant)],
        former_dead_at: None,
    });
    assert!(matches!(stored, Ok(StoreOutcome::Stored { .. })), "{stored:?}");
}

fn access(vault: &SealedVault<Arc<MemoryStore>>, number: u8) -> String {
    let found = vault.find_token(&TokenQuery {
        tenant: &tenant(),
        of: Of::Id(ConnectionId::from_bytes([number; 16])),
        scopes: &Scopes::default(),
    });
    let Ok(Found::One(token)) = found else {
        panic!("{found:?}");
    };
    token.access_token.unwrap().expose_secret().to_owned()
}

fn keys() -> MasterKey {
    MasterKey::of_bytes(zeroize::Zeroizing::new([7; 32]))
}

#[test]
fn promise_06_a_data_key_is_replaced_before_it_has_sealed_too_much() {
    let mut vault = SealedVault::open(Arc::new(MemoryStore::new()), keys()).unwrap();
    vault.core.keyring.set_max_seals(4);
    for number in 1..=9 {
        store(&vault, number);
    }
    for number in 1..=9 {
        assert_eq!(access(&vault, number), format!("access-{number}"));
    }
    let row = vault.core.tenant(&tenant()).unwrap().unwrap().row;
    let stored: Vec<_> = (1..=6)
        .filter_map(|version| vault.core.tables.read(|rows| rows.key(row, version)).unwrap())
        .map(|key| (key.version, key.seals, key.retired))
        .collect();
    assert_eq!(
        stored,
        [
            (1, 4, true),
            (2, 4, true),
            (3, 4, true),
            (4, 4, true),
            (5, 2, false)
        ]
    );
    let audit = vault
        .core
        .tables
        .read(|rows| rows.key(row, AUDIT_KEYS + 1))
        .unwrap();
    assert!(
        audit.is_some_and(|key| key.seals <= 4),
        "keys of the audit are counted and replaced too"
    );
    let report = vault
        .verify_audit(&AuditChain::Tenant(tenant()), &mut |_| {})
        .unwrap();
    assert!(report.is_intact(), "{report:?}");
    // One entry for each connection, and one for each data key that was added.
    assert_eq!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len(), 9 + 4);
}

#[test]
fn another_handle_sees_a_new_data_key() {
    let shared = Arc::new(MemoryStore::new());
    let mut one = SealedVault::open(Arc::clone(&shared), keys()).unwrap();
    let other = SealedVault::open(shared, keys()).unwrap();
    one.core.keyring.set_max_seals(2);
    store(&one, 1);
    assert_eq!(access(&other, 1), "access-1");
    store(&one, 2);
    assert_eq!(
        access(&other, 2),
        "access-2",
        "sealed with a key that it had not seen"
    );
    store(&other, 3);
    assert_eq!(access(&one, 3), "access-3");
    let row = one.core.tenant(&tenant()).unwrap().unwrap().row;
    let first = one.core.tables.read(|rows| rows.key(row, 1)).unwrap().unwrap();
    assert_eq!(first.seals, 2, "nobody seals with a key that was replaced");
}

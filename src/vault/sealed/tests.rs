//! Behaviour that involves several handles or several keys.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::model::{
    Connection, ConnectionId, Grant, GrantId, IssuedBy, Owner, ProviderId, Scopes, ServerId, TenantId,
    Timestamp, UserId,
};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

fn key(number: u8) -> MasterKey {
    MasterKey::of_bytes(Zeroizing::new([number; 32]))
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

type Vault = SealedVault;

fn open(store: &Arc<MemoryStore>, keys: impl Into<MasterKeys>) -> Result<Vault, VaultError> {
    SealedVault::open(Arc::clone(store), keys)
}

/// Stores a grant for a connection with the same number. Its generation is 1 or, for an existing
/// one, the next.
fn store(vault: &Vault, name: &str, number: u8, generation: u64) -> StoreOutcome {
    let owner = Owner::Personal(UserId::new(format!("user-{number}")).unwrap());
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    let provider = ProviderId::new("gmail").unwrap();
    let mut id = [number; 16];
    id[0] = u8::try_from(generation).unwrap();
    let mut grant = Grant::new(
        GrantId::from_bytes(id),
        tenant(name),
        owner,
        provider,
        issued_by,
        NOW,
    );
    grant.generation = generation;
    grant.expires_at = Some(NOW);
    let connection = Connection::new(ConnectionId::from_bytes([number; 16]), &grant);
    vault
        .store_grant(&NewGrant {
            consent: &StateHash::from_bytes([0; 32]),
            grant: &grant,
            tokens: &Tokens {
                access_token: AccessToken::new(format!("access-{number}-{generation}")),
                refresh_token: Some(RefreshToken::new("refresh")),
                id_token: None,
            },
            connections: &[connection],
            former_dead_at: None,
        })
        .unwrap()
}

fn access(vault: &Vault, name: &str, number: u8) -> Result<Option<String>, VaultError> {
    let found = vault.find_token(&TokenQuery {
        tenant: &tenant(name),
        of: Of::Id(ConnectionId::from_bytes([number; 16])),
        scopes: &Scopes::default(),
    })?;
    Ok(match found {
        Found::One(token) => token.access_token.map(|token| token.expose_secret().to_owned()),
        _ => None,
    })
}

fn verify(vault: &Vault) {
    for head in vault.audit_heads(None).unwrap() {
        assert!(vault.proves(&head).unwrap());
        let report = vault.verify_chain(&head.chain, &mut |_, _| ()).unwrap();
        assert!(report.is_intact(), "{:?}: {report:?}", head.chain);
    }
}

#[test]
fn a_master_key_is_replaced_step_by_step() {
    let shared = Arc::new(MemoryStore::new());
    let before = open(&shared, key(1)).unwrap();
    for name in ["acme", "other"] {
        store(&before, name, 1, 1);
    }
    assert!(matches!(open(&shared, key(2)), Err(VaultError::WrongMasterKey)));
    let both = open(&shared, MasterKeys::new(key(2), [key(1)])).unwrap();
    let mut done = 0;
    loop {
        let rotated = both.rotate(Rotation::MasterKey { limit: 2 }, NOW).unwrap();
        done += rotated.done;
        for vault in [&before, &both] {
            assert_eq!(access(vault, "other", 1).unwrap().unwrap(), "access-1-1");
        }
        if rotated.is_finished() {
            break;
        }
        assert_eq!(rotated.still_named, [*key(1).id()]);
        assert!(matches!(open(&shared, key(2)), Err(VaultError::WrongMasterKey)));
    }
    assert_eq!(done, 6, "a data key, an audit key and a row key of each tenant");
    assert!(matches!(open(&shared, key(1)), Err(VaultError::WrongMasterKey)));
    let after = open(&shared, key(2)).unwrap();
    assert_eq!(access(&after, "acme", 1).unwrap().unwrap(), "access-1-1");
    store(&after, "acme", 1, 2);
    verify(&after);
    let again = both.rotate(Rotation::MasterKey { limit: 99 }, NOW).unwrap();
    assert_eq!((again.done, again.is_finished()), (0, true));
    let vaults = after.audit_heads(None).unwrap();
    let vaults = vaults
        .iter()
        .find(|head| head.chain == AuditChain::Vault)
        .unwrap();
    assert_eq!(vaults.number, 1, "it was told once");
}

#[test]
fn a_handle_notices_that_another_has_given_a_tenant_a_new_data_key() {
    let shared = Arc::new(MemoryStore::new());
    let (one, two) = (open(&shared, key(1)).unwrap(), open(&shared, key(1)).unwrap());
    store(&one, "acme", 1, 1);
    assert_eq!(access(&two, "acme", 1).unwrap().unwrap(), "access-1-1");
    let acme = tenant("acme");
    assert_eq!(one.rotate(Rotation::DataKey(&acme), NOW).unwrap().done, 1);
    let rotated = one.rotate(Rotation::Tokens { limit: 99 }, NOW).unwrap();
    assert_eq!((rotated.done, rotated.destroyed), (1, 1));
    assert_eq!(access(&two, "acme", 1).unwrap().unwrap(), "access-1-1");
    store(&two, "acme", 2, 1);
    assert_eq!(access(&one, "acme", 2).unwrap().unwrap(), "access-2-1");
    assert_eq!(
        one.rotate(Rotation::Tokens { limit: 99 }, NOW).unwrap(),
        Rotated::default()
    );
    verify(&two);
}

#[test]
fn promise_06_a_data_key_is_replaced_before_it_has_sealed_too_much() {
    let mut vault = open(&Arc::new(MemoryStore::new()), key(1)).unwrap();
    vault.core.keyring.set_max_seals(8);
    for generation in 1..=40 {
        store(&vault, "acme", 1, generation);
    }
    assert_eq!(access(&vault, "acme", 1).unwrap().unwrap(), "access-1-40");
    verify(&vault);
    let acme = tenant("acme");
    let told = vault.audit(&AuditFilter::of(&acme)).unwrap();
    let rotations = told
        .iter()
        .filter(|entry| entry.kind == AuditKind::DataKeyRotated)
        .count();
    assert!(
        rotations >= 9,
        "80 seals with 8 for each key, {rotations} rotations"
    );
    assert_eq!(told.len(), 40 + rotations);
    let numbers: Vec<_> = told.iter().map(|entry| entry.number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    let revoked = vault
        .revoke(&Revoke {
            tenant: &acme,
            what: RevokeWhat::Connection(ConnectionId::from_bytes([1; 16])),
            by: None,
            now: NOW,
            keep_until: None,
        })
        .unwrap()
        .unwrap();
    assert_eq!(revoked.ended.len(), 40);
    assert!(revoked.ended.iter().all(|ended| ended.access_token.is_some()));
}

#[test]
fn two_handles_divide_what_is_due() {
    let shared = Arc::new(MemoryStore::new());
    let (one, two) = (open(&shared, key(1)).unwrap(), open(&shared, key(1)).unwrap());
    for number in 1..=5 {
        store(&one, "acme", number, 1);
    }
    let claim = |vault: &Vault| {
        let claimed = vault.claim_due(&DueQuery {
            server: &ServerId::new("google").unwrap(),
            holder: vault.holder().unwrap(),
            now: NOW,
            claim_time: NOW,
            lease: Duration::from_secs(30),
            horizon: Duration::from_secs(60),
            idle_since: None,
            limit: 2,
        });
        claimed
            .unwrap()
            .into_iter()
            .map(|claimed| claimed.grant.id)
            .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = [&one, &two, &one, &two].into_iter().flat_map(claim).collect();
    assert_eq!(all.len(), 5);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5, "each is claimed once");
}

#[test]
fn a_handle_notices_that_another_has_forgotten_a_tenant() {
    let shared = Arc::new(MemoryStore::new());
    let (one, two) = (open(&shared, key(1)).unwrap(), open(&shared, key(1)).unwrap());
    store(&one, "acme", 1, 1);
    assert!(access(&two, "acme", 1).unwrap().is_some());
    let forgotten = one.forget(&Forget {
        tenant: &tenant("acme"),
        user: None,
        by: None,
        now: NOW,
    });
    assert_eq!(forgotten.unwrap().unwrap().connections, 1);
    assert_eq!(access(&two, "acme", 1).unwrap(), None);
    store(&two, "acme", 1, 1);
    for vault in [&one, &two] {
        assert_eq!(access(vault, "acme", 1).unwrap().unwrap(), "access-1-1");
        verify(vault);
    }
}

#[test]
fn a_tenant_has_a_limited_number_of_definitions() {
    let vault = open(&Arc::default(), key(1)).unwrap();
    let names: Vec<String> = (0..=MAX_DEFINITIONS)
        .map(|number| format!("board-{number}"))
        .collect();
    let content = DefinitionContent {
        document: Vec::new(),
        secrets: Vec::new(),
    };
    let of = |name| NewDefinition {
        key: DefinitionKey {
            kind: DefinitionKind::Provider,
            name,
        },
        expected: Expected::Anything,
        content: &content,
    };
    let all: Vec<_> = names.iter().map(|name| of(name.as_str())).collect();
    let put = |definitions| {
        vault.put_definitions(&PutDefinitions {
            tenant: &tenant("acme"),
            definitions,
            by: None,
            now: NOW,
        })
    };
    put(&all[1..]).unwrap();
    let refused = put(&all[..1]).unwrap_err();
    assert!(matches!(refused, VaultError::NotSupported(_)), "{refused}");
    put(&all[1..2]).expect("one that exists is replaced");
}

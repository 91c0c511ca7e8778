//! The contract of the tables, and rules that apply only to a store of keys and values.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use super::key::{Key, Table};
use super::*;
use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::StateHash;
use crate::vault::sealed::MemoryStore;
use crate::vault::tables::*;
use crate::vault::tables_contract;

/// A store in memory that records which keys were read, and runs every write a set number of times.
#[derive(Debug)]
struct Spy {
    store: MemoryStore,
    runs: usize,
    read: Mutex<Vec<Vec<u8>>>,
}

impl Spy {
    fn new(runs: usize) -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(),
            runs,
            read: Mutex::default(),
        })
    }

    /// Returns the numbers of the tables that were read since the last call.
    fn tables_read(&self) -> Vec<u8> {
        self.read.lock().unwrap().drain(..).map(|key| key[0]).collect()
    }

    fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        self.store
            .read(&mut |tx| {
                all = tx.scan(&[], &[0xff], usize::MAX)?;
                Ok(())
            })
            .unwrap();
        all
    }
}

impl Store for Spy {
    fn read(&self, work: &mut dyn FnMut(&mut dyn Transaction) -> Result<()>) -> Result<()> {
        self.store
            .read(&mut |tx| work(&mut SpiedOn { tx, read: &self.read }))
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Transaction) -> Result<()>) -> Result<()> {
        /// The error of a transaction that is run again.
        #[derive(Debug, thiserror::Error)]
        #[error("again")]
        struct Again;

        let mut spied = |tx: &mut dyn Transaction| work(&mut SpiedOn { tx, read: &self.read });
        for _ in 1..self.runs {
            self.store
                .write(&mut |tx| spied(tx).and(Err(VaultError::storage(Again))))
                .unwrap_err();
        }
        self.store.write(&mut spied)
    }

    fn erase_residue(&self) -> Result<bool> {
        Ok(false)
    }
}

struct SpiedOn<'a> {
    tx: &'a mut (dyn Transaction + 'a),
    read: &'a Mutex<Vec<Vec<u8>>>,
}

impl Transaction for SpiedOn<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read.lock().unwrap().push(key.to_vec());
        self.tx.get(key)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        assert!(
            !key.is_empty() && key.len() <= 256,
            "the documented size of a key"
        );
        self.tx.put(key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.tx.delete(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let found = self.tx.scan(from, to, limit)?;
        self.read
            .lock()
            .unwrap()
            .extend(found.iter().map(|(key, _)| key.clone()));
        Ok(found)
    }
}

fn commit<R>(tables: &impl Tables, mut work: impl FnMut(&mut dyn RowsMut) -> Result<R>) -> R {
    match tables.write(|rows| work(rows).map(Write::Commit)).unwrap() {
        Write::Commit(value) => value,
        _ => panic!("the transaction ended differently than it was told to"),
    }
}

const ACCESS: &[u8] = b"sealed access token";
const REST: &[u8] = b"sealed refresh token";
const VERIFIER: &[u8] = b"sealed verifier";
const WRAPPED: &[u8] = b"wrapped key";

/// Creates a tenant with one row of every kind.
fn fill(tables: &impl Tables) -> TenantRow {
    use tables_contract::fixtures::{connection, consent, entry, grant, key, name, revocation};
    let set = Secrets::Set {
        access: ACCESS,
        rest: REST,
    };
    commit(tables, |rows| {
        let tenant = rows.insert_tenant(&name("acme"))?;
        rows.insert_key(
            tenant,
            &KeyRow {
                wrapped: WRAPPED.to_vec(),
                ..key(1)
            },
        )?;
        let times = GrantRow {
            expires_at: Some(1),
            quarantined_until: Some(1),
            ..grant(1)
        };
        rows.put_grant(tenant, &times, set)?;
        let former = GrantRow {
            former_of: Some(times.id),
            dead_at: Some(1),
            ..grant(2)
        };
        rows.put_grant(tenant, &former, set)?;
        let marked = ConnectionRow {
            label: Some("l".repeat(512)),
            account: Some("a".repeat(5_000)),
            is_default: true,
            ..connection(1, &"o".repeat(512), "notes")
        };
        assert!(rows.put_connection(tenant, &marked)?);
        rows.record_uses(&[(tenant, marked.id, 1)])?;
        rows.insert_consent(tenant, &consent(1), VERIFIER)?;
        let sealed = Sealed {
            access: Some(ACCESS.to_vec()),
            rest: Some(REST.to_vec()),
        };
        rows.insert_revocation(tenant, &revocation(1), &sealed)?;
        let chain = Chain::Of(tenant);
        rows.append_entries(chain, &[entry(2, Some(tenant))])?;
        rows.put_head(
            chain,
            &HeadRow {
                number: 2,
                mac: [1; 32],
                broken: None,
                seal: [1; 32],
            },
        )?;
        rows.put_checkpoint(
            chain,
            &CheckpointRow {
                number: 2,
                mac: [1; 32],
                seal: [1; 32],
            },
        )?;
        let gap = GapRow {
            first: 1,
            last: 1,
            before: [1; 32],
            mac: [1; 32],
            seal: [1; 32],
        };
        rows.put_gap(chain, &gap)?;
        rows.set_pruned_to(chain, tenant, Pruned::Uses, 2)?;
        Ok(tenant)
    })
}

fn contains(store: &Spy, secret: &[u8]) -> bool {
    store
        .dump()
        .iter()
        .any(|(_, value)| value.windows(secret.len()).any(|part| part == secret))
}

#[test]
fn a_store_of_keys_and_values_keeps_the_contract_of_the_tables() {
    tables_contract::check(&|| Kv::new(MemoryStore::new()));
}

#[test]
fn a_store_that_repeats_every_write_keeps_the_contract_too() {
    tables_contract::check(&|| Kv::new(Spy::new(2)));
}

#[test]
fn a_forgotten_tenant_leaves_only_the_last_number_that_was_given() {
    let store = Spy::new(1);
    let tables = Kv::new(Arc::clone(&store));
    let tenant = fill(&tables);
    commit(&tables, |rows| {
        rows.unname_tenant(tenant)?;
        assert!(rows.erase(tenant, Doomed::Everything, 100)?);
        rows.delete_tenant(tenant)
    });
    let keys: Vec<_> = store.dump().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [Key::of(Table::LastTenant).as_bytes()]);
}

#[test]
fn erased_secrets_are_not_in_the_store() {
    let store = Spy::new(1);
    let tables = Kv::new(Arc::clone(&store));
    let tenant = fill(&tables);
    for secret in [ACCESS, REST, VERIFIER, WRAPPED] {
        assert!(contains(&store, secret));
    }
    commit(&tables, |rows| {
        rows.end_consent(tenant, &StateHash::from_bytes([1; 32]), "taken", None)?;
        rows.delete_revocation(tenant, RevocationId::from_bytes([1; 16]))?;
        rows.delete_grant(tenant, GrantId::from_bytes([2; 16]))?;
        let grant = rows.grant(tenant, GrantId::from_bytes([1; 16]))?.unwrap();
        rows.put_grant(tenant, &grant, Secrets::Erase)?;
        rows.delete_key(tenant, 1)
    });
    for secret in [ACCESS, REST, VERIFIER, WRAPPED] {
        assert!(!contains(&store, secret));
    }
}

#[test]
fn listing_connections_reads_no_secret() {
    let store = Spy::new(1);
    let tables = Kv::new(Arc::clone(&store));
    let tenant = fill(&tables);
    let secrets = [Table::GrantAccess, Table::GrantRest, Table::KeyWrapped].map(|table| table as u8);
    let all = Listing {
        owner: None,
        provider: None,
        grant: None,
        with_revoked: true,
        sought: None,
        after: None,
        limit: 9,
    };
    store.tables_read();
    assert_eq!(
        tables.read(|rows| rows.connections(tenant, &all)).unwrap().len(),
        1
    );
    let read = store.tables_read();
    assert!(read.contains(&(Table::Connection as u8)));
    assert!(!read.iter().any(|table| secrets.contains(table)));

    let wanted = Wanted::Id(ConnectionId::from_bytes([1; 16]));
    tables.read(|rows| rows.token(tenant, wanted)).unwrap();
    let read = store.tables_read();
    assert!(read.contains(&(Table::GrantAccess as u8)));
    assert!(
        !read.contains(&(Table::GrantRest as u8)),
        "the hot path leaves refresh tokens alone"
    );
}

#[test]
fn a_repeated_write_starts_over_and_returns_its_last_end() {
    let tables = Kv::new(Spy::new(3));
    let calls = Cell::new(0);
    let name = TenantId::new("acme").unwrap();
    let written = tables.write(|rows| {
        calls.set(calls.get() + 1);
        assert_eq!(rows.tenant(&name)?, None);
        rows.insert_tenant(&name)?;
        Ok(Write::Commit(calls.get()))
    });
    assert!(matches!(written, Ok(Write::Commit(3))));
}

/// A store that violates the contract.
#[derive(Debug)]
enum Broken {
    /// Reports success without running the transaction.
    Idle,
    /// Reports success although the transaction failed.
    Forgiving,
    /// Runs each read twice.
    Repeating,
}

impl Store for Broken {
    fn read(&self, work: &mut dyn FnMut(&mut dyn Transaction) -> Result<()>) -> Result<()> {
        self.write(work)
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Transaction) -> Result<()>) -> Result<()> {
        let store = MemoryStore::new();
        match self {
            Self::Idle => Ok(()),
            Self::Forgiving => {
                store.write(work).unwrap_err();
                Ok(())
            }
            Self::Repeating => {
                store.write(work).unwrap();
                store.write(work)
            }
        }
    }

    fn erase_residue(&self) -> Result<bool> {
        Ok(false)
    }
}

#[test]
fn a_store_that_breaks_its_contract_is_an_error_and_never_an_empty_answer() {
    let idle = Kv::new(Broken::Idle);
    assert!(matches!(
        idle.read(|rows| rows.vault()),
        Err(VaultError::Storage(_))
    ));
    assert!(matches!(
        idle.write(|_| Ok(Write::Commit(()))),
        Err(VaultError::Storage(_))
    ));
    let forgiving = Kv::new(Broken::Forgiving);
    assert!(matches!(
        forgiving.write(|_| Ok(Write::Unchanged(()))),
        Err(VaultError::Storage(_))
    ));
    let repeating = Kv::new(Broken::Repeating);
    assert!(matches!(
        repeating.read(|rows| rows.vault()),
        Err(VaultError::Busy)
    ));
}

#[test]
fn a_vault_of_a_newer_format_is_refused() {
    let store = Arc::new(MemoryStore::new());
    let tables = Kv::new(Arc::clone(&store));
    let row = VaultRow {
        id: [1; 16],
        master_key: [2; 16],
        key_check: [3; 32],
        audit_key: vec![4],
    };
    commit(&tables, |rows| rows.put_vault(&row));
    store
        .write(&mut |tx| {
            let key = Key::of(Table::Vault);
            let mut value = tx.get(key.as_bytes())?.unwrap();
            value[7] += 1;
            tx.put(key.as_bytes(), &value)
        })
        .unwrap();
    let read = tables.read(|rows| rows.vault());
    assert!(matches!(
        read,
        Err(VaultError::NewerVersion {
            found: 2,
            supported: 1
        })
    ));
}

#[test]
fn values_that_are_cut_short_are_damage_and_never_a_panic() {
    let store = Spy::new(1);
    let tables = Kv::new(Arc::clone(&store));
    let tenant = fill(&tables);
    let rows: Vec<_> = store
        .dump()
        .into_iter()
        .filter(|(key, _)| {
            [Table::Connection, Table::Grant]
                .map(|table| table as u8)
                .contains(&key[0])
        })
        .collect();
    let id = ConnectionId::from_bytes([1; 16]);
    for (key, value) in rows {
        let put = |value: &[u8]| {
            store.write(&mut |tx| tx.put(&key, value)).unwrap();
        };
        for len in 0..value.len() {
            put(&value[..len]);
            let read = tables.read(|rows| {
                Ok((rows.connection(tenant, id)?, rows.due_grants(&DUE)?, {
                    rows.former_grants(tenant, GrantId::from_bytes([1; 16]))?
                }))
            });
            assert!(matches!(read, Err(VaultError::Damaged)));
        }
        put(&value);
    }
}

const DUE: DueRows<'_> = DueRows {
    server: "server",
    now: 9,
    expires_before: 9,
    refreshed_before: None,
    limit: 9,
};

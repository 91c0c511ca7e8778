//! A walk through every method, for tests that look at all statements.

use super::*;
use crate::model::{ConsentId, RevocationId, Timestamp};
use crate::vault::tables::{
    CheckpointRow, ConsentRow, Doomed, DueRows, GapRow, KeyRow, Listing, Pruned, RevocationRow, Sealed,
    VaultRow,
};
use crate::vault::{Sought, StateHash};

fn key(version: u32) -> KeyRow {
    KeyRow {
        version,
        master_key: [1; 16],
        wrapped: vec![5; 60],
        seals: 0,
        retired: false,
    }
}

fn consent(number: u8) -> ConsentRow {
    ConsentRow {
        state: StateHash::from_bytes([number; 32]),
        id: ConsentId::from_bytes([number; 16]),
        user: "alice".into(),
        owner: "alice".into(),
        expires_at: i64::from(number),
        status: "pending".into(),
        completed: None,
        body: vec![1],
        key_version: 1,
        mac: [number; 32],
    }
}

fn revocation(number: u8) -> RevocationRow {
    RevocationRow {
        id: RevocationId::from_bytes([number; 16]),
        connection: ConnectionId::from_bytes([1; 16]),
        owner: "alice".into(),
        not_before: 1,
        attempts: 0,
        give_up_at: 100,
        body: vec![1],
        key_version: 1,
    }
}

/// Calls every method at least once, and checks the results that are not checked elsewhere.
pub(super) fn walk(tables: &SqliteTables) {
    let tenant = write(tables, |rows| fill(rows)).unwrap();
    tables
        .read(|rows| {
            read_vault(rows, tenant)?;
            read_connections(rows, tenant)?;
            read_requests(rows, tenant)?;
            read_audit(rows, tenant)
        })
        .unwrap();
    write(tables, |rows| change(rows, tenant)).unwrap();
    write(tables, |rows| erase(rows, tenant)).unwrap();
}

fn fill(rows: &mut dyn RowsMut) -> Result<TenantRow, VaultError> {
    let vault = VaultRow {
        id: [1; 16],
        master_key: [2; 16],
        key_check: [3; 32],
        audit_key: vec![4],
    };
    for _ in 0..2 {
        rows.put_vault(&vault)?;
    }
    let tenant = rows.insert_tenant(&name("acme"))?;
    for version in 1..=3 {
        rows.insert_key(tenant, &key(version))?;
    }
    for number in 1..=3 {
        put(rows, tenant, number)?;
    }
    let mut former = grant(4);
    former.former_of = Some(grant(1).id);
    former.dead_at = Some(5);
    rows.put_grant(tenant, &former, Secrets::Keep)?;
    let mut refused = grant(5);
    refused.quarantined_until = Some(5);
    refused.status = "rejected".into();
    rows.put_grant(tenant, &refused, Secrets::Keep)?;
    for number in 1..=3 {
        rows.insert_consent(tenant, &consent(number), &[1; 40])?;
        let secrets = Sealed {
            access: Some(vec![1; 40]),
            rest: None,
        };
        rows.insert_revocation(tenant, &revocation(number), &secrets)?;
    }
    for chain in [Chain::Of(tenant), Chain::Legacy] {
        rows.append_entries(chain, &[entry(1)])?;
        rows.append_entries(chain, &[entry(2), entry(3), entry(4)])?;
        rows.set_pruned_to(chain, 1, Pruned::Uses, 1)?;
        rows.put_head(
            chain,
            &HeadRow {
                number: 4,
                mac: [9; 32],
                broken: None,
                seal: [1; 32],
            },
        )?;
        rows.put_checkpoint(
            chain,
            &CheckpointRow {
                number: 2,
                mac: [9; 32],
                seal: [1; 32],
            },
        )?;
    }
    rows.record_uses(&[(tenant, connection(1).id, 5)])?;
    Ok(tenant)
}

fn read_vault(rows: &dyn Rows, tenant: TenantRow) -> Result<(), VaultError> {
    assert!(rows.vault()?.is_some());
    assert_eq!(rows.tenant(&name("acme"))?, Some(tenant));
    assert_eq!(rows.tenants(0, 5)?, [(tenant, Some(name("acme")))]);
    assert_eq!(rows.forgotten_tenant()?, None);
    assert_eq!(rows.newest_key(tenant, 3)?, Some(key(2)));
    assert_eq!(rows.key(tenant, 1)?, Some(key(1)));
    assert!(rows.retired_keys()?.is_empty());
    assert_eq!(rows.master_keys()?, [[1; 16]]);
    assert_eq!(rows.keys_wrapped_by(&[1; 16], 2)?.len(), 2);
    assert!(rows.names_key(tenant, 1)?);
    assert!(!rows.names_key(tenant, 2)?);
    Ok(())
}

fn read_connections(rows: &dyn Rows, tenant: TenantRow) -> Result<(), VaultError> {
    let (owner, provider, label) = ("alice", "provider-1", "work");
    assert!(matches!(
        rows.token(tenant, Wanted::Owner { owner, provider })?,
        FoundRows::One(_)
    ));
    assert!(matches!(
        rows.token(
            tenant,
            Wanted::Label {
                owner,
                provider,
                label
            }
        )?,
        FoundRows::Nothing
    ));
    assert!(matches!(
        rows.token(tenant, Wanted::Id(connection(1).id))?,
        FoundRows::One(_)
    ));
    let row = rows.connection(tenant, connection(1).id)?.unwrap();
    assert_eq!(
        (row.connection, row.grant, row.used_at),
        (connection(1), grant(1), Some(5))
    );
    let all = Listing {
        owner: None,
        provider: None,
        grant: None,
        with_revoked: false,
        sought: None,
        after: Some(connection(1).id),
        limit: 9,
    };
    let owner = Some(owner);
    for (listing, count) in [
        (all, 2),
        (Listing { limit: 1, ..all }, 1),
        (
            Listing {
                owner,
                after: None,
                ..all
            },
            3,
        ),
        (
            Listing {
                owner,
                provider: Some("provider-2"),
                ..all
            },
            1,
        ),
        (
            Listing {
                owner,
                grant: Some(grant(3).id),
                ..all
            },
            1,
        ),
        (
            Listing {
                owner: Some("bob"),
                with_revoked: true,
                ..all
            },
            0,
        ),
        (
            Listing {
                provider: Some("provider-2"),
                ..all
            },
            1,
        ),
        (
            Listing {
                with_revoked: true,
                sought: Some(Sought::Revoked),
                ..all
            },
            0,
        ),
        (
            Listing {
                sought: Some(Sought::NeedsConsent {
                    now: Timestamp::from_unix_millis(5),
                }),
                ..all
            },
            0,
        ),
    ] {
        assert_eq!(rows.connections(tenant, &listing)?.len(), count, "{listing:?}");
    }
    assert_eq!(rows.count_connections(tenant, None)?, 3);
    assert_eq!(rows.count_connections(tenant, Some("bob"))?, 0);
    assert_eq!(rows.grant(tenant, grant(1).id)?, Some(grant(1)));
    assert_eq!(rows.former_grants(tenant, grant(1).id)?.len(), 1);
    assert!(rows.grant_secrets(tenant, grant(1).id)?.rest.is_some());
    let sealed = rows.grants_sealed_by(tenant, 1, Some(grant(1).id), 9)?;
    assert_eq!(sealed.len(), 2);
    let due = rows.due_grants(&DueRows {
        server: "server",
        now: 10,
        expires_before: 3,
        refreshed_before: Some(1),
        limit: 9,
    })?;
    let ids: Vec<_> = due.iter().map(|due| due.row.id).collect();
    assert_eq!(ids, [grant(1).id, grant(2).id, grant(3).id]);
    assert_eq!(rows.ended_quarantines(5, 9)?[0].row, grant(5).id);
    assert_eq!(rows.dead_grants(5, 9)?[0].row, grant(4).id);
    Ok(())
}

fn read_requests(rows: &dyn Rows, tenant: TenantRow) -> Result<(), VaultError> {
    let (row, verifier) = rows.consent(tenant, &consent(1).state)?.unwrap();
    assert_eq!((row, verifier), (consent(1), Some(vec![1; 40])));
    assert_eq!(rows.consents_of(tenant, "alice")?.len(), 3);
    assert_eq!(rows.consents_after(tenant, None, 9)?.len(), 3);
    assert_eq!(rows.expired_consents(2, 9)?.len(), 1);
    assert_eq!(rows.due_revocations(1, 2)?.len(), 2);
    let (row, secrets) = rows.revocation(tenant, revocation(1).id)?.unwrap();
    assert_eq!((row, secrets.access), (revocation(1), Some(vec![1; 40])));
    assert_eq!(rows.revocations_of(tenant, connection(1).id)?.len(), 3);
    for (at_least, has) in [(0, true), (3, true), (4, false)] {
        assert_eq!(rows.has_revocations(at_least)?, has);
    }
    Ok(())
}

fn read_audit(rows: &dyn Rows, tenant: TenantRow) -> Result<(), VaultError> {
    for (chain, of) in [
        (Chain::Of(tenant), None),
        (Chain::Legacy, None),
        (Chain::Legacy, Some(tenant)),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let found = rows.entries(chain, of, 2, direction, 9)?.len();
            let expected = match (of, direction) {
                (Some(_), _) => 0,
                (None, Direction::Forward) => 2,
                (None, Direction::Backward) => 1,
            };
            assert_eq!(found, expected);
        }
        assert_eq!(rows.head(chain)?.unwrap().number, 4);
        assert!(rows.gaps(chain)?.is_empty());
        assert!(rows.checkpoint(chain, 2)?.is_some());
        assert_eq!(rows.pruned_to(chain, 1, Pruned::Uses)?, 1);
        assert_eq!(rows.last_number(chain)?, 4);
    }
    Ok(())
}

fn change(rows: &mut dyn RowsMut, tenant: TenantRow) -> Result<(), VaultError> {
    assert!(rows.count_seals(tenant, 3, 10, 10)?);
    assert!(!rows.count_seals(tenant, 3, 1, 10)?);
    rows.retire_keys(tenant, 1, 3)?;
    assert!(
        !rows.count_seals(tenant, 1, 1, 10)?,
        "a retired key seals nothing"
    );
    assert_eq!(rows.retired_keys()?.len(), 2);
    rows.delete_key(tenant, 2)?;
    assert!(rows.key(tenant, 2)?.is_none() && rows.key(tenant, 3)?.is_some());
    let mut after = key(3);
    after.master_key = [7; 16];
    after.wrapped = vec![6; 99];
    assert!(rows.rewrap_key(tenant, &key(3), &after)?);
    assert!(!rows.rewrap_key(tenant, &key(3), &after)?, "it is another by now");
    assert_eq!(rows.key(tenant, 3)?.unwrap().wrapped, after.wrapped);
    assert_eq!(rows.master_keys()?, [[1; 16], [7; 16]]);
    rows.put_grant(tenant, &grant(1), Secrets::EraseAccess)?;
    rows.put_grant(tenant, &grant(2), Secrets::Erase)?;
    rows.delete_grant(tenant, grant(5).id)?;
    rows.end_consent(tenant, &consent(1).state, "completed", Some(connection(1).id))?;
    let (row, verifier) = rows.consent(tenant, &consent(1).state)?.unwrap();
    assert_eq!((row.key_version, verifier), (0, None));
    assert_eq!(row.completed, Some(connection(1).id));
    rows.delete_consent(tenant, &consent(2).state)?;
    let mut later = revocation(1);
    later.not_before = 50;
    later.attempts = 2;
    rows.schedule_revocation(tenant, &later)?;
    assert_eq!(rows.revocation(tenant, later.id)?.unwrap().0, later);
    rows.delete_revocation(tenant, revocation(2).id)?;
    for chain in [Chain::Of(tenant), Chain::Legacy] {
        rows.delete_entries(chain, &[3, 4])?;
        for (first, last) in [(3, 3), (3, 4)] {
            rows.put_gap(
                chain,
                &GapRow {
                    first,
                    last,
                    before: [1; 32],
                    mac: [2; 32],
                    seal: [3; 32],
                },
            )?;
        }
        assert_eq!(rows.gaps(chain)?.len(), 1, "the smaller lies within the larger");
        assert_eq!(rows.last_number(chain)?, 4, "what was pruned counts");
    }
    Ok(())
}

fn erase(rows: &mut dyn RowsMut, tenant: TenantRow) -> Result<(), VaultError> {
    assert!(rows.erase(tenant, Doomed::Owner("bob"), 1)?);
    assert_eq!(rows.count_connections(tenant, None)?, 3);
    let mut turns = 0;
    while !rows.erase(tenant, Doomed::Owner("alice"), 2)? {
        turns += 1;
    }
    assert!(turns > 2);
    assert_eq!(rows.count_connections(tenant, None)?, 0);
    assert!(rows.grant(tenant, grant(4).id)?.is_none(), "the former grant too");
    rows.put_grant(tenant, &grant(9), Secrets::Keep)?;
    rows.insert_consent(tenant, &consent(9), &[1])?;
    rows.unname_tenant(tenant)?;
    assert_eq!(rows.forgotten_tenant()?, Some(tenant));
    while !rows.erase(tenant, Doomed::Everything, 1)? {}
    rows.delete_tenant(tenant)?;
    assert!(rows.tenants(0, 9)?.is_empty());
    assert!(rows.head(Chain::Of(tenant))?.is_none());
    assert_eq!(rows.last_number(Chain::Of(tenant))?, 0);
    Ok(())
}

#[test]
fn every_method_does_what_it_says() {
    let tables = SqliteTables::in_memory().unwrap();
    walk(&tables);
    let rest = "SELECT (SELECT count(*) FROM secrets) - (SELECT count(*) FROM free_slots)";
    assert_eq!(count(&tables, rest), 0, "no slot outlives its row");
    for table in [
        "connections",
        "grants",
        "consents",
        "revocations",
        "uses",
        "tenant_keys",
        "audit",
    ] {
        assert_eq!(
            count(&tables, &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    tables.integrity_check().unwrap();
}

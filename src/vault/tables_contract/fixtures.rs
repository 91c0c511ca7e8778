//! Rows for the checks.

use crate::model::{ConnectionId, ConsentId, GrantId, RevocationId, TenantId};
use crate::vault::tables::{
    AuditRow, ConnectionRow, ConsentRow, DefinitionRow, GrantRow, KeyRow, Listing, RevocationRow, Rows,
    RowsMut, Secrets, Tables, TenantRow, Write,
};
use crate::vault::{DefinitionVersion, StateHash, VaultError};

pub(in crate::vault) type Result<T> = std::result::Result<T, VaultError>;

/// Writes in one transaction that is kept.
pub(in crate::vault) fn commit<R>(
    tables: &impl Tables,
    mut work: impl FnMut(&mut dyn RowsMut) -> Result<R>,
) -> R {
    match tables.write(|rows| work(rows).map(Write::Commit)).unwrap() {
        Write::Commit(value) => value,
        _ => panic!("the transaction ended differently than it was told to"),
    }
}

pub(in crate::vault) fn read<R>(tables: &impl Tables, read: impl FnOnce(&dyn Rows) -> Result<R>) -> R {
    tables.read(read).unwrap()
}

pub(in crate::vault) fn name(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// Creates a tenant with this name and a key of version 1.
pub(in crate::vault) fn tenant(tables: &impl Tables, named: &str) -> TenantRow {
    commit(tables, |rows| {
        let tenant = rows.insert_tenant(&name(named))?;
        rows.insert_key(tenant, &key(1))?;
        Ok(tenant)
    })
}

pub(in crate::vault) const MASTER: [u8; 16] = [1; 16];

pub(in crate::vault) fn key(version: u32) -> KeyRow {
    KeyRow {
        version,
        master_key: MASTER,
        wrapped: vec![u8::try_from(version).unwrap(); 60],
        seals: 0,
        retired: false,
    }
}

pub(in crate::vault) const fn connection_id(n: u8) -> ConnectionId {
    ConnectionId::from_bytes([n; 16])
}

pub(in crate::vault) const fn grant_id(n: u8) -> GrantId {
    GrantId::from_bytes([n; 16])
}

pub(in crate::vault) const fn revocation_id(n: u8) -> RevocationId {
    RevocationId::from_bytes([n; 16])
}

pub(in crate::vault) const fn state(n: u8) -> StateHash {
    StateHash::from_bytes([n; 32])
}

/// Returns a connection of this owner to this provider that uses the grant with the same number.
pub(in crate::vault) fn connection(n: u8, owner: &str, provider: &str) -> ConnectionRow {
    ConnectionRow {
        id: connection_id(n),
        owner: owner.to_owned(),
        provider: provider.to_owned(),
        label: None,
        is_default: false,
        revoked: false,
        grant: grant_id(n),
        account: None,
        details: vec![n, 0, 0xff],
        mac: [n; 32],
    }
}

/// Returns an active grant that can be refreshed, without an expiry.
pub(in crate::vault) fn grant(n: u8) -> GrantRow {
    GrantRow {
        id: grant_id(n),
        former_of: None,
        status: "active".to_owned(),
        generation: 1,
        refreshable: true,
        server: "server".to_owned(),
        expires_at: None,
        refreshed_at: 1_000_000,
        not_before: None,
        held_until: None,
        quarantined_until: None,
        dead_at: None,
        route: vec![n, 1, 2],
        state: Vec::new(),
        key_version: 1,
        revision: 1,
        mac: [n; 32],
    }
}

pub(in crate::vault) fn access(n: u8) -> Vec<u8> {
    vec![n; 40]
}

pub(in crate::vault) fn rest(n: u8) -> Vec<u8> {
    vec![n; 70]
}

/// Puts a grant with tokens of this number.
pub(in crate::vault) fn put_grant(
    rows: &mut dyn RowsMut,
    tenant: TenantRow,
    n: u8,
    grant: &GrantRow,
) -> Result<()> {
    let (access, rest) = (access(n), rest(n));
    rows.put_grant(
        tenant,
        grant,
        Secrets::Set {
            access: &access,
            rest: &rest,
        },
    )
}

/// Puts grants, each with tokens of its number.
pub(in crate::vault) fn put_grants(tables: &impl Tables, tenant: TenantRow, grants: &[GrantRow]) {
    commit(tables, |rows| {
        grants
            .iter()
            .try_for_each(|grant| put_grant(rows, tenant, grant.id.as_bytes()[0], grant))
    });
}

/// Puts a connection and its grant with tokens, both with the number of the connection.
pub(in crate::vault) fn connect(
    rows: &mut dyn RowsMut,
    tenant: TenantRow,
    connection: &ConnectionRow,
) -> Result<()> {
    let n = connection.grant.as_bytes()[0];
    put_grant(rows, tenant, n, &grant(n))?;
    assert!(rows.put_connection(tenant, connection)?);
    Ok(())
}

/// Returns a pending consent request of ada for herself.
pub(in crate::vault) fn consent(n: u8) -> ConsentRow {
    ConsentRow {
        state: state(n),
        id: ConsentId::from_bytes([n; 16]),
        user: "ada".to_owned(),
        owner: "ada".to_owned(),
        expires_at: 1_000,
        status: "pending".to_owned(),
        completed: None,
        body: vec![n, 3],
        key_version: 1,
        mac: [n; 32],
    }
}

/// Returns a definition that the key of version 1 seals.
pub(in crate::vault) fn definition(kind: &str, name: &str, n: u8) -> DefinitionRow {
    DefinitionRow {
        kind: kind.to_owned(),
        name: name.to_owned(),
        version: DefinitionVersion::from_bytes([n; 16]),
        revision: u64::from(n),
        key_version: 1,
    }
}

pub(in crate::vault) fn revocation(n: u8) -> RevocationRow {
    RevocationRow {
        id: revocation_id(n),
        connection: connection_id(n),
        owner: "ada".to_owned(),
        not_before: 1_000,
        attempts: 0,
        give_up_at: 9_000,
        body: vec![n, 4],
        key_version: 1,
    }
}

pub(in crate::vault) fn entry(number: u64, tenant: Option<TenantRow>) -> AuditRow {
    let byte = number.to_be_bytes()[7];
    AuditRow {
        number,
        at: 5_000 + i64::try_from(number).unwrap(),
        tenant,
        kind: "refreshed".to_owned(),
        body: vec![byte, 5],
        mac: [byte; 32],
    }
}

pub(super) const NONE: [u8; 0] = [];

/// All connections of a tenant.
pub(super) const ALL: Listing<'_> = Listing {
    owner: None,
    provider: None,
    grant: None,
    with_revoked: true,
    sought: None,
    after: None,
    limit: 1_000,
};

/// Returns the first byte of the id of each connection in a list.
pub(super) fn ids(tables: &impl Tables, tenant: TenantRow, listing: &Listing<'_>) -> Vec<u8> {
    read(tables, |rows| rows.connections(tenant, listing))
        .iter()
        .map(|listed| listed.connection.id.as_bytes()[0])
        .collect()
}

/// Creates connections in no order: of ada (1 to 4), of bob (5) and of the workspace (6).
pub(super) fn filled<T: Tables>(tables: &T) -> TenantRow {
    let acme = tenant(tables, "acme");
    let other = tenant(tables, "zeta");
    commit(tables, |rows| {
        connect(rows, other, &connection(7, "ada", "notes"))?;
        connect(rows, acme, &connection(5, "bob", "notes"))?;
        connect(rows, acme, &connection(4, "ada", "notes"))?;
        connect(rows, acme, &connection(6, "", "notes"))?;
        connect(rows, acme, &connection(1, "ada", "notes"))?;
        connect(rows, acme, &connection(3, "ada", "mail"))?;
        let shared = ConnectionRow {
            grant: grant_id(1),
            ..connection(2, "ada", "calendar")
        };
        connect(rows, acme, &shared)?;
        let revoked = ConnectionRow {
            revoked: true,
            ..connection(4, "ada", "notes")
        };
        assert!(rows.put_connection(acme, &revoked)?);
        Ok(())
    });
    acme
}

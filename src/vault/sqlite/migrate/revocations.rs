//! Moves pending revocations.

use crate::model::{
    ConnectionId, Grant, GrantId, IssuedBy, Owner, Parameters, ProviderId, TenantId, Timestamp,
};
use crate::vault::VaultError;
use crate::vault::sealed::{Upgraded, Upgrader};
use crate::vault::sqlite::migrate::old::{self, Revocations};
use crate::vault::sqlite::migrate::{Old, Table};
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::tables::SqliteTables;
use crate::vault::tables::{Sealed, TenantRow};

const READ: &str = "SELECT o.tenant, o.id, o.slot, o.uuid, o.owner, o.provider, o.server, o.token_endpoint,
    o.client_id, o.parameters, o.generation, o.attempts, o.not_before, o.give_up_at, s.access, s.rest
    FROM outbox_2 o LEFT JOIN secrets s ON s.slot = o.slot
    WHERE o.tenant = (SELECT min(tenant) FROM outbox_2) LIMIT :limit";

/// A row of `outbox_2`.
pub(super) struct OldRevocation {
    connection: ConnectionId,
    owner: Owner,
    provider: ProviderId,
    issued_by: IssuedBy,
    parameters: Parameters,
    generation: u64,
    attempts: u32,
    not_before: Timestamp,
    give_up_at: Timestamp,
    sealed: Sealed,
}

impl Table for Revocations {
    type Record = OldRevocation;

    const DELETE: &'static str = "DELETE FROM outbox_2 WHERE id = :row";
    const EXISTS: &'static str = "SELECT 1 FROM outbox_2 WHERE id = :row";

    fn read(sql: Sql<'_>, limit: usize) -> Result<Vec<(TenantRow, Old<OldRevocation>)>, VaultError> {
        if !super::is_under_way(sql.0)? {
            return Ok(Vec::new());
        }
        sql.all(READ, &[(":limit", &limit)], |columns| {
            let (tenant, row, slot) = (columns.take()?, columns.take()?, columns.take()?);
            let record = OldRevocation {
                connection: columns.take()?,
                owner: old::owner(columns)?,
                provider: old::name(columns)?,
                issued_by: old::issuer(columns)?,
                parameters: old::json(columns)?,
                generation: columns.take()?,
                attempts: columns.take()?,
                not_before: old::time(columns)?,
                give_up_at: old::time(columns)?,
                sealed: old::sealed(columns)?,
            };
            Ok((tenant, Old { row, slot, record }))
        })
    }

    fn upgrade(
        name: &TenantId,
        old: &OldRevocation,
        with: &Upgrader<'_, SqliteTables>,
    ) -> Result<Vec<Upgraded>, VaultError> {
        // The old seals are bound to the id of the connection.
        let id = GrantId::from_bytes(*old.connection.as_bytes());
        let (owner, provider) = (old.owner.clone(), old.provider.clone());
        let issued_by = old.issued_by.clone();
        let mut grant = Grant::new(id, name.clone(), owner, provider, issued_by, old.not_before);
        grant.parameters = old.parameters.clone();
        grant.generation = old.generation;
        let schedule = (old.attempts, old.not_before, old.give_up_at);
        let upgraded = with.revocation(&grant, old.connection, old.sealed.clone(), schedule)?;
        Ok(upgraded.into_iter().collect())
    }
}

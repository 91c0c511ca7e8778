//! The writing half of a transaction. Each method is a function in the module of its kind of row.

use super::{
    Result, View, audit, connections, consents, definitions, erase, grants, keys, revocations, tenants,
};
use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::StateHash;
use crate::vault::tables::{
    AuditRow, Chain, CheckpointRow, ConnectionRow, ConsentRow, DefinitionRow, Doomed, Expected, GapRow,
    GrantRow, HeadRow, KeyRow, Pruned, RevocationRow, RowsMut, Sealed, Secrets, TenantRow, UnlinkedMut,
    VaultRow,
};

impl RowsMut for View<'_> {
    fn put_vault(&mut self, row: &VaultRow) -> Result<()> {
        tenants::put_vault(self.tx, row)
    }

    fn insert_tenant(&mut self, name: &TenantId) -> Result<TenantRow> {
        tenants::insert(self.tx, name)
    }

    fn insert_numbered_tenant(&mut self, tenant: TenantRow, name: &TenantId) -> Result<()> {
        tenants::insert_numbered(self.tx, tenant, name)
    }

    /// Transactions of a store are serializable.
    fn exclude_writers(&mut self) -> Result<()> {
        Ok(())
    }

    fn unname_tenant(&mut self, tenant: TenantRow) -> Result<()> {
        erase::unname_tenant(self.tx, tenant)
    }

    fn delete_tenant(&mut self, tenant: TenantRow) -> Result<()> {
        erase::delete_tenant(self.tx, tenant)
    }

    fn insert_key(&mut self, tenant: TenantRow, key: &KeyRow) -> Result<()> {
        keys::insert(self.tx, tenant, key)
    }

    fn count_seals(&mut self, tenant: TenantRow, version: u32, seals: u32, most: u32) -> Result<bool> {
        keys::count_seals(self.tx, tenant, version, seals, most)
    }

    fn may_seal(&mut self, tenant: TenantRow, version: u32) -> Result<bool> {
        keys::may_seal(self.tx, tenant, version)
    }

    fn retire_keys(&mut self, tenant: TenantRow, from: u32, below: u32) -> Result<()> {
        keys::retire(self.tx, tenant, from, below)
    }

    fn delete_key(&mut self, tenant: TenantRow, version: u32) -> Result<()> {
        keys::delete(self.tx, tenant, version)
    }

    fn rewrap_key(&mut self, tenant: TenantRow, before: &KeyRow, after: &KeyRow) -> Result<bool> {
        keys::rewrap(self.tx, tenant, before, after)
    }

    fn expect(&mut self, _: TenantRow, _: &Expected) -> Result<bool> {
        Ok(false)
    }

    fn put_connection(&mut self, tenant: TenantRow, row: &ConnectionRow) -> Result<bool> {
        connections::put(self.tx, tenant, row)
    }

    fn put_grant(&mut self, tenant: TenantRow, row: &GrantRow, secrets: Secrets<'_>) -> Result<()> {
        grants::put(self.tx, tenant, row, secrets)
    }

    fn delete_grant(&mut self, tenant: TenantRow, id: GrantId) -> Result<()> {
        grants::delete(self.tx, tenant, id)
    }

    fn insert_consent(&mut self, tenant: TenantRow, row: &ConsentRow, sealed: &[u8]) -> Result<()> {
        consents::insert(self.tx, tenant, row, sealed)
    }

    fn end_consent(
        &mut self,
        tenant: TenantRow,
        state: &StateHash,
        status: &str,
        completed: Option<ConnectionId>,
    ) -> Result<()> {
        consents::end(self.tx, tenant, state, status, completed)
    }

    fn delete_consent(&mut self, tenant: TenantRow, state: &StateHash) -> Result<()> {
        consents::delete(self.tx, tenant, state)
    }

    fn put_definition(&mut self, tenant: TenantRow, row: &DefinitionRow, sealed: &[u8]) -> Result<()> {
        definitions::put(self.tx, tenant, row, sealed)
    }

    fn delete_definition(&mut self, tenant: TenantRow, kind: &str, name: &str) -> Result<()> {
        definitions::delete(self.tx, tenant, kind, name)
    }

    fn insert_revocation(&mut self, tenant: TenantRow, row: &RevocationRow, secrets: &Sealed) -> Result<()> {
        revocations::insert(self.tx, tenant, row, secrets)
    }

    fn schedule_revocation(&mut self, tenant: TenantRow, row: &RevocationRow) -> Result<()> {
        revocations::schedule(self.tx, tenant, row)
    }

    fn delete_revocation(&mut self, tenant: TenantRow, id: RevocationId) -> Result<()> {
        revocations::delete(self.tx, tenant, id)
    }

    fn append_entries(&mut self, chain: Chain, entries: &[AuditRow]) -> Result<()> {
        audit::append(self.tx, chain, entries)
    }

    fn put_head(&mut self, chain: Chain, head: &HeadRow) -> Result<()> {
        audit::put_head(self.tx, chain, head)
    }

    fn put_checkpoint(&mut self, chain: Chain, row: &CheckpointRow) -> Result<()> {
        audit::put_checkpoint(self.tx, chain, row)
    }

    fn delete_entries(&mut self, chain: Chain, numbers: &[u64]) -> Result<()> {
        audit::delete(self.tx, chain, numbers)
    }

    fn put_gap(&mut self, chain: Chain, gap: &GapRow) -> Result<()> {
        audit::put_gap(self.tx, chain, gap)
    }

    fn set_pruned_to(&mut self, chain: Chain, of: TenantRow, what: Pruned, number: u64) -> Result<()> {
        audit::set_pruned_to(self.tx, chain, of, what, number)
    }

    fn unlinked_mut(&mut self) -> Option<&mut dyn UnlinkedMut> {
        None
    }

    fn record_uses(&mut self, uses: &[(TenantRow, ConnectionId, i64)]) -> Result<()> {
        connections::record_uses(self.tx, uses)
    }

    fn erase(&mut self, tenant: TenantRow, doomed: Doomed<'_>, limit: usize) -> Result<bool> {
        erase::erase(self.tx, tenant, doomed, limit)
    }
}

//! The writing half of a transaction. Each method is a function in the module of its kind of row.

use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::postgres::data::{
    audit, connection, consent, definition, erase, expected, grant, revocation, tenant,
};
use crate::vault::postgres::sql::Sql;
use crate::vault::tables::{
    AuditRow, Chain, CheckpointRow, ConnectionRow, ConsentRow, DefinitionRow, Doomed, Expected, GapRow,
    GrantRow, HeadRow, KeyRow, Pruned, RevocationRow, RowsMut, Sealed, Secrets, TenantRow, Topic,
    UnlinkedMut, VAULT_CHAIN, VaultRow,
};
use crate::vault::{StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

impl RowsMut for Sql<'_> {
    fn put_vault(&mut self, row: &VaultRow) -> Result<()> {
        self.lock(VAULT_CHAIN);
        tenant::put_vault(self, row);
        Ok(())
    }

    fn insert_tenant(&mut self, name: &TenantId) -> Result<TenantRow> {
        self.lock(VAULT_CHAIN);
        tenant::insert_tenant(self, name)
    }

    fn insert_numbered_tenant(&mut self, tenant: TenantRow, name: &TenantId) -> Result<()> {
        self.lock(VAULT_CHAIN);
        tenant::insert_numbered_tenant(self, tenant, name);
        Ok(())
    }

    fn exclude_writers(&mut self) -> Result<()> {
        tenant::exclude_writers(self);
        Ok(())
    }

    fn unname_tenant(&mut self, tenant: TenantRow) -> Result<()> {
        self.lock(tenant);
        self.writes(Topic::Tenant(tenant));
        tenant::unname_tenant(self, tenant);
        Ok(())
    }

    fn delete_tenant(&mut self, tenant: TenantRow) -> Result<()> {
        self.lock(tenant);
        self.writes(Topic::Tenant(tenant));
        audit::delete_chain(self, tenant);
        tenant::delete_tenant(self, tenant)
    }

    fn insert_key(&mut self, tenant: TenantRow, key: &KeyRow) -> Result<()> {
        self.lock(tenant);
        tenant::insert_key(self, tenant, key);
        Ok(())
    }

    fn count_seals(&mut self, tenant: TenantRow, version: u32, seals: u32, most: u32) -> Result<bool> {
        self.lock(tenant);
        tenant::count_seals(self, tenant, version, seals, most);
        // A count that is refused ends the transaction with `NewDataKey`.
        Ok(true)
    }

    fn may_seal(&mut self, tenant: TenantRow, version: u32) -> Result<bool> {
        self.lock(tenant);
        tenant::may_seal(self, tenant, version);
        // A key that may not seal ends the transaction with `NewDataKey`.
        Ok(true)
    }

    fn retire_keys(&mut self, tenant: TenantRow, from: u32, below: u32) -> Result<()> {
        self.lock(tenant);
        tenant::retire_keys(self, tenant, from, below);
        Ok(())
    }

    fn delete_key(&mut self, tenant: TenantRow, version: u32) -> Result<()> {
        self.lock(tenant);
        tenant::delete_key(self, tenant, version);
        Ok(())
    }

    fn rewrap_key(&mut self, tenant: TenantRow, before: &KeyRow, after: &KeyRow) -> Result<bool> {
        self.lock(tenant);
        tenant::rewrap_key(self, tenant, before, after)
    }

    fn expect(&mut self, tenant: TenantRow, expected: &Expected) -> Result<bool> {
        self.release(tenant);
        expected::expect(self, tenant, expected);
        // Rows that have changed end the transaction with `Moved`.
        Ok(true)
    }

    fn put_connection(&mut self, tenant: TenantRow, row: &ConnectionRow) -> Result<bool> {
        self.lock(tenant);
        self.writes(Topic::Owner(tenant, &row.owner));
        connection::put_connection(self, tenant, row)
    }

    fn put_grant(&mut self, tenant: TenantRow, row: &GrantRow, secrets: Secrets<'_>) -> Result<()> {
        self.lock(tenant);
        self.writes(Topic::Grant(tenant, row.id));
        grant::put_grant(self, tenant, row, secrets);
        Ok(())
    }

    fn delete_grant(&mut self, tenant: TenantRow, id: GrantId) -> Result<()> {
        self.lock(tenant);
        self.writes(Topic::Grant(tenant, id));
        grant::delete_grant(self, tenant, id);
        Ok(())
    }

    fn insert_consent(&mut self, tenant: TenantRow, row: &ConsentRow, sealed: &[u8]) -> Result<()> {
        self.lock(tenant);
        consent::insert_consent(self, tenant, row, sealed);
        Ok(())
    }

    fn end_consent(
        &mut self,
        tenant: TenantRow,
        state: &StateHash,
        status: &str,
        completed: Option<ConnectionId>,
    ) -> Result<()> {
        self.lock(tenant);
        consent::end_consent(self, tenant, state, status, completed);
        Ok(())
    }

    fn delete_consent(&mut self, tenant: TenantRow, state: &StateHash) -> Result<()> {
        self.lock(tenant);
        consent::delete_consent(self, tenant, state);
        Ok(())
    }

    fn put_definition(&mut self, tenant: TenantRow, row: &DefinitionRow, sealed: &[u8]) -> Result<()> {
        self.lock(tenant);
        self.writes(Topic::Definition(tenant, &row.kind, &row.name));
        definition::put_definition(self, tenant, row, sealed);
        Ok(())
    }

    fn delete_definition(&mut self, tenant: TenantRow, kind: &str, name: &str) -> Result<()> {
        self.lock(tenant);
        self.writes(Topic::Definition(tenant, kind, name));
        definition::delete_definition(self, tenant, kind, name);
        Ok(())
    }

    fn insert_revocation(&mut self, tenant: TenantRow, row: &RevocationRow, secrets: &Sealed) -> Result<()> {
        self.lock(tenant);
        revocation::insert_revocation(self, tenant, row, secrets);
        Ok(())
    }

    fn schedule_revocation(&mut self, tenant: TenantRow, row: &RevocationRow) -> Result<()> {
        self.lock(tenant);
        revocation::schedule_revocation(self, tenant, row);
        Ok(())
    }

    fn delete_revocation(&mut self, tenant: TenantRow, id: RevocationId) -> Result<()> {
        self.lock(tenant);
        revocation::delete_revocation(self, tenant, id);
        Ok(())
    }

    fn append_entries(&mut self, chain: Chain, entries: &[AuditRow]) -> Result<()> {
        self.lock_chain(chain);
        audit::append_entries(self, chain, entries);
        Ok(())
    }

    fn put_head(&mut self, chain: Chain, head: &HeadRow) -> Result<()> {
        self.lock_chain(chain);
        audit::put_head(self, chain, head);
        Ok(())
    }

    fn put_checkpoint(&mut self, chain: Chain, row: &CheckpointRow) -> Result<()> {
        self.lock_chain(chain);
        audit::put_checkpoint(self, chain, row);
        Ok(())
    }

    fn delete_entries(&mut self, chain: Chain, numbers: &[u64]) -> Result<()> {
        self.lock_chain(chain);
        audit::delete_entries(self, chain, numbers);
        Ok(())
    }

    fn put_gap(&mut self, chain: Chain, gap: &GapRow) -> Result<()> {
        self.lock_chain(chain);
        audit::put_gap(self, chain, gap);
        Ok(())
    }

    fn set_pruned_to(&mut self, chain: Chain, of: TenantRow, what: Pruned, number: u64) -> Result<()> {
        self.lock_chain(chain);
        audit::set_pruned_to(self, chain, of, what, number);
        Ok(())
    }

    fn unlinked_mut(&mut self) -> Option<&mut dyn UnlinkedMut> {
        Some(self)
    }

    fn record_uses(&mut self, uses: &[(TenantRow, ConnectionId, i64)]) -> Result<()> {
        connection::record_uses(self, uses);
        Ok(())
    }

    fn erase(&mut self, tenant: TenantRow, doomed: Doomed<'_>, limit: usize) -> Result<bool> {
        self.lock(tenant);
        self.writes(Topic::Tenant(tenant));
        erase::erase(self, tenant, doomed, limit)
    }
}

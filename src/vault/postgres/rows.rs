//! Implements the rows of the layer above, with a module for each kind of row.
//!
//! In a transaction that writes, the first statement about a tenant locks the tenant. A chain that
//! belongs to no tenant is locked as tenant 0.

use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::postgres::data::{
    audit, connection, consent, definition, erase, grant, revocation, tenant, token,
};
use crate::vault::postgres::sql::Sql;
use crate::vault::tables::{
    Ahead, AuditRow, Chain, CheckpointRow, ConnectionRow, ConsentRow, DefinitionRow, Direction, Doomed,
    DueRows, FoundRows, GapRow, GrantRow, HeadRow, KeyRow, ListedRow, Listing, Of, Pruned, RevocationRow,
    Rows, RowsMut, Sealed, SealedDefinition, Secrets, TenantRow, Topic, VAULT_CHAIN, VaultRow, Wanted,
};
use crate::vault::{StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

impl Rows for Sql<'_> {
    fn announce(&self, tenant: TenantRow, reads: &[Ahead<'_>]) {
        for read in reads {
            // The read itself says which statement it will be.
            self.announcing(|| match *read {
                Ahead::Tenant(name) => self.tenant(name).map(drop),
                Ahead::Grant(id) => self.grant(tenant, id).map(drop),
                Ahead::Secrets(id) => self.grant_secrets(tenant, id).map(drop),
                Ahead::Users(grant) => self.connections(tenant, &Listing::users(grant)).map(drop),
                Ahead::Connection(id) => self.connection(tenant, id).map(drop),
                Ahead::End(chain) => self.last_number(chain).and(self.head(chain)).map(drop),
            });
        }
    }

    fn vault(&self) -> Result<Option<VaultRow>> {
        self.lock(VAULT_CHAIN);
        tenant::vault(self)
    }

    fn tenant(&self, name: &TenantId) -> Result<Option<TenantRow>> {
        tenant::tenant(self, name)
    }

    fn tenants(&self, after: TenantRow, limit: usize) -> Result<Vec<(TenantRow, Option<TenantId>)>> {
        tenant::tenants(self, after, limit)
    }

    fn forgotten_tenant(&self) -> Result<Option<TenantRow>> {
        tenant::forgotten_tenant(self)
    }

    fn newest_key(&self, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>> {
        self.lock(tenant);
        tenant::newest_key(self, tenant, below)
    }

    fn key(&self, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>> {
        self.lock(tenant);
        tenant::key(self, tenant, version)
    }

    fn retired_keys(&self) -> Result<Vec<Of<u32>>> {
        tenant::retired_keys(self)
    }

    fn master_keys(&self) -> Result<Vec<[u8; 16]>> {
        tenant::master_keys(self)
    }

    fn keys_wrapped_by(&self, master_key: &[u8; 16], limit: usize) -> Result<Vec<Of<KeyRow>>> {
        tenant::keys_wrapped_by(self, master_key, limit)
    }

    fn names_key(&self, tenant: TenantRow, version: u32) -> Result<bool> {
        self.lock(tenant);
        tenant::names_key(self, tenant, version)
    }

    fn token(&self, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
        self.lock(tenant);
        token::token(self, tenant, wanted)
    }

    fn connection(&self, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>> {
        self.lock(tenant);
        connection::connection(self, tenant, id)
    }

    fn connections(&self, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>> {
        self.lock(tenant);
        connection::connections(self, tenant, listing)
    }

    fn count_connections(&self, tenant: TenantRow, owner: Option<&str>) -> Result<usize> {
        self.lock(tenant);
        connection::count_connections(self, tenant, owner)
    }

    fn grant(&self, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>> {
        self.lock(tenant);
        grant::grant(self, tenant, id)
    }

    fn former_grants(&self, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>> {
        self.lock(tenant);
        grant::former_grants(self, tenant, of)
    }

    fn grant_secrets(&self, tenant: TenantRow, id: GrantId) -> Result<Sealed> {
        self.lock(tenant);
        grant::grant_secrets(self, tenant, id)
    }

    fn grants_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        self.lock(tenant);
        grant::grants_sealed_by(self, tenant, version, after, limit)
    }

    fn grants_after(
        &self,
        tenant: TenantRow,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        self.lock(tenant);
        grant::grants_after(self, tenant, after, limit)
    }

    fn due_grants(&self, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>> {
        grant::due_grants(self, due)
    }

    fn ended_quarantines(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
        grant::ended_quarantines(self, now, limit)
    }

    fn dead_grants(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
        grant::dead_grants(self, now, limit)
    }

    fn consent(&self, tenant: TenantRow, state: &StateHash) -> Result<Option<(ConsentRow, Option<Vec<u8>>)>> {
        self.lock(tenant);
        consent::consent(self, tenant, state)
    }

    fn consents_of(&self, tenant: TenantRow, user: &str) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        self.lock(tenant);
        consent::consents_of(self, tenant, user)
    }

    fn consents_after(
        &self,
        tenant: TenantRow,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        self.lock(tenant);
        consent::consents_after(self, tenant, after, limit)
    }

    fn expired_consents(&self, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>> {
        consent::expired_consents(self, before, limit)
    }

    fn definition(&self, tenant: TenantRow, kind: &str, name: &str) -> Result<Option<SealedDefinition>> {
        self.lock(tenant);
        definition::definition(self, tenant, kind, name)
    }

    fn definitions(
        &self,
        tenant: TenantRow,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        self.lock(tenant);
        definition::definitions(self, tenant, kind, after, limit)
    }

    fn count_definitions(&self, tenant: TenantRow) -> Result<usize> {
        self.lock(tenant);
        definition::count_definitions(self, tenant)
    }

    fn definition_names(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        definition::definition_names(self, kind, after, limit)
    }

    fn definitions_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        self.lock(tenant);
        definition::definitions_sealed_by(self, tenant, version, after, limit)
    }

    fn due_revocations(&self, now: i64, limit: usize) -> Result<Vec<Of<(RevocationRow, Sealed)>>> {
        revocation::due_revocations(self, now, limit)
    }

    fn revocation(&self, tenant: TenantRow, id: RevocationId) -> Result<Option<(RevocationRow, Sealed)>> {
        self.lock(tenant);
        revocation::revocation(self, tenant, id)
    }

    fn revocations_of(
        &self,
        tenant: TenantRow,
        connection: ConnectionId,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        self.lock(tenant);
        revocation::revocations_of(self, tenant, connection)
    }

    fn revocations_after(
        &self,
        tenant: TenantRow,
        after: Option<RevocationId>,
        limit: usize,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        self.lock(tenant);
        revocation::revocations_after(self, tenant, after, limit)
    }

    fn has_revocations(&self, at_least: usize) -> Result<bool> {
        revocation::has_revocations(self, at_least)
    }

    fn head(&self, chain: Chain) -> Result<Option<HeadRow>> {
        self.lock(chain_lock(chain));
        audit::head(self, chain)
    }

    fn last_number(&self, chain: Chain) -> Result<u64> {
        self.lock(chain_lock(chain));
        audit::last_number(self, chain)
    }

    fn entries(
        &self,
        chain: Chain,
        of: Option<TenantRow>,
        after: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        self.lock(chain_lock(chain));
        audit::entries(self, chain, of, after, direction, limit)
    }

    fn gaps(&self, chain: Chain) -> Result<Vec<GapRow>> {
        self.lock(chain_lock(chain));
        audit::gaps(self, chain)
    }

    fn checkpoint(&self, chain: Chain, number: u64) -> Result<Option<CheckpointRow>> {
        self.lock(chain_lock(chain));
        audit::checkpoint(self, chain, number)
    }

    fn checkpoints_after(&self, chain: Chain, after: u64, limit: usize) -> Result<Vec<CheckpointRow>> {
        self.lock(chain_lock(chain));
        audit::checkpoints_after(self, chain, after, limit)
    }

    fn pruned_to(&self, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
        self.lock(chain_lock(chain));
        audit::pruned_to(self, chain, of, what)
    }
}

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
        self.lock(chain_lock(chain));
        audit::append_entries(self, chain, entries);
        Ok(())
    }

    fn put_head(&mut self, chain: Chain, head: &HeadRow) -> Result<()> {
        self.lock(chain_lock(chain));
        audit::put_head(self, chain, head);
        Ok(())
    }

    fn put_checkpoint(&mut self, chain: Chain, row: &CheckpointRow) -> Result<()> {
        self.lock(chain_lock(chain));
        audit::put_checkpoint(self, chain, row);
        Ok(())
    }

    fn delete_entries(&mut self, chain: Chain, numbers: &[u64]) -> Result<()> {
        self.lock(chain_lock(chain));
        audit::delete_entries(self, chain, numbers);
        Ok(())
    }

    fn put_gap(&mut self, chain: Chain, gap: &GapRow) -> Result<()> {
        self.lock(chain_lock(chain));
        audit::put_gap(self, chain, gap);
        Ok(())
    }

    fn set_pruned_to(&mut self, chain: Chain, of: TenantRow, what: Pruned, number: u64) -> Result<()> {
        self.lock(chain_lock(chain));
        audit::set_pruned_to(self, chain, of, what, number);
        Ok(())
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

/// Returns the tenant that is locked for a chain.
const fn chain_lock(chain: Chain) -> TenantRow {
    match chain {
        Chain::Of(tenant) => tenant,
        Chain::Legacy => VAULT_CHAIN,
    }
}

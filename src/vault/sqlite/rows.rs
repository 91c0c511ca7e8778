//! Implements the rows of the layer above, with a module for each kind of row.

use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::sqlite::data::{
    audit, connection, consent, definition, erase, grant, revocation, tenant, token,
};
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::writing::Writing;
use crate::vault::tables::{
    Ahead, AuditRow, Chain, CheckpointRow, ConnectionRow, ConsentRow, DefinitionRow, Direction, Doomed,
    DueRows, Expected, FoundRows, GapRow, GrantRow, HeadRow, KeyRow, ListedRow, Listing, Of, Pruned,
    RevocationRow, Rows, RowsMut, Sealed, SealedDefinition, Secrets, TenantRow, Topic, Unlinked, UnlinkedMut,
    VaultRow, Wanted,
};
use crate::vault::{StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// A transaction whose rows can be read.
pub(super) trait Reading {
    fn sql(&self) -> Sql<'_>;
}

impl Reading for Sql<'_> {
    fn sql(&self) -> Sql<'_> {
        *self
    }
}

impl Reading for Writing<'_> {
    fn sql(&self) -> Sql<'_> {
        Writing::sql(self)
    }
}

impl<R: Reading> Rows for R {
    fn announce(&self, _: TenantRow, _: &[Ahead<'_>]) {}

    fn vault(&self) -> Result<Option<VaultRow>> {
        tenant::vault(self.sql())
    }

    fn tenant(&self, name: &TenantId) -> Result<Option<TenantRow>> {
        tenant::tenant(self.sql(), name)
    }

    fn tenants(&self, after: TenantRow, limit: usize) -> Result<Vec<(TenantRow, Option<TenantId>)>> {
        tenant::tenants(self.sql(), after, limit)
    }

    fn forgotten_tenant(&self) -> Result<Option<TenantRow>> {
        tenant::forgotten_tenant(self.sql())
    }

    fn newest_key(&self, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>> {
        tenant::newest_key(self.sql(), tenant, below)
    }

    fn key(&self, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>> {
        tenant::key(self.sql(), tenant, version)
    }

    fn retired_keys(&self) -> Result<Vec<Of<u32>>> {
        tenant::retired_keys(self.sql())
    }

    fn master_keys(&self) -> Result<Vec<[u8; 16]>> {
        tenant::master_keys(self.sql())
    }

    fn keys_wrapped_by(&self, master_key: &[u8; 16], limit: usize) -> Result<Vec<Of<KeyRow>>> {
        tenant::keys_wrapped_by(self.sql(), master_key, limit)
    }

    fn names_key(&self, tenant: TenantRow, version: u32) -> Result<bool> {
        tenant::names_key(self.sql(), tenant, version)
    }

    fn token(&self, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
        token::token(self.sql(), tenant, wanted)
    }

    fn connection(&self, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>> {
        connection::connection(self.sql(), tenant, id)
    }

    fn connections(&self, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>> {
        connection::connections(self.sql(), tenant, listing)
    }

    fn count_connections(&self, tenant: TenantRow, owner: Option<&str>) -> Result<usize> {
        connection::count_connections(self.sql(), tenant, owner)
    }

    fn grant(&self, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>> {
        grant::grant(self.sql(), tenant, id)
    }

    fn former_grants(&self, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>> {
        grant::former_grants(self.sql(), tenant, of)
    }

    fn grant_secrets(&self, tenant: TenantRow, id: GrantId) -> Result<Sealed> {
        grant::grant_secrets(self.sql(), tenant, id)
    }

    fn grants_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        grant::grants_sealed_by(self.sql(), tenant, version, after, limit)
    }

    fn grants_after(
        &self,
        tenant: TenantRow,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        grant::grants_after(self.sql(), tenant, after, limit)
    }

    fn due_grants(&self, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>> {
        grant::due_grants(self.sql(), due)
    }

    fn ended_quarantines(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
        grant::ended_quarantines(self.sql(), now, limit)
    }

    fn dead_grants(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
        grant::dead_grants(self.sql(), now, limit)
    }

    fn consent(&self, tenant: TenantRow, state: &StateHash) -> Result<Option<(ConsentRow, Option<Vec<u8>>)>> {
        consent::consent(self.sql(), tenant, state)
    }

    fn consents_of(&self, tenant: TenantRow, user: &str) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        consent::consents_of(self.sql(), tenant, user)
    }

    fn consents_after(
        &self,
        tenant: TenantRow,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        consent::consents_after(self.sql(), tenant, after, limit)
    }

    fn expired_consents(&self, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>> {
        consent::expired_consents(self.sql(), before, limit)
    }

    fn definition(&self, tenant: TenantRow, kind: &str, name: &str) -> Result<Option<SealedDefinition>> {
        definition::definition(self.sql(), tenant, kind, name)
    }

    fn definitions(
        &self,
        tenant: TenantRow,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        definition::definitions(self.sql(), tenant, kind, after, limit)
    }

    fn count_definitions(&self, tenant: TenantRow) -> Result<usize> {
        definition::count_definitions(self.sql(), tenant)
    }

    fn definition_names(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        definition::definition_names(self.sql(), kind, after, limit)
    }

    fn definitions_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        definition::definitions_sealed_by(self.sql(), tenant, version, after, limit)
    }

    fn due_revocations(&self, now: i64, limit: usize) -> Result<Vec<Of<(RevocationRow, Sealed)>>> {
        revocation::due_revocations(self.sql(), now, limit)
    }

    fn revocation(&self, tenant: TenantRow, id: RevocationId) -> Result<Option<(RevocationRow, Sealed)>> {
        revocation::revocation(self.sql(), tenant, id)
    }

    fn revocations_of(
        &self,
        tenant: TenantRow,
        connection: ConnectionId,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        revocation::revocations_of(self.sql(), tenant, connection)
    }

    fn revocations_after(
        &self,
        tenant: TenantRow,
        after: Option<RevocationId>,
        limit: usize,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        revocation::revocations_after(self.sql(), tenant, after, limit)
    }

    fn has_revocations(&self, at_least: usize) -> Result<bool> {
        revocation::has_revocations(self.sql(), at_least)
    }

    fn head(&self, chain: Chain) -> Result<Option<HeadRow>> {
        audit::head(self.sql(), chain)
    }

    fn last_number(&self, chain: Chain) -> Result<u64> {
        audit::last_number(self.sql(), chain)
    }

    fn entries(
        &self,
        chain: Chain,
        of: Option<TenantRow>,
        after: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        audit::entries(self.sql(), chain, of, after, direction, limit)
    }

    fn gaps(&self, chain: Chain) -> Result<Vec<GapRow>> {
        audit::gaps(self.sql(), chain)
    }

    fn checkpoint(&self, chain: Chain, number: u64) -> Result<Option<CheckpointRow>> {
        audit::checkpoint(self.sql(), chain, number)
    }

    fn checkpoints_after(&self, chain: Chain, after: u64, limit: usize) -> Result<Vec<CheckpointRow>> {
        audit::checkpoints_after(self.sql(), chain, after, limit)
    }

    fn pruned_to(&self, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
        audit::pruned_to(self.sql(), chain, of, what)
    }

    /// Writers of a file follow one another, so that each links its entries itself.
    fn unlinked(&self) -> Option<&dyn Unlinked> {
        None
    }
}

impl RowsMut for Writing<'_> {
    fn put_vault(&mut self, row: &VaultRow) -> Result<()> {
        tenant::put_vault(self.sql(), row)
    }

    fn insert_tenant(&mut self, name: &TenantId) -> Result<TenantRow> {
        tenant::insert_tenant(self.sql(), name)
    }

    fn insert_numbered_tenant(&mut self, tenant: TenantRow, name: &TenantId) -> Result<()> {
        tenant::insert_numbered_tenant(self.sql(), tenant, name)
    }

    /// A write transaction is alone from its beginning.
    fn exclude_writers(&mut self) -> Result<()> {
        Ok(())
    }

    fn unname_tenant(&mut self, tenant: TenantRow) -> Result<()> {
        self.concerns(Topic::Tenant(tenant));
        tenant::unname_tenant(self.sql(), tenant)
    }

    fn delete_tenant(&mut self, tenant: TenantRow) -> Result<()> {
        self.concerns(Topic::Tenant(tenant));
        audit::delete_chain(self.sql(), tenant)?;
        tenant::delete_tenant(self.sql(), tenant)
    }

    fn insert_key(&mut self, tenant: TenantRow, key: &KeyRow) -> Result<()> {
        tenant::insert_key(self.sql(), tenant, key)
    }

    fn count_seals(&mut self, tenant: TenantRow, version: u32, seals: u32, most: u32) -> Result<bool> {
        tenant::count_seals(self.sql(), tenant, version, seals, most)
    }

    fn may_seal(&mut self, tenant: TenantRow, version: u32) -> Result<bool> {
        tenant::may_seal(self.sql(), tenant, version)
    }

    fn retire_keys(&mut self, tenant: TenantRow, from: u32, below: u32) -> Result<()> {
        tenant::retire_keys(self.sql(), tenant, from, below)
    }

    fn delete_key(&mut self, tenant: TenantRow, version: u32) -> Result<()> {
        tenant::delete_key(self.sql(), tenant, version)
    }

    fn rewrap_key(&mut self, tenant: TenantRow, before: &KeyRow, after: &KeyRow) -> Result<bool> {
        tenant::rewrap_key(self.sql(), tenant, before, after)
    }

    fn expect(&mut self, _: TenantRow, _: &Expected) -> Result<bool> {
        Ok(false)
    }

    fn put_connection(&mut self, tenant: TenantRow, row: &ConnectionRow) -> Result<bool> {
        self.concerns(Topic::Owner(tenant, &row.owner));
        self.concerns(Topic::Lists(tenant));
        connection::put_connection(self.sql(), tenant, row)
    }

    fn put_grant(&mut self, tenant: TenantRow, row: &GrantRow, secrets: Secrets<'_>) -> Result<()> {
        self.concerns(Topic::Grant(tenant, row.id));
        self.concerns(Topic::Lists(tenant));
        grant::put_grant(self.sql(), tenant, row, secrets)
    }

    fn delete_grant(&mut self, tenant: TenantRow, id: GrantId) -> Result<()> {
        self.concerns(Topic::Grant(tenant, id));
        self.concerns(Topic::Lists(tenant));
        grant::delete_grant(self.sql(), tenant, id)
    }

    fn insert_consent(&mut self, tenant: TenantRow, row: &ConsentRow, sealed: &[u8]) -> Result<()> {
        consent::insert_consent(self.sql(), tenant, row, sealed)
    }

    fn end_consent(
        &mut self,
        tenant: TenantRow,
        state: &StateHash,
        status: &str,
        completed: Option<ConnectionId>,
    ) -> Result<()> {
        consent::end_consent(self.sql(), tenant, state, status, completed)
    }

    fn delete_consent(&mut self, tenant: TenantRow, state: &StateHash) -> Result<()> {
        consent::delete_consent(self.sql(), tenant, state)
    }

    fn put_definition(&mut self, tenant: TenantRow, row: &DefinitionRow, sealed: &[u8]) -> Result<()> {
        self.concerns(Topic::Definition(tenant, &row.kind, &row.name));
        definition::put_definition(self.sql(), tenant, row, sealed)
    }

    fn delete_definition(&mut self, tenant: TenantRow, kind: &str, name: &str) -> Result<()> {
        self.concerns(Topic::Definition(tenant, kind, name));
        definition::delete_definition(self.sql(), tenant, kind, name)
    }

    fn insert_revocation(&mut self, tenant: TenantRow, row: &RevocationRow, secrets: &Sealed) -> Result<()> {
        revocation::insert_revocation(self.sql(), tenant, row, secrets)
    }

    fn schedule_revocation(&mut self, tenant: TenantRow, row: &RevocationRow) -> Result<()> {
        revocation::schedule_revocation(self.sql(), tenant, row)
    }

    fn delete_revocation(&mut self, tenant: TenantRow, id: RevocationId) -> Result<()> {
        revocation::delete_revocation(self.sql(), tenant, id)
    }

    fn append_entries(&mut self, chain: Chain, entries: &[AuditRow]) -> Result<()> {
        audit::append_entries(self.sql(), chain, entries)
    }

    fn put_head(&mut self, chain: Chain, head: &HeadRow) -> Result<()> {
        audit::put_head(self.sql(), chain, head)
    }

    fn put_checkpoint(&mut self, chain: Chain, row: &CheckpointRow) -> Result<()> {
        audit::put_checkpoint(self.sql(), chain, row)
    }

    fn delete_entries(&mut self, chain: Chain, numbers: &[u64]) -> Result<()> {
        audit::delete_entries(self.sql(), chain, numbers)
    }

    fn put_gap(&mut self, chain: Chain, gap: &GapRow) -> Result<()> {
        audit::put_gap(self.sql(), chain, gap)
    }

    fn set_pruned_to(&mut self, chain: Chain, of: TenantRow, what: Pruned, number: u64) -> Result<()> {
        audit::set_pruned_to(self.sql(), chain, of, what, number)
    }

    fn unlinked_mut(&mut self) -> Option<&mut dyn UnlinkedMut> {
        None
    }

    fn record_uses(&mut self, uses: &[(TenantRow, ConnectionId, i64)]) -> Result<()> {
        for (tenant, ..) in uses {
            self.concerns(Topic::Lists(*tenant));
        }
        connection::record_uses(self.sql(), uses)
    }

    fn erase(&mut self, tenant: TenantRow, doomed: Doomed<'_>, limit: usize) -> Result<bool> {
        self.concerns(Topic::Tenant(tenant));
        erase::erase(self.sql(), tenant, doomed, limit)
    }
}

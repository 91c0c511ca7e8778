//! Implements the rows of the layer above, with a module for each kind of row.
//!
//! In a transaction that writes, the first statement about a tenant locks the tenant, and the first
//! one about its chain locks the end of the chain. A chain that belongs to no tenant is locked as
//! tenant 0.

use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::postgres::data::{
    audit, connection, consent, definition, grant, revocation, tenant, token,
};
use crate::vault::postgres::sql::Sql;
use crate::vault::tables::{
    Ahead, AuditRow, Chain, CheckpointRow, ConsentRow, Direction, DueRows, FoundRows, GapRow, GrantRow,
    HeadRow, KeyRow, ListedRow, Listing, Of, Pruned, RevocationRow, Rows, Sealed, SealedDefinition,
    TenantRow, Unlinked, VAULT_CHAIN, VaultRow, Wanted,
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
        if self.is_write() {
            tenant::wait_for_seals(self);
        }
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
        self.lock_chain(chain);
        audit::head(self, chain)
    }

    fn last_number(&self, chain: Chain) -> Result<u64> {
        self.lock_chain(chain);
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
        self.lock_chain(chain);
        audit::entries(self, chain, of, after, direction, limit)
    }

    fn gaps(&self, chain: Chain) -> Result<Vec<GapRow>> {
        self.lock_chain(chain);
        audit::gaps(self, chain)
    }

    fn checkpoint(&self, chain: Chain, number: u64) -> Result<Option<CheckpointRow>> {
        self.lock_chain(chain);
        audit::checkpoint(self, chain, number)
    }

    fn checkpoints_after(&self, chain: Chain, after: u64, limit: usize) -> Result<Vec<CheckpointRow>> {
        self.lock_chain(chain);
        audit::checkpoints_after(self, chain, after, limit)
    }

    fn pruned_to(&self, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
        self.lock_chain(chain);
        audit::pruned_to(self, chain, of, what)
    }

    fn unlinked(&self) -> Option<&dyn Unlinked> {
        Some(self)
    }
}

//! The reading half of a transaction. Each method is a function in the module of its kind of row.

use super::{Result, View, audit, connections, consents, definitions, grants, keys, revocations, tenants};
use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::StateHash;
use crate::vault::tables::{
    Ahead, AuditRow, Chain, CheckpointRow, ConsentRow, Direction, DueRows, FoundRows, GapRow, GrantRow,
    HeadRow, KeyRow, ListedRow, Listing, Of, Pruned, RevocationRow, Rows, Sealed, SealedDefinition,
    TenantRow, Unlinked, VaultRow, Wanted,
};

impl Rows for View<'_> {
    fn announce(&self, _: TenantRow, _: &[Ahead<'_>]) {}

    fn vault(&self) -> Result<Option<VaultRow>> {
        tenants::vault(self.tx)
    }

    fn tenant(&self, name: &TenantId) -> Result<Option<TenantRow>> {
        tenants::find(self.tx, name)
    }

    fn tenants(&self, after: TenantRow, limit: usize) -> Result<Vec<(TenantRow, Option<TenantId>)>> {
        tenants::list(self.tx, after, limit)
    }

    fn forgotten_tenant(&self) -> Result<Option<TenantRow>> {
        tenants::forgotten(self.tx)
    }

    fn newest_key(&self, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>> {
        keys::newest(self.tx, tenant, below)
    }

    fn key(&self, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>> {
        keys::get(self.tx, tenant, version)
    }

    fn retired_keys(&self) -> Result<Vec<Of<u32>>> {
        keys::retired(self.tx)
    }

    fn master_keys(&self) -> Result<Vec<[u8; 16]>> {
        keys::master_keys(self.tx)
    }

    fn keys_wrapped_by(&self, master_key: &[u8; 16], limit: usize) -> Result<Vec<Of<KeyRow>>> {
        keys::wrapped_by(self.tx, master_key, limit)
    }

    fn names_key(&self, tenant: TenantRow, version: u32) -> Result<bool> {
        keys::is_named(self.tx, tenant, version)
    }

    fn token(&self, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
        connections::token(self.tx, tenant, wanted)
    }

    fn connection(&self, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>> {
        connections::get(self.tx, tenant, id)
    }

    fn connections(&self, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>> {
        connections::list(self.tx, tenant, listing)
    }

    fn count_connections(&self, tenant: TenantRow, owner: Option<&str>) -> Result<usize> {
        connections::count(self.tx, tenant, owner)
    }

    fn grant(&self, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>> {
        grants::get(self.tx, tenant, id)
    }

    fn former_grants(&self, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>> {
        grants::formers(self.tx, tenant, of)
    }

    fn grant_secrets(&self, tenant: TenantRow, id: GrantId) -> Result<Sealed> {
        grants::secrets(self.tx, tenant, id)
    }

    fn grants_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        grants::sealed_by(self.tx, tenant, version, after, limit)
    }

    fn grants_after(
        &self,
        tenant: TenantRow,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        grants::after(self.tx, tenant, after, limit)
    }

    fn due_grants(&self, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>> {
        grants::due(self.tx, due)
    }

    fn ended_quarantines(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
        grants::ended_quarantines(self.tx, now, limit)
    }

    fn dead_grants(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
        grants::dead(self.tx, now, limit)
    }

    fn consent(&self, tenant: TenantRow, state: &StateHash) -> Result<Option<(ConsentRow, Option<Vec<u8>>)>> {
        consents::get(self.tx, tenant, state)
    }

    fn consents_of(&self, tenant: TenantRow, user: &str) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        consents::of_user(self.tx, tenant, user)
    }

    fn consents_after(
        &self,
        tenant: TenantRow,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        consents::after(self.tx, tenant, after, limit)
    }

    fn expired_consents(&self, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>> {
        consents::expired(self.tx, before, limit)
    }

    fn definition(&self, tenant: TenantRow, kind: &str, name: &str) -> Result<Option<SealedDefinition>> {
        definitions::get(self.tx, tenant, kind, name)
    }

    fn definitions(
        &self,
        tenant: TenantRow,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        definitions::list(self.tx, tenant, kind, after, limit)
    }

    fn count_definitions(&self, tenant: TenantRow) -> Result<usize> {
        definitions::count(self.tx, tenant)
    }

    fn definition_names(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        definitions::names(self.tx, kind, after, limit)
    }

    fn definitions_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        definitions::sealed_by(self.tx, tenant, version, after, limit)
    }

    fn due_revocations(&self, now: i64, limit: usize) -> Result<Vec<Of<(RevocationRow, Sealed)>>> {
        revocations::due(self.tx, now, limit)
    }

    fn revocation(&self, tenant: TenantRow, id: RevocationId) -> Result<Option<(RevocationRow, Sealed)>> {
        revocations::get(self.tx, tenant, id)
    }

    fn revocations_of(
        &self,
        tenant: TenantRow,
        connection: ConnectionId,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        revocations::of_connection(self.tx, tenant, connection)
    }

    fn revocations_after(
        &self,
        tenant: TenantRow,
        after: Option<RevocationId>,
        limit: usize,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        revocations::after(self.tx, tenant, after, limit)
    }

    fn has_revocations(&self, at_least: usize) -> Result<bool> {
        revocations::are_at_least(self.tx, at_least)
    }

    fn head(&self, chain: Chain) -> Result<Option<HeadRow>> {
        audit::head(self.tx, chain)
    }

    fn last_number(&self, chain: Chain) -> Result<u64> {
        audit::last_number(self.tx, chain)
    }

    fn entries(
        &self,
        chain: Chain,
        of: Option<TenantRow>,
        after: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        audit::entries(self.tx, chain, of, after, direction, limit)
    }

    fn gaps(&self, chain: Chain) -> Result<Vec<GapRow>> {
        audit::gaps(self.tx, chain)
    }

    fn checkpoint(&self, chain: Chain, number: u64) -> Result<Option<CheckpointRow>> {
        audit::checkpoint(self.tx, chain, number)
    }

    fn checkpoints_after(&self, chain: Chain, after: u64, limit: usize) -> Result<Vec<CheckpointRow>> {
        audit::checkpoints_after(self.tx, chain, after, limit)
    }

    fn pruned_to(&self, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
        audit::pruned_to(self.tx, chain, of, what)
    }

    /// Transactions of a store are serializable, so that each links its entries itself.
    fn unlinked(&self) -> Option<&dyn Unlinked> {
        None
    }
}

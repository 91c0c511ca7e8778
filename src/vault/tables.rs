//! The sealed rows of a vault, and the contract of a database that stores them.
//!
//! [`SealedVault`](crate::vault::SealedVault) holds the rules, the keys and the seals; an
//! implementation of [`Tables`] holds rows. It never sees a secret: `access`, `rest` and `sealed`
//! contain ciphertext, and `route`, `details`, `body` and `state` are encodings that it need not
//! understand.
//!
//! Columns that an implementation searches are separate fields. All others of a row are in one
//! encoded field.

mod epoch;
mod mark;
mod row;
mod search;
mod staleness;
mod stamp;
mod topic;
mod unlinked;

pub(crate) use epoch::{Epoch, KeyChange, check_wraps};
pub(crate) use mark::{Mark, Stage, Writer, check_complete};
pub(crate) use row::{
    AuditRow, CheckpointRow, ConnectionRow, ConsentRow, DefinitionRow, GapRow, GrantRow, HeadRow, KeyRow,
    PendingRow, RevocationRow, Sealed, Secrets, TenantRow, VaultRow,
};
pub(crate) use search::{
    Ahead, Chain, Direction, Doomed, DueRows, Expected, FoundRows, ListedRow, Listing, Of, Pruned, TokenRow,
    Wanted,
};

pub(crate) use staleness::{Begun, Staleness};
pub(crate) use stamp::{Basis, Stamp, Taken};
pub(crate) use topic::{Place, Topic, Writes};
pub(crate) use unlinked::{Unlinked, UnlinkedMut};

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::{Holder, StateHash, VaultError, VaultWarning};

type Result<T> = std::result::Result<T, VaultError>;

/// The chain of audit entries that belongs to the vault itself and to no tenant.
pub(crate) const VAULT_CHAIN: TenantRow = 0;

/// A definition and its sealed content, which is absent if it was wiped.
pub(crate) type SealedDefinition = (DefinitionRow, Option<Vec<u8>>);

/// The end of a write transaction.
#[derive(Debug)]
pub(crate) enum Write<T> {
    /// The changes are kept.
    Commit(T),
    /// Nothing was changed, or no change is kept.
    Unchanged(T),
    /// A key has sealed as much as it may, or a newer one exists. No change is kept; the caller
    /// reads the newest key and seals again.
    NewDataKey,
    /// A row has changed since the caller read it. No change is kept; the caller reads and decides
    /// again.
    Moved,
}

impl<T> Write<T> {
    /// Returns the same end with another value.
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Write<U> {
        match self {
            Self::Commit(value) => Write::Commit(f(value)),
            Self::Unchanged(value) => Write::Unchanged(f(value)),
            Self::NewDataKey => Write::NewDataKey,
            Self::Moved => Write::Moved,
        }
    }
}

/// A consistent view of the rows.
pub(crate) trait Rows {
    /// Announces reads that follow in this transaction: each once, and before anything is written
    /// that it depends on. A database across a network answers all of them in one round trip; a
    /// local one ignores this.
    fn announce(&self, tenant: TenantRow, reads: &[Ahead<'_>]);

    fn vault(&self) -> Result<Option<VaultRow>>;

    fn tenant(&self, name: &TenantId) -> Result<Option<TenantRow>>;
    /// Returns tenants after this number, ascending. A tenant without a name is being erased.
    fn tenants(&self, after: TenantRow, limit: usize) -> Result<Vec<(TenantRow, Option<TenantId>)>>;
    /// Returns a tenant that is being erased.
    fn forgotten_tenant(&self) -> Result<Option<TenantRow>>;

    /// Returns the key with the highest version below `below`.
    fn newest_key(&self, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>>;
    fn key(&self, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>>;
    fn retired_keys(&self) -> Result<Vec<Of<u32>>>;
    /// Returns the ids of all master keys that wrap a key.
    fn master_keys(&self) -> Result<Vec<[u8; 16]>>;
    fn keys_wrapped_by(&self, master_key: &[u8; 16], limit: usize) -> Result<Vec<Of<KeyRow>>>;
    /// Returns whether a grant, a consent request, a pending revocation or a definition names this
    /// version.
    fn names_key(&self, tenant: TenantRow, version: u32) -> Result<bool>;

    fn token(&self, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows>;
    fn connection(&self, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>>;
    fn connections(&self, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>>;
    fn count_connections(&self, tenant: TenantRow, owner: Option<&str>) -> Result<usize>;

    fn grant(&self, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>>;
    /// Returns the grants that this one replaced.
    fn former_grants(&self, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>>;
    fn grant_secrets(&self, tenant: TenantRow, id: GrantId) -> Result<Sealed>;
    /// Returns grants after this one whose tokens this version of the key seals, with their sealed
    /// tokens.
    fn grants_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>>;
    /// Returns grants after this one, in the order of their ids, with their sealed tokens.
    fn grants_after(
        &self,
        tenant: TenantRow,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>>;
    fn due_grants(&self, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>>;
    /// Returns grants whose quarantine ended at `now` or before.
    fn ended_quarantines(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>>;
    /// Returns former grants that are dead at `now`.
    fn dead_grants(&self, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>>;

    /// Returns a consent request and its sealed verifier.
    fn consent(&self, tenant: TenantRow, state: &StateHash) -> Result<Option<(ConsentRow, Option<Vec<u8>>)>>;
    fn consents_of(&self, tenant: TenantRow, user: &str) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>>;
    /// Returns consent requests of a tenant after this one, in the order of their keys.
    fn consents_after(
        &self,
        tenant: TenantRow,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>>;
    /// Returns consent requests that expired before this time.
    fn expired_consents(&self, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>>;

    /// Returns a definition and its sealed content.
    fn definition(&self, tenant: TenantRow, kind: &str, name: &str) -> Result<Option<SealedDefinition>>;
    /// Returns definitions of one kind whose names are after this one, in ascending order.
    fn definitions(
        &self,
        tenant: TenantRow,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>>;
    fn count_definitions(&self, tenant: TenantRow) -> Result<usize>;
    /// Returns the names of definitions of one kind, of all tenants, each once, in ascending order.
    fn definition_names(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>>;
    /// Returns definitions after this kind and name whose content this version of the key seals.
    fn definitions_sealed_by(
        &self,
        tenant: TenantRow,
        version: u32,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>>;

    /// Returns pending revocations that are due, oldest first, with their sealed tokens.
    fn due_revocations(&self, now: i64, limit: usize) -> Result<Vec<Of<(RevocationRow, Sealed)>>>;
    fn revocation(&self, tenant: TenantRow, id: RevocationId) -> Result<Option<(RevocationRow, Sealed)>>;
    fn revocations_of(
        &self,
        tenant: TenantRow,
        connection: ConnectionId,
    ) -> Result<Vec<(RevocationRow, Sealed)>>;
    /// Returns pending revocations after this one, in the order of their ids.
    fn revocations_after(
        &self,
        tenant: TenantRow,
        after: Option<RevocationId>,
        limit: usize,
    ) -> Result<Vec<(RevocationRow, Sealed)>>;
    /// Returns whether at least this many revocations are pending, counting all tenants.
    fn has_revocations(&self, at_least: usize) -> Result<bool>;

    fn head(&self, chain: Chain) -> Result<Option<HeadRow>>;
    /// Returns the highest number that is stored in the chain, including pruned entries; 0 without
    /// entries.
    fn last_number(&self, chain: Chain) -> Result<u64>;
    /// Returns entries of a chain; of the legacy chain, only those of this tenant if one is given.
    fn entries(
        &self,
        chain: Chain,
        of: Option<TenantRow>,
        after: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<AuditRow>>;
    fn gaps(&self, chain: Chain) -> Result<Vec<GapRow>>;
    fn checkpoint(&self, chain: Chain, number: u64) -> Result<Option<CheckpointRow>>;
    /// Returns checkpoints after this number, ascending.
    fn checkpoints_after(&self, chain: Chain, after: u64, limit: usize) -> Result<Vec<CheckpointRow>>;
    /// Returns the number up to which a pass of pruning has examined a tenant's entries in this
    /// chain.
    fn pruned_to(&self, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64>;
    /// Returns the entries that wait to be linked, if this database keeps entries apart until then.
    fn unlinked(&self) -> Option<&dyn Unlinked>;
}

/// A write transaction. It sees its own changes.
pub(crate) trait RowsMut: Rows {
    fn put_vault(&mut self, row: &VaultRow) -> Result<()>;

    fn insert_tenant(&mut self, name: &TenantId) -> Result<TenantRow>;
    /// Inserts a tenant under the number that it has in another vault. Later tenants get higher
    /// numbers.
    fn insert_numbered_tenant(&mut self, tenant: TenantRow, name: &TenantId) -> Result<()>;
    /// Waits for all other writers, and keeps them out until the transaction ends.
    fn exclude_writers(&mut self) -> Result<()>;
    /// Removes the name of a tenant that is being erased, and deletes and overwrites all of its
    /// keys.
    fn unname_tenant(&mut self, tenant: TenantRow) -> Result<()>;
    /// Deletes a tenant without rows, and its audit.
    fn delete_tenant(&mut self, tenant: TenantRow) -> Result<()>;

    fn insert_key(&mut self, tenant: TenantRow, key: &KeyRow) -> Result<()>;
    /// Adds to the seals of a key that is not retired. Returns `false`, and adds nothing, if they
    /// would exceed `most` or there is no such key. A database that counts later may return `true`
    /// and end the transaction with [`NewDataKey`](Write::NewDataKey) instead.
    fn count_seals(&mut self, tenant: TenantRow, version: u32, seals: u32, most: u32) -> Result<bool>;
    /// Returns whether a key is stored and not retired, for seals that were counted before. A
    /// database that checks later may return `true` and end the transaction with
    /// [`NewDataKey`](Write::NewDataKey) instead.
    fn may_seal(&mut self, tenant: TenantRow, version: u32) -> Result<bool>;
    /// Marks the keys with a version from `from` up to but not including `below` as retired.
    fn retire_keys(&mut self, tenant: TenantRow, from: u32, below: u32) -> Result<()>;
    /// Deletes a retired key and overwrites it.
    fn delete_key(&mut self, tenant: TenantRow, version: u32) -> Result<()>;
    /// Replaces a wrapped key if it is still `before`.
    fn rewrap_key(&mut self, tenant: TenantRow, before: &KeyRow, after: &KeyRow) -> Result<bool>;

    /// Checks that these rows are stored as they were read, without a read, and keeps them so until
    /// the transaction ends. It ends with [`Moved`](Write::Moved) if one of them has changed. This
    /// is the first call of the transaction, which afterwards may only write these grants, count
    /// seals and add entries that wait to be linked: it does not keep out other writers of the
    /// tenant.
    ///
    /// Returns `false`, and checks nothing, if writers follow one another anyway. The caller then
    /// reads the rows.
    fn expect(&mut self, tenant: TenantRow, expected: &Expected) -> Result<bool>;

    /// Inserts or replaces a connection. Returns `false`, and changes nothing, if another
    /// connection that is not revoked has its label, its account or the default.
    fn put_connection(&mut self, tenant: TenantRow, row: &ConnectionRow) -> Result<bool>;

    /// Inserts or replaces a grant. `secrets` says whether a replaced row keeps or loses its
    /// tokens.
    fn put_grant(&mut self, tenant: TenantRow, row: &GrantRow, secrets: Secrets<'_>) -> Result<()>;
    /// Overwrites the tokens of a grant and deletes it.
    fn delete_grant(&mut self, tenant: TenantRow, id: GrantId) -> Result<()>;

    /// Inserts a consent request with its sealed verifier.
    fn insert_consent(&mut self, tenant: TenantRow, row: &ConsentRow, sealed: &[u8]) -> Result<()>;
    /// Sets the status of a consent request and overwrites its verifier.
    fn end_consent(
        &mut self,
        tenant: TenantRow,
        state: &StateHash,
        status: &str,
        completed: Option<ConnectionId>,
    ) -> Result<()>;
    fn delete_consent(&mut self, tenant: TenantRow, state: &StateHash) -> Result<()>;

    /// Inserts or replaces a definition.
    fn put_definition(&mut self, tenant: TenantRow, row: &DefinitionRow, sealed: &[u8]) -> Result<()>;
    /// Overwrites the content of a definition and deletes it.
    fn delete_definition(&mut self, tenant: TenantRow, kind: &str, name: &str) -> Result<()>;

    fn insert_revocation(&mut self, tenant: TenantRow, row: &RevocationRow, secrets: &Sealed) -> Result<()>;
    /// Sets `not_before` and `attempts`.
    fn schedule_revocation(&mut self, tenant: TenantRow, row: &RevocationRow) -> Result<()>;
    /// Overwrites the tokens of a pending revocation and deletes it.
    fn delete_revocation(&mut self, tenant: TenantRow, id: RevocationId) -> Result<()>;

    /// Appends entries, in one statement if each statement takes a round trip.
    fn append_entries(&mut self, chain: Chain, entries: &[AuditRow]) -> Result<()>;
    fn put_head(&mut self, chain: Chain, head: &HeadRow) -> Result<()>;
    fn put_checkpoint(&mut self, chain: Chain, row: &CheckpointRow) -> Result<()>;
    /// Deletes these entries.
    fn delete_entries(&mut self, chain: Chain, numbers: &[u64]) -> Result<()>;
    /// Inserts a gap and deletes the gaps that lie within it.
    fn put_gap(&mut self, chain: Chain, gap: &GapRow) -> Result<()>;
    fn set_pruned_to(&mut self, chain: Chain, of: TenantRow, what: Pruned, number: u64) -> Result<()>;

    /// Returns the entries that wait to be linked, as [`Rows::unlinked`] does, to change them.
    fn unlinked_mut(&mut self) -> Option<&mut dyn UnlinkedMut>;

    /// Raises the times of last use, in one statement if each takes a round trip. Unknown
    /// connections are skipped.
    fn record_uses(&mut self, uses: &[(TenantRow, ConnectionId, i64)]) -> Result<()>;

    /// Overwrites and deletes at most `limit` rows. Returns `true` if nothing is left.
    fn erase(&mut self, tenant: TenantRow, doomed: Doomed<'_>, limit: usize) -> Result<bool>;
}

/// The rows of a vault in a database.
pub(crate) trait Tables: Debug + Send + Sync + Sized + 'static {
    /// Runs reads in one consistent view. `read` decrypts nothing, because it may delay a writer.
    fn read<T>(&self, read: impl FnOnce(&dyn Rows) -> Result<T>) -> Result<T>;

    /// Runs [`Rows::token`] in its own view, and returns the stamp of the state that was read or of
    /// an earlier one. This is the hot path. Returns `None` if `is_known` has the answer for the
    /// present stamp. Without stamps `is_known` is not called.
    fn token(
        &self,
        tenant: TenantRow,
        wanted: Wanted<'_>,
        is_known: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, FoundRows)>>;

    /// Runs [`Rows::token`] for several queries, each in its own view, and returns the answers in
    /// the same order: in one round trip if the database is across a network.
    fn tokens(&self, wanted: &[(TenantRow, Wanted<'_>)]) -> Result<Vec<FoundRows>>;

    /// Returns whether nothing was committed since this stamp was taken, except for writes of this
    /// handle that did not concern these places. Returns `false` without stamps.
    fn is_unchanged_since(&self, taken: Taken, places: &[Place; 3]) -> Result<bool>;

    /// Returns the writes of this handle, if a stamp outlives those that concern something else.
    fn writes(&self) -> Option<&Writes>;

    /// Returns the bound on the age of remembered answers, if a read takes the network and there
    /// are no stamps. The implementation tells it of every write. Returns `None` if reads are
    /// local.
    fn staleness(&self) -> Option<&Staleness>;

    /// Runs [`Rows::definition`] in its own view, and returns the stamp of the state that was read
    /// or of an earlier one. Returns `None` if `is_known` has the answer for the present stamp.
    /// Without stamps `is_known` is not called.
    fn definition(
        &self,
        tenant: TenantRow,
        kind: &str,
        name: &str,
        is_known: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Option<SealedDefinition>)>>;

    /// Runs [`Rows::connections`] in its own view, and returns the stamp of the state that was read
    /// or of an earlier one. Returns `None` if `is_known` has the answer for the present stamp.
    /// Without stamps `is_known` is not called.
    fn connections(
        &self,
        tenant: TenantRow,
        listing: &Listing<'_>,
        is_known: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Vec<ListedRow>)>>;

    /// Writes in one transaction, durably: the committed changes survive a crash once this returns.
    /// `write` may be called again if the database requires it. Nothing is committed if the mark of
    /// a transfer forbids it.
    fn write<T>(&self, write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>>) -> Result<Write<T>>;

    /// Writes as [`write`](Self::write) does, whatever the mark of a transfer says.
    fn write_for_transfer<T>(
        &self,
        write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>>,
    ) -> Result<Write<T>>;

    /// Returns the clock of the database, if several machines share it.
    fn clock(&self) -> Option<Arc<dyn Clock>>;

    /// Replaces a grant in a separate transaction, if it still has this revision, and keeps its
    /// tokens. Returns whether it did. A power cut can lose the change, unless the host chose
    /// otherwise; it is visible to all handles, and survives the end of the process. A transfer
    /// forbids it before it forbids other writes.
    fn replace_grant(&self, tenant: TenantRow, row: &GrantRow, revision: u64) -> Result<bool>;

    /// Identifies this handle in claims. The id is stable for the lifetime of the handle and unique
    /// to it.
    fn holder(&self) -> Result<Holder>;

    /// Returns whether a holder is known to be dead. If in doubt, it counts as alive.
    fn is_dead(&self, holder: Holder) -> bool;

    /// Returns warnings for the administrator about the place where the rows are stored.
    fn warnings(&self) -> Vec<VaultWarning>;

    /// Writes a consistent copy to a new file.
    fn backup(&self, path: &Path) -> Result<()>;

    /// Removes the remains of erased secrets from files. Returns `false` if something is left for
    /// now.
    fn clear_residue(&self) -> Result<bool>;
}

/// Replaces a grant as [`Tables::replace_grant`] does, in the caller's transaction.
pub(crate) fn replace_grant(
    rows: &mut dyn RowsMut,
    tenant: TenantRow,
    row: &GrantRow,
    revision: u64,
) -> Result<Write<bool>> {
    let now = rows.grant(tenant, row.id)?.map(|now| now.revision);
    if now != Some(revision) {
        return Ok(Write::Unchanged(false));
    }
    rows.put_grant(tenant, row, Secrets::Keep)?;
    Ok(Write::Commit(true))
}

//! The view that a transfer has of a vault, whatever its kind.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::{TenantId, Timestamp};
use crate::vault::envelope::{AuditKey, MasterKeys, VaultId};
use crate::vault::tables::{
    AuditRow, ConnectionRow, ConsentRow, DefinitionRow, GrantRow, KeyRow, RevocationRow, Rows, RowsMut,
    Sealed, VaultRow,
};
use crate::vault::{AuditChain, AuditEntry, AuditReport, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// Gives a transfer access to a vault.
pub trait Transferable {
    /// Returns the vault as a side of a transfer.
    fn side(&self) -> Sided<'_>;
}

/// A vault as a side of a transfer.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it never leaves the crate")]
pub struct Sided<'a>(pub(in crate::vault) &'a dyn Side);

/// The key of a vault's own chain of audit entries.
pub(in crate::vault) struct ChainKey {
    pub(in crate::vault) key: Arc<AuditKey>,
    pub(in crate::vault) vault: VaultId,
}

/// A row with its sealed records.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Record<'a> {
    Connection(&'a ConnectionRow),
    Grant(&'a GrantRow, &'a Sealed),
    Consent(&'a ConsentRow, Option<&'a Vec<u8>>),
    Definition(&'a DefinitionRow, Option<&'a Vec<u8>>),
    Revocation(&'a RevocationRow, &'a Sealed),
    Key(&'a KeyRow),
    Entry(&'a AuditRow),
}

/// The operations of a vault that a transfer needs.
pub(in crate::vault) trait Side {
    /// Runs reads in one consistent view.
    fn read(&self, work: &mut dyn FnMut(&dyn Rows) -> Result<()>) -> Result<()>;
    /// Writes in one transaction, whatever the mark of a transfer says.
    fn write(&self, work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<()>) -> Result<()>;
    /// Returns the vault's own clock, if it has one.
    fn clock(&self) -> Option<Arc<dyn Clock>>;
    /// Returns whether a claim of this grant may still be in use.
    fn is_held(&self, grant: &GrantRow, now: Timestamp) -> bool;
    /// Erases the rows of tenants whose keys are gone.
    fn erase_forgotten(&self) -> Result<()>;
    /// Returns the key of the vault's own chain. It is read before a transaction begins.
    fn chain_key(&self) -> Result<ChainKey>;
    /// Appends an entry to the vault's own chain.
    fn append(&self, key: &ChainKey, rows: &mut dyn RowsMut, entry: &AuditEntry, body: &[u8]) -> Result<()>;
    /// Links the audit entries of all tenants that wait, in this transaction.
    fn link(&self, key: &ChainKey, rows: &mut dyn RowsMut) -> Result<()>;
    /// Links the audit entries of all tenants that wait, so that few are left for the transaction
    /// that ends all writes.
    fn link_most(&self) -> Result<()>;
    /// Returns the master keys.
    fn master_keys(&self) -> &MasterKeys;
    /// Returns the vault's own row, its keys wrapped by other master keys.
    fn vault_for(&self, keys: &MasterKeys) -> Result<VaultRow>;
    /// Returns a tenant's key, wrapped by other master keys.
    fn key_for(&self, keys: &MasterKeys, tenant: &TenantId, key: &KeyRow) -> Result<KeyRow>;
    /// Forgets the keys that were read.
    fn forget_keys(&self);
    /// Returns whether a row is authentic and its sealed records open.
    fn opens(&self, tenant: &TenantId, record: Record<'_>) -> Result<bool>;
    /// Verifies a chain, and the rows against it.
    fn verify(&self, chain: &AuditChain) -> Result<AuditReport>;
}

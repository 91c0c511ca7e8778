//! The steps of every operation: read, decide and seal outside a transaction, and store if nothing
//! has changed meanwhile.

use std::fmt;
use std::sync::Arc;

use crate::model::{TenantId, Timestamp};
use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::sealed::keyring::Keyring;
use crate::vault::sealed::lists::Lists;
use crate::vault::sealed::recent::Recent;
use crate::vault::sealed::seals::Seals;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{RowsMut, Tables, Write};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of times an operation is repeated when another writer was faster or the key changed.
/// Each repetition means that another caller made progress.
const ATTEMPTS: usize = 32;

/// A vault over tables: all rules, keys and seals.
pub(in crate::vault) struct Core<T> {
    pub(in crate::vault) tables: T,
    pub(super) keyring: Keyring,
    pub(super) recent: Recent,
    pub(super) lists: Lists,
}

impl<T: Tables> Core<T> {
    pub(in crate::vault) fn new(tables: T, keys: MasterKeys) -> Self {
        Self {
            tables,
            keyring: Keyring::new(keys),
            recent: Recent::new(),
            lists: Lists::default(),
        }
    }

    /// Creates the vault's own row if there is none, and checks that a master key belongs to it.
    pub(in crate::vault) fn check_key(&self) -> Result<()> {
        self.keyring.vault(&self.tables).map(|_| ())
    }

    /// Returns the tenant, if anything is stored for it.
    ///
    /// Another process may have erased the tenant, and its name may belong to a new one since then,
    /// so the remembered tenant is compared with the stored one.
    pub(super) fn tenant(&self, name: &TenantId) -> Result<Option<Arc<Tenant>>> {
        let Some(known) = self.remembered_tenant(name)? else {
            return Ok(None);
        };
        if self.tables.read(|rows| rows.tenant(name))? == Some(known.row) {
            return Ok(Some(known));
        }
        self.keyring.forget(name);
        self.remembered_tenant(name)
    }

    /// Returns the tenant as this process remembers it, for callers that detect by themselves that
    /// it was erased.
    pub(super) fn remembered_tenant(&self, name: &TenantId) -> Result<Option<Arc<Tenant>>> {
        self.keyring.tenant(&self.tables, name)
    }

    /// Returns the tenant as this process remembers it. Creates it if it does not exist.
    pub(super) fn remembered_or_new_tenant(&self, name: &TenantId) -> Result<Arc<Tenant>> {
        match self.remembered_tenant(name)? {
            Some(tenant) => Ok(tenant),
            None => self.keyring.sealing_tenant(&self.tables, name),
        }
    }

    /// Repeats `attempt` until its transaction has a result. Creates the tenant if it does not
    /// exist.
    pub(super) fn repeat<O>(
        &self,
        name: &TenantId,
        now: Timestamp,
        attempt: impl FnMut(&Tenant) -> Result<Write<O>>,
    ) -> Result<O> {
        let find = || match self.tenant(name)? {
            Some(tenant) => Ok(Some(tenant)),
            None => self.keyring.sealing_tenant(&self.tables, name).map(Some),
        };
        self.repeat_for(find, now, attempt)?.ok_or(VaultError::Damaged)
    }

    /// Repeats `attempt` until its transaction has a result, each time for the tenant that `find`
    /// returns. Returns `None` if it returns none.
    pub(super) fn repeat_for<O>(
        &self,
        find: impl Fn() -> Result<Option<Arc<Tenant>>>,
        now: Timestamp,
        mut attempt: impl FnMut(&Tenant) -> Result<Write<O>>,
    ) -> Result<Option<O>> {
        for _ in 0..ATTEMPTS {
            let Some(tenant) = find()? else { return Ok(None) };
            match attempt(&tenant)? {
                Write::Commit(value) | Write::Unchanged(value) => return Ok(Some(value)),
                Write::NewDataKey => self.keyring.renew(&self.tables, &tenant, now)?,
                Write::Moved => {}
            }
        }
        // Other callers keep changing the same rows; report it like a lock that is never released.
        Err(VaultError::Busy)
    }

    /// Writes in one transaction that seals with the keys of this tenant.
    pub(super) fn write_sealed<O>(
        &self,
        tenant: &Tenant,
        write: impl FnMut(&mut dyn RowsMut, &mut Seals<'_>) -> Result<Write<O>>,
    ) -> Result<Write<O>> {
        self.keyring.write(&self.tables, tenant, write)
    }

    /// Runs a write that needs no snapshot.
    pub(super) fn write<O>(&self, write: impl FnMut(&mut dyn RowsMut) -> Result<Write<O>>) -> Result<O> {
        match self.tables.write(write)? {
            Write::Commit(value) | Write::Unchanged(value) => Ok(value),
            Write::NewDataKey | Write::Moved => Err(VaultError::Busy),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Core<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.fmt(f)
    }
}

/// Runs an operation again, once, if a record did not open: its key may have been replaced and
/// destroyed after the record was read. An altered record does not open the second time either.
pub(super) fn again_if_tampered<O>(operation: impl Fn() -> Result<O>) -> Result<O> {
    match operation() {
        Err(VaultError::Tampered) => operation(),
        outcome => outcome,
    }
}

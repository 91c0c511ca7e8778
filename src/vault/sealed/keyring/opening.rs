//! Opens sealed records with the keys of their tenant.

use std::sync::{Arc, PoisonError};

use crate::vault::VaultError;
use crate::vault::envelope::{self, Binding, Context, DataKey, Fields};
use crate::vault::sealed::keyring::Keyring;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::Tables;

type Result<T> = std::result::Result<T, VaultError>;

impl Keyring {
    /// Opens a record that was sealed in format 1.
    #[cfg(feature = "sqlite")]
    pub(in crate::vault::sealed) fn open_format_1<T: Tables>(
        &self,
        tables: &T,
        tenant: &Tenant,
        context: &Context<'_>,
        record: Vec<u8>,
    ) -> Result<Fields> {
        let version = DataKey::version_of(&record)?;
        if version == tenant.newest.version() {
            return tenant.newest.open_format_1(context, record);
        }
        self.other_key(tables, tenant, version)?
            .open_format_1(context, record)
    }

    /// Returns the key that seals the bodies of a tenant's audit entries.
    pub(in crate::vault::sealed) fn entry_key<'a>(&self, tenant: &'a Tenant) -> Result<&'a DataKey> {
        if let Some(key) = tenant.audit_key.get() {
            return Ok(key);
        }
        let key = self.unwrap(tenant, &tenant.audit.wrapped, tenant.audit.version)?;
        Ok(tenant.audit_key.get_or_init(|| key))
    }

    /// Opens a record with the key that it names.
    pub(in crate::vault::sealed) fn open<T: Tables>(
        &self,
        tables: &T,
        tenant: &Tenant,
        context: &Context<'_>,
        record: Vec<u8>,
    ) -> Result<Fields> {
        let version = DataKey::version_of(&record)?;
        if version == tenant.newest.version() {
            return tenant.newest.open(context, record);
        }
        self.other_key(tables, tenant, version)?.open(context, record)
    }

    /// Opens a record whose additional data was encoded before.
    pub(in crate::vault::sealed) fn open_in<T: Tables>(
        &self,
        tables: &T,
        tenant: &Tenant,
        binding: &Binding,
        record: Vec<u8>,
    ) -> Result<Fields> {
        let version = DataKey::version_of(&record)?;
        if version == tenant.newest.version() {
            return tenant.newest.open_in(binding, record);
        }
        self.other_key(tables, tenant, version)?.open_in(binding, record)
    }

    /// Opens the body of an audit entry.
    pub(in crate::vault::sealed) fn open_entry<T: Tables>(
        &self,
        tables: &T,
        tenant: &Tenant,
        number: u64,
        body: Vec<u8>,
    ) -> Result<Fields> {
        let (entry, record) = envelope::named_entry(&body);
        let version = DataKey::version_of(record)?;
        let other;
        let key = if version == tenant.audit.version {
            self.entry_key(tenant)?
        } else {
            other = self.other_key(tables, tenant, version)?;
            &*other
        };
        match entry {
            Some(entry) => key.open_entry(tenant.vault, &tenant.name, entry, record.to_vec()),
            None => key.open_audit(tenant.vault, &tenant.name, number, body),
        }
    }

    pub(in crate::vault::sealed) fn unwrap(
        &self,
        tenant: &Tenant,
        wrapped: &[u8],
        version: u32,
    ) -> Result<DataKey> {
        DataKey::unwrap(wrapped, &self.keys, tenant.vault, &tenant.name, version)
    }

    /// Returns a key other than the newest ones.
    pub(in crate::vault::sealed) fn other_key<T: Tables>(
        &self,
        tables: &T,
        tenant: &Tenant,
        version: u32,
    ) -> Result<Arc<DataKey>> {
        let find = |keys: &[Arc<DataKey>]| keys.iter().find(|key| key.version() == version).map(Arc::clone);
        let known = find(&tenant.older.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = known {
            return Ok(known);
        }
        // A record names a key that does not exist: the key was destroyed, and with it the record's
        // content.
        let stored = tables
            .read(|rows| rows.key(tenant.row, version))?
            .ok_or(VaultError::Tampered)?;
        let key = self.unwrap(tenant, &stored.wrapped, version)?;
        let mut older = tenant.older.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&older) {
            return Ok(known);
        }
        let key = Arc::new(key);
        older.push(Arc::clone(&key));
        Ok(key)
    }
}

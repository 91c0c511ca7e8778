//! Connections and consents as rows: metadata as JSON, and the sealed records beside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use valetkey::model::{Connection, ConnectionId, TenantId, Timestamp};
use valetkey::vault::lifecycle::{Keep, Lifecycle};
use valetkey::vault::{ConsentStatus, Due, PendingConsent, StateHash, VaultError};

use crate::outbox::Sealed;
use crate::sealing::SealedTokens;
use crate::shelf::{Batch, Table};

/// A connection and where its tokens stand.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    pub connection: Connection,
    pub lifecycle: Lifecycle,
}

impl Entry {
    pub fn due(self) -> Due {
        Due {
            tenant: self.connection.tenant,
            connection: self.connection.id,
            generation: self.connection.generation,
            provider: self.connection.provider,
            expires_at: self.connection.expires_at,
        }
    }
}

impl Batch<'_> {
    pub fn entry(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Entry>, VaultError> {
        let row = self.get(&Table::Connections.key(tenant, id.as_bytes()));
        row.as_deref().map(decode).transpose()
    }

    /// The connections of a tenant, in the order of their ids. A database has indexes for those who want few of them.
    pub fn entries(&self, tenant: &TenantId) -> Result<Vec<Entry>, VaultError> {
        let rows = self.scan(Table::Connections.key(tenant, &[]));
        rows.map(|(_, row)| decode(row)).collect()
    }

    /// The connections of every tenant, for upkeep.
    pub fn all_entries(&self) -> Result<Vec<Entry>, VaultError> {
        let rows = self.scan(vec![Table::Connections as u8]);
        rows.map(|(_, row)| decode(row)).collect()
    }

    /// Stores an entry and returns what the connection shows from now on.
    pub fn put_entry(&mut self, mut entry: Entry) -> Result<Connection, VaultError> {
        entry.lifecycle.show_in(&mut entry.connection);
        let Connection { tenant, id, .. } = &entry.connection;
        self.put(Table::Connections.key(tenant, id.as_bytes()), encode(&entry)?);
        Ok(entry.connection)
    }

    /// Makes this connection the default, and no other of its owner's to its provider.
    pub fn choose_default(&mut self, chosen: &Connection) -> Result<(), VaultError> {
        for mut entry in self.entries(&chosen.tenant)? {
            let is_default = entry.connection.id == chosen.id;
            if is_sibling(&entry.connection, chosen) && entry.connection.is_default != is_default {
                entry.connection.is_default = is_default;
                self.put_entry(entry)?;
            }
        }
        Ok(())
    }

    /// Stores that a connection was used, unless it was used later.
    pub fn used(&mut self, tenant: &TenantId, id: ConnectionId, at: Timestamp) -> Result<(), VaultError> {
        if let Some(mut entry) = self.entry(tenant, id)? {
            entry.connection.used_at = entry.connection.used_at.max(Some(at));
            self.put_entry(entry)?;
        }
        Ok(())
    }

    /// The next number of a table, from 1. None is given out twice, whatever is deleted.
    pub fn next_number(&mut self, table: Table) -> Result<u64, VaultError> {
        let key = vec![Table::Numbers as u8, table as u8];
        let last = match self.get(&key) {
            Some(row) => u64::from_be_bytes(row.try_into().map_err(|_| VaultError::Damaged)?),
            None => 0,
        };
        self.put(key, (last + 1).to_be_bytes().to_vec());
        Ok(last + 1)
    }

    pub fn put_tokens(&mut self, tenant: &TenantId, id: ConnectionId, sealed: SealedTokens) {
        self.put(Table::AccessTokens.key(tenant, id.as_bytes()), sealed.access);
        self.put(Table::Rest.key(tenant, id.as_bytes()), sealed.rest);
    }

    /// Erases the tokens that are not to be kept, and gives them out a last time.
    pub fn take_tokens(&mut self, tenant: &TenantId, id: ConnectionId, keep: Keep) -> Sealed {
        let mut take = |table: Table| self.take(table.key(tenant, id.as_bytes()));
        match keep {
            Keep::All => (None, None),
            Keep::RefreshToken => (take(Table::AccessTokens), None),
            Keep::Nothing => (take(Table::AccessTokens), take(Table::Rest)),
        }
    }

    pub fn consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
    ) -> Result<Option<PendingConsent>, VaultError> {
        let row = self.get(&Table::Consents.key(tenant, state.as_bytes()));
        row.as_deref().map(decode).transpose()
    }

    /// The consent, if it can still be taken.
    pub fn pending_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<PendingConsent>, VaultError> {
        let consent = self.consent(tenant, state)?;
        Ok(consent.filter(|consent| consent.status == ConsentStatus::Pending && consent.expires_at > now))
    }

    /// The consents of all tenants.
    pub fn consents(&self) -> Result<Vec<PendingConsent>, VaultError> {
        let rows = self.scan(vec![Table::Consents as u8]);
        rows.map(|(_, row)| decode(row)).collect()
    }

    /// Deletes a consent and its verifier.
    pub fn drop_consent(&mut self, consent: &PendingConsent) {
        for table in [Table::Consents, Table::Verifiers] {
            self.take(table.key(&consent.tenant, consent.state.as_bytes()));
        }
    }

    pub fn put_consent(&mut self, consent: &PendingConsent) -> Result<(), VaultError> {
        let key = Table::Consents.key(&consent.tenant, consent.state.as_bytes());
        self.put(key, encode(consent)?);
        Ok(())
    }
}

/// Whether two connections of a tenant have one owner and one provider.
pub fn is_sibling(one: &Connection, other: &Connection) -> bool {
    one.owner == other.owner && one.provider == other.provider
}

pub fn encode(row: &impl Serialize) -> Result<Vec<u8>, VaultError> {
    serde_json::to_vec(row).map_err(VaultError::storage)
}

/// What cannot be read is an error: "there is none" would send people to connect again.
pub fn decode<T: DeserializeOwned>(row: &[u8]) -> Result<T, VaultError> {
    serde_json::from_slice(row).map_err(|_| VaultError::Damaged)
}

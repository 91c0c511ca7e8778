//! Data keys, and what is sealed with them. No batch in here encrypts: they read and write bytes.

use std::sync::Arc;

use valetkey::model::{Connection, TenantId};
use valetkey::secret::{AccessToken, IdToken, PkceVerifier, RefreshToken};
use valetkey::vault::envelope::{AuditKey, Context, DataKey, Fields, Kind, MasterKeys, VaultId};
use valetkey::vault::{PendingConsent, Tokens, VaultError};

use crate::audit::Pen;
use crate::outbox::Sealed;
use crate::shelf::{Batch, Shelf, Table};

/// Random nonces of 96 bits are good for 2^32 seals; a new key long before that costs nothing.
const MAX_SEALS: u32 = 1 << 30;

/// Seals and opens for the vault on one shelf.
#[derive(Debug)]
pub struct Sealer {
    shelf: Arc<Shelf>,
    pub vault: VaultId,
    /// Chains the audit of all tenants.
    pub audit: AuditKey,
    keys: MasterKeys,
}

/// The two records of a connection's tokens: apart, so that the hot path opens the access token alone.
pub struct SealedTokens {
    pub access: Vec<u8>,
    pub rest: Vec<u8>,
}

impl Sealer {
    /// Reads which vault the shelf holds, or makes it one, and refuses a master key that is not the vault's.
    pub fn open(shelf: Arc<Shelf>, keys: MasterKeys) -> Result<Self, VaultError> {
        let (new, master) = (VaultId::generate()?, keys.active());
        let new = [new.as_bytes().as_slice(), master.id(), &master.check_value(new)].concat();
        let row = first(&shelf, Table::Vault, new)?;
        let (id, row) = row.split_first_chunk().ok_or(VaultError::Damaged)?;
        let (master, check) = row.split_first_chunk().ok_or(VaultError::Damaged)?;
        let vault = VaultId::from_bytes(*id);
        if keys
            .get(master)
            .is_none_or(|master| master.check_value(vault) != check)
        {
            return Err(VaultError::WrongMasterKey);
        }
        let wrapped = first(&shelf, Table::AuditKey, AuditKey::generate()?.wrap(&keys, vault)?)?;
        Ok(Self {
            audit: AuditKey::unwrap(&wrapped, &keys, vault)?,
            shelf,
            vault,
            keys,
        })
    }

    /// The tenant's newest data key, made if there is none or it is used up.
    ///
    /// Seals are counted before they are made: a crash in between wastes some, and none goes uncounted. A busy host
    /// counts a thousand at a time and remembers the unwrapped key.
    pub fn pen<'a>(&'a self, tenant: &'a TenantId, seals: u32) -> Result<Pen<'a>, VaultError> {
        loop {
            let newest = self.shelf.batch(|batch| {
                let newest = newest_key(batch, tenant)?;
                if let Some((version, used, wrapped)) = &newest
                    && *used < MAX_SEALS
                {
                    put_key(batch, tenant, *version, used + seals, wrapped);
                }
                Ok(newest)
            })?;
            let next = match newest {
                Some((version, used, wrapped)) if used < MAX_SEALS => {
                    return Ok(Pen {
                        sealer: self,
                        tenant,
                        key: DataKey::unwrap(&wrapped, &self.keys, self.vault, tenant, version)?,
                        wrapped,
                    });
                }
                Some((version, ..)) => version + 1,
                None => 1,
            };
            let wrapped = DataKey::generate(next)?.wrap(&self.keys, self.vault, tenant)?;
            self.shelf.batch(|batch| {
                // Somebody may have been faster: to replace their key is to lose what they have sealed with it.
                if newest_key(batch, tenant)?.is_none_or(|(version, ..)| version < next) {
                    put_key(batch, tenant, next, 0, &wrapped);
                }
                Ok(())
            })?;
        }
    }

    /// For one entry of the audit; none for a tenant of whom nothing is stored.
    pub fn known_pen<'a>(&'a self, tenant: &'a TenantId) -> Result<Option<Pen<'a>>, VaultError> {
        let newest = self.shelf.batch(|batch| newest_key(batch, tenant))?;
        newest.map(|_| self.pen(tenant, 1)).transpose()
    }

    fn key_of(&self, tenant: &TenantId, record: &[u8]) -> Result<DataKey, VaultError> {
        let version = DataKey::version_of(record)?;
        let key = Table::DataKeys.key(tenant, &version.to_be_bytes());
        let row = self.shelf.batch(|batch| Ok(batch.get(&key)))?;
        // A data key goes only with its tenant: a record that names one that is not there was altered.
        let row = row.ok_or(VaultError::Tampered)?;
        let (_, wrapped) = row.split_first_chunk::<4>().ok_or(VaultError::Damaged)?;
        DataKey::unwrap(wrapped, &self.keys, self.vault, tenant, version)
    }

    fn open_record(&self, context: &Context<'_>, record: Vec<u8>) -> Result<Fields, VaultError> {
        self.key_of(context.tenant, &record)?.open(context, record)
    }

    pub fn open_audit(&self, tenant: &TenantId, number: u64, body: Vec<u8>) -> Result<Fields, VaultError> {
        self.key_of(tenant, &body)?
            .open_audit(self.vault, tenant, number, body)
    }

    const fn context<'a>(&self, connection: &'a Connection, kind: Kind, generation: u64) -> Context<'a> {
        Context {
            kind,
            vault: self.vault,
            tenant: &connection.tenant,
            owner: connection.owner.user(),
            provider: &connection.provider,
            id: connection.id.as_bytes(),
            generation,
        }
    }

    const fn consent_context<'a>(&self, consent: &'a PendingConsent) -> Context<'a> {
        Context {
            kind: Kind::Consent,
            vault: self.vault,
            tenant: &consent.tenant,
            owner: consent.owner.user(),
            provider: &consent.provider,
            id: consent.id.as_bytes(),
            generation: 0,
        }
    }

    pub fn open_access(&self, connection: &Connection, record: Vec<u8>) -> Result<AccessToken, VaultError> {
        let context = self.context(connection, Kind::AccessToken, connection.generation);
        let mut text = self.open_record(&context, record)?.into_only_text()?;
        Ok(AccessToken::new(std::mem::take(&mut *text)))
    }

    /// Opens what is sealed beside the access token.
    pub fn open_rest(
        &self,
        connection: &Connection,
        record: Vec<u8>,
    ) -> Result<(Option<RefreshToken>, Option<IdToken>), VaultError> {
        let context = self.context(connection, Kind::Rest, connection.generation);
        let mut fields = self.open_record(&context, record)?;
        let refresh_token = fields.expose_next_text()?.map(RefreshToken::new);
        let id_token = fields.expose_next_text()?.map(IdToken::new);
        fields.finish()?;
        Ok((refresh_token, id_token))
    }

    /// Opens what is left of the tokens. What does not open cannot be revoked at the provider, and that is all.
    pub fn open_held(
        &self,
        connection: &Connection,
        (access, rest): Sealed,
    ) -> (Option<AccessToken>, Option<RefreshToken>, Option<IdToken>) {
        let access = access.and_then(|record| self.open_access(connection, record).ok());
        let rest = rest.and_then(|record| self.open_rest(connection, record).ok());
        let (refresh_token, id_token) = rest.unwrap_or_default();
        (access, refresh_token, id_token)
    }

    pub fn open_verifier(
        &self,
        consent: &PendingConsent,
        record: Vec<u8>,
    ) -> Result<PkceVerifier, VaultError> {
        let fields = self.open_record(&self.consent_context(consent), record)?;
        Ok(PkceVerifier::new(std::mem::take(&mut *fields.into_only_text()?)))
    }
}

impl Pen<'_> {
    /// Seals tokens for a connection as it will be with this generation.
    pub fn seal_tokens(
        &self,
        connection: &Connection,
        generation: u64,
        tokens: &Tokens,
    ) -> Result<SealedTokens, VaultError> {
        let access = tokens.access_token.expose_secret().as_bytes();
        let refresh = tokens
            .refresh_token
            .as_ref()
            .map_or("", RefreshToken::expose_secret);
        let id = tokens.id_token.as_ref().map_or("", IdToken::expose_secret);
        let context = self.sealer.context(connection, Kind::AccessToken, generation);
        let access = self.key.seal(&context, &[access])?;
        let context = self.sealer.context(connection, Kind::Rest, generation);
        let rest = self.key.seal(&context, &[refresh.as_bytes(), id.as_bytes()])?;
        Ok(SealedTokens { access, rest })
    }

    pub fn seal_verifier(
        &self,
        consent: &PendingConsent,
        verifier: &PkceVerifier,
    ) -> Result<Vec<u8>, VaultError> {
        self.key.seal(
            &self.sealer.consent_context(consent),
            &[verifier.expose_secret().as_bytes()],
        )
    }
}

/// The row of a table that has only one, made if it is not there.
fn first(shelf: &Shelf, table: Table, new: Vec<u8>) -> Result<Vec<u8>, VaultError> {
    shelf.batch(|batch| {
        let key = vec![table as u8];
        Ok(batch.get(&key).unwrap_or_else(|| {
            batch.put(key, new.clone());
            new
        }))
    })
}

/// The version of the tenant's newest data key, how often it has sealed, and the key itself, wrapped.
fn newest_key(batch: &Batch<'_>, tenant: &TenantId) -> Result<Option<(u32, u32, Vec<u8>)>, VaultError> {
    let Some((key, row)) = batch.scan(Table::DataKeys.key(tenant, &[])).last() else {
        return Ok(None);
    };
    let version = key.last_chunk().ok_or(VaultError::Damaged)?;
    let (used, wrapped) = row.split_first_chunk().ok_or(VaultError::Damaged)?;
    Ok(Some((
        u32::from_be_bytes(*version),
        u32::from_be_bytes(*used),
        wrapped.to_vec(),
    )))
}

fn put_key(batch: &mut Batch<'_>, tenant: &TenantId, version: u32, used: u32, wrapped: &[u8]) {
    let row = [used.to_be_bytes().as_slice(), wrapped].concat();
    batch.put(Table::DataKeys.key(tenant, &version.to_be_bytes()), row);
}

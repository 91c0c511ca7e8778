//! The operations of a vault that a host calls itself.

use std::path::Path;

use crate::model::{TenantId, Timestamp, VaultWarning};
#[cfg(feature = "postgres")]
use crate::vault::postgres::PostgresVault;
use crate::vault::sealed::SealedVault;
#[cfg(feature = "sqlite")]
use crate::vault::sqlite::SqliteVault;
use crate::vault::{AuditChain, AuditHead, AuditReport, Rotated, Rotation, VaultError};

/// Defines the same methods for every kind of vault.
macro_rules! host_methods {
    ($($head:tt)*) => {
        $($head)* {
            /// Returns warnings for the administrator about the place where the vault is stored.
            #[must_use]
            pub fn warnings(&self) -> Vec<VaultWarning> {
                self.core().warnings()
            }

            /// Wraps at most `limit` keys with the active master key. Repeat until
            /// [nothing remains](Rotated::is_finished); the host can then remove the former master
            /// key.
            ///
            /// First give every process the new key as a former one, then as the active one, and
            /// then rotate. An interrupted rotation continues at the next call.
            ///
            /// # Errors
            ///
            /// [`VaultError::UnknownMasterKey`] if a key is wrapped by a master key that was not
            /// given; otherwise [`VaultError`] if the store cannot be read or written.
            pub fn rotate_master_key(&self, limit: usize, now: Timestamp) -> Result<Rotated, VaultError> {
                self.core().rotate(Rotation::MasterKey { limit }, now)
            }

            /// Gives a tenant a new data key. New tokens are sealed with it;
            /// [`reseal_tokens`](Self::reseal_tokens) seals the stored ones again.
            ///
            /// # Errors
            ///
            /// Those of [`rotate_master_key`](Self::rotate_master_key).
            pub fn rotate_data_key(&self, tenant: &TenantId, now: Timestamp) -> Result<Rotated, VaultError> {
                self.core().rotate(Rotation::DataKey(tenant), now)
            }

            /// Seals at most `limit` records again with the newest data key of their tenant: the
            /// tokens of grants, and the providers and client registrations that tenants added.
            /// Destroys data keys that no longer seal anything. Repeat until
            /// [nothing remains](Rotated::is_finished). A consent request or a pending revocation
            /// that was sealed with an old data key keeps that key until it ends.
            ///
            /// # Errors
            ///
            /// Those of [`rotate_master_key`](Self::rotate_master_key).
            pub fn reseal_tokens(&self, limit: usize, now: Timestamp) -> Result<Rotated, VaultError> {
                self.core().rotate(Rotation::Tokens { limit }, now)
            }

            /// Replaces every data key and then destroys the former master key, so that data erased
            /// earlier can no longer be read anywhere: in free space of the database, in its log,
            /// its replicas or its backups. `former` is the
            /// [name](crate::vault::KeyEncryption::name) of that key. Each call handles at most
            /// `limit` keys and records. Repeat until [nothing remains](Rotated::is_finished);
            /// [`Rotated::destruction`] then reports the outcome.
            ///
            /// First give every process a new key as a former one, then as the active one, and keep
            /// the key that is to be destroyed as a former one. Do not call
            /// [`rotate_master_key`](Self::rotate_master_key) before: the new key would then open
            /// the former data keys. From the first call on, a process in which the former key is
            /// still active cannot store new tenants.
            ///
            /// The key is destroyed only after no key and no record needs it. Consent requests and
            /// pending revocations from before keep it until they end. If a call is interrupted,
            /// the next one continues.
            ///
            /// # Errors
            ///
            /// * [`VaultError::UnknownMasterKey`] if no former master key has this name.
            /// * [`VaultError::NotSupported`] if the active master key has wrapped the former data
            ///   keys.
            /// * [`VaultError::KeyService`] if the key service fails.
            /// * [`VaultError::FormerMasterKey`] if the active key of this process is the one that
            ///   another process destroys.
            /// * Otherwise [`VaultError`] if the store cannot be read or written.
            ///
            /// # Security
            ///
            /// Nothing brings the key back. **Backups from before the call, and every other vault
            /// that the key wraps, become unreadable.** Secrets that were erased while the call ran
            /// may be sealed with a new key; they are erased by the next rotation of this kind.
            /// Entries of the audit keep their keys.
            ///
            /// # Examples
            ///
            /// ```
            /// use valetkey::vault::{Destruction, KeyEncryption as _, MasterKey, MasterKeys};
            /// use valetkey::vault::SqliteVault;
            /// use valetkey::{Clock as _, SystemClock};
            ///
            /// # let directory = tempfile::tempdir()?;
            /// # let path = directory.path().join("agent.db");
            /// # let (text, new) = (MasterKey::generate()?.to_base64(), MasterKey::generate()?);
            /// # drop(SqliteVault::open(&path, MasterKey::from_base64(&text)?)?);
            /// let old = MasterKey::from_base64(&text)?;
            /// let name = old.name().to_owned();
            /// let vault = SqliteVault::open(&path, MasterKeys::new(new, [old]))?;
            /// let ended = loop {
            ///     let rotated = vault.rotate_and_destroy(&name, 100, SystemClock.now())?;
            ///     if rotated.is_finished() {
            ///         break rotated.destruction;
            ///     }
            /// };
            /// // A key service destroys its key; a key of the host is the host's to delete.
            /// assert!(matches!(ended, Some(Destruction::ByHost(_))));
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn rotate_and_destroy(
                &self,
                former: &str,
                limit: usize,
                now: Timestamp,
            ) -> Result<Rotated, VaultError> {
                self.core().rotate(Rotation::Destroy { former, limit }, now)
            }

            /// Writes a consistent copy of the vault to a new file, while other callers read and
            /// write.
            ///
            /// # Errors
            ///
            /// [`VaultError::NotSupported`] if the vault is in PostgreSQL or in a host's store: use
            /// the backups of that database. [`VaultError::UnsafePath`] if something exists at
            /// `path`; [`VaultError`] if the copy could not be written. Nothing is created at
            /// `path` then.
            ///
            /// # Security
            ///
            /// The copy opens with the same master key. Data that is erased later remains in it.
            pub fn backup(&self, path: &Path) -> Result<(), VaultError> {
                self.core().backup(path)
            }

            /// Returns the heads of all chains of the audit, or of one tenant's, for the host to
            /// store elsewhere. An exported head is recognized even after its entry was pruned.
            ///
            /// # Errors
            ///
            /// [`VaultError`] if the store cannot be read or written.
            pub fn audit_heads(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditHead>, VaultError> {
                self.core().audit_heads(tenant)
            }

            /// Verifies the audit of a tenant from its first entry to its last, and compares the
            /// tenant's connections, providers and client registrations with it. `progress`
            /// receives the number of verified entries and the total.
            ///
            /// # Errors
            ///
            /// [`VaultError`] if the store cannot be read. A broken chain is part of the report.
            pub fn verify_audit(
                &self,
                tenant: &TenantId,
                mut progress: impl FnMut(u64, u64),
            ) -> Result<AuditReport, VaultError> {
                let chain = AuditChain::Tenant(tenant.clone());
                self.core().verify_chain(&chain, &mut progress)
            }

            /// Verifies the audit of the vault itself: events that concern no tenant or an erased
            /// one, and the entries of all tenants that were written before each tenant had its own
            /// chain. These are two chains: `progress` is called for each separately, and the
            /// report names a broken entry of the first chain before one of the second.
            ///
            /// # Errors
            ///
            /// Those of [`verify_audit`](Self::verify_audit).
            pub fn verify_vault_audit(
                &self,
                mut progress: impl FnMut(u64, u64),
            ) -> Result<AuditReport, VaultError> {
                let mut report = self.core().verify_chain(&AuditChain::Vault, &mut progress)?;
                let legacy = self.core().verify_chain(&AuditChain::Legacy, &mut progress)?;
                report.checked += legacy.checked;
                report.first_broken = report.first_broken.or(legacy.first_broken);
                Ok(report)
            }

            /// Returns whether the vault contains exactly this audit entry: an exported head, or
            /// the proof of a receipt. If not, the vault was rolled back, or it is another vault.
            ///
            /// # Errors
            ///
            /// [`VaultError`] if the store cannot be read.
            pub fn proves(&self, head: &AuditHead) -> Result<bool, VaultError> {
                self.core().proves(head)
            }
        }
    };
}

host_methods!(impl SealedVault);
#[cfg(feature = "sqlite")]
host_methods!(impl SqliteVault);
#[cfg(feature = "postgres")]
host_methods!(impl PostgresVault);

//! The operations of a vault that a host calls itself.

use std::path::Path;

use crate::model::{TenantId, Timestamp, VaultWarning};
use crate::vault::sealed::SealedVault;
use crate::vault::sealed::store::Store;
#[cfg(feature = "sqlite")]
use crate::vault::sqlite::SqliteVault;
use crate::vault::{AuditChain, AuditHead, AuditReport, Progress, Rotated, Rotation, VaultError};

/// Writes the same methods for both kinds of vault.
macro_rules! host_methods {
    ($($head:tt)*) => {
        $($head)* {
            /// Returns what an operator should know about the place where the vault is kept.
            #[must_use]
            pub fn warnings(&self) -> Vec<VaultWarning> {
                self.core().warnings()
            }

            /// Carries out one step of a key rotation. An interrupted rotation continues at the next call.
            ///
            /// # Errors
            ///
            /// [`VaultError::UnknownMasterKey`] if a key is wrapped by a master key that was not given; otherwise
            /// [`VaultError`] if the store cannot be read or written.
            pub fn rotate(&self, rotation: Rotation<'_>, now: Timestamp) -> Result<Rotated, VaultError> {
                self.core().rotate(rotation, now)
            }

            /// Writes a consistent copy of the vault to a new file, while others read and write.
            ///
            /// # Errors
            ///
            /// [`VaultError::Unsupported`] if this vault is not kept in a file; [`VaultError::UnsafePath`] if
            /// something exists at `path`; [`VaultError`] if the copy could not be written. Nothing exists at `path`
            /// then.
            pub fn backup(&self, path: &Path) -> Result<(), VaultError> {
                self.core().backup(path)
            }

            /// Returns the heads of all chains of the audit, or of one tenant's, for the host to keep elsewhere. A
            /// head that was returned is recognised even after its entry was pruned.
            ///
            /// # Errors
            ///
            /// [`VaultError`] if the store cannot be read or written.
            pub fn audit_heads(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditHead>, VaultError> {
                self.core().audit_heads(tenant)
            }

            /// Verifies a chain of the audit from its first entry to its last, and compares the tenant's connections
            /// with it.
            ///
            /// # Errors
            ///
            /// [`VaultError`] if the store cannot be read. A broken chain is part of the report.
            pub fn verify_audit(
                &self,
                chain: &AuditChain,
                progress: &mut dyn FnMut(Progress),
            ) -> Result<AuditReport, VaultError> {
                self.core().verify_audit(chain, progress)
            }

            /// Returns whether the vault has exactly this audit entry: an exported head, or the proof of a receipt.
            /// If not, the vault was rolled back, or it is another one.
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

host_methods!(impl<S: Store> SealedVault<S>);
#[cfg(feature = "sqlite")]
host_methods!(impl SqliteVault);

//! The transactional, encrypted store of connections, grants, consent requests and refresh claims.
//!
//! - [`SqliteVault`] keeps it in one SQLite file.
#![cfg_attr(
    feature = "postgres",
    doc = "- [`PostgresVault`] keeps it in a PostgreSQL database, for hosts on several machines."
)]
//! - [`SealedVault`] keeps it in memory, or in any store that implements the two small traits
//!   [`Store`] and [`Transaction`].
//!
//! All of them share the same rules, keys and record format, and all implement [`Vault`], which
//! [`Connections`](crate::Connections) are built on. To *seal* a record is to encrypt and
//! authenticate it, together with the place that it belongs to, under a key of its tenant.
//!
//! The methods of the vaults are for the administrator of the host: backups, key rotation, and
//! verifying the audit. Share a vault with an [`Arc`](std::sync::Arc) to call them while
//! connections use it.
//!
//! # Examples
//!
//! ```
//! use valetkey::Connections;
//! use valetkey::vault::{MasterKey, SqliteVault};
//!
//! let vault = SqliteVault::in_memory(MasterKey::generate()?)?;
//! let connections = Connections::builder(vault)
//! #   .http_client(valetkey::testing::Sandbox::new(valetkey::SystemClock))
//!     .build()?;
//! # Ok::<(), valetkey::Error>(())
//! ```

#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod audit;
pub(crate) mod change;
mod codec;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod consent;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod definition;
pub(crate) mod envelope;
mod error;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod grant;
mod key_service_error;
#[cfg(any(feature = "aws-kms", feature = "vault-transit", feature = "pkcs11"))]
pub mod kms;
mod mountinfo;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod refresh;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod revocation;
pub(crate) mod sealed;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tables;
#[cfg(test)]
mod tables_contract;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod transfer;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod upkeep;

pub use crate::model::VaultWarning;
pub use audit::{AuditEntry, AuditHead, AuditKind, AuditReport};
pub use envelope::{Destruction, KeyContext, KeyEncryption, MasterKey, MasterKeys};
pub use error::VaultError;
pub use key_service_error::KeyServiceError;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresVault};
pub use revocation::Erasure;
pub use sealed::{SealedVault, Store, Transaction};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteVault};
pub use transfer::{Transfer, TransferError, TransferPhase, TransferProgress, Transferred};
pub use upkeep::{Forgotten, Rotated};

pub(crate) use audit::{AuditChain, AuditFilter, AuditLog, AuditOrder, TokenUse, UseRecord};
pub(crate) use consent::{
    ConsentStatus, ConsentStore, MAX_CONSENTS, PendingConsent, Purpose, RequestOptions, StateHash, Taken,
};
pub(crate) use definition::{
    Definition, DefinitionContent, DefinitionKey, DefinitionKind, DefinitionRemoval, DefinitionStore,
    DefinitionVersion, DefinitionWrite, Expected, FoundDefinition, KnownDefinition, MAX_DEFINITIONS,
    NewDefinition, PutDefinitions, RemoveDefinitions,
};
pub(crate) use grant::{
    AsOf, ConnectionQuery, Found, GrantStore, NewGrant, Of, Sought, StoreOutcome, StoredToken, TokenQuery,
    Tokens,
};
pub(crate) use refresh::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, DueQuery, Holder, RefreshFailure,
    RefreshStore, Refreshed,
};
pub(crate) use revocation::{
    EndedGrant, LateTokens, PendingRevocation, RevocationStore, Revoke, RevokeWhat, Revoked, Settlement,
};
pub(crate) use upkeep::{Forget, Housekeeping, Retention, Rotation, SweepLimits, Swept};

use std::fmt::Debug;

use parts::Parts;

/// Stores connections and their secrets. Implemented by the vaults of this module and by an
/// [`Arc`](std::sync::Arc) of one; it cannot be implemented elsewhere. To use another database,
/// implement [`Store`] and open a [`SealedVault`] over it.
///
/// # Promises
///
/// * **Atomicity.** Each operation runs in one transaction and is durable when it returns. A
///   rotated refresh token that is lost in a crash cannot be recovered.
/// * **Encryption.** Secrets are sealed before they reach a disk or a network. Each is bound to its
///   tenant, owner, provider, grant and generation, and to everything that decides where it may be
///   sent.
/// * **Optimistic concurrency.** A write of tokens names the generation that it expects. If another
///   one is stored, nothing is written and the outcome says so.
/// * **Auditing.** Each change commits in the same transaction as its audit entry.
/// * **Tenant isolation.** Records of other tenants are invisible.
/// * **Honest failures.** A failure of the store is an error, never an empty result. A record that
///   cannot be opened is an error and is not overwritten.
/// * **Bounded waiting.** No operation waits for the network of a provider or for another caller's
///   refresh. A wait for a lock on the store has a timeout.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use valetkey::Connections;
/// use valetkey::vault::{MasterKey, SqliteVault};
///
/// // Share the vault, to make backups or rotate keys while the connections use it.
/// let vault = Arc::new(SqliteVault::in_memory(MasterKey::generate()?)?);
/// let connections = Connections::builder(Arc::clone(&vault))
/// #   .http_client(valetkey::testing::Sandbox::new(valetkey::SystemClock))
///     .build()?;
/// vault.integrity_check()?;
/// # Ok::<(), valetkey::Error>(())
/// ```
#[cfg_attr(feature = "testing", doc = "")]
#[cfg_attr(
    feature = "testing",
    doc = "[`vault_contract`](crate::testing::vault_contract) checks them for any store."
)]
pub trait Vault: Parts + Debug + Send + Sync + 'static {}

impl<T> Vault for T where T: Parts + Debug + Send + Sync + 'static {}

mod parts {
    use super::{
        AuditLog, ConsentStore, DefinitionStore, GrantStore, Housekeeping, RefreshStore, RevocationStore,
    };
    use crate::vault::transfer::side::Transferable;

    /// The operations of a vault. The trait cannot be named outside the crate, so its methods can
    /// change; every type that implements it is a [`Vault`](super::Vault).
    #[allow(unnameable_types, reason = "seals `Vault`")]
    pub trait Parts:
        ConsentStore
        + DefinitionStore
        + GrantStore
        + RefreshStore
        + RevocationStore
        + AuditLog
        + Housekeeping
        + Transferable
    {
    }

    impl<T> Parts for T where
        T: ConsentStore
            + DefinitionStore
            + GrantStore
            + RefreshStore
            + RevocationStore
            + AuditLog
            + Housekeeping
            + Transferable
            + ?Sized
    {
    }
}

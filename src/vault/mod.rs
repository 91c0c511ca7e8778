//! The transactional, encrypted store of connections, grants, consent requests and refresh claims.
//!
//! [`Vault`] is six traits in one: [`ConsentStore`], [`GrantStore`], [`RefreshStore`], [`RevocationStore`],
//! [`AuditLog`] and [`Housekeeping`]. [`SealedVault`] implements them once, with all rules, keys and seals, over a
//! database that holds rows: [`SqliteVault`] over one SQLite file, [`MemoryVault`] over a map, and any other store
//! that implements the two small traits [`Store`] and [`Transaction`].

mod audit;
pub mod change;
mod codec;
mod consent;
pub mod envelope;
mod error;
mod grant;
mod mountinfo;
mod refresh;
mod revocation;
mod sealed;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tables;
#[cfg(test)]
mod tables_contract;
mod upkeep;
mod warning;

pub use audit::{
    AuditChain, AuditEntry, AuditFilter, AuditHead, AuditKind, AuditLog, AuditOrder, AuditReport,
    InvalidAuditHead, Progress, TokenUse, UseRecord,
};
pub use consent::{
    ConsentStatus, ConsentStore, MAX_CONSENTS, PendingConsent, Purpose, RequestOptions, StateHash, Taken,
};
pub use error::VaultError;
pub use grant::{
    ConnectionQuery, Found, GrantStore, NewGrant, Of, StoreOutcome, StoredToken, TokenQuery, Tokens,
};
pub use refresh::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, DueQuery, Holder, RefreshFailure,
    RefreshStore, Refreshed,
};
pub use revocation::{
    EndedGrant, Erasure, LateTokens, PendingRevocation, RevocationStore, Revoke, RevokeWhat, Revoked,
    Settlement,
};
pub use sealed::{MemoryStore, MemoryVault, Mode, SealedVault, Store, Transaction};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteVault};
pub use upkeep::{Forget, Forgotten, Housekeeping, Retention, Rotated, Rotation, SweepLimits, Swept};
pub use warning::VaultWarning;

use std::fmt::Debug;

/// Stores connections and their secrets. Implemented for whatever implements the six traits.
///
/// # Contract
///
/// * **Atomic.** Each method is one transaction: it happens whole or not at all, and it is durable when the method
///   returns. A rotated refresh token that is lost in a crash is lost for good.
/// * **Sealed.** Plaintext secrets cross this interface; what reaches a disk or a network is sealed
///   ([`envelope`] does it), bound to its tenant, owner, provider, grant and generation, and to everything that
///   decides where it may be sent.
/// * **Compare and swap.** A write of tokens names the generation that it saw. If another one is stored, nothing is
///   written and the outcome says so; that is an outcome, not a failure.
/// * **Audited.** Each change commits in the same transaction as its audit entry, which records `by`.
/// * **Separate.** Every method names its tenant. For one tenant, what belongs to another does not exist.
/// * **Truthful.** A failure of the store is an error, never an empty answer: "not connected" means that the store
///   was read and contains nothing. A record that cannot be opened is an error and is not overwritten.
/// * **No waiting.** No method waits for the network of a provider or for another caller's refresh; a lock on the
///   store is waited for with a bound.
/// * **The caller's time.** Every write receives the current time. A vault reads no clock of its own.
///
/// `testing::vault_contract` checks all of it.
pub trait Vault:
    ConsentStore
    + GrantStore
    + RefreshStore
    + RevocationStore
    + AuditLog
    + Housekeeping
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<T> Vault for T where
    T: ConsentStore
        + GrantStore
        + RefreshStore
        + RevocationStore
        + AuditLog
        + Housekeeping
        + Debug
        + Send
        + Sync
        + 'static
{
}

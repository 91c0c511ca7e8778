//! The public type of the vault in a PostgreSQL database.

use std::fmt;

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::postgres::options::PostgresOptions;
use crate::vault::postgres::tables::PostgresTables;
use crate::vault::sealed::Core;

/// A vault in a PostgreSQL database, shared by processes on any number of machines.
///
/// One private thread drives all connections to the server. Every method blocks its caller, which
/// may be on any thread; in asynchronous code, call it from a blocking task.
///
/// # Guarantees
///
/// * A change is durable on the server when the method returns, and on the replicas that
///   `synchronous_standby_names` demands.
/// * Claims are judged by the clock of the server, so that the clocks of the hosts may differ. A
///   host that was killed loses its claim when the claim's lease ends, not earlier.
/// * A token that was read less than [`max_staleness`](PostgresOptions::max_staleness) ago (1 s by
///   default) is used again without asking the server: when a revocation on another machine has
///   returned, no resolve that begins `max_staleness` later returns the token.
/// * Writers of one tenant follow one another, except that a refresh is claimed without waiting for
///   them. A write that loses against another one is run again.
/// * When the connection breaks during a commit, the method returns
///   [`VaultError::Unreachable`]: it is unknown whether the change was stored, and the same call
///   can be repeated.
///
/// # Security
///
/// A reader of the database sees names, times, scopes and sizes, but no secret; a writer of the
/// database without the master key can do what SECURITY.md lists. **Erased secrets remain readable
/// to someone with the master key**, in free space, in the write-ahead log, in replicas and in
/// backups, until the server removes those. The vault therefore always reports an erasure as
/// [`Pending`](crate::vault::Erasure::Pending). [`rotate_and_destroy`](Self::rotate_and_destroy)
/// makes the remains unreadable everywhere.
///
/// # Replicas
///
/// Only the primary is used, also for reads. With asynchronous replication, a failover loses the
/// last commits, and with them refresh tokens that the provider has already replaced. Use
/// synchronous replication.
pub struct PostgresVault {
    core: Core<PostgresTables>,
}

impl PostgresVault {
    /// Connects with the default [options](PostgresOptions) and opens the vault, or creates one.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::new`] and [`PostgresOptions::connect`].
    pub fn connect(address: &str, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        PostgresOptions::new(address)?.connect(keys)
    }

    fn open(options: PostgresOptions, keys: MasterKeys) -> Result<Self, VaultError> {
        Self::over(PostgresTables::open(options)?, keys)
    }

    pub(super) fn over(tables: PostgresTables, keys: MasterKeys) -> Result<Self, VaultError> {
        let core = Core::new(tables, keys);
        core.check_key()?;
        Ok(Self { core })
    }

    pub(in crate::vault) const fn core(&self) -> &Core<PostgresTables> {
        &self.core
    }
}

impl PostgresOptions {
    /// Opens the vault in the database, or creates one there.
    ///
    /// # Errors
    ///
    /// * [`VaultError::Unreachable`] if no host answers; [`VaultError::AccessDenied`] if the server
    ///   refuses the user or the password.
    /// * [`VaultError::Unsupported`] if the server offers no TLS or a certificate that is not
    ///   trusted, or if it commits asynchronously (`synchronous_commit = off`).
    /// * [`VaultError::ReadOnly`] if every host is a replica.
    /// * [`VaultError::NotAVault`] if the schema contains other tables;
    ///   [`VaultError::NewerVersion`] if a newer version of this crate created it.
    /// * [`VaultError::WrongMasterKey`] if the vault was created with another key.
    pub fn connect(self, keys: impl Into<MasterKeys>) -> Result<PostgresVault, VaultError> {
        PostgresVault::open(self, keys.into())
    }
}

impl fmt::Debug for PostgresVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresVault").finish_non_exhaustive()
    }
}

//! The parts of a vault that only the tests and benches of this crate use.

use std::sync::atomic::Ordering;

use crate::clock::monotonic::ManualMonotonic;
use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::postgres::options::PostgresOptions;
use crate::vault::postgres::sql::Sql;
use crate::vault::postgres::tables::PostgresTables;
use crate::vault::postgres::vault::PostgresVault;

/// Connects as [`PostgresOptions::connect`] does. The clock judges the age of remembered answers.
///
/// # Errors
///
/// Those of [`PostgresOptions::connect`].
pub fn open_with(
    options: PostgresOptions,
    keys: impl Into<MasterKeys>,
    clock: &ManualMonotonic,
) -> Result<PostgresVault, VaultError> {
    let tables = PostgresTables::with_clock(options, Box::new(clock.clone()))?;
    PostgresVault::over(tables, keys.into())
}

/// Returns the number of round trips to the server since the last call.
#[must_use]
pub fn take_trips(vault: &PostgresVault) -> usize {
    vault.core().tables.pool().trips.swap(0, Ordering::SeqCst)
}

/// Runs one statement with the parameter `:number` in a separate transaction, on the sessions of a
/// vault.
///
/// # Errors
///
/// Those of the vault.
pub fn execute(vault: &PostgresVault, sql: &'static str, number: i64) -> Result<(), VaultError> {
    let single = Sql::single(vault.core().tables.pool())?;
    single.ask(sql, &[(":number", &number)]);
    single.answers().map(drop)
}

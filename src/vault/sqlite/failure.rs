//! What SQLite's failures mean for a vault.

use rusqlite::{Error, ErrorCode};

use crate::vault::VaultError;

/// The vault's word for a failure of SQLite. Statements are in some of them, bound values in none.
pub(super) fn failed(error: Error) -> VaultError {
    match &error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => VaultError::Busy,
            ErrorCode::DiskFull => VaultError::DiskFull,
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => VaultError::ReadOnly,
            ErrorCode::DatabaseCorrupt => VaultError::Damaged,
            ErrorCode::NotADatabase => VaultError::NotAVault,
            _ => VaultError::storage(error),
        },
        // A value of another type than the schema allows: its own text would repeat the value.
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..) => VaultError::Damaged,
        _ => VaultError::storage(error),
    }
}

/// Whether a unique index refused a row.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    matches!(
        error,
        Error::SqliteFailure(failure, _)
            if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
    )
}

//! Maps failures of SQLite and of the file system to errors of the vault.

use std::fs::File;
use std::io::{self, ErrorKind};

use rusqlite::{Error, ErrorCode, ffi};

use crate::vault::VaultError;

/// The names of places that a process may have no rights to, as [`VaultError::AccessDenied`]
/// reports them.
pub(super) const DIRECTORY: &str = "the directory of the vault";
pub(super) const FILE: &str = "a file of the vault";
const SHARED_MEMORY: &str = "the shared memory (-shm) of the vault";

/// `EMFILE` and `ENFILE`, for which the standard library has no kind.
#[cfg(unix)]
const NO_DESCRIPTOR: [i32; 2] = [24, 23];
/// `ERROR_TOO_MANY_OPEN_FILES`.
#[cfg(not(unix))]
const NO_DESCRIPTOR: [i32; 1] = [4];

/// Maps a failure of SQLite. Some failures contain a statement, none a bound value.
pub(super) fn failed(error: Error) -> VaultError {
    match &error {
        Error::SqliteFailure(failure, _) => match meaning(failure.extended_code) {
            Some(VaultError::CannotOpen) if !is_descriptor_free() => VaultError::TooManyOpenFiles,
            Some(known) => known,
            None => VaultError::storage(error),
        },
        // A value's type differs from the schema. SQLite's own text would repeat the value.
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..) => VaultError::Damaged,
        _ => VaultError::storage(error),
    }
}

/// Returns the meaning of an extended result code; `None` if the vault has no specific error for
/// it.
fn meaning(extended: i32) -> Option<VaultError> {
    Some(match extended {
        ffi::SQLITE_READONLY_DBMOVED => VaultError::Replaced,
        ffi::SQLITE_READONLY_DIRECTORY => VaultError::AccessDenied(DIRECTORY),
        ffi::SQLITE_READONLY_CANTINIT => VaultError::AccessDenied(SHARED_MEMORY),
        ffi::SQLITE_CANTOPEN_ISDIR => VaultError::UnsafePath("a directory"),
        ffi::SQLITE_CANTOPEN_SYMLINK => VaultError::UnsafePath("a symbolic link"),
        ffi::SQLITE_IOERR_AUTH | ffi::SQLITE_IOERR_ACCESS => VaultError::AccessDenied(FILE),
        ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA => VaultError::Damaged,
        _ => match ffi::Error::new(extended).code {
            // For the last code, several processes recovered the log at once, and this one gave up.
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                VaultError::Busy
            }
            ErrorCode::DiskFull => VaultError::DiskFull,
            ErrorCode::ReadOnly => VaultError::ReadOnly,
            ErrorCode::CannotOpen => VaultError::CannotOpen,
            ErrorCode::PermissionDenied => VaultError::AccessDenied(FILE),
            ErrorCode::DatabaseCorrupt => VaultError::Damaged,
            ErrorCode::NotADatabase => VaultError::NotAVault,
            _ => return None,
        },
    })
}

/// Returns whether a file descriptor is free. SQLite reports only that it cannot open a file, so
/// another file is opened to find out whether descriptors are the cause: opening and closing one of
/// the vault's would drop the locks of this process.
fn is_descriptor_free() -> bool {
    // Every process can open the root directory. Outside Unix it is not a file, which is another
    // error.
    !File::open("/").is_err_and(|error| is_out_of_descriptors(&error))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| NO_DESCRIPTOR.contains(&code))
}

/// Maps a failure of the file system at this place.
pub(super) fn failed_at(place: &'static str) -> impl Fn(io::Error) -> VaultError {
    move |error| match error.kind() {
        _ if is_out_of_descriptors(&error) => VaultError::TooManyOpenFiles,
        ErrorKind::PermissionDenied => VaultError::AccessDenied(place),
        ErrorKind::ReadOnlyFilesystem => VaultError::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => VaultError::DiskFull,
        _ => VaultError::storage(error),
    }
}

/// Returns whether a unique index refused a row.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    matches!(
        error,
        Error::SqliteFailure(failure, _)
            if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE
    )
}

#[cfg(test)]
mod tests;

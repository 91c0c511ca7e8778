use super::*;

/// The meaning of each extended code of SQLite: the variant of [`VaultError`], by its name in
/// `Debug`.
const MEANINGS: [(i32, &str); 74] = [
    (ffi::SQLITE_ERROR, "Storage"),
    (ffi::SQLITE_ERROR_RETRY, "Storage"),
    (ffi::SQLITE_ERROR_SNAPSHOT, "Storage"),
    (ffi::SQLITE_INTERNAL, "Storage"),
    (ffi::SQLITE_PERM, "AccessDenied"),
    (ffi::SQLITE_ABORT, "Storage"),
    (ffi::SQLITE_ABORT_ROLLBACK, "Storage"),
    (ffi::SQLITE_BUSY, "Busy"),
    (ffi::SQLITE_BUSY_RECOVERY, "Busy"),
    (ffi::SQLITE_BUSY_SNAPSHOT, "Busy"),
    (ffi::SQLITE_BUSY_TIMEOUT, "Busy"),
    (ffi::SQLITE_LOCKED, "Busy"),
    (ffi::SQLITE_LOCKED_SHAREDCACHE, "Busy"),
    (ffi::SQLITE_LOCKED_VTAB, "Busy"),
    (ffi::SQLITE_PROTOCOL, "Busy"),
    (ffi::SQLITE_NOMEM, "Storage"),
    (ffi::SQLITE_READONLY, "ReadOnly"),
    (ffi::SQLITE_READONLY_RECOVERY, "ReadOnly"),
    (ffi::SQLITE_READONLY_CANTLOCK, "ReadOnly"),
    (ffi::SQLITE_READONLY_ROLLBACK, "ReadOnly"),
    (ffi::SQLITE_READONLY_DBMOVED, "Replaced"),
    (ffi::SQLITE_READONLY_CANTINIT, "AccessDenied"),
    (ffi::SQLITE_READONLY_DIRECTORY, "AccessDenied"),
    (ffi::SQLITE_INTERRUPT, "Storage"),
    (ffi::SQLITE_IOERR, "Storage"),
    (ffi::SQLITE_IOERR_READ, "Storage"),
    (ffi::SQLITE_IOERR_SHORT_READ, "Storage"),
    (ffi::SQLITE_IOERR_WRITE, "Storage"),
    (ffi::SQLITE_IOERR_FSYNC, "Storage"),
    (ffi::SQLITE_IOERR_DIR_FSYNC, "Storage"),
    (ffi::SQLITE_IOERR_TRUNCATE, "Storage"),
    (ffi::SQLITE_IOERR_FSTAT, "Storage"),
    (ffi::SQLITE_IOERR_UNLOCK, "Storage"),
    (ffi::SQLITE_IOERR_RDLOCK, "Storage"),
    (ffi::SQLITE_IOERR_DELETE, "Storage"),
    (ffi::SQLITE_IOERR_NOMEM, "Storage"),
    (ffi::SQLITE_IOERR_ACCESS, "AccessDenied"),
    (ffi::SQLITE_IOERR_CHECKRESERVEDLOCK, "Storage"),
    (ffi::SQLITE_IOERR_LOCK, "Storage"),
    (ffi::SQLITE_IOERR_CLOSE, "Storage"),
    (ffi::SQLITE_IOERR_SHMOPEN, "Storage"),
    (ffi::SQLITE_IOERR_SHMSIZE, "Storage"),
    (ffi::SQLITE_IOERR_SHMLOCK, "Storage"),
    (ffi::SQLITE_IOERR_SHMMAP, "Storage"),
    (ffi::SQLITE_IOERR_SEEK, "Storage"),
    (ffi::SQLITE_IOERR_DELETE_NOENT, "Storage"),
    (ffi::SQLITE_IOERR_MMAP, "Storage"),
    (ffi::SQLITE_IOERR_GETTEMPPATH, "Storage"),
    (ffi::SQLITE_IOERR_CONVPATH, "Storage"),
    (ffi::SQLITE_IOERR_AUTH, "AccessDenied"),
    (ffi::SQLITE_IOERR_DATA, "Damaged"),
    (ffi::SQLITE_IOERR_CORRUPTFS, "Damaged"),
    (ffi::SQLITE_CORRUPT, "Damaged"),
    (ffi::SQLITE_CORRUPT_VTAB, "Damaged"),
    (ffi::SQLITE_CORRUPT_SEQUENCE, "Damaged"),
    (ffi::SQLITE_CORRUPT_INDEX, "Damaged"),
    (ffi::SQLITE_FULL, "DiskFull"),
    (ffi::SQLITE_CANTOPEN, "CannotOpen"),
    (ffi::SQLITE_CANTOPEN_NOTEMPDIR, "CannotOpen"),
    (ffi::SQLITE_CANTOPEN_FULLPATH, "CannotOpen"),
    (ffi::SQLITE_CANTOPEN_CONVPATH, "CannotOpen"),
    (ffi::SQLITE_CANTOPEN_DIRTYWAL, "CannotOpen"),
    (ffi::SQLITE_CANTOPEN_ISDIR, "UnsafePath"),
    (ffi::SQLITE_CANTOPEN_SYMLINK, "UnsafePath"),
    (ffi::SQLITE_SCHEMA, "Storage"),
    (ffi::SQLITE_TOOBIG, "Storage"),
    (ffi::SQLITE_CONSTRAINT, "Storage"),
    (ffi::SQLITE_CONSTRAINT_UNIQUE, "Storage"),
    (ffi::SQLITE_MISMATCH, "Storage"),
    (ffi::SQLITE_MISUSE, "Storage"),
    (ffi::SQLITE_NOLFS, "Storage"),
    (ffi::SQLITE_AUTH, "Storage"),
    (ffi::SQLITE_RANGE, "Storage"),
    (ffi::SQLITE_NOTADB, "NotAVault"),
];

fn name(error: &VaultError) -> String {
    let debug = format!("{error:?}");
    let end = debug.find(|c: char| !c.is_alphanumeric()).unwrap_or(debug.len());
    debug[..end].to_owned()
}

#[test]
fn each_code_of_sqlite_has_one_meaning() {
    for (code, expected) in MEANINGS {
        let found = failed(Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(name(&found), expected, "{code}");
    }
}

#[test]
fn each_failure_of_the_file_system_has_one_meaning() {
    let of_kind = |kind: ErrorKind| name(&failed_at(DIRECTORY)(kind.into()));
    for (kind, expected) in [
        (ErrorKind::PermissionDenied, "AccessDenied"),
        (ErrorKind::ReadOnlyFilesystem, "ReadOnly"),
        (ErrorKind::StorageFull, "DiskFull"),
        (ErrorKind::QuotaExceeded, "DiskFull"),
        (ErrorKind::Interrupted, "Storage"),
    ] {
        assert_eq!(of_kind(kind), expected, "{kind:?}");
    }
    for code in NO_DESCRIPTOR {
        let found = failed_at(FILE)(io::Error::from_raw_os_error(code));
        assert_eq!(name(&found), "TooManyOpenFiles", "{code}");
        assert!(found.is_retryable());
    }
}

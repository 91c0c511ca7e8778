//! Opening the file: nothing is written before it is known to be ours.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::mounts;
use crate::vault::sqlite::schema::{self, APPLICATION_ID, Opened, State};

/// Earlier versions can corrupt a write-ahead log that two processes share.
const OLDEST_SQLITE: i32 = 3_051_003;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_LEN: u64 = 100;
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(5);
/// More than there are statements: none is ever compiled twice by one connection.
const STATEMENTS: usize = 64;

/// Opens the file at `path`, or makes it, and returns its writing connection.
pub(super) fn open(
    path: &Path,
    keys: &MasterKeys,
) -> Result<(Connection, Opened, PathBuf, InUse), VaultError> {
    check_library()?;
    let path = resolve(path)?;
    mounts::check(&path)?;
    let in_use = make_or_check(&path)?;
    let mut db = connect(&path)?;
    if db.is_readonly("main").map_err(failed)? {
        return Err(VaultError::ReadOnly);
    }
    if schema::state(&db)? == State::Empty {
        // In rollback mode, so that the file itself says what it is from its first page on.
        schema::create(&mut db, keys)?;
    }
    let vault = schema::check_key(&db, keys)?;
    // Only now may closing write into the file.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(failed)?;
    restrict(&path)?;
    use_log(&db)?;
    if schema::state(&db)? != State::Vault(schema::newest()) {
        schema::migrate(&mut db)?;
    }
    Ok((db, vault, path, in_use))
}

/// Keeps a write-ahead log from now on. While several begin at once SQLite refuses this without a wait, lest they wait for
/// each other: who is refused tries again.
fn use_log(db: &Connection) -> Result<(), VaultError> {
    let ends = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(failed) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(VaultError::Unsupported("no write-ahead log")),
            Err(VaultError::Busy) if Instant::now() < ends => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
}

/// Makes a vault in memory.
pub(super) fn in_memory(keys: &MasterKeys) -> Result<(Connection, Opened), VaultError> {
    check_library()?;
    let mut db = Connection::open_in_memory().map_err(failed)?;
    configure(&db)?;
    schema::create(&mut db, keys)?;
    let vault = schema::check_key(&db, keys)?;
    Ok((db, vault))
}

/// One more connection to a file that [`open`] has accepted, for reading only.
pub(super) fn reader(path: &Path) -> Result<Connection, VaultError> {
    let db = connect(path)?;
    db.pragma_update(None, "query_only", true).map_err(failed)?;
    expect(&db, "query_only", 1)?;
    Ok(db)
}

fn check_library() -> Result<(), VaultError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(VaultError::Unsupported("older than 3.51.3"));
    }
    Ok(())
}

pub(super) fn connect(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(failed)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(failed)?;
    configure(&db)?;
    Ok(db)
}

fn configure(db: &Connection) -> Result<(), VaultError> {
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000;",
    )
    .map_err(failed)?;
    // A misspelt or refused pragma is no error to SQLite: ask for what safety rests on.
    expect(db, "synchronous", 2)?;
    expect(db, "secure_delete", 1)?;
    expect(db, "trusted_schema", 0)?;
    expect(db, "temp_store", 2)
}

fn expect(db: &Connection, pragma: &'static str, value: i64) -> Result<(), VaultError> {
    let found: i64 = db
        .pragma_query_value(None, pragma, |row| row.get(0))
        .map_err(failed)?;
    if found == value {
        Ok(())
    } else {
        Err(VaultError::Unsupported(pragma))
    }
}

/// The path with its directory's links resolved, so that the file itself can be opened without following any.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, VaultError> {
    let name = path.file_name().ok_or(VaultError::UnsafePath("no file name"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(fs::canonicalize(directory)
        .map_err(VaultError::storage)?
        .join(name))
}

/// Makes the file for its owner alone, or checks the one that is there. Leaves what is there as it is.
fn make_or_check(path: &Path) -> Result<InUse, VaultError> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    match private().create_new(true).open(path) {
        Ok(_) => return Ok(InUse::enter(&mut in_use, path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unwritable(error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(VaultError::storage)?;
    if metadata.is_symlink() {
        return Err(VaultError::UnsafePath("a symbolic link"));
    }
    if !metadata.is_file() {
        return Err(VaultError::UnsafePath("not a regular file"));
    }
    if metadata.permissions().readonly() {
        return Err(VaultError::ReadOnly);
    }
    check_owner(path, &metadata)?;
    if !in_use.contains(&Identity::of(path, &metadata)) {
        check_header(path, metadata.len())?;
    }
    Ok(InUse::enter(&mut in_use, path))
}

/// The files that this process has open. SQLite's locks belong to the process, and closing any descriptor of the file
/// drops them all: another process would then take itself for the last one and cut away the log. So nothing but SQLite
/// opens a file that is in use here.
static IN_USE: Mutex<Vec<Identity>> = Mutex::new(Vec::new());

/// Which file it is, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    #[cfg(not(unix))]
    path: PathBuf,
}

impl Identity {
    #[cfg(unix)]
    fn of(_: &Path, metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        Self {
            device_and_inode: (metadata.dev(), metadata.ino()),
        }
    }

    #[cfg(not(unix))]
    fn of(path: &Path, _: &fs::Metadata) -> Self {
        Self {
            path: path.to_path_buf(),
        }
    }
}

/// That a file is in use, until this is dropped: after the last connection to it.
pub(super) struct InUse(Option<Identity>);

impl InUse {
    fn enter(all: &mut Vec<Identity>, path: &Path) -> Self {
        let identity = fs::symlink_metadata(path)
            .ok()
            .map(|metadata| Identity::of(path, &metadata));
        all.extend(identity.clone());
        Self(identity)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut all = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|other| Some(other) == self.0.as_ref());
        if let Some(at) = at {
            all.swap_remove(at);
        }
    }
}

pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(super) fn unwritable(error: std::io::Error) -> VaultError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => VaultError::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => VaultError::DiskFull,
        _ => VaultError::storage(error),
    }
}

/// Compares the file's owner with that of a file which we make beside it: the one way to learn our own user
/// that needs no unsafe code and holds in a process that hides its `/proc`.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), VaultError> {
    use std::os::unix::fs::MetadataExt as _;

    let token = crate::random::token_256()?;
    let probe = path.with_file_name(format!(".valetkey-{}", token.as_str()));
    let file = private().create_new(true).open(&probe).map_err(unwritable)?;
    let ours = file.metadata().map(|metadata| metadata.uid());
    fs::remove_file(&probe).map_err(unwritable)?;
    if ours.map_err(VaultError::storage)? == metadata.uid() {
        Ok(())
    } else {
        Err(VaultError::UnsafePath("belongs to another user"))
    }
}

#[cfg(not(unix))]
const fn check_owner(_path: &Path, _metadata: &fs::Metadata) -> Result<(), VaultError> {
    Ok(())
}

/// Refuses what is plainly no vault before SQLite is let near it: it would roll back a foreign journal.
fn check_header(path: &Path, len: u64) -> Result<(), VaultError> {
    if len == 0 {
        return Ok(());
    }
    let mut header = Vec::with_capacity(100);
    File::open(path)
        .and_then(|file| file.take(HEADER_LEN).read_to_end(&mut header))
        .map_err(unwritable)?;
    if !header.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(&header) {
            VaultError::Damaged
        } else {
            VaultError::NotAVault
        });
    }
    let Some(application) = number(&header, 68) else {
        return Err(VaultError::Damaged);
    };
    let ours = application == APPLICATION_ID.cast_unsigned();
    // Cut off while it was being made: SQLite rolls it back to an empty file.
    let unfinished = application == 0 && beside(path, "-journal").exists();
    if !ours && !unfinished {
        return Err(VaultError::NotAVault);
    }
    // What is being made or moved by somebody else, or was when they died, is finished by SQLite.
    let is_settled = ours
        && !beside(path, "-journal").exists()
        && !fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    if is_settled {
        check_length(&header, len)
    } else {
        Ok(())
    }
}

/// Refuses a file that is shorter than its own header says.
fn check_length(header: &[u8], len: u64) -> Result<(), VaultError> {
    let pages = u64::from(number(header, 28).unwrap_or(0));
    let page_size = match header.get(16..18) {
        Some([0, 1]) => 65_536,
        Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        _ => return Err(VaultError::Damaged),
    };
    if pages == 0 || len < pages.saturating_mul(page_size) {
        return Err(VaultError::Damaged);
    }
    Ok(())
}

fn number(header: &[u8], at: usize) -> Option<u32> {
    let bytes = header.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes everybody else's rights off a vault that came with them, from a copy or a backup.
fn restrict(path: &Path) -> Result<(), VaultError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        for file in [path.to_path_buf(), beside(path, "-wal"), beside(path, "-shm")] {
            match fs::metadata(&file) {
                Ok(metadata) if metadata.permissions().mode() & 0o177 != 0 => {
                    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(unwritable)?;
                }
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(VaultError::storage(error)),
                _ => {}
            }
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

//! Lock files of holders: a locked file beside the database for each handle that may hold claims.
//!
//! The operating system drops the lock when the process ends, however it ends. A lock file whose
//! lock is free therefore proves that its holder is dead, and no caller needs to wait for its
//! claims to lapse. A *missing* lock file proves nothing: a cleaner may have deleted it while its
//! holder is waiting for a response. The claims of such a holder lapse by their time.
//!
//! The lock file of a dead holder must therefore exist for as long as its claims may. The first
//! handle that finds it writes a mark into it, and the age of the mark decides when it is removed.
//!
//! Only regular files of the users who may use the database count. Anything else with such a name
//! is neither opened nor removed.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::random;
use crate::vault::sqlite::db::access::{adopt, is_of_the_same};
use crate::vault::sqlite::db::files::{beside, check_kind, making, open_regular, writing};
use crate::vault::sqlite::failure::{DIRECTORY, FILE, failed_at};
use crate::vault::sqlite::process::Process;
use crate::vault::sqlite::sharing::Sharing;
use crate::vault::{Holder, VaultError};

const SUFFIX: &str = "-holder-";
/// The time for which the lock file of a dead holder is kept: longer than the leases of its claims.
/// If a lease is longer, its claim lapses by its time.
const KEPT: Duration = Duration::from_secs(3_600);
/// The content of the lock file of a holder that was found dead. That of a living holder is empty.
const MARK: &[u8] = b"dead";

/// The lock file of this handle, and the way to find those of others.
#[derive(Debug)]
pub(super) struct Holders {
    /// The database; `None` for one in memory, which no other handle uses.
    database: Option<PathBuf>,
    sharing: Sharing,
    own: Mutex<Option<Own>>,
}

#[derive(Debug)]
struct Own {
    holder: Holder,
    _sign: Option<Sign>,
}

/// A locked file. Dropping it releases the lock.
#[derive(Debug)]
struct Sign {
    path: PathBuf,
    /// The process that created it. A forked child has a copy of this value, and may drop it while
    /// its parent lives.
    process: Process,
    _locked: File,
}

impl Drop for Sign {
    fn drop(&mut self) {
        if self.process.is_current() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Holders {
    pub(super) const fn new(database: Option<PathBuf>, sharing: Sharing) -> Self {
        Self {
            database,
            sharing,
            own: Mutex::new(None),
        }
    }

    /// Returns the id under which this handle claims. The first call creates its lock file and
    /// removes old ones of dead holders.
    pub(super) fn own(&self) -> Result<Holder, VaultError> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &*own {
            return Ok(own.holder);
        }
        let made = match &self.database {
            Some(database) => {
                clear(database, self.sharing, SystemTime::now());
                live(database, self.sharing)?
            }
            None => Own {
                holder: new_holder()?,
                _sign: None,
            },
        };
        let holder = made.holder;
        *own = Some(made);
        Ok(holder)
    }

    /// Returns whether a holder is known to be dead. If in doubt, it counts as alive, and its claim
    /// lapses by its time.
    pub(super) fn is_dead(&self, holder: Holder) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.as_ref().is_some_and(|own| own.holder == holder) {
            return false;
        }
        drop(own);
        let found = Found::at(database, &sign_path(database, holder), self.sharing);
        matches!(found, Found::Dead(_))
    }
}

fn new_holder() -> Result<Holder, VaultError> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)?;
    Ok(Holder::from_bytes(bytes))
}

fn live(database: &Path, sharing: Sharing) -> Result<Own, VaultError> {
    loop {
        let holder = new_holder()?;
        let path = sign_path(database, holder);
        let file = making(sharing).open(&path).map_err(failed_at(DIRECTORY))?;
        adopt(&file, sharing, database)?;
        match file.try_lock() {
            Ok(()) => {
                // Between creating and locking it, another handle may have taken it for a dead
                // holder's.
                file.set_len(0).map_err(failed_at(FILE))?;
                return Ok(Own {
                    holder,
                    _sign: Some(Sign {
                        path,
                        process: Process::current(),
                        _locked: file,
                    }),
                });
            }
            // Another handle is examining it at the moment.
            Err(TryLockError::WouldBlock) => {
                let _ = fs::remove_file(&path);
            }
            Err(TryLockError::Error(error)) => return Err(failed_at(FILE)(error)),
        }
    }
}

fn sign_path(database: &Path, holder: Holder) -> PathBuf {
    let hex: String = holder
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    beside(database, &format!("{SUFFIX}{hex}"))
}

/// The state of a lock file at a path.
#[derive(Debug)]
enum Found {
    /// The lock file of a living holder.
    Alive,
    /// The lock file of a dead holder. This process holds its lock while the file is open.
    Dead(File),
    /// There is no file, or it proves nothing.
    Unknown,
}

impl Found {
    fn at(database: &Path, sign: &Path, sharing: Sharing) -> Self {
        // A second name of the database itself must not be opened: closing it would drop the locks
        // that SQLite holds in this process.
        let has_one_name = fs::symlink_metadata(sign).is_ok_and(|metadata| check_kind(&metadata).is_ok());
        if !has_one_name {
            return Self::Unknown;
        }
        let Ok(Some(file)) = open_regular(sign) else {
            return Self::Unknown;
        };
        let is_ours = match (fs::symlink_metadata(database), file.metadata()) {
            (Ok(database), Ok(sign)) => is_of_the_same(&database, &sign, sharing),
            // Without a database no other handle shares it, so the lock alone decides.
            (Err(_), Ok(_)) => true,
            _ => false,
        };
        if !is_ours {
            return Self::Unknown;
        }
        match file.try_lock() {
            Ok(()) => Self::Dead(file),
            Err(TryLockError::WouldBlock) => Self::Alive,
            Err(TryLockError::Error(_)) => Self::Unknown,
        }
    }
}

/// Marks the lock files of dead holders, and removes those that were marked long ago.
fn clear(database: &Path, sharing: Sharing, now: SystemTime) {
    for sign in signs(database) {
        let Found::Dead(file) = Found::at(database, &sign, sharing) else {
            continue;
        };
        // A lock file that cannot be marked is kept.
        let Ok(metadata) = file.metadata() else { continue };
        if metadata.len() == 0 {
            let _ = mark(&sign);
        } else if metadata
            .modified()
            .is_ok_and(|marked| now.duration_since(marked).is_ok_and(|age| age > KEPT))
        {
            let _ = fs::remove_file(&sign);
        }
    }
}

fn mark(sign: &Path) -> std::io::Result<()> {
    writing().open(sign)?.write_all(MARK)
}

/// Returns whether a handle of any process has a lock file and is alive.
pub(super) fn has_living(database: &Path, sharing: Sharing) -> bool {
    signs(database)
        .iter()
        .any(|sign| matches!(Found::at(database, sign, sharing), Found::Alive))
}

/// Returns the files with the names of lock files.
fn signs(database: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (database.parent(), database.file_name()) else {
        return Vec::new();
    };
    let mut prefix = name.to_owned();
    prefix.push(SUFFIX);
    let prefix = prefix.into_encoded_bytes();
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests;

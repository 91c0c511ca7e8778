//! Signs of life: a locked file beside the database for each handle that may hold claims.
//!
//! The operating system drops the lock when its process dies, however it dies. So a claim whose holder's file is
//! gone, or can be locked, is nobody's: whoever comes next need not wait for it to lapse.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::random;
use crate::vault::sqlite::open::{beside, private, unwritable};
use crate::vault::{Holder, VaultError};

const SUFFIX: &str = "-holder-";

/// The sign of life of this handle, and the way to look for those of others.
pub(super) struct Holders {
    /// The database; none for one in memory, where nobody else is.
    database: Option<PathBuf>,
    own: Mutex<Option<Own>>,
}

struct Own {
    holder: Holder,
    _sign: Option<Sign>,
}

/// A locked file; its lock goes with it.
struct Sign {
    path: PathBuf,
    _locked: File,
}

impl Drop for Sign {
    fn drop(&mut self) {
        // What is left behind is removed by the next one who looks.
        let _ = fs::remove_file(&self.path);
    }
}

impl Holders {
    pub(super) const fn new(database: Option<PathBuf>) -> Self {
        Self {
            database,
            own: Mutex::new(None),
        }
    }

    /// The name under which this handle claims. The first call makes its sign and clears away those of the dead.
    pub(super) fn own(&self) -> Result<Holder, VaultError> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &*own {
            return Ok(own.holder);
        }
        let made = match &self.database {
            Some(database) => {
                clear(database);
                live(database)?
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

    /// Whether a holder is known to be dead. When in doubt it lives, and its claim lapses by its time.
    pub(super) fn is_dead(&self, holder: Holder) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.as_ref().is_some_and(|own| own.holder == holder) {
            return false;
        }
        drop(own);
        is_dead(&sign_path(database, holder))
    }
}

fn new_holder() -> Result<Holder, VaultError> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)?;
    Ok(Holder::from_bytes(bytes))
}

fn live(database: &Path) -> Result<Own, VaultError> {
    loop {
        let holder = new_holder()?;
        let path = sign_path(database, holder);
        let file = private().create_new(true).open(&path).map_err(unwritable)?;
        file.lock().map_err(VaultError::storage)?;
        // Between making and locking, somebody may have taken it for a dead one's and removed it.
        if path.exists() {
            return Ok(Own {
                holder,
                _sign: Some(Sign { path, _locked: file }),
            });
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

/// Whether a sign is gone or nobody's; what is nobody's is removed while its lock is ours.
fn is_dead(sign: &Path) -> bool {
    let file = match File::open(sign) {
        Ok(file) => file,
        Err(error) => return error.kind() == ErrorKind::NotFound,
    };
    match file.try_lock() {
        Ok(()) => {
            let _ = fs::remove_file(sign);
            true
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

/// Removes the signs of the dead.
fn clear(database: &Path) {
    let (Some(directory), Some(name)) = (database.parent(), database.file_name()) else {
        return;
    };
    let mut prefix = name.to_owned();
    prefix.push(SUFFIX);
    let prefix = prefix.into_encoded_bytes();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(&prefix) {
            is_dead(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_holder_lives_as_long_as_its_handle() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("vault.db");
        let here = Holders::new(Some(database.clone()));
        let there = Holders::new(Some(database));
        let (one, other) = (here.own().unwrap(), there.own().unwrap());
        assert_ne!(one, other);
        assert_eq!(here.own().unwrap(), one, "the same at every call");
        for holders in [&here, &there] {
            assert!(!holders.is_dead(one) && !holders.is_dead(other));
        }
        drop(there);
        assert!(here.is_dead(other));
        assert!(here.is_dead(Holder::from_bytes([9; 16])), "who never was");
        assert_eq!(signs(directory.path()), 1);
        drop(here);
        assert_eq!(signs(directory.path()), 0);
    }

    #[test]
    fn the_signs_of_the_dead_are_cleared_away() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("vault.db");
        let dead = Holder::from_bytes([7; 16]);
        let other = directory.path().join("other.db-holder-07");
        for sign in [sign_path(&database, dead), other.clone()] {
            fs::write(sign, "").unwrap();
        }
        let here = Holders::new(Some(database.clone()));
        here.own().unwrap();
        assert!(!sign_path(&database, dead).exists());
        assert!(other.exists(), "another vault's");
        assert!(here.is_dead(dead));
    }

    #[test]
    fn many_begin_at_once_and_all_live() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("vault.db");
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let holders = Holders::new(Some(database.clone()));
                        let own = holders.own().unwrap();
                        (holders, own)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (holders, _) in &all {
            for (_, other) in &all {
                assert!(!holders.is_dead(*other));
            }
        }
    }
}

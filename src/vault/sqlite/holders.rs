//! Signs of life: a locked file beside the database for each handle that may hold claims.
//!
//! The operating system drops the lock when its process dies, however it dies. So a claim whose holder's file is
//! gone, or can be locked, is nobody's: the next handle need not wait for it to lapse.
//!
//! Only regular files of the database's owner are signs. Anything else with such a name is neither opened nor removed.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::random;
use crate::vault::sqlite::db::files::{beside, open_regular, private, same_owner, unwritable};
use crate::vault::{Holder, VaultError};

const SUFFIX: &str = "-holder-";

/// The sign of life of this handle, and the way to look for those of others.
#[derive(Debug)]
pub(super) struct Holders {
    /// The database; none for one in memory, where nobody else is.
    database: Option<PathBuf>,
    own: Mutex<Option<Own>>,
}

#[derive(Debug)]
struct Own {
    holder: Holder,
    _sign: Option<Sign>,
}

/// A locked file; its lock goes with it.
#[derive(Debug)]
struct Sign {
    path: PathBuf,
    /// The process that made it. A forked child has a copy of this value, and drops it while its parent lives.
    process: u32,
    _locked: File,
}

impl Drop for Sign {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // What is left behind is removed by the next one who looks.
            let _ = fs::remove_file(&self.path);
        }
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
        let sign = sign_path(database, holder);
        match fs::symlink_metadata(&sign) {
            Ok(_) => state(database, &sign) == State::Dead,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
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
        let file = private().open(&path).map_err(unwritable)?;
        file.lock().map_err(VaultError::storage)?;
        // Between making and locking, somebody may have taken it for a dead one's and removed it.
        if fs::symlink_metadata(&path).is_ok() {
            return Ok(Own {
                holder,
                _sign: Some(Sign {
                    path,
                    process: std::process::id(),
                    _locked: file,
                }),
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

/// What a file with the name of a sign tells.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Its holder lives.
    Alive,
    /// It was nobody's. It is removed.
    Dead,
    /// It is not a sign, or cannot be told.
    Unknown,
}

/// Looks at a sign; removes it while its lock is ours.
fn state(database: &Path, sign: &Path) -> State {
    let Ok(Some(file)) = open_regular(sign) else {
        return State::Unknown;
    };
    let is_ours = match (fs::symlink_metadata(database), file.metadata()) {
        (Ok(database), Ok(sign)) => same_owner(&database, &sign),
        // Without a database there is nobody to share it with: the lock alone decides.
        (Err(_), Ok(_)) => true,
        _ => false,
    };
    if !is_ours {
        return State::Unknown;
    }
    match file.try_lock() {
        Ok(()) => {
            let _ = fs::remove_file(sign);
            State::Dead
        }
        Err(TryLockError::WouldBlock) => State::Alive,
        Err(TryLockError::Error(_)) => State::Unknown,
    }
}

/// Removes the signs of the dead.
fn clear(database: &Path) {
    for sign in signs(database) {
        state(database, &sign);
    }
}

/// Whether a handle of any process has made a sign and lives.
pub(super) fn has_living(database: &Path) -> bool {
    signs(database)
        .iter()
        .any(|sign| state(database, sign) == State::Alive)
}

/// The files with the names of signs.
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

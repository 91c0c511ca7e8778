//! Checks who owns the files of a vault and who has rights to them.

use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::Path;

use crate::vault::VaultError;
use crate::vault::sqlite::db::files::{beside, check_kind, private};
use crate::vault::sqlite::failure::{DIRECTORY, failed_at};
use crate::vault::sqlite::sharing::Sharing;

/// The files that SQLite opens beside the database, and their names in errors.
const COMPANIONS: [(&str, &str); 3] = [
    ("-wal", "the log (-wal) of the vault"),
    ("-shm", "the shared memory (-shm) of the vault"),
    ("-journal", "the rollback journal of the vault"),
];

/// The identity of this process and the sharing of the vault, which decide which files it may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    process: Ids,
    sharing: Sharing,
}

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    uid: u32,
    gid: u32,
}

impl Access {
    /// Determines the user and the group of this process from a file that it creates beside the
    /// database. This is the only way that needs no unsafe code, and it works in a process without
    /// `/proc`.
    pub(super) fn learn(path: &Path, sharing: Sharing) -> Result<Self, VaultError> {
        let token = crate::random::token_256()?;
        let probe = path.with_file_name(format!(".valetkey-{}", token.as_str()));
        let file = private().open(&probe).map_err(failed_at(DIRECTORY))?;
        let metadata = file.metadata();
        fs::remove_file(&probe).map_err(failed_at(DIRECTORY))?;
        Ok(Self {
            process: ids(&metadata.map_err(VaultError::storage)?),
            sharing,
        })
    }

    /// Refuses a file that this process must not use, or has no rights to.
    pub(super) fn check(self, metadata: &Metadata, place: &'static str) -> Result<(), VaultError> {
        self.check_ids(ids(metadata), mode(metadata), place)
    }

    fn check_ids(self, file: Ids, mode: u32, place: &'static str) -> Result<(), VaultError> {
        let Ids { uid, gid } = self.process;
        // The file is marked as read-only, which root would not notice.
        if mode & 0o222 == 0 && mode & 0o444 != 0 {
            return Err(VaultError::ReadOnly);
        }
        // Root may use every file, for maintenance. SQLite gives the files that it creates to the
        // owner of the database.
        if uid == 0 {
            return Ok(());
        }
        let is_own = file.uid == uid;
        match self.sharing {
            Sharing::Owner if !is_own => {
                return Err(VaultError::OtherOwner {
                    file: file.uid,
                    process: uid,
                });
            }
            Sharing::Group if file.gid != gid => {
                return Err(VaultError::OtherGroup {
                    file: file.gid,
                    process: gid,
                });
            }
            // Only the owner can remove the rights, as `restrict` does.
            Sharing::Group if !is_own && mode & 0o007 != 0 => {
                return Err(VaultError::UnsafePath(
                    "users other than the owner and the group have access to a file",
                ));
            }
            Sharing::Owner | Sharing::Group => {}
        }
        let wanted = if is_own { 0o600 } else { 0o060 };
        if mode & wanted == wanted {
            Ok(())
        } else {
            Err(VaultError::AccessDenied(place))
        }
    }

    /// Gives the vault its proper rights: a copy or a backup may have others.
    pub(super) fn restrict(self, path: &Path) -> Result<(), VaultError> {
        #[cfg(unix)]
        for file in [path.to_path_buf(), beside(path, "-wal"), beside(path, "-shm")] {
            match fs::symlink_metadata(&file) {
                Ok(metadata) if metadata.is_file() && self.differs(&metadata) => {
                    let rights = std::os::unix::fs::PermissionsExt::from_mode(self.sharing.mode());
                    fs::set_permissions(&file, rights)
                        .map_err(failed_at(crate::vault::sqlite::failure::FILE))?;
                }
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(VaultError::storage(error)),
                _ => {}
            }
        }
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }

    /// Returns whether the rights of this user's file differ from the proper ones. The rights of
    /// another user's file are that user's choice, even for root.
    #[cfg(unix)]
    fn differs(self, metadata: &Metadata) -> bool {
        ids(metadata).uid == self.process.uid && mode(metadata) & 0o7777 != self.sharing.mode()
    }

    /// Refuses files beside the database that SQLite would open and that belong to others.
    pub(super) fn check_companions(self, path: &Path) -> Result<(), VaultError> {
        for (suffix, place) in COMPANIONS {
            match fs::symlink_metadata(beside(path, suffix)) {
                Ok(metadata) => {
                    check_kind(&metadata)?;
                    self.check(&metadata, place)?;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(VaultError::storage(error)),
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn ids(metadata: &Metadata) -> Ids {
    use std::os::unix::fs::MetadataExt as _;

    Ids {
        uid: metadata.uid(),
        gid: metadata.gid(),
    }
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

/// Windows has neither: a new file gets the rights of its directory, and every file counts as this
/// process's.
#[cfg(not(unix))]
const fn ids(_: &Metadata) -> Ids {
    Ids { uid: 1, gid: 1 }
}

#[cfg(not(unix))]
fn mode(metadata: &Metadata) -> u32 {
    if metadata.permissions().readonly() {
        0o400
    } else {
        0o600
    }
}

/// Returns whether the same users can write two files: a lock file that other users could have
/// created proves nothing.
pub(in crate::vault::sqlite) fn is_of_the_same(
    database: &Metadata,
    other: &Metadata,
    sharing: Sharing,
) -> bool {
    let (database, ids) = (ids(database), ids(other));
    ids.uid == database.uid
        || (sharing == Sharing::Group && ids.gid == database.gid && mode(other) & 0o007 == 0)
}

/// Gives a new file beside the database to the users who may use the database.
pub(in crate::vault::sqlite) fn adopt(
    file: &File,
    sharing: Sharing,
    database: &Path,
) -> Result<(), VaultError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, fchown};

        if sharing == Sharing::Group {
            file.set_permissions(fs::Permissions::from_mode(sharing.mode()))
                .map_err(failed_at(crate::vault::sqlite::failure::FILE))?;
        }
        if let Ok(database) = fs::symlink_metadata(database) {
            let wanted = ids(&database);
            let found = ids(&file.metadata().map_err(VaultError::storage)?);
            // Root gives the files that it creates to the users of the database.
            if found != wanted && found.uid == 0 {
                let rights = fs::Permissions::from_mode(mode(&database) & 0o660);
                file.set_permissions(rights)
                    .map_err(failed_at(crate::vault::sqlite::failure::FILE))?;
                fchown(file, Some(wanted.uid), Some(wanted.gid))
                    .map_err(failed_at(crate::vault::sqlite::failure::FILE))?;
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (file, sharing, database);
    Ok(())
}

#[cfg(all(test, unix))]
mod tests;

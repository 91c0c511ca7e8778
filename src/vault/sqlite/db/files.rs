//! Files beside and beneath SQLite: opened without following links and without waiting, and only our own.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::vault::{VaultError, VaultWarning};

/// `O_NONBLOCK` and `O_NOFOLLOW`: a FIFO is not waited for, a link is not followed.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "powerpc",
        target_arch = "powerpc64"
    )
))]
const PLAIN: i32 = 0o4_000 | 0o100_000;
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "powerpc",
        target_arch = "powerpc64"
    ))
))]
const PLAIN: i32 = 0o4_000 | 0o400_000;
#[cfg(all(unix, any(target_vendor = "apple", target_os = "freebsd")))]
const PLAIN: i32 = 0x4 | 0x100;
#[cfg(all(
    unix,
    not(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd"
    ))
))]
const PLAIN: i32 = 0;

/// The path with its directory's links resolved, so that the file itself can be opened without following any.
pub(in crate::vault::sqlite) fn resolve(path: &Path) -> Result<PathBuf, VaultError> {
    let name = path.file_name().ok_or(VaultError::UnsafePath("no file name"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(fs::canonicalize(directory)
        .map_err(VaultError::storage)?
        .join(name))
}

/// The path with something after its name.
pub(in crate::vault::sqlite) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// For reading a file that may be anything.
fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, PLAIN);
    options
}

/// For making a file that its owner alone can use.
pub(in crate::vault::sqlite) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        options.mode(0o600).custom_flags(PLAIN);
    }
    options
}

/// Opens a regular file for reading. `None` if there is none or it is something else.
pub(in crate::vault::sqlite) fn open_regular(path: &Path) -> Result<Option<File>, VaultError> {
    // Looked at first: even opening a socket or a device can have an effect.
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VaultError::storage(error)),
    }
    let file = match reading().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unwritable(error)),
    };
    let is_file = file.metadata().map_err(VaultError::storage)?.is_file();
    Ok(is_file.then_some(file))
}

pub(in crate::vault::sqlite) fn unwritable(error: std::io::Error) -> VaultError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => VaultError::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => VaultError::DiskFull,
        _ => VaultError::storage(error),
    }
}

/// Refuses anything but a writable regular file with one name.
pub(super) fn check_kind(metadata: &Metadata) -> Result<(), VaultError> {
    if metadata.is_symlink() {
        return Err(VaultError::UnsafePath("a symbolic link"));
    }
    if !metadata.is_file() {
        return Err(VaultError::UnsafePath("not a regular file"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(metadata) > 1 {
        return Err(VaultError::UnsafePath("has another name"));
    }
    if metadata.permissions().readonly() {
        return Err(VaultError::ReadOnly);
    }
    Ok(())
}

/// Refuses files that SQLite would open beside the database and that are not ours.
pub(super) fn check_companions(path: &Path, user: &User) -> Result<(), VaultError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        match fs::symlink_metadata(beside(path, suffix)) {
            Ok(metadata) => {
                check_kind(&metadata)?;
                user.check(&metadata)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(VaultError::storage(error)),
        }
    }
    Ok(())
}

/// The user that this process acts as.
pub(super) struct User {
    #[cfg(unix)]
    id: u32,
}

impl User {
    /// Learns it from a file that we make beside the database: the one way that needs no unsafe code and holds in a
    /// process that hides its `/proc`.
    #[cfg(unix)]
    pub(super) fn learn(path: &Path) -> Result<Self, VaultError> {
        let token = crate::random::token_256()?;
        let probe = path.with_file_name(format!(".valetkey-{}", token.as_str()));
        let file = private().open(&probe).map_err(unwritable)?;
        let metadata = file.metadata();
        fs::remove_file(&probe).map_err(unwritable)?;
        Ok(Self {
            id: std::os::unix::fs::MetadataExt::uid(&metadata.map_err(VaultError::storage)?),
        })
    }

    #[cfg(not(unix))]
    pub(super) const fn learn(_path: &Path) -> Result<Self, VaultError> {
        Ok(Self {})
    }

    #[cfg(unix)]
    pub(super) fn check(&self, metadata: &Metadata) -> Result<(), VaultError> {
        if std::os::unix::fs::MetadataExt::uid(metadata) == self.id {
            Ok(())
        } else {
            Err(VaultError::UnsafePath("belongs to another user"))
        }
    }

    #[cfg(not(unix))]
    pub(super) const fn check(&self, _metadata: &Metadata) -> Result<(), VaultError> {
        Ok(())
    }
}

/// Whether two files have the same owner.
pub(in crate::vault::sqlite) fn same_owner(one: &Metadata, other: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        one.uid() == other.uid()
    }
    #[cfg(not(unix))]
    {
        let _ = (one, other);
        true
    }
}

/// What the directory of a vault lets others do.
pub(super) fn warnings(path: &Path) -> Vec<VaultWarning> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let mode = path
            .parent()
            .and_then(|directory| fs::metadata(directory).ok())
            .map_or(0, |metadata| metadata.mode());
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return vec![VaultWarning::SharedDirectory];
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Vec::new()
}

/// Takes everybody else's rights off a vault that came with them, from a copy or a backup.
pub(super) fn restrict(path: &Path) -> Result<(), VaultError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        for file in [path.to_path_buf(), beside(path, "-wal"), beside(path, "-shm")] {
            match fs::symlink_metadata(&file) {
                Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o177 != 0 => {
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

/// Makes the name of a file last.
pub(super) fn sync_directory(path: &Path) -> Result<(), VaultError> {
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(VaultError::storage)?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(error)),
        _ => Ok(()),
    }
}
